"""Helpers: others digest and store as this process would, and their end costs nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from tests.simulators import jetstream
from tests.simulators.x import post
from tests.test_pipeline import event
from tweeter import helper, helpers
from tweeter.digest import digest
from tweeter.errors import LeaseLost
from tweeter.helper import FAILED, Kept, Work
from tweeter.helpers import Helpers
from tweeter.keywords import Matcher
from tweeter.pipeline import Digested, KeywordBook, Pipeline
from tweeter.records import Keyword, RawEvent
from tweeter.sources.inbox import MemoryInbox, Taken
from tweeter.store import keywords, schema, streams
from tweeter.store.batches import Batch
from tweeter.store.engine import reading
from tweeter.store.keywords import Options
from tweeter.writing import HEAP, Helping, Writer, Writing

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
def child() -> Iterator[Helpers]:
    it = Helpers(2)
    yield it
    it.close()


def asked(child: Helpers, revision: int, known: list[Keyword]) -> Batch:
    """Its answer, once it has begun."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        batch = child.digest(EVENTS, revision, known)
        if batch is not None:
            assert isinstance(batch, Batch)
            return batch
        time.sleep(0.05)
    raise AssertionError("no helper within 30 s")


def test_it_answers_what_digest_does_and_learns_new_keywords(child: Helpers) -> None:
    for revision, known in ((3, STORM), (4, CALM), (4, CALM)):
        assert asked(child, revision, known) == digest(EVENTS, Matcher(known), revision)
    assert len(asked(child, 4, CALM).items) > 2  # not equal because both are empty


def test_it_makes_words_for_the_search_only_if_asked(child: Helpers) -> None:
    assert asked(child, 3, STORM).words
    batch = child.digest(EVENTS, 3, STORM, indexed=False)
    assert batch == digest(EVENTS, Matcher(STORM), 3, indexed=False)
    assert (batch.words, batch.indexed) == ({}, False)
    assert not batch.joined(batch).indexed


def test_without_it_the_slot_digests_by_itself_and_a_new_one_comes(
    child: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "AGAIN_S", 0.2)
    asked(child, 1, STORM)
    first = child.pids()
    os.kill(first[1], signal.SIGKILL)
    assert child.digest(EVENTS, 1, STORM) is None
    assert asked(child, 1, STORM).items
    assert not set(child.pids()) & set(first)


