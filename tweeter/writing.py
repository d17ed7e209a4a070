"""The writer's loop of a stream: events out of its inbox, decoded as they come, stored when due.

A lone post is stored at once. The next ones wait for each other for a window that grows with what
a transaction takes: a quick database stores soon, a slow one is given rest, and a flood fills
batches. What changes nothing but counters and the cursor, as most of what a whole network says,
waits longer, and while nothing else comes more of it is read and decoded at a time. While a batch
is stored the next one is decoded, in a flood by another process; several are where few posts are to
be stored, and what each found is stored in the order in which it came. A batch is repeated until
the database takes it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from tweeter.errors import Held, MustEnd
from tweeter.helpers import FLOOD_EVENTS, Helpers
from tweeter.pipeline import Digested, Pipeline
from tweeter.sources.inbox import Inbox, Taken
from tweeter.store import trouble

T = TypeVar("T")

log = logging.getLogger("tweeter.writing")

GATHER_S = 0.01  # what comes so close together is decoded together
REST_S = 0.1  # likewise read, in a stream that runs on and of which nobody waits for anything
CALM_S = 0.25  # nothing for so long: what comes now comes alone
FEW_EVENTS, FEW_BYTES = 75, 128 * 1024  # decoded sooner than handed to another thread
LEAST_WINDOW_S = 0.02
COMPANY = 1  # times what the last transaction took: so long the next posts wait for company
QUIET_S = 0.85  # what nobody waits for is stored after so long: with its commit within a second
EVENTS_A_POST = 10  # events that are stored together, at most, for each post that may be
HEAP = 4  # times as many are digested together where few of them are to be stored


class Helping(NamedTuple):
    """Who digests in a flood, and the thread that asks it."""

    helpers: Helpers
    executor: Executor


class Writing(NamedTuple):
    """How posts are written: by whose thread, how many together, how long one waits at most (s).

    tell: is called when there is something new for readers.
    """

    executor: Executor
    batch_posts: int
    window_s: float
    helping: Helping | None = None
    tell: Callable[[], None] = lambda: None


class Waiting(NamedTuple):
    """What is decoded and not stored: the last of it that was taken, and since when (s)."""

    digested: Digested
    taken: Taken
    since: float


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
        self._taking = asyncio.Lock()
        self._waiting: Waiting | None = None
        self._room = asyncio.Event()  # set when what waited is being stored
        self._stored_at = 0.0  # moment of the last commit
        self._window_s = 0.0  # how long after it the next one is
        self._taken_at = 0.0  # moment when something was last taken
        self._are_few = True  # what was taken last
        self._is_sparse = False  # few of what was digested last are to be stored
        self._is_calm = False  # what was taken last were few, and nothing that somebody waits for

    async def run(
        self,
        stored: Callable[[Taken, str], Awaitable[None]],
        damaged: Callable[[int], Awaitable[None]],
    ) -> None:
        """Until the inbox is closed and empty. Raises LeaseLost.

        stored is told after each commit: what was taken last, and the cursor after it ("":
        unmoved). damaged is told that a stretch of the journal could not be read, and by when (us)
        that was received; nothing behind it is stored before it returns.
        """
        coming: deque[asyncio.Task[bool]] = deque()
        storing: asyncio.Task[None] | None = None
        is_open = True
        try:
            while is_open or coming or self._waiting is not None or storing is not None:
                if storing is None and self._waiting is not None and self._due_s(is_open) == 0:
                    storing = asyncio.create_task(self._store(self._waiting, stored))
                    self._waiting = None
                    self._room.set()
                if is_open and len(coming) < self._abreast() and not self._is_full():
                    before = coming[-1] if coming else None
                    coming.append(asyncio.create_task(self._gather(damaged, before)))
                    continue
                first = coming[0] if coming else None
                under_way = [task for task in (first, storing) if task is not None]
                due_s = self._due_s(is_open) if storing is None else None
                await asyncio.wait(under_way, timeout=due_s, return_when=asyncio.FIRST_COMPLETED)
                if storing is not None and storing.done():
                    storing.result()
                    storing = None
                if first is not None and first.done():
                    is_open = coming.popleft().result() and is_open
        finally:
            for task in (*coming, storing):
                if task is not None:
                    task.cancel()

    def _abreast(self) -> int:
        """How many heaps are taken and digested at once; the last one waits for its events."""
        if self._are_few:
            return 1
        helping = self._how.helping
        return 2 if helping is None or not self._is_sparse else helping.helpers.count + 1

    async def _take(self) -> Taken | None:
        most = self._how.batch_posts * (HEAP if self._is_sparse else 1)
        taken = await self._inbox.take(max_events=most, window=self._gather_s)
        if taken is None:
            return None
        self._taken_at = time.monotonic()
        return msgspec.structs.replace(taken, covered_until=self._sure(taken.covered_until))

    def rest_s(self) -> float:
        """How long a source may read nothing: while the stream runs on and nobody waits for it."""
        runs_on = time.monotonic() - self._taken_at < CALM_S
        return REST_S if runs_on and self._is_calm else 0.0

    def _gather_s(self) -> float:
        """How long an event that has just come waits for others; those after a rest came so."""
        return 0.0 if self.rest_s() else GATHER_S

    async def _gather(
        self, damaged: Callable[[int], Awaitable[None]], before: asyncio.Task[bool] | None
    ) -> bool:
        """Take what has come, and digest it; False if nothing will come any more.

        before: does this with what came before, which is to be stored first.
        """
        async with self._taking:
            taken = await self._take()
        if taken is None:
            return False
        are_few = self._are_few = _are_few(taken)
        if taken.lost_until or not self._is_sparse:
            await self._turn_after(before)
        if taken.lost_until:
            await damaged(taken.lost_until)
        since = time.monotonic()
        digested = await self._digest(taken)
        await self._turn_after(before)
        self._is_calm = are_few and not digested.is_urgent
        self._is_sparse = not digested.has_much
        if self._waiting is not None:
            digested = self._waiting.digested.joined(digested)
            since = self._waiting.since
        self._waiting = Waiting(digested, taken, since)
        return True

    async def _turn_after(self, before: asyncio.Task[bool] | None) -> None:
        """Wait until what came before waits to be stored, and there is room behind it."""
        if before is not None and not before.done():
            await asyncio.wait([before])
        while self._is_full():
            self._room.clear()
            await self._room.wait()

    async def _digest(self, taken: Taken) -> Digested:
        helping = self._how.helping
        flood = min(FLOOD_EVENTS, self._how.batch_posts)
        if helping is not None and len(taken.events) >= flood:
            ask = partial(self._pipeline.digest_by, helping.helpers, taken, keep=True)
            found = await asyncio.get_running_loop().run_in_executor(helping.executor, ask)
            if found is not None:
                return found
        if _are_few(taken):
            return self._pipeline.digest(taken)
        return await self._aside(self._pipeline.digest, taken)

    def _is_full(self) -> bool:
        if self._waiting is None:
            return False
        most = self._how.batch_posts
        return self._waiting.digested.is_full(most, most * EVENTS_A_POST)

    def _due_s(self, is_open: bool) -> float | None:
        """In how long what is decoded must be stored; None if nothing is."""
        if self._waiting is None:
            return None
        if self._is_full() or not is_open:
            return 0
        due = self._waiting.since + QUIET_S
        if self._waiting.digested.is_urgent:
            due = min(due, self._stored_at + self._window_s)
        return max(due - time.monotonic(), 0)

    async def _store(
        self, waiting: Waiting, stored: Callable[[Taken, str], Awaitable[None]]
    ) -> None:
        """Store until it is stored; a database that is away stops the cursor, not the stream."""
        wait_s = 0.5
        is_urgent = waiting.digested.is_urgent
        helpers = None if self._how.helping is None else self._how.helping.helpers
        while True:
            began_at = time.monotonic()
            try:
                _, cursor = await self._aside(self._pipeline.commit, waiting.digested, helpers)
            except (SQLAlchemyError, Held, MustEnd, *trouble.OF_DATA) as error:
                words = trouble.words(error)
                log.error("store_failed stream=%s words=%s", self._name, words)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 10.0)
            else:
                break
        if is_urgent:
            self._how.tell()
        self._stored_at = time.monotonic()
        took_s = self._stored_at - began_at
        self._window_s = min(max(LEAST_WINDOW_S, COMPANY * took_s), self._how.window_s)
        self._inbox.stored(waiting.taken)
        await stored(waiting.taken, cursor)

    async def _aside(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._how.executor, work, *args)


def _are_few(taken: Taken) -> bool:
    events = taken.events
    return len(events) <= FEW_EVENTS and sum(len(one.body) for one in events) <= FEW_BYTES
