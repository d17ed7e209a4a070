"""The live feed in memory, by itself: many readers at once, and a database that goes away."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from tests.store.posts import post, store, take
from tweeter.broadcast import Broadcast
from tweeter.store import keywords, migrate
from tweeter.store.engine import make_engine


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    made = make_engine(sqlite_url)
    migrate.upgrade(made)
    yield made
    made.dispose()


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


async def read(feed: Broadcast, count: int) -> list[int]:
    position, seen = feed.head, []
    while len(seen) < count:
        found, position = await feed.pull(position)
        seen += [change.seq for change in found]
    return seen


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
