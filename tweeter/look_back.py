"""A part of a job over the past: ask the network, store what matches, for a bounded time.

Killed anywhere, the next part goes on at the stored position; what comes twice is stored once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing

from sqlalchemy import Engine

from tweeter.config import Config
from tweeter.errors import LeaseLost, SourceError
from tweeter.helpers import Helpers
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.sources import past as networks
from tweeter.sources.backoff import exponential
from tweeter.sources.inbox import Taken
from tweeter.sources.past import Clamped, Piece
from tweeter.store import past as jobs
from tweeter.store.leases import RENEW_S
from tweeter.store.past import Past

PART_S = 30.0  # a task's length: below every time-out of the broker
SILENT_S = 10.0  # so much later a part ends for which nothing comes
LOOK_S = 0.5

_wait_s = exponential(5, 600, jitter=0.2)


def work(
    engine: Engine, config: Config, past: Past, *, should_stop: Callable[[], bool] = lambda: False
) -> bool:
    """Work on the job for about PART_S; False if another part is due at once."""
    try:
        return asyncio.run(_work(engine, config, past, should_stop))
    except LeaseLost:
        return True
    except SourceError as error:
        jobs.put_off(engine, past, error, _wait_s(past.tries + 1))
        return True


async def _work(
    engine: Engine, config: Config, past: Past, should_stop: Callable[[], bool]
) -> bool:
    """Read, and leave in time also while nothing comes."""
    reading = asyncio.create_task(_read(engine, config, past))
    renewed_s = time.monotonic()
    until_s = renewed_s + PART_S + SILENT_S
    while not (await asyncio.wait({reading}, timeout=LOOK_S))[0]:
        now_s = time.monotonic()
        if now_s - renewed_s > RENEW_S:
            await asyncio.to_thread(jobs.renew, engine, past)
            renewed_s = now_s
        if should_stop() or now_s > until_s:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await asyncio.to_thread(jobs.pause, engine, past, "Under way.")
            return should_stop()
    return reading.result()


async def _read(engine: Engine, config: Config, past: Past) -> bool:
    book = KeywordBook(engine)
    book.refresh()
    indexed = config.search_index
    pipeline = Pipeline(engine, past.lease, book, is_live=False, indexed=indexed)
    deadline = time.monotonic() + PART_S
    began_us: list[int] = []
    noted_us = 0
    with closing(Helpers(config.helpers)) as helpers:
        async for piece in _pieces(config, past, began_us.append):
            noted_us = await _note_clamp(engine, past, began_us, noted_us)
            taken = Taken(piece.events, 0, position=str(piece.position))
            await asyncio.to_thread(pipeline.store, taken, helpers)
            if time.monotonic() > deadline:
                await asyncio.to_thread(jobs.pause, engine, past, "Under way.")
                return False
    await _note_clamp(engine, past, began_us, noted_us)
    await asyncio.to_thread(jobs.finish, engine, past)
    return True


async def _note_clamp(engine: Engine, past: Past, began_us: list[int], noted_us: int) -> int:
    """Note from when on the network still had events, before what came after it is stored: the
    part may be killed. Returns what is noted."""
    latest = max(began_us, default=0)
    if latest > noted_us:
        await asyncio.to_thread(jobs.clamped, engine, past, latest)
    return latest


def _pieces(config: Config, past: Past, clamped: Clamped) -> AsyncIterator[Piece]:
    if past.network == "bluesky":
        at = past.position or past.since_us
        return networks.bluesky(config, at, past.until_us, clamped)
    if past.network == "mastodon":
        at = past.position or past.until_us
        late_us = jobs.LATE_US if past.kind == "repair" else 0
        return networks.mastodon(config, past.stream, past.since_us - late_us, at, clamped)
    raise SourceError("refused", f"{past.network} cannot be asked for its past.")
