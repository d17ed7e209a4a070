"""What each part of storing costs: microseconds of a processor for a post of X that matches.

On SQLite. The transactions of such posts with a part and without it, in turns in one process: what
is less is the part. The search index has a setting for that; for the sums a function of the product
is replaced by one that does nothing. Smaller parts are functions that are timed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bench import databases
from bench.setting import Bench
from bench.stages import BATCH, Writing, publish
from tweeter.records import Post
from tweeter.store import batches, cells, feed, fences, rollups, search_texts
from tweeter.store.batches import Batch


@contextmanager
def _without(module: Any, name: str, instead: Callable[..., Any]) -> Iterator[None]:
    true = getattr(module, name)
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, true)


@contextmanager
def _timed(module: Any, name: str) -> Iterator[list[float]]:
    """How long each call of a function took, in microseconds of the processor."""
    true, took_us = getattr(module, name), []

    def timed(*args: Any) -> Any:
        began_s = time.process_time()
        try:
            return true(*args)
        finally:
            took_us.append((time.process_time() - began_s) * 1e6)

    with _without(module, name, timed):
        yield took_us


WORDS = {
    "all": "a transaction's post, all parts",
    "index": "of it: the search's full-text index (search_index)",
    "facets": "of it: sums of facets",
    "sums": "of it: sums over time",
    "feed": "of it: the live feed's entries",
    "fence": "of it: lease, cursor, coverage, the stream's counters",
    "words": "the words of the search (digest)",
    "publish": "publishing it to one reader (web)",
}
NOTHING: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "facets": (cells, "facets", lambda _: ()),
    "sums": (rollups, "_by_sizes", lambda *_: {}),
}


def run(bench: Bench) -> None:
    """All of them, in turns."""
    figures = {name: bench.figure(f"part/{name}", words, "us") for name, words in WORDS.items()}
    folder = bench.new_folder("parts")
    with bench.guarded(*figures.values()), databases.fresh("sqlite", folder) as url:
        writing = Writing(bench, url)
        count = max(bench.sizes.p100 // 4 // BATCH, 2) * BATCH
        _turn(writing, count)  # does not count
        for _ in range(bench.sizes.repeats):
            for name, value in _turn(writing, count).items():
                figures[name].values.append(value)
        publish(writing.engine)
        for _ in range(bench.sizes.repeats):
            began_s = time.process_time()
            frames = publish(writing.engine)
            figures["publish"].values.append((time.process_time() - began_s) / frames * 1e6)
        writing.engine.dispose()


def _turn(writing: Writing, count: int) -> dict[str, float]:
    """Each part once, by its name."""
    with (
        _timed(feed, "publish") as fed_us,
        _timed(fences, "prove") as proved_us,
        _timed(fences, "advance") as advanced_us,
    ):
        found = {"all": _store(writing, count)}
    found["feed"] = sum(fed_us) / count
    found["fence"] = sum(proved_us + advanced_us) / count
    found["index"] = found["all"] - _store(writing, count, indexed=False)
    for name, (module, function, nothing) in NOTHING.items():
        with _without(module, function, nothing):
            found[name] = found["all"] - _store(writing, count)
    found["words"] = _words(writing, count)
    return found


def _store(writing: Writing, count: int, *, indexed: bool = True) -> float:
    """Microseconds of the processor a post, in transactions of BATCH."""
    made = writing.batches(count, indexed=indexed)
    began_s = time.process_time()
    for one in made:
        batches.commit(writing.engine, writing.lease, one)
    return (time.process_time() - began_s) / count * 1e6


def _words(writing: Writing, count: int) -> float:
    new = list(_posts(writing.batches(count, indexed=False)))
    began_s = time.process_time()
    for post in new:
        search_texts.of_post(post)
    return (time.process_time() - began_s) / len(new) * 1e6


def _posts(made: Iterable[Batch]) -> Iterator[Post]:
    return (item[0] for batch in made for item in batch.items if isinstance(item, tuple))
