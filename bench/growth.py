"""How the rate of writing falls as the tables grow. Long: only in full runs."""

import os

from bench import databases
from bench.events import Plan, Stream
from bench.figures import Figure
from bench.setting import Bench
from bench.stages import Writing

STEP = 20_000  # posts stored between two looks
BASE = 1_000_000
ROWS = int(os.environ.get("BENCH_GROWTH_ROWS", 2_000_000))
WINDOW = 10  # steps that make a figure


def run(bench: Bench) -> None:
    """Rates around a million posts and at the end, on SQLite and PostgreSQL."""
    for kind in ("sqlite", "postgresql"):
        name = databases.NAMES[kind]
        figure = bench.figure(
            f"growth/{kind}", f"write to {name} at {ROWS:,} posts / at {BASE:,}", "%"
        )
        figure.note = "a match a post"
        figure.left_out = databases.lacking(kind)
        if figure.left_out:
            continue
        with (
            bench.guarded(figure),
            databases.fresh(kind, bench.new_folder(figure.name)) as url,
        ):
            _measure(bench, url, figure)


def _measure(bench: Bench, url: str, figure: Figure) -> None:
    stream = Stream(Plan("x", bench.sizes.bodies, 200, 1.0), step_us=2_000)
    writing = Writing(bench, url, stream)
    rates: list[float] = []
    while writing.next < ROWS:
        rates.append(writing.store(STEP))
        if len(rates) % 50 == 0:
            bench.say(f"  {writing.next:,} posts, {rates[-1]:,.0f}/s")
    writing.engine.dispose()
    at = BASE // STEP
    early = sorted(rates[at - WINDOW // 2 : at + WINDOW // 2])
    late = sorted(rates[-WINDOW:])
    middle = early[len(early) // 2]
    figure.values = [100 * rate / middle for rate in late]
    figure.note += f"; {middle:,.0f}/s and {late[len(late) // 2]:,.0f}/s"
