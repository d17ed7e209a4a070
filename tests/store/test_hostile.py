"""What strangers send is stored or in quarantine: no event stops a stream."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from tests.simulators.jetstream import post_event
from tests.store.posts import AT, take
from tests.store.test_scale import begin, loaded
from tweeter import imports
from tweeter.pipeline import REFUSED, KeywordBook, Pipeline
from tweeter.records import RawEvent
from tweeter.sources.inbox import Taken
from tweeter.store import keywords, quarantine, streams
from tweeter.store.engine import reading
from tweeter.store.schema import posts as post_table

HOSTILE = ("k" * 300, "é" * 150, "\x00", "1\ud800", "1" * 191, "٣" * 100, "")


def raw(body: Any, place: str = "") -> RawEvent:
    return RawEvent("any", json.dumps(body).encode(), AT, origin="a.example", place=place)


def removed(name: str) -> list[Any]:
    """Removals and changes of accounts, as each network writes them."""
    commit = {"operation": "delete", "collection": "app.bsky.feed.post", "rkey": name}
    identity = {"did": "did:plc:a", "handle": name}
    return [
        {"did": "did:plc:a", "kind": "commit", "commit": commit},
        {"did": name, "kind": "commit", "commit": commit | {"rkey": "1"}},
        {"did": name, "kind": "account", "account": {"active": False, "status": "deleted"}},
        {"did": name, "kind": "account", "account": {"active": True}},
        {"did": name, "kind": "identity", "identity": identity},
        {"did": "did:plc:a", "kind": "identity", "identity": identity},
        {"data": {"delete": {"tweet": {"id": name}}}},
        {"data": {"user_delete": {"user": {"id": name}}}},
        {"data": {"user_undelete": {"user": {"id": name}}}},
        {"delete": {"status": {"id_str": name}}},
        {"event": "delete", "payload": name},
        {"a": 1, name: 2},
        {"event": "update", "payload": json.dumps({"content": name, name: 1})},
        {"did": "did:plc:a", "kind": "commit", "commit": commit | {"operation": name}},
    ]


@pytest.fixture
def pipeline(engine: Engine) -> Pipeline:
    """A stream's, with a keyword."""
    keywords.add(engine, "storm")
    book = KeywordBook(engine)
    book.refresh()
    return Pipeline(engine, take(engine), book)


def refused(engine: Engine) -> int:
    return quarantine.by_reason(engine).get(REFUSED, 0)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=()), max_size=250))
@example("\x00")
@example("\ud800")
@example("k" * 300)
@example("é" * 150)
@example("1" * 191)
@example("1" * 4_000)
def test_removals_and_accounts_of_any_name_are_stored(pipeline: Pipeline, name: str) -> None:
    events = [raw(one, place=name) for one in removed(name)]
    assert pipeline.commit(pipeline.digest(Taken(events, 0, position="9")))[1] == "9"
    assert refused(pipeline.engine) == 0


ENDLESS = "&#" + "9" * 5_000 + ";"  # Python reads no number of so many digits
REFERRING = (
    {
        "event": "update",
        "payload": json.dumps({"id": "1", "uri": "u", "content": f"storm {ENDLESS}"}),
    },
    {
        "account": {},
        "id": "1",
        "uri": "u",
        "content": f"<p>storm</p> <a href='{ENDLESS}'>{ENDLESS}</a>",
    },
    {"data": {"id": "1", "text": f"storm {ENDLESS}"}},
    {"data": {"id": "1", "text": "storm", "entities": {"urls": [{"title": ENDLESS}]}}},
    {"id_str": "1", "full_text": f"storm {ENDLESS}"},
)


@pytest.mark.parametrize("event", REFERRING)
def test_a_reference_to_a_character_of_any_number_is_stored(pipeline: Pipeline, event: Any) -> None:
    assert pipeline.store(Taken([raw(event)], 0))[0].stored == 1


def pairs() -> Iterable[Any]:
    """Posts and their removals under names too long, or broken."""
    for name in HOSTILE[:4]:
        made = post_event("storm", 1)
        made["commit"]["rkey"] = name
        gone = {"operation": "delete", "collection": "app.bsky.feed.post", "rkey": name}
        yield made, made | {"commit": gone}
        mine = made | {"did": f"did:plc:{name}"}
        yield (
            mine,
            {"did": mine["did"], "kind": "account"}
            | {"account": {"active": False, "status": "deleted"}},
        )
        status = {"id": name, "uri": "https://a.example/1", "content": "<p>storm</p>"}
        yield (
            {"event": "update", "payload": json.dumps(status)},
            {"event": "delete", "payload": name},
        )


def test_a_removal_finds_the_post_whose_name_was_shortened(
    engine: Engine, pipeline: Pipeline
) -> None:
    for n, (made, gone) in enumerate(pairs(), 1):
        pipeline.store(Taken([raw(made)], 0))
        pipeline.store(Taken([raw(gone)], 0))
        with reading(engine) as connection:
            rows = connection.execute(select(post_table.c.text)).scalars().all()
        assert (n, set(rows)) == (n, {""})


def forbid(engine: Engine, word: str, *, before: str = "INSERT") -> None:
    """Let the database refuse posts with a word, as it might what nobody thought of."""
    if engine.dialect.name == "sqlite":
        rule = (
            f"CREATE TRIGGER no BEFORE {before} ON posts WHEN NEW.text LIKE '%{word}%'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        rule = f"ALTER TABLE posts ADD CONSTRAINT no_such CHECK (text NOT LIKE '%{word}%')"
    with engine.begin() as connection:
        connection.execute(text(rule))


@pytest.mark.parametrize("count", [1, 2, 13])
def test_an_event_that_the_database_refuses_goes_to_quarantine_and_the_rest_is_stored(
    engine: Engine, pipeline: Pipeline, count: int
) -> None:
    forbid(engine, "poison")
    words = ["storm poison" if n in (0, 7) else "storm" for n in range(count)]
    bad = words.count("storm poison")
    events = [raw(post_event(word, n, time_us=AT + n)) for n, word in enumerate(words)]
    outcome, cursor = pipeline.store(Taken(events, AT, position="77"))
    assert (outcome.stored, cursor, refused(engine)) == (count - bad, "77", bad)
    (stream,) = streams.list_all(engine)
    assert (stream.cursor, stream.counts["events"]) == ("77", count)
    assert keywords.list_all(engine)[0].posts == count - bad


def test_a_file_is_read_to_its_end_past_what_the_database_refuses(
    engine: Engine, tmp_path: Path
) -> None:
    keywords.add(engine, "storm")
    forbid(engine, "poison")
    words = ["storm poison" if n == 5 else "storm" for n in range(20)]
    file = tmp_path / "posts.jsonl"
    file.write_text("\n".join(json.dumps(post_event(word, n)) for n, word in enumerate(words)))
    stream_id = begin(engine, file, 10**9)
    imports.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False)
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert (stream.state, stream.counts["lines"], stream.counts["events"]) == ("done", 20, 20)
    assert (stream.counts["stored"], stream.counts["quarantined"], refused(engine)) == (19, 1, 1)
