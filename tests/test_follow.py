"""What the ledger says of a stream whose process ends at an unlucky moment."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sqlalchemy import Engine, select

from tests.simulators.jetstream import JetstreamSimulator
from tweeter.follow import Follow, Writing
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.inbox import MemoryInbox
from tweeter.store import streams
from tweeter.store.engine import reading
from tweeter.store.schema import intervals


@asynccontextmanager
async def following(engine: Engine, url: str) -> AsyncIterator[asyncio.Task[str]]:
    """A stream that is followed as a slot does it, but whose lease nobody renews."""
    ((stream, lease),) = streams.claim(engine, "nobody", networks=["bluesky"])
    inbox = MemoryInbox(max_events=100, max_bytes=100_000)
    pipeline = Pipeline(engine, lease, KeywordBook(engine))
    with ThreadPoolExecutor(1) as executor:
        writing = Writing(executor, 100, 0.05)
        follow = Follow(stream, lease, BlueskySource([url]), inbox, pipeline, writing=writing)
        task = asyncio.create_task(follow.run())
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_live(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while streams.list_all(engine)[0].state != "live":
            await asyncio.sleep(0.02)


def test_coverage_is_promised_from_the_first_connection_on(engine: Engine) -> None:
    """A process that dies before it stored anything leaves a gap that begins there."""

    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            streams.ensure(engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            async with following(engine, jetstream.url):
                await _until_live(engine)
                (stream,) = streams.list_all(engine)
                began = select(intervals.c.started_at).where(intervals.c.state == "live")
                with reading(engine) as connection:
                    assert stream.covered_until == connection.execute(began).scalar_one()

    asyncio.run(story())
