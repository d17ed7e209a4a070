"""The live feed in memory, by itself: many readers at once, and a database that goes away."""

import asyncio
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, event

from tests.store.posts import post, store, take
from tweeter import broadcast
from tweeter.broadcast import PULL, Broadcast, Reader
from tweeter.changes import Change, OfKeyword
from tweeter.store import keywords, migrate
from tweeter.store.engine import make_engine
from tweeter.store.feed import Entry


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    return sqlite_engine


def tails() -> int:
    return sum(task.get_name() == "broadcast" for task in asyncio.all_tasks())


def test_readers_that_come_at_once_share_one_tail_and_see_each_post_once(engine: Engine) -> None:
    async def run() -> list[list[int]]:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await asyncio.gather(*(feed.join() for _ in range(20)))
            assert tails() == 1
            readers = [asyncio.create_task(read(feed, 30)) for _ in range(20)]
            await asyncio.sleep(0)
            for number in range(30):
                await asyncio.to_thread(store, engine, lease, post(number))
            seen = await asyncio.wait_for(asyncio.gather(*readers), 20)
            for _ in range(20):
                feed.leave()
            await asyncio.sleep(0)
            assert tails() == 0
            return seen

    keywords.add(engine, "storm")
    lease = take(engine)
    for seen in asyncio.run(run()):
        assert seen == sorted(set(seen))
        assert len(seen) == 30


class Line:
    """A reader's line; it takes what it is handed, or nothing while it is full."""

    def __init__(self, feed: Broadcast, position: int, packs: bool = False) -> None:
        self.got = b""
        self.full = False
        self.declined = 0
        self._feed = feed
        self.reader = Reader(OfKeyword(None), position, self.take, packs)

    def take(self, events: bytes) -> bool:
        self.declined += self.full
        if not self.full:
            self.got += events
        return not self.full

    def posts(self) -> list[int]:
        """The numbers of the posts that it was sent."""
        return self.posts_in(self.got)

    @staticmethod
    def posts_in(events: bytes) -> list[int]:
        return [int(n) for n in re.findall(rb"^id: (\d+)\nevent: post$", events, re.MULTILINE)]

    async def read(self) -> None:
        """As the handler does, for ever."""
        while True:
            while events := await self._feed.pull(self.reader):
                self.got += events
            await self._feed.abreast(self.reader)
            while self.full:
                await asyncio.sleep(0.01)

    async def until(self, count: int) -> list[int]:
        task = asyncio.create_task(self.read())
        try:
            async with asyncio.timeout(20):
                while len(self.posts()) < count:
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
        return self.posts()


async def read(feed: Broadcast, count: int) -> list[int]:
    return await Line(feed, feed.head).until(count)


def test_a_reader_that_takes_nothing_holds_nobody_up_and_goes_on_where_it_was(
    engine: Engine,
) -> None:
    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join()
            await feed.join()
            slow, quick = Line(feed, feed.head), Line(feed, feed.head)
            tasks = [asyncio.create_task(line.read()) for line in (slow, quick)]
            await asyncio.to_thread(store, engine, lease, post(0))
            await until(lambda: slow.posts() == quick.posts() == [1])
            slow.full = True
            for number in range(1, 2 * PULL + 20, 20):
                some = [post(n) for n in range(number, number + 20)]
                await asyncio.to_thread(store, engine, lease, *some)
            last = 2 * PULL + 21
            await until(lambda: quick.posts() == list(range(1, last + 1)))
            assert slow.posts() == [1]
            assert slow.declined == 1  # then it was left alone
            slow.full = False
            await until(lambda: len(slow.posts()) >= last)
            assert slow.posts() == list(range(1, last + 1))
            for task in tasks:
                task.cancel()
            feed.leave()
            feed.leave()

    keywords.add(engine, "storm")
    lease = take(engine)
    asyncio.run(run())


def test_a_reader_that_saw_more_at_another_process_is_sent_nothing_twice(engine: Engine) -> None:
    """Its position is ahead of this log, which the store has not yet been asked for."""

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join()
            line = Line(feed, feed.head + 3)
            reading = asyncio.create_task(line.read())
            await asyncio.to_thread(store, engine, lease, *(post(n) for n in range(5)))
            await until(lambda: len(line.posts()) >= 2)
            await asyncio.to_thread(store, engine, lease, post(5))
            await until(lambda: len(line.posts()) >= 3)
            assert line.posts() == [4, 5, 6]
            reading.cancel()
            feed.leave()

    keywords.add(engine, "storm")
    lease = take(engine)
    asyncio.run(run())