def test_one_whose_parent_died_before_it_had_begun_leaves_without_a_word() -> None:
    ours, its = socket.socketpair()
    ours.close()
    with its:
        words = [sys.executable, "-m", "tweeter.helper", str(its.fileno()), "0"]
        done = subprocess.run(words, pass_fds=[its.fileno()], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_with_no_helpers_nothing_is_begun() -> None:
    none = Helpers(0)
    assert none.digest(EVENTS, 1, STORM) is None
    assert not none.pids()


def test_one_that_is_stuck_is_given_up(child: Helpers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "ANSWER_S", 0.3)
    asked(child, 1, STORM)
    os.kill(child.pids()[0], signal.SIGSTOP)
    assert child.digest(EVENTS, 1, STORM) is None
    assert not child.pids()


def test_it_ends_after_a_rest_and_with_its_parent(
    child: Helpers, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr(helpers, "REST_S", 0.0)
    child.rest()
    assert not child.pids()


def _is_gone(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Slow(Pipeline):
    """Notes what was done when; its database takes its time."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.under_way = self.together = self.asked = 0
        self.sizes: list[int] = []  # of what was digested together

    def digest_by(self, *args: object, **more: object) -> object:  # type: ignore[override]
        self.together += self.under_way
        self.asked += 1
        self.sizes.append(len(args[1].events))  # type: ignore[attr-defined]
        return super().digest_by(*args, **more)  # type: ignore[arg-type]

    def commit(self, *args: object) -> object:  # type: ignore[override]
        self.under_way += 1
        time.sleep(0.2)
        try:
            return super().commit(*args)  # type: ignore[arg-type]
        finally:
            self.under_way -= 1


@pytest.fixture
def pipeline(engine: Engine, child: Helpers) -> Slow:
    """A stream's, with a keyword that the children know."""
    keywords.add(engine, "storm", Options())
    streams.ensure(engine, "bluesky", "bluesky", {})
    ((_, lease),) = streams.claim(engine, "nobody", networks=["bluesky"])
    book = KeywordBook(engine)
    book.refresh()
    asked(child, book.revision, list(book.keywords))
    return Slow(engine, lease, book)


async def _write(pipeline: Slow, child: Helpers, flood: list[RawEvent]) -> None:
    inbox = MemoryInbox(max_events=10_000, max_bytes=1 << 30)
    with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(2) as helping:
        how = Writing(writer, 500, 0.05, Helping(child, helping))
        it = Writer("test", inbox, pipeline, how, sure=lambda moment: moment)
        await inbox.put(flood)
        inbox.close()
        await it.run(_told, _undamaged)


def test_in_a_flood_the_next_events_are_digested_while_a_batch_is_stored(
    pipeline: Slow, child: Helpers
) -> None:
    flood = _flood(1_500)
    asyncio.run(_write(pipeline, child, flood))
    assert pipeline.together >= 1
    assert keywords.list_all(pipeline.engine)[0].posts == len(flood)


@pytest.mark.parametrize(("words", "most"), [("calm", 500 * HEAP), ("storm", 500)])
def test_more_of_a_flood_is_digested_together_where_few_posts_match(
    pipeline: Slow, child: Helpers, words: str, most: int
) -> None:
    flood = _flood(6_000, words=words)
    asyncio.run(_write(pipeline, child, flood))
    assert max(pipeline.sizes) == most
    assert sum(pipeline.sizes) == len(flood)
    with reading(pipeline.engine) as connection:
        (events,) = connection.execute(select(schema.streams.c.events)).scalars()
    assert events == len(flood)


class Uneven(Slow):
    """Every other heap takes longer than the one behind it."""

    def __init__(self, of: Slow) -> None:
        super().__init__(of.engine, of.lease, of.book)
        self.at_once = self.most_at_once = 0
        self.stored: list[RawEvent] = []

    def digest_by(self, *args: object, **more: object) -> object:  # type: ignore[override]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        found = super().digest_by(*args, **more)
        time.sleep(0.3 * (self.asked % 2))
        self.at_once -= 1
        return found

    def commit(self, *args: object) -> object:  # type: ignore[override]
        for part in args[0].parts:  # type: ignore[attr-defined]
            self.stored += part.events
        return super().commit(*args)


@pytest.mark.parametrize(("words", "abreast"), [("calm", 2), ("storm", 1)])
def test_heaps_of_a_flood_are_digested_abreast_where_few_match_and_stored_in_order(
    pipeline: Slow, child: Helpers, words: str, abreast: int
) -> None:
    uneven = Uneven(pipeline)
    flood = _flood(9_000, words=words)
    asyncio.run(_write(uneven, child, flood))
    assert uneven.stored == flood
    assert uneven.most_at_once == abreast
    assert keywords.list_all(pipeline.engine)[0].posts == len(flood) * (words == "storm")


def test_who_waits_for_a_child_that_is_ended_goes_on(pipeline: Slow, child: Helpers) -> None:
    os.kill(child.pids()[0], signal.SIGSTOP)
    stuck = child._children[0]
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(stuck.digest, Work(True, True, _flood(300)))
        while not stuck.turn.locked():
            time.sleep(0.01)
        stuck.end()
        with pytest.raises(FAILED):
            answer.result(timeout=10)


def _flood(count: int, first: int = 0, words: str = "storm") -> list[RawEvent]:
    numbers = range(first, first + count)
    events = (jetstream.post_event(words, number, time_us=number + 1) for number in numbers)
    return [event(one, "bluesky") for one in events]


async def _told(taken: Taken, cursor: str) -> None:
    """A commit."""


async def _undamaged() -> None:
    raise AssertionError("a journal that is none is damaged")


def keep(pipeline: Slow, child: Helpers, flood: list[RawEvent]) -> Digested:
    """What a child keeps of it: after a heap of which much is to be stored."""
    if not child._many.get("bluesky"):
        pipeline.digest_by(child, Taken(flood, 0))
    found = pipeline.digest_by(child, Taken(flood, 0, position="7"), keep=True)
    assert isinstance(found, Digested)
    (part,) = found.parts
    assert isinstance(part.batch, Kept)
    assert part.batch.items == len(flood)
    return found


def test_where_many_posts_match_a_child_keeps_and_stores_them(
    pipeline: Slow, child: Helpers
) -> None:
    first, second = (keep(pipeline, child, _flood(300, first)) for first in (0, 200))
    together = first.joined(second)
    assert together.is_urgent
    assert together.is_full(1_000, 1_000)
    outcome, cursor = pipeline.commit(together, child)
    assert (outcome.stored, outcome.duplicates, cursor) == (500, 100, "7")
    assert not together.parts
    assert child.pids()
    assert not child._keepers
    (stream,) = streams.list_all(pipeline.engine)
    assert (stream.counts["events"], stream.counts["stored"], stream.cursor) == (600, 500, "7")
    assert keywords.list_all(pipeline.engine)[0].posts == 500


def test_one_child_keeps_while_another_stores(pipeline: Slow, child: Helpers) -> None:
    first, second = (keep(pipeline, child, _flood(300, first)) for first in (0, 300))
    numbers = [part.batch.number for part in first.parts + second.parts]  # type: ignore[union-attr]
    keepers = [child._keepers[number] for number in numbers]
    assert keepers[0] is not keepers[1]


def test_what_a_killed_child_kept_is_stored_by_the_slot(pipeline: Slow, child: Helpers) -> None:
    kept = keep(pipeline, child, _flood(300))
    for pid in child.pids():
        os.kill(pid, signal.SIGKILL)
    assert pipeline.commit(kept, child)[0].stored == 300
    assert keywords.list_all(pipeline.engine)[0].posts == 300


def test_what_was_kept_before_the_keywords_changed_is_matched_again(
    pipeline: Slow, child: Helpers
) -> None:
    kept = keep(pipeline, child, _flood(300))
    keywords.add(pipeline.engine, "rain OR storm", Options())
    assert pipeline.commit(kept, child)[0].stored == 300
    assert [one.posts for one in keywords.list_all(pipeline.engine)] == [300, 300]


def test_a_child_writes_nothing_for_a_lease_that_is_lost(pipeline: Slow, child: Helpers) -> None:
    kept = keep(pipeline, child, _flood(300))
    streams.release(pipeline.engine, pipeline.lease)  # type: ignore[arg-type]
    streams.claim(pipeline.engine, "another", networks=["bluesky"])
    with pytest.raises(LeaseLost):
        pipeline.commit(kept, child)
    assert keywords.list_all(pipeline.engine)[0].posts == 0


def test_what_is_forgotten_or_few_is_stored_all_the_same(pipeline: Slow, child: Helpers) -> None:
    many = helper.KEPT * len(child.pids()) + 1
    heaps = [keep(pipeline, child, _flood(250, n * 250)) for n in range(many)]
    for heap in heaps:
        assert pipeline.commit(heap, child)[0].stored == 250
    calm = [event(jetstream.post_event("sun", n, time_us=9), "bluesky") for n in range(300)]
    assert keywords.list_all(pipeline.engine)[0].posts == many * 250
    kinds = []
    for _ in range(2):  # the heap after one of which little is stored is shared again
        found = pipeline.digest_by(child, Taken(calm, 0), keep=True)
        assert isinstance(found, Digested)
        kinds.append(type(found.parts[0].batch))
    assert kinds == [Kept, Batch]


def test_nothing_is_kept_of_x_while_its_posts_may_teach_an_id(
    pipeline: Slow, child: Helpers
) -> None:
    heap = [event(post(n, "a storm"), "x") for n in range(1, 301)]
    kinds = {}
    for expression in ("storm", "from:ann"):
        keywords.add(pipeline.engine, expression, Options(networks=("x",)))
        pipeline.book.refresh()
        for _ in range(2):
            found = pipeline.digest_by(child, Taken(heap, 0), keep=True)
            assert isinstance(found, Digested)
            kinds[expression] = type(found.parts[0].batch)
    assert kinds == {"storm": Kept, "from:ann": Batch}


def test_what_is_past_is_stored_with_its_help(pipeline: Slow, child: Helpers) -> None:
    for count, helped in ((helpers.FLOOD_EVENTS - 1, 0), (helpers.FLOOD_EVENTS, 1)):
        pipeline.store(Taken(_flood(count), 0), child)
        assert pipeline.asked == helped
    assert keywords.list_all(pipeline.engine)[0].posts == helpers.FLOOD_EVENTS  # each once
