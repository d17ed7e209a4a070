"""A slot's children in a flood: who is asked for what.

When events lie in heaps they go, as they came, to the children (`helper.py`), and the batch comes
back. Of a stream whose heaps are known each goes to one of them: where few posts match, while
others digest the next heaps; where many do, it keeps its batch and stores it when it is told to:
what matched does not travel, and while one stores another digests. Any other heap is shared by all.

They begin with the first flood, end after a rest or with their parent, and are never needed: until
they are ready, and whenever one fails, the slot does by itself what it asked for.
"""

import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Sequence
from functools import reduce

import msgspec

from tweeter.helper import FAILED, Child, Kept, Store, Work
from tweeter.records import Keyword, RawEvent
from tweeter.store.batches import Batch, Outcome
from tweeter.store.leases import Lease

log = logging.getLogger("tweeter.helpers")

FLOOD_EVENTS = 250  # at once; fewer are digested here sooner than there
MANY = 8  # a heap of which one event in so many is to be stored is followed by heaps of that kind
REST_S = 30.0  # without a flood: then they end
AGAIN_S = 10.0  # between a failure and the next children
MOST = 4  # children by themselves; more would wait for the one who reads


def is_much(items: int, events: int) -> bool:
    """Whether much of a heap is to be stored: then the next ones are taken to be like it."""
    return items * MANY >= events


class Helpers:
    """Children that digest for several threads. With none yet, `digest` begins them.

    count: as the setting `helpers` says it.
    """

    def __init__(self, count: int) -> None:
        self.count = how_many(count, MOST)
        self._turn = threading.Lock()  # of who changes the children; each has its own for asking
        self._children: list[Child] = []
        self._used_at = self._failed_at = -AGAIN_S
        self._many: dict[str, bool] = {}  # by shape: whether much of the last heap is to be stored
        self._numbers = itertools.count(1)
        self._keepers: dict[int, Child] = {}  # by number of what is kept

    def digest(
        self,
        events: Sequence[RawEvent],
        revision: int,
        keywords: Sequence[Keyword],
        *,
        is_live: bool = True,
        indexed: bool = True,
        keep: bool = False,
    ) -> Batch | Kept | None:
        """What `digest` makes of them with these keywords; None: it cannot, do it yourself.

        keep: a child may keep it until `store`, as it does where many posts match.
        """
        work = Work(is_live, indexed, events)
        try:
            children = self._ready(revision, keywords)
            return self._digest(children, work, keep) if children else None
        except FAILED as error:
            self._fail(error)
            return None

    def store(self, kept: Kept, url: str, lease: Lease) -> tuple[Outcome, str] | None:
        """Store what a child keeps; returns what it changed and the cursor after it.

        None: it did not, or nobody knows. Digest and store it yourself; twice does no harm.
        """
        child = self._keepers.pop(kept.number, None)
        if child is None:
            return None
        try:
            stored = child.store(Store(url, lease, kept))
        except FAILED as error:
            self._fail(error)
            return None
        if stored.outcome is None:
            log.warning("helper_stored_nothing words=%s", stored.words)
            return None
        return stored.outcome, stored.cursor

    def _ready(self, revision: int, keywords: Sequence[Keyword]) -> list[Child]:
        """The children, which know these keywords; none if they cannot be asked yet."""
        with self._turn:
            self._used_at = time.monotonic()
            if not self._stand_by():
                return []
            for child in self._children:
                child.teach(revision, keywords)
            return list(self._children)

    def _digest(self, children: Sequence[Child], work: Work, keep: bool) -> Batch | Kept:
        shape = work.events[0].shape
        found: Batch | Kept
        is_known = keep and shape in self._many
        if is_known and self._many[shape]:
            found = self._kept(children, work)
            count = found.items
        else:
            found = _free(children).digest(work) if is_known else _shared(children, work)
            count = len(found.items)
        self._many[shape] = is_much(count, len(work.events))
        return found

    def _kept(self, children: Sequence[Child], work: Work) -> Kept:
        """By one child, if possible one that does not store at the moment."""
        child = _free(children)
        kept = child.keep(msgspec.structs.replace(work, keep=next(self._numbers)))
        self._keepers[kept.number] = child
        return kept

    def _fail(self, error: Exception) -> None:
        log.warning("helper_failed error=%s", error or type(error).__name__)
        with self._turn:
            self._failed_at = time.monotonic()
            self._end()

    def _stand_by(self) -> bool:
        if not self._children and time.monotonic() - self._failed_at >= AGAIN_S:
            for _ in range(self.count):
                self._children.append(Child())
        return bool(self._children) and all(child.is_ready() for child in self._children)

    def pids(self) -> list[int]:
        """Of the children that there are."""
        return [child.process.pid for child in self._children]

    def rest(self) -> None:
        """End them if there was no flood for a while. Never waits."""
        if not self._children or not self._turn.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._used_at > REST_S:
                log.info("helper_rests")
                self._end()
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the children, whatever they do."""
        for child in list(self._children):
            child.process.kill()  # so that who waits for an answer does so no longer
        with self._turn:
            self._end()

    def _end(self) -> None:
        self._keepers.clear()
        while self._children:
            self._children.pop().end()


def _free(children: Sequence[Child]) -> Child:
    """One that is not asked for anything at the moment, if there is one."""
    return min(children, key=lambda one: (one.turn.locked(), one.asked))


def _shared(children: Sequence[Child], work: Work) -> Batch:
    """Digested by all of them, a part each."""
    size = -(-len(work.events) // len(children))
    starts = range(0, len(work.events), size)
    parts = [work.events[start : start + size] for start in starts]
    asked = children[: len(parts)]
    with contextlib.ExitStack() as turns:
        for child, part in zip(asked, parts, strict=True):
            turns.enter_context(child.turn)
            child.ask(msgspec.structs.replace(work, events=part))
        return reduce(Batch.joined, [child.answer() for child in asked])


def how_many(count: int, most: int) -> int:
    """Children for the setting `helpers`: -1 is as many as cores, up to `most`."""
    cores = os.cpu_count() or 1
    by_itself = min(cores, most) if cores > 1 else 0
    return by_itself if count < 0 else count
