"""How the rate of writing falls as the tables grow. Long: only in full runs.

A database is filled quickly (`filling`) to each mark; there posts like those in it are stored by
the product's own transactions, made ready before the clock runs as helpers make them. Filling makes
the indexes anew, so they lie denser than such as have grown.
"""

import os
import time
from collections.abc import Iterator
from statistics import median

from sqlalchemy import Engine, func, select

from bench import databases, filling
from bench.figures import Figure
from bench.setting import Bench
from bench.stages import BATCH
from tweeter.store import batches, migrate, search_texts
from tweeter.store.batches import Batch
from tweeter.store.engine import make_engine, reading
from tweeter.store.schema import keywords, matches, posts

ROWS = int(os.environ.get("BENCH_GROWTH_ROWS", 2_000_000))
BASE = min(1_000_000, ROWS)
MARKS = [*(mark for mark in (BASE, 2_000_000, 5_000_000) if mark < ROWS), ROWS]
STEP = 20_000  # posts between two looks
LOOKS = 12  # at each mark; the first two do not count
APART_US = filling.DAYS * filling.DAY_US // (ROWS + ROWS // 10)

Rates = dict[str, dict[int, list[float]]]  # by kind of database, then by mark


def run(bench: Bench) -> None:
    """SQLite's rates at each mark, PostgreSQL's at the first and the last."""
    figures = {
        kind: bench.figure(
            f"growth/{kind}",
            f"write to {databases.NAMES[kind]} at {ROWS:,} posts / at {BASE:,}",
            "%",
        )
        for kind in ("sqlite", "postgresql")
    }
    figures["postgresql"].left_out = databases.lacking("postgresql")
    rates: Rates = {kind: {} for kind, one in figures.items() if not one.left_out}
    with (
        bench.guarded(*figures.values()),
        databases.fresh("sqlite", bench.new_folder("growth")) as url,
    ):
        _measure(bench, url, rates)
        for kind, found in rates.items():
            _enter(figures[kind], found)


def _enter(figure: Figure, found: dict[int, list[float]]) -> None:
    at_base = median(found[BASE])
    figure.values = [100 * rate / at_base for rate in found[ROWS]]
    curve = [f"{median(some):,.0f}/s at {mark:,}" for mark, some in found.items()]
    figure.note = f"one or two matches a post; {', '.join(curve)}"


def _measure(bench: Bench, url: str, rates: Rates) -> None:
    file = make_engine(url, in_floods=True)
    migrate.upgrade(file)
    for mark in MARKS:
        filling.extend(file, mark, APART_US)
        if "postgresql" in rates and mark in (BASE, ROWS):
            with databases.fresh("postgresql", bench.folder) as server_url:
                server = make_engine(server_url)
                migrate.upgrade(server)
                filling.copy(file, server)
                rates["postgresql"][mark] = _rates(bench, server)
                server.dispose()
        rates["sqlite"][mark] = _rates(bench, file)
    file.dispose()


def _rates(bench: Bench, engine: Engine) -> list[float]:
    """Posts a second, LOOKS times; the result is checked."""
    lease, before = filling.take(engine), _counted(engine)
    found = []
    for number, made in enumerate(_batches(engine)):
        began_s = time.perf_counter()
        stored = sum(batches.commit(engine, lease, one).stored for one in made)
        found.append(stored / (time.perf_counter() - began_s))
        bench.say(f"  {engine.dialect.name}, {before[0] + number * STEP:,}: {found[-1]:,.0f}/s")
    number, its_matches, counters = _counted(engine)
    if number - before[0] != LOOKS * STEP or its_matches != counters:
        raise RuntimeError(f"{number - before[0]:,} posts, {its_matches:,} matches, {counters:,}")
    return found[2:]


def _batches(engine: Engine) -> Iterator[list[Batch]]:
    """What each look stores: posts that come after those that are there."""
    with reading(engine) as connection:
        number, last = connection.execute(
            select(func.count(), func.max(posts.c.occurred_at)).select_from(posts)
        ).one()
    inventor = filling.Inventor(filling.followed(engine), seed=number)
    for _ in range(LOOKS):
        made = []
        for _ in range(STEP // BATCH):
            some = range(number, number + BATCH)
            items = [inventor.post(n, last + (n - some.start + 1) * APART_US) for n in some]
            number, last = some.stop, items[-1][0].occurred_at
            made.append(filling.as_batch(engine, items))
            made[-1].words = {(p.network, p.key): search_texts.of_post(p) for p, _ in items}
            batches.prepare(made[-1])
        yield made


def _counted(engine: Engine) -> tuple[int, int, int]:
    """Posts, matches, and what the keywords' counters add up to."""
    with reading(engine) as connection:
        return (
            connection.execute(select(func.count()).select_from(posts)).scalar_one(),
            connection.execute(select(func.count()).select_from(matches)).scalar_one(),
            int(connection.execute(select(func.sum(keywords.c.posts))).scalar_one()),
        )
