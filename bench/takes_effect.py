"""How long after it is added a keyword is matched with, beside 100,000 others."""

import time

import msgspec

from bench import databases
from bench.events import Plan, Stream
from bench.setting import Bench
from tests.simulators import x
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import RawEvent, now_us
from tweeter.sources.inbox import Taken
from tweeter.store import keywords, migrate, streams
from tweeter.store.engine import make_engine, writing
from tweeter.store.keywords import Options
from tweeter.store.leases import owner

KEYWORDS = 100_000


def run(bench: Bench) -> None:
    """From the keyword's commit to the commit of the first post that holds it, by the pipeline."""
    figure = bench.figure(
        "match/takes_effect", f"a keyword takes effect beside {KEYWORDS:,} others", "s"
    )
    figure.note = "its commit to the next batch's commit, SQLite"
    with bench.guarded(figure), databases.fresh("sqlite", bench.new_folder("effect")) as url:
        engine = make_engine(url)
        migrate.upgrade(engine)
        expressions = Stream(Plan("x", 10, KEYWORDS, 0)).keywords
        with writing(engine) as connection:
            keywords.bump(connection)
            for number, one in enumerate(expressions):
                keywords.insert_row(connection, one, one.casefold(), Options(), number + 1)
        stream_id = streams.ensure(engine, "bench", "x", {})
        ((_, lease),) = streams.claim(engine, owner(), networks=["x"], only=stream_id)
        book = KeywordBook(engine)
        book.refresh()
        pipeline = Pipeline(engine, lease, book)
        for number in range(bench.sizes.repeats):
            keywords.add(engine, f"freshly{number}")
            began_s = time.perf_counter()
            body = x.post(1_990_000_000_000_000_000 + number, f"a freshly{number} added keyword")
            outcome, _ = pipeline.store(Taken([_raw(body)], now_us()))
            figure.values.append(time.perf_counter() - began_s)
            if outcome.stored != 1:
                figure.wrong = "the post was not stored"
        engine.dispose()


def _raw(value: object) -> RawEvent:
    return RawEvent(shape="x", body=msgspec.json.encode(value), received_at=now_us())
