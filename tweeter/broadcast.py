"""The live feed in memory: one bounded log that tails the store, and readers that pull from it.

A reader keeps its own position, the feed's `seq`, so a slow one costs nothing and a browser
that comes back asks for what followed the last one it saw. What has left the log is read from
the database; what has left that too is said, never skipped in silence.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import islice
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import cards
from tweeter.columns import Filter, Sieve, fold
from tweeter.records import Post
from tweeter.store import backlog, decks, feed
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
ANSWERS = 32  # kept for readers that want the same


class Change(msgspec.Struct, frozen=True):
    """A change as browsers get it. data is JSON; keywords are ids, empty for a removal."""

    seq: int
    kind: str  # "post", "edit" or "remove"
    keywords: frozenset[int]
    data: str
    post: Post | None = None  # what filters are asked with; None for a removal
    fold: str = ""
    memo: list[tuple[Sieve, frozenset[Filter]]] = []  # the filters it was tried with, and passed

    def concerns(self, keyword_id: int | None) -> bool:
        """True if a reader of this keyword (None: of all) wants it.

        Edits and removals go to all: a card may have been there for a match that is gone.
        """
        return keyword_id is None or self.kind != "post" or keyword_id in self.keywords

    def passes(self, wanted: Filter) -> bool:
        """Whether it is one of a column's; as a rule this was found out for all readers at once."""
        if self.post is None:
            return False
        for sieve, passed in self.memo:
            if wanted in sieve.filters:
                return wanted in passed
        return wanted.matches(self.post, self.keywords)


class Missed(msgspec.Struct, frozen=True):
    """Changes after one number of the feed up to another that a reader is not sent.

    posts: how many of them are new posts; whole: all are still kept, so that is the true number.
    """

    after: int
    until: int
    posts: int
    whole: bool


class Wanted(Protocol):
    """What a reader asked for. Equal ones are sent the same bytes."""

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The columns; () if it asked for none."""

    def frame(self, change: Change) -> str:
        """A change as an event; "" if it is none of the reader's."""


class OfKeyword(msgspec.Struct, frozen=True):
    """The posts of a keyword, or (None) of all: the stream's plain form."""

    keyword_id: int | None
    filters: ClassVar[tuple[Filter, ...]] = ()

    def frame(self, change: Change) -> str:
        """See Wanted."""
        if not change.concerns(self.keyword_id):
            return ""
        return f"id: {change.seq}\nevent: {change.kind}\ndata: {change.data}\n\n"


class OfColumns(msgspec.Struct, frozen=True, cache_hash=True):
    """The posts of some columns; each event says in which of them, by number from 0.

    Edits and removals go to all readers: a card may stand where the post no longer belongs.
    """

    filters: tuple[Filter, ...]

    def frame(self, change: Change) -> str:
        """See Wanted."""
        places = [n for n, one in enumerate(self.filters) if change.passes(one)]
        if change.kind == "post" and not places:
            return ""
        where = ",".join(map(str, places))
        data = f'{{"in":[{where}],"fold":"{change.fold}","post":{change.data}}}'
        return f"id: {change.seq}\nevent: {change.kind}\ndata: {data}\n\n"


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
    found = backlog.by_ids(engine, list({entry.post_id for entry in entries}))
    return [_change(entry, found.get(entry.post_id)) for entry in entries]


def _change(entry: Entry, seen: backlog.Seen | None) -> Change:
    if entry.kind == "remove" or seen is None or seen.shown.removed_at is not None:
        data = msgspec.json.encode({"id": str(entry.post_id)}).decode()
        return Change(entry.seq, "remove", frozenset(), data)
    shown = seen.shown
    ids, same = frozenset(shown.keywords), fold(shown.network, shown.text)
    return Change(entry.seq, entry.kind, ids, encode(shown), seen.post, same)


class Broadcast:
    """One for each web process. Runs on the event loop; asks the store in an executor."""

    def __init__(self, engine: Engine, executor: Executor) -> None:
        self._engine = engine
        self._executor = executor
        self._log: deque[Change] = deque(maxlen=LOG_CHANGES)
        self._from = 0  # all changes after this seq, up to _head, are in the log
        self._head = 0
        self._readers = 0
        self._filters: Counter[Filter] = Counter()  # of the columns that are being read
        self._sieve = Sieve(())
        self._answers: dict[tuple[int, int, Wanted], bytes] = {}
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

    async def join(self, filters: Sequence[Filter] = ()) -> None:
        """A reader comes, of these columns: the store is watched from now on."""
        self._readers += 1
        self._filters.update(filters)
        try:
            async with self._joining:  # readers who come together must not start two watches
                if self._tail is None:
                    await self._begin()
        except BaseException:
            self.leave(filters)
            raise

    async def _begin(self) -> None:
        # A log with a hole in it must not be read: begin anew after a pause.
        self._log.clear()
        self._answers.clear()
        self._from = self._head = await self._ask(feed.last, self._engine)
        self._tail = asyncio.create_task(self._watch(), name="broadcast")

    def leave(self, filters: Sequence[Filter] = ()) -> None:
        """A reader goes; with the last one the watching ends."""
        self._readers -= 1
        for one in filters:
            self._filters[one] -= 1
            if not self._filters[one]:
                del self._filters[one]
        if self._readers == 0 and self._tail is not None:
            self._tail.cancel()
            self._tail = None

    def frames(self, wanted: Wanted, found: Sequence[Change]) -> bytes:
        """Changes that follow each other, as events for a reader; its position at least."""
        key = found[0].seq, found[-1].seq, wanted
        answer = self._answers.get(key)
        if answer is None:
            if wanted.filters:
                self._try(found)
            text = "".join(wanted.frame(change) for change in found)
            text = text or f"id: {found[-1].seq}\nevent: position\ndata: {{}}\n\n"
            if len(self._answers) >= ANSWERS:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = answer = text.encode()
        return answer

    def _try(self, found: Sequence[Change]) -> None:
        """Ask every column that is being read at once, the first time a change is asked for."""
        fresh = [change for change in found if change.post is not None and not change.memo]
        if fresh and self._sieve.filters != self._filters.keys():
            self._sieve = Sieve(self._filters)
        for change in fresh:
            if change.post is not None:
                passed = self._sieve.passing(change.post, change.keywords)
                change.memo.append((self._sieve, passed))

    async def missed(self, after: int) -> Missed:
        """What a reader of this position cannot be sent any more; it goes on from `until`."""
        until, oldest = await self._ask(feed.last, self._engine), await self._oldest()
        posts = await self._ask(feed.count, self._engine, after, until)
        return Missed(after, until, posts, whole=0 < oldest <= after + 1)

    async def _oldest(self) -> int:
        return await self._ask(feed.oldest, self._engine)

    async def deck(self, deck_id: int) -> decks.Deck:
        """A deck as kept; raises DeckNotFound."""
        return await self._ask(decks.get, self._engine, deck_id)

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
        oldest = await self._oldest()
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
