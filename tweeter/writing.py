"""The writer's loop of a stream: events out of its inbox, decoded as they come, stored when due.

A lone post is stored at once. The next ones wait for each other for a window that grows with what
a transaction takes: a quick database stores soon, a slow one is given rest, and a flood fills
batches. What changes nothing but counters and the cursor, as most of what a whole network says,
waits longer. A batch is repeated until the database takes it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from tweeter.errors import Held, MustEnd
from tweeter.pipeline import Digested, Pipeline
from tweeter.sources.inbox import Inbox, Taken
from tweeter.store import trouble

T = TypeVar("T")

log = logging.getLogger("tweeter.writing")

GATHER_S = 0.01  # what comes so close together is decoded together
LEAST_WINDOW_S = 0.02
COMPANY = 4  # times what the last transaction took: so long the next posts wait for company
QUIET_S = 0.5  # what nobody waits for is stored after so long
EVENTS_A_POST = 10  # events that are stored together, at most, for each post that may be


class Writing(NamedTuple):
    """How posts are written: by whose thread, how many together, how long one waits at most (s)."""

    executor: Executor
    batch_posts: int
    window_s: float


class Writer:
    """Stores what is put into an inbox, in order.

    name: the stream's, for the log. sure: how much of a claim to be covered may be entered.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        pipeline: Pipeline,
        writing: Writing,
        *,
        sure: Callable[[int], int],
    ) -> None:
        self._name = name
        self._sure = sure
        self._inbox = inbox
        self._pipeline = pipeline
        self._how = writing
        self._digested: Digested | None = None  # decoded, not stored yet
        self._taken: Taken | None = None  # the last of it
        self._since = 0.0  # moment of its first events
        self._stored_at = 0.0  # moment of the last commit
        self._window_s = 0.0  # how long after it the next one is

    async def run(
        self,
        stored: Callable[[Taken, str], Awaitable[None]],
        damaged: Callable[[], Awaitable[None]],
    ) -> None:
        """Until the inbox is closed and empty. Raises LeaseLost.

        stored is told after each commit: what was taken last, and the cursor after it ("":
        unmoved). damaged is told that a stretch of the journal could not be read.
        """
        coming: asyncio.Task[Taken | None] | None = None
        try:
            while True:
                coming = coming or asyncio.create_task(self._take())
                await asyncio.wait({coming}, timeout=self._due_s())
                if not coming.done():
                    await self._store(stored)
                    continue
                taken, coming = coming.result(), None
                if taken is None:
                    await self._store(stored)
                    return
                if taken.journal is not None and not taken.events:
                    await damaged()
                await self._digest(taken)
                if self._due_s() == 0:
                    await self._store(stored)
        finally:
            if coming is not None:
                coming.cancel()

    async def _take(self) -> Taken | None:
        return await self._inbox.take(max_events=self._how.batch_posts, window_s=GATHER_S)

    async def _digest(self, taken: Taken) -> None:
        if self._digested is None:
            self._since = time.monotonic()
        taken = msgspec.structs.replace(taken, covered_until=self._sure(taken.covered_until))
        self._digested = await self._aside(self._pipeline.digest, taken, self._digested)
        self._taken = taken

    def _due_s(self) -> float | None:
        """In how long what is decoded must be stored; None if nothing is."""
        if self._digested is None:
            return None
        events, batch = self._digested
        most = self._how.batch_posts
        if len(batch.items) >= most or len(events) >= most * EVENTS_A_POST:
            return 0
        due = self._since + QUIET_S
        if batch.is_urgent:
            due = min(due, self._stored_at + self._window_s)
        return max(due - time.monotonic(), 0)

    async def _store(self, stored: Callable[[Taken, str], Awaitable[None]]) -> None:
        """Store until it is stored; a database that is away stops the cursor, not the stream."""
        wait_s = 0.5
        while self._digested is not None and self._taken is not None:
            began_at = time.monotonic()
            try:
                _, cursor = await self._aside(self._pipeline.commit, self._digested)
            except (SQLAlchemyError, Held, MustEnd) as error:
                words = trouble.words(error)
                log.error("store_failed stream=%s words=%s", self._name, words)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 10.0)
            else:
                self._digested, self._stored_at = None, time.monotonic()
                took_s = self._stored_at - began_at
                self._window_s = min(max(LEAST_WINDOW_S, COMPANY * took_s), self._how.window_s)
                self._inbox.stored(self._taken)
                await stored(self._taken, cursor)

    async def _aside(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._how.executor, work, *args)
