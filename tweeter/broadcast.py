"""The live feed in memory: one bounded log that tails the store, and readers that pull from it.

A reader keeps its own position, the feed's `seq`, so a slow one costs nothing and a browser
that comes back asks for what followed the last one it saw. What has left the log is read from
the database; what has left that too is said, never skipped in silence.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import cards
from tweeter.store import feed, posts
from tweeter.store.feed import Entry
from tweeter.store.overview import Overview, overview
from tweeter.store.posts import StoredPost

T = TypeVar("T")

log = logging.getLogger("tweeter.broadcast")

TAIL_S = 0.1  # how often the store is asked while somebody watches
LOG_CHANGES = 2_000  # about 1 kB each
CATCH_UP = 5_000  # changes a returning browser gets; beyond that it is told to reload
PULL = 200  # changes in one answer to a reader
OVERVIEW_S = 0.9


class Change(msgspec.Struct, frozen=True):
    """A change as browsers get it. data is JSON; keywords are ids, empty for a removal."""

    seq: int
    kind: str  # "post", "edit" or "remove"
    keywords: frozenset[int]
    data: str

    def concerns(self, keyword_id: int | None) -> bool:
        """True if a reader of this keyword (None: of all) wants it.

        Edits and removals go to all: a card may have been there for a match that is gone.
        """
        return keyword_id is None or self.kind != "post" or keyword_id in self.keywords


class Gap(Exception):
    """The reader's position is so old that changes after it are gone or too many."""


def encode(post: StoredPost) -> str:
    """A post as JSON for the page: its card, and what a page sorts cards by.

    Ids are texts, for they exceed what JavaScript counts.
    """
    value = {
        "id": str(post.id),
        "network": post.network,
        "kind": post.kind,
        "lang": post.lang,
        "occurred_at": post.occurred_at,
        "keywords": post.keywords,
        "card": cards.card(post),
    }
    return msgspec.json.encode(value).decode()


def changes(engine: Engine, entries: Sequence[Entry]) -> list[Change]:
    """The entries with their posts as they are now; one that is gone becomes a removal."""
    found = posts.by_ids(engine, list({entry.post_id for entry in entries}))
    result = []
    for entry in entries:
        post = found.get(entry.post_id)
        if entry.kind == "remove" or post is None or post.removed_at is not None:
            data = msgspec.json.encode({"id": str(entry.post_id)}).decode()
            result.append(Change(entry.seq, "remove", frozenset(), data))
        else:
            result.append(Change(entry.seq, entry.kind, frozenset(post.keywords), encode(post)))
    return result


class Broadcast:
    """One for each web process. Runs on the event loop; asks the store in an executor."""

    def __init__(self, engine: Engine, executor: Executor) -> None:
        self._engine = engine
        self._executor = executor
        self._log: deque[Change] = deque(maxlen=LOG_CHANGES)
        self._from = 0  # all changes after this seq, up to _head, are in the log
        self._head = 0
        self._readers = 0
        self._overview: tuple[float, Overview] | None = None
        self._more = asyncio.Event()
        self._joining = asyncio.Lock()
        self._tail: asyncio.Task[None] | None = None

    @property
    def head(self) -> int:
        """The position of a reader that wants only what comes from now on."""
        return self._head

    async def overview(self) -> Overview:
        """How the streams are doing, at most OVERVIEW_S old: asked once for all readers."""
        now_s = time.monotonic()
        if self._overview is None or now_s - self._overview[0] >= OVERVIEW_S:
            self._overview = now_s, await self._ask(overview, self._engine)
        return self._overview[1]

    async def join(self) -> None:
        """A reader comes: the store is watched from now on."""
        self._readers += 1
        try:
            async with self._joining:  # readers who come together must not start two watches
                if self._tail is None:
                    await self._begin()
        except BaseException:
            self.leave()
            raise

    async def _begin(self) -> None:
        # A log with a hole in it must not be read: begin anew after a pause.
        self._log.clear()
        self._from = self._head = await self._ask(feed.last, self._engine)
        self._tail = asyncio.create_task(self._watch(), name="broadcast")

    def leave(self) -> None:
        """A reader goes; with the last one the watching ends."""
        self._readers -= 1
        if self._readers == 0 and self._tail is not None:
            self._tail.cancel()
            self._tail = None

    async def check(self, after: int) -> None:
        """Raise Gap if a reader's position is none of this database's."""
        if after > await self._ask(feed.last, self._engine):
            raise Gap

    async def pull(self, after: int) -> tuple[list[Change], int]:
        """Changes after a position, at most PULL, and the position after them.

        Waits until there is at least one. Raises Gap when some are gone or they are too many.
        """
        while True:
            if after < self._from:
                return await self._older(after)
            if after < self._head:  # numbers in the log follow each other without a hole
                start = after + 1 - self._log[0].seq
                found = list(islice(self._log, start, start + PULL))
                return found, found[-1].seq
            await self._more.wait()

    async def _older(self, after: int) -> tuple[list[Change], int]:
        oldest = await self._ask(feed.oldest, self._engine)
        if oldest > after + 1 or self._head - after > CATCH_UP:
            raise Gap
        entries = await self._ask(_since, self._engine, after)
        if not entries:
            raise Gap
        return await self._ask(changes, self._engine, entries), entries[-1].seq

    async def _watch(self) -> None:
        while True:
            try:
                entries = await self._ask(_since, self._engine, self._head)
                if entries:
                    self._append(await self._ask(changes, self._engine, entries))
                    continue
            except SQLAlchemyError as error:
                log.error("tail_failed error=%s", type(error).__name__)
                await asyncio.sleep(2)
            await asyncio.sleep(TAIL_S)

    def _append(self, new: Sequence[Change]) -> None:
        self._log.extend(new)
        self._head = new[-1].seq
        if len(self._log) == LOG_CHANGES:
            self._from = self._log[0].seq - 1
        self._more.set()
        self._more = asyncio.Event()

    async def _ask(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)


def _since(engine: Engine, after: int) -> list[Entry]:
    return feed.since(engine, after, limit=PULL)
