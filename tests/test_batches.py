"""Several changes in one event, as pages read them: what is in it, and what follows it."""

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.store.posts import post, removal, store, take
from tweeter import broadcast
from tweeter.broadcast import Broadcast, Reader
from tweeter.changes import BATCH, OfColumns
from tweeter.columns import Column
from tweeter.store import keywords

COLUMNS = (Column(of="keyword:1"), Column(of="all", q="flood"))


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    keywords.add(sqlite_engine, "storm")
    return sqlite_engine


def read(events: bytes) -> list[tuple[int, str, Any]]:
    """(id, kind, data) of events; of a batch, of each of its changes as if it were one by itself.

    Written after the standard: the lines of an event's data are joined by a line's end.
    """
    found: list[tuple[int, str, Any]] = []
    for event in events.decode().split("\n\n"):
        fields = [line.partition(": ")[::2] for line in event.split("\n") if line]
        values = dict(fields)
        data = "\n".join(value for name, value in fields if name == "data")
        if values.get("event") == "batch":
            heads, *posts = data.split("\n")
            changes = [*zip(json.loads(heads), map(json.loads, posts), strict=True)]
            assert int(values["id"]) >= changes[-1][0][0]
            for (seq, kind, places, fold, post_id, at), one in changes:
                assert post_id == one["id"]
                assert at == one.get("occurred_at", 0)
                found.append((seq, kind, {"in": places, "fold": fold, "post": one}))
        elif "id" in values and values["event"] != "position":
            found.append((int(values["id"]), values["event"], json.loads(data)))
    return found


class Page:
    """A reader that takes all that it is handed."""

    def __init__(self, feed: Broadcast, wanted: OfColumns, position: int) -> None:
        self.handed: list[bytes] = []
        self._feed = feed
        self.reader = Reader(wanted, position, self.take)

    def take(self, events: bytes) -> bool:
        self.handed.append(events)
        return True

    @property
    def changes(self) -> list[tuple[int, str, Any]]:
        return read(b"".join(self.handed))

    async def read(self) -> None:
        """As the handler does, for ever."""
        while True:
            while events := await self._feed.pull(self.reader):
                self.handed.append(events)
            await self._feed.abreast(self.reader)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def test_pages_are_handed_the_same_in_fewer_events_from_wherever_they_come_in(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "BATCHES_S", 0.3)
    lease = take(engine)

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join()
            asked = tuple(one.question for one in await feed.meanings(COLUMNS))
            await feed.join(asked)
            start = feed.head
            client = Page(feed, OfColumns(asked), start)
            pages = [Page(feed, OfColumns(asked, BATCH), start)]
            tasks = [asyncio.create_task(one.read()) for one in (client, *pages)]
            for number in range(60):
                text = "storm and flood" if number % 3 == 0 else "storm"
                await asyncio.to_thread(store, engine, lease, post(number, text))
                await asyncio.sleep(0.02)
                if number % 20 == 10:  # between two rounds, or where another was a while ago
                    pages.append(Page(feed, OfColumns(asked, BATCH), feed.head))
                    pages.append(Page(feed, OfColumns(asked, BATCH), start + number // 2))
                    tasks += [asyncio.create_task(one.read()) for one in pages[-2:]]
            edited = post(3, "flood", version="1", operation="update")
            await asyncio.to_thread(store, engine, lease, edited, removal(4))
            await until(lambda: all(one.reader.position == start + 62 for one in (client, *pages)))
            whole = client.changes
            assert [seq for seq, _, _ in whole] == list(range(start + 1, start + 63))
            assert [kind for _, kind, _ in whole[-2:]] == ["edit", "remove"]
            for page in pages:
                got = page.changes
                assert got == whole[-len(got) :]
            assert pages[0].changes == whole
            events = b"".join(pages[0].handed).count(b"event: batch")
            assert 1 < events < 40
            for task in tasks:
                task.cancel()
            feed.leave(asked)
            feed.leave()

    asyncio.run(run())


def test_who_comes_back_after_a_batch_is_sent_what_follows_it(engine: Engine) -> None:
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(10)))

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            asked = tuple(one.question for one in await feed.meanings(COLUMNS))
            await feed.join(asked)
            wanted = OfColumns(asked, BATCH)
            first = await feed.pull(Reader(wanted, 4, lambda _: True))
            (last,) = re.findall(rb"^id: (\d+)$", first, re.MULTILINE)
            await asyncio.to_thread(store, engine, lease, post(10))
            await until(lambda: feed.head == 11)
            second = await feed.pull(Reader(wanted, int(last), lambda _: True))
            assert [seq for seq, _, _ in read(first) + read(second)] == list(range(5, 12))
            feed.leave(asked)

    asyncio.run(run())


def test_a_batch_of_nothing_that_is_mine_moves_the_position_on(engine: Engine) -> None:
    """It is not asked for again, and wakes nobody for a post."""
    lease = take(engine)

    async def run() -> bytes:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            asked = tuple(one.question for one in await feed.meanings(COLUMNS[1:]))
            await feed.join(asked)
            await asyncio.to_thread(store, engine, lease, post(0, "storm alone"))
            await until(lambda: feed.head == 1)
            events = await feed.pull(Reader(OfColumns(asked, BATCH), 0, lambda _: True))
            feed.leave(asked)
            return events

    assert asyncio.run(run()).startswith(b"id: 1\nevent: position\ndata: {}\n\n")
