"""From the network's socket to committed rows: the product as it is started.

Everything on (whole/…) is fencing, exact counters, sums, the ledger, deletes, quarantine, the
search index and the live broadcast, which a browser reads. The core set-up (core/…) is without the
search index (the setting search_index is off), and nobody reads live; the rest no setting switches
off.
"""

from typing import NamedTuple

from bench import checks, databases
from bench.product import Core, Product
from bench.setting import Bench

NAMES = {"x": "X", "bluesky": "Jetstream"}
WARM_EVENTS = 1_000
LEAST_S = 1.5  # a repetition: the last batch waits a quarter of a second for company
MOST_EVENTS = 150_000  # of X they must fit into its journal


class Line(NamedTuple):
    """What is measured. quick: also in a quick run. core: the core set-up, not everything."""

    network: str
    database: str
    share: str
    processes: int = 1
    quick: bool = False
    core: bool = False

    @property
    def name(self) -> str:
        kind = "core" if self.core else "whole"
        return f"{kind}/{self.network}/{self.database}/{self.share}/{self.processes}"

    @property
    def work(self) -> str:
        processes = "one process" if self.processes == 1 else f"{self.processes} processes"
        database = databases.NAMES[self.database]
        work = f"{NAMES[self.network]} → {database}, {self.share[1:]} % match, {processes}"
        return f"core set-up: {work}" if self.core else work


LINES = [
    Line("x", "sqlite", "p100", quick=True),
    Line("x", "postgresql", "p100"),
    Line("x", "mariadb", "p100"),
    Line("x", "sqlite", "p100", 2),
    Line("x", "sqlite", "p1", quick=True),
    Line("x", "sqlite", "p1", 2),
    Line("x", "postgresql", "p1"),
    Line("x", "mariadb", "p1"),
    Line("bluesky", "sqlite", "p1", quick=True),
    Line("bluesky", "sqlite", "p1", 2),
    Line("bluesky", "postgresql", "p1"),
    Line("bluesky", "mariadb", "p1"),
    Line("bluesky", "sqlite", "p100"),
    Line("bluesky", "postgresql", "p100"),
    Line("bluesky", "mariadb", "p100"),
    Line("x", "sqlite", "p100", quick=True, core=True),
    Line("x", "postgresql", "p100", core=True),
    Line("x", "mariadb", "p100", core=True),
    Line("x", "sqlite", "p1", quick=True, core=True),
    Line("x", "sqlite", "p1", 2, core=True),
    Line("bluesky", "sqlite", "p1", quick=True, core=True),
    Line("bluesky", "sqlite", "p1", 2, core=True),
]


def run(bench: Bench) -> None:
    """Every line, or in a quick run the most telling ones."""
    for line in LINES:
        if line.quick or not bench.quick:
            _measure(bench, line)


def _measure(bench: Bench, line: Line) -> None:
    figure = bench.figure(line.name, line.work)
    figure.left_out = databases.lacking(line.database)
    if line.core:
        figure.without = "search index, a reader of the live page"
    if line.processes > 1:
        figure.note = "two streams, each sent half"
    if figure.left_out:
        return
    count = bench.sizes.p1 if line.share == "p1" else bench.sizes.p100
    ready = bench.ready() if line.database == "sqlite" else None
    network = bench.network(line.network, line.share)
    folder, kind = bench.new_folder(line.name), Core if line.core else Product
    with (
        bench.guarded(figure),
        databases.fresh(line.database, folder / "database") as url,
        kind(folder, network, url, processes=line.processes, ready=ready) as product,
    ):
        product.take(WARM_EVENTS)
        took_s = product.take(count)[1]
        while took_s < LEAST_S and count < MOST_EVENTS:
            count = min(count * 4, MOST_EVENTS)
            took_s = product.take(count)[1]
        figure.values.append(count / took_s)
        while len(figure.values) < bench.sizes.repeats:
            figure.values.append(count / product.take(count)[1])
        running = product.running
        figure.wrong = checks.faults(
            running.sql,
            running.database_url(),
            network.stream,
            product.total,
            checks.Beside(indexed=not line.core),
        )
