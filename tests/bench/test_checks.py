"""A result that is not right is found, whatever is wrong with it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bench import checks
from bench.events import Plan, Stream
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import RawEvent, now_us
from tweeter.store import batches, keywords, streams
from tweeter.store.engine import make_engine
from tweeter.store.leases import owner

TOTAL = 120

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def stored(sqlite_copy: str) -> Iterator[tuple[Stream, str, Sql]]:
    """A stream of which TOTAL events are in a database, its URL, and a way to ask it."""
    stream = Stream(Plan("x", 60, 20, 0.5))
    engine = make_engine(sqlite_copy)
    for expression in stream.keywords:
        keywords.add(engine, expression)
    revision, active = keywords.active(engine)
    stream_id = streams.ensure(engine, "x", "x", {})
    ((_, lease),) = streams.claim(engine, owner(), networks=["x"], only=stream_id)
    raw = [RawEvent("x", stream.body(n), now_us()) for n in range(TOTAL)]
    batches.commit(engine, lease, digest(raw, Matcher(active), revision))
    engine.dispose()
    plain = create_engine(sqlite_copy)

    def sql(statement: str) -> list[tuple[Any, ...]]:
        with plain.begin() as connection:
            found = connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    yield stream, sqlite_copy, sql
    plain.dispose()


def test_what_is_right_has_no_faults(stored: tuple[Stream, str, Sql]) -> None:
    stream, url, sql = stored
    assert checks.faults(sql, url, stream, TOTAL) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM posts WHERE id = (SELECT min(id) FROM posts)", "1 posts lost"),
        ("UPDATE posts SET key = 'other' WHERE id = (SELECT min(id) FROM posts)", "1 posts inv"),
        ("UPDATE keywords SET posts = posts + 1 WHERE id = 3", "1 counters wrong"),
        ("DELETE FROM matches WHERE keyword_id = (SELECT min(keyword_id) FROM matches)", "matches"),
        ("UPDATE volumes SET posts = posts + 1 WHERE keyword_id > 0", "not a recount"),
        ("UPDATE totals SET posts = posts + 1 WHERE keyword_id = 0", "the sum of all days"),
        ("UPDATE streams SET unmatched = unmatched - 1", "unmatched: 59, not 60"),
        ("UPDATE streams SET duplicates = 1", "duplicates: 1, not 0"),
        ("DELETE FROM search_texts", "60 posts without their words"),
        ("DELETE FROM feed WHERE seq = 1", "1 posts not in the feed"),
    ],
)
def test_each_fault_is_found(stored: tuple[Stream, str, Sql], change: str, words: str) -> None:
    stream, url, sql = stored
    sql(change)
    assert words in checks.faults(sql, url, stream, TOTAL)


def test_words_are_found_where_there_must_be_none(stored: tuple[Stream, str, Sql]) -> None:
    stream, url, sql = stored
    core = checks.Beside(indexed=False)
    found = checks.faults(sql, url, stream, TOTAL, core)
    assert found == "60 posts with words, where the index is off"
    sql("DELETE FROM search_texts")
    assert checks.faults(sql, url, stream, TOTAL, core) == ""


def test_events_that_did_not_come_are_found(
    stored: tuple[Stream, str, Sql], tmp_path: Path
) -> None:
    stream, url, sql = stored
    found = checks.faults(sql, url, stream, TOTAL + 60)
    assert "events: 120, not 180" in found
    assert "30 posts lost" in found