def test_readers_that_lost_their_lines_together_are_read_for_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the web is started again: what they missed is older than its log."""
    asked: list[int] = []
    true = broadcast.changes

    def counted(engine: Engine, entries: Sequence[Entry]) -> list[Change]:
        asked.append(len(entries))
        return true(engine, entries)

    monkeypatch.setattr(broadcast, "changes", counted)

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join()
            found = await asyncio.gather(*(Line(feed, 10).until(20) for _ in range(30)))
            assert found == [list(range(11, 31))] * 30
            feed.leave()

    keywords.add(engine, "storm")
    store(engine, take(engine), *(post(n) for n in range(30)))
    asyncio.run(run())
    assert asked == [20]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_reader_that_could_not_join_is_not_counted(sqlite_url: str) -> None:
    """The tables are not there: as good as a database that is away."""

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            made = make_engine(sqlite_url)
            feed = Broadcast(made, executor)
            with pytest.raises(Exception, match="no such table"):
                await feed.join()
            migrate.upgrade(made)
            await feed.join()
            assert tails() == 1
            feed.leave()
            await asyncio.sleep(0)
            assert tails() == 0
            made.dispose()

    asyncio.run(run())


@asynccontextmanager
async def one_reader(engine: Engine) -> AsyncIterator[tuple[Broadcast, "Line"]]:
    """A feed, and a line that reads what is new in it."""
    with ThreadPoolExecutor(2) as executor:
        feed = Broadcast(engine, executor)
        await feed.join()
        line = Line(feed, feed.head)
        reading = asyncio.create_task(line.read())
        try:
            yield feed, line
        finally:
            reading.cancel()
            feed.leave()


def test_a_hint_is_followed_at_once_and_without_one_nothing_is_lost(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with one_reader(engine) as (feed, line):
            await asyncio.to_thread(store, engine, lease, post(0))
            await until(lambda: line.posts() == [1])
            monkeypatch.setattr(broadcast, "LEAST_REST_S", 60.0)
            await asyncio.sleep(0.2)  # it rests, for a minute
            await asyncio.to_thread(store, engine, lease, post(1))
            await asyncio.sleep(0.2)
            assert line.posts() == [1]
            feed.hint()
            await until(lambda: line.posts() == [1, 2])

    keywords.add(engine, "storm")
    lease = take(engine)
    asyncio.run(run())


def test_the_store_is_asked_seldom_while_whoever_stores_tells(engine: Engine) -> None:
    """What nobody told of is sent as well; then the store is asked often for a while."""

    async def run() -> None:
        async with one_reader(engine) as (feed, line):
            before, began_s = len(asked), time.monotonic()
            for number in range(4):
                await asyncio.to_thread(store, engine, lease, post(number))
                feed.hint()
                await until(lambda seen=number + 1: len(line.posts()) == seen)  # type: ignore[misc]
                await asyncio.sleep(0.3)
            took_s = time.monotonic() - began_s
            assert len(asked) - before <= 4 * 2 + took_s / broadcast.TOLD_REST_S
            await asyncio.to_thread(store, engine, lease, post(4))
            await until(lambda: len(line.posts()) == 5)
            before, began_s = len(asked), time.monotonic()
            await until(lambda: len(asked) - before == 50)
            assert time.monotonic() - began_s < 50 * broadcast.TOLD_REST_S / 2

    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM feed" in statement and "ORDER BY" in statement:
            asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    keywords.add(engine, "storm")
    lease = take(engine)
    asyncio.run(run())


def test_who_takes_gzip_is_sent_the_same_as_others(engine: Engine) -> None:
    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join()
            plain, packed = (Line(feed, feed.head, packs) for packs in (False, True))
            tasks = [asyncio.create_task(line.read()) for line in (plain, packed)]
            for number in range(30):
                await asyncio.to_thread(store, engine, lease, post(number))
                packed.full = number % 10 == 5  # and catches up
            await until(lambda: len(plain.posts()) == 30)
            await asyncio.sleep(0.2)
            unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed.got)
            assert Line.posts_in(unpacked) == plain.posts() == list(range(1, 31))
            assert b"event: beat" in unpacked
            for task in tasks:
                task.cancel()
            feed.leave()

    keywords.add(engine, "storm")
    lease = take(engine)
    asyncio.run(run())
