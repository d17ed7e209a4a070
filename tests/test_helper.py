"""The helper: another process digests as this one would, and its end costs nothing."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.simulators import jetstream
from tests.simulators.x import post
from tests.test_pipeline import event
from tweeter import helper
from tweeter.digest import digest
from tweeter.helper import Helper
from tweeter.keywords import Matcher
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import Keyword, RawEvent
from tweeter.sources.inbox import MemoryInbox, Taken
from tweeter.store import keywords, streams
from tweeter.store.batches import Batch
from tweeter.store.keywords import Options
from tweeter.writing import Helping, Writer, Writing

STORM = [Keyword(id=1, expression="storm")]
CALM = [Keyword(id=2, expression="calm OR from:ann", accounts=(("ann", "x:1"),))]
DID = "did:plc:a"
EVENTS = [
    event(post(1, "a storm & calm ⛈ 嵐が来る"), "x"),
    event(post(2, "sunshine"), "x"),
    event(post(9, "calm again", edit_history_tweet_ids=["8", "9"]), "x"),
    event(b"rubbish", place="posts.jsonl line 4", lines=1, cursor="5"),
    event(jetstream.post_event("storm", number=3), "bluesky"),
    event(jetstream.post_event("", 4, commit={"operation": "delete"}), "bluesky"),
    event(jetstream.account_event(DID, "suspended"), "bluesky"),
    event(
        {"did": DID, "time_us": 5, "kind": "identity", "identity": {"did": DID, "handle": "a.b"}},
        "bluesky",
    ),
]


@pytest.fixture
def child() -> Iterator[Helper]:
    it = Helper(2)
    yield it
    it.close()


def asked(child: Helper, revision: int, known: list[Keyword]) -> Batch:
    """Its answer, once it has begun."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        batch = child.digest(EVENTS, revision, known)
        if batch is not None:
            return batch
        time.sleep(0.05)
    raise AssertionError("no helper within 30 s")


def test_it_answers_what_digest_does_and_learns_new_keywords(child: Helper) -> None:
    for revision, known in ((3, STORM), (4, CALM), (4, CALM)):
        assert asked(child, revision, known) == digest(EVENTS, Matcher(known), revision)
    assert len(asked(child, 4, CALM).items) > 2  # not equal because both are empty


def test_it_makes_words_for_the_search_only_if_asked(child: Helper) -> None:
    assert asked(child, 3, STORM).words
    batch = child.digest(EVENTS, 3, STORM, indexed=False)
    assert batch == digest(EVENTS, Matcher(STORM), 3, indexed=False)
    assert (batch.words, batch.indexed) == ({}, False)
    assert not batch.joined(batch).indexed


def test_without_it_the_slot_digests_by_itself_and_a_new_one_comes(
    child: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "AGAIN_S", 0.2)
    asked(child, 1, STORM)
    first = child.pids()
    os.kill(first[1], signal.SIGKILL)
    assert child.digest(EVENTS, 1, STORM) is None
    assert asked(child, 1, STORM).items
    assert not set(child.pids()) & set(first)


def test_with_no_helpers_nothing_is_begun() -> None:
    none = Helper(0)
    assert none.digest(EVENTS, 1, STORM) is None
    assert not none.pids()


def test_one_that_is_stuck_is_given_up(child: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "ANSWER_S", 0.3)
    asked(child, 1, STORM)
    os.kill(child.pids()[0], signal.SIGSTOP)
    assert child.digest(EVENTS, 1, STORM) is None
    assert not child.pids()


def test_it_ends_after_a_rest_and_with_its_parent(
    child: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(child, 1, STORM)
    pid = child.pids()[0]
    child.rest()
    assert pid in child.pids()
    child._children[0].line.close()  # as a killed parent's lines close
    until = time.monotonic() + 10
    while not _is_gone(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert _is_gone(pid)
    monkeypatch.setattr(helper, "REST_S", 0.0)
    child.rest()
    assert not child.pids()


def _is_gone(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Slow(Pipeline):
    """Notes what was done when; its database takes its time."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.under_way = self.together = self.asked = 0

    def digest_by(self, child: Helper, taken: Taken) -> object:  # type: ignore[override]
        self.together += self.under_way
        self.asked += 1
        return super().digest_by(child, taken)

    def commit(self, *args: object) -> object:  # type: ignore[override]
        self.under_way += 1
        time.sleep(0.2)
        try:
            return super().commit(*args)  # type: ignore[arg-type]
        finally:
            self.under_way -= 1


def test_in_a_flood_the_next_events_are_digested_while_a_batch_is_stored(
    engine: Engine, child: Helper
) -> None:
    keywords.add(engine, "storm", Options())
    streams.ensure(engine, "bluesky", "bluesky", {})
    ((_, lease),) = streams.claim(engine, "nobody", networks=["bluesky"])
    book = KeywordBook(engine)
    book.refresh()
    asked(child, book.revision, list(book.keywords))
    flood = _flood(1_500)

    async def story(pipeline: Slow) -> None:
        inbox = MemoryInbox(max_events=10_000, max_bytes=1 << 30)
        with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(1) as helping:
            how = Writing(writer, 500, 0.05, Helping(child, helping))
            it = Writer("test", inbox, pipeline, how, sure=lambda moment: moment)
            await inbox.put(flood)
            inbox.close()
            await it.run(_told, _undamaged)

    pipeline = Slow(engine, lease, book)
    asyncio.run(story(pipeline))
    assert pipeline.together >= 1
    assert keywords.list_all(engine)[0].posts == len(flood)


def _flood(count: int) -> list[RawEvent]:
    events = (jetstream.post_event("storm", number, time_us=1) for number in range(count))
    return [event(one, "bluesky") for one in events]


async def _told(taken: Taken, cursor: str) -> None:
    """A commit."""


async def _undamaged() -> None:
    raise AssertionError("a journal that is none is damaged")


def test_what_is_past_is_stored_with_its_help(engine: Engine, child: Helper) -> None:
    keywords.add(engine, "storm", Options())
    streams.ensure(engine, "bluesky", "bluesky", {})
    ((_, lease),) = streams.claim(engine, "nobody", networks=["bluesky"])
    pipeline = Slow(engine, lease, KeywordBook(engine))
    for count, helped in ((helper.FLOOD_EVENTS - 1, 0), (helper.FLOOD_EVENTS, 1)):
        pipeline.store(Taken(_flood(count), 0), child)
        assert pipeline.asked == helped
    assert keywords.list_all(engine)[0].posts == helper.FLOOD_EVENTS  # each once
