"""Between reading and storing: bounded, so a slow database slows the reading or fills the disk.

`MemoryInbox` is for sources that can send again (the cursor covers what is in memory);
`JournalInbox` for those that cannot: an event is on the disk before anything else happens.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from tweeter.records import RawEvent, now_us
from tweeter.sources.journal import Journal, entry_bytes

FRESH_BYTES = 24 * 1024 * 1024  # of a journal that are also in memory: three heaps of X


class Taken(msgspec.Struct, frozen=True):
    """Events to store together.

    covered_until: everything received up to then is in these events or before them.
    journal: (journal id, position after them), or None.
    position: of a job over the past, after them; "" for a stream.
    lost_until: a stretch of the journal before them is damaged; what it held was received by then.
    """

    events: list[RawEvent]
    covered_until: int
    journal: tuple[str, int] | None = None
    position: str = ""
    lost_until: int = 0


def at_once() -> float:
    """The window of one who waits for no company."""
    return 0.0


class Inbox:
    """Put on one side, take on the other; one task on each.

    last_alive: all that had come by that moment was put.
    """

    def __init__(self) -> None:
        self.last_alive = 0
        self.closed = False
        self._enough = 1  # events for which the one who takes is woken
        self._changed = asyncio.Event()

    async def put(self, events: Sequence[RawEvent]) -> None:
        """Take events over; may wait. Raises JournalFull, and OSError: nothing was taken."""
        raise NotImplementedError

    async def take(self, *, max_events: int, window: Callable[[], float] = at_once) -> Taken | None:
        """Wait for an event, then so long (s) for more; None when closed and empty.

        window: is asked when the event has come.
        """
        raise NotImplementedError

    def waiting(self) -> int:
        """Events that can be taken now (at least one, if their number is not known)."""
        raise NotImplementedError

    def stored(self, taken: Taken) -> None:
        """What was taken is in the database."""

    def close(self) -> None:
        """Nothing more will be put."""
        self.closed = True
        self._changed.set()

    def _there(self) -> None:
        """Events were put: wake the one who takes if they are enough."""
        if self.waiting() >= self._enough:
            self._changed.set()

    async def _arrived(self, window: Callable[[], float], enough: int) -> bool:
        """Wait for events and a little for company; False when closed and empty."""
        self._enough = 1
        while not self.waiting():
            if self.closed:
                return False
            self._changed.clear()
            await self._changed.wait()
        window_s = window()
        if window_s and self.waiting() < enough and not self.closed:
            self._enough = enough
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(window_s):
                    await self._changed.wait()
        return True


class MemoryInbox(Inbox):
    """Bounded by events and bytes; a full one makes `put` wait."""

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        super().__init__()
        self._events: deque[RawEvent] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._room = asyncio.Event()

    async def put(self, events: Sequence[RawEvent]) -> None:
        while self._events and (
            len(self._events) >= self._max_events or self._bytes >= self._max_bytes
        ):
            self._room.clear()
            await self._room.wait()
        self._events.extend(events)
        self._bytes += sum(len(event.body) for event in events)
        self.last_alive = max(self.last_alive, events[-1].received_at)
        self._there()

    async def take(self, *, max_events: int, window: Callable[[], float] = at_once) -> Taken | None:
        if not await self._arrived(window, max_events):
            return None
        events = [self._events.popleft() for _ in range(min(max_events, len(self._events)))]
        self._bytes -= sum(len(event.body) for event in events)
        self._room.set()
        covered = events[-1].received_at if self._events else self.last_alive
        return Taken(events, covered)

    def waiting(self) -> int:
        return len(self._events)


class Stretch(NamedTuple):
    """Events that follow each other in a journal, from one position to another."""

    begin: int
    events: list[RawEvent]
    end: int

    def cut(self, count: int) -> tuple["Stretch", "Stretch"]:
        """The first events, and the others."""
        first, later = self.events[:count], self.events[count:]
        middle = self.end - entry_bytes(later)
        return Stretch(self.begin, first, middle), Stretch(middle, later, self.end)

    def after(self, position: int) -> "Stretch":
        """What is not before a position: an entry begins there."""
        count, begin = 0, self.begin
        while begin < position:
            begin += entry_bytes(self.events[count : count + 1])
            count += 1
        return Stretch(begin, self.events[count:], self.end)


class JournalInbox(Inbox):
    """A queue on the disk; `put` returns when the events are safe.

    The latest ones are also kept in memory, up to FRESH_BYTES: who keeps up with the network
    never reads the disk.
    """

    def __init__(self, journal: Journal, position: int) -> None:
        super().__init__()
        journal.go_on_from(position)
        self.last_alive = journal.last_received_at
        self.journal = journal
        self._position = position
        self._stored = position
        # What an earlier process left is taken first; how many those are is not known.
        self._untaken = 1 if position < journal.end else 0
        self._fresh: deque[Stretch] = deque()
        self._fresh_bytes = 0

    async def put(self, events: Sequence[RawEvent]) -> None:
        begin = self.journal.end
        await asyncio.to_thread(self.journal.append, events, self._stored)
        self._keep(begin, events)
        self._untaken += len(events)
        self.last_alive = max(self.last_alive, events[-1].received_at)
        self._there()

    def _keep(self, begin: int, events: Sequence[RawEvent]) -> None:
        if self._fresh_bytes < FRESH_BYTES:
            end = self.journal.end
            self._fresh.append(Stretch(begin, list(events), end))
            self._fresh_bytes += end - begin

    async def take(self, *, max_events: int, window: Callable[[], float] = at_once) -> Taken | None:
        if not await self._arrived(window, max_events):
            return None
        end = self.journal.end
        events, after = self._kept(max_events)
        if not events:
            events, after = await asyncio.to_thread(
                self.journal.read, self._position, max_events=max_events
            )
        lost_until = 0
        if not events:  # damaged; what is in memory is not lost
            after = min(after, self._fresh[0].begin) if self._fresh else after
            lost_until = await asyncio.to_thread(self.journal.heard_at, after) or now_us()
        self._position = after
        self._untaken = max(self._untaken - len(events), 1) if after < self.journal.end else 0
        covered = events[-1].received_at if events else 0
        if after >= end:
            covered = self.last_alive
        journal = self.journal.journal_id, after
        return Taken(events, covered, journal, lost_until=lost_until)

    def _kept(self, max_events: int) -> tuple[list[RawEvent], int]:
        """Events from the position on that are in memory, and the position after them."""
        events: list[RawEvent] = []
        position, fresh = self._position, self._fresh
        while fresh and len(events) < max_events and fresh[0].begin <= position:
            first = fresh.popleft()
            self._fresh_bytes -= first.end - first.begin
            if first.end <= position:  # it was read from the disk
                continue
            found = first.after(position)
            first, later = found.cut(max_events - len(events))
            events += first.events
            position = first.end
            if later.events:
                fresh.appendleft(later)
                self._fresh_bytes += later.end - later.begin
        return events, position

    def waiting(self) -> int:
        return self._untaken if self._position < self.journal.end else 0

    def stored(self, taken: Taken) -> None:
        if taken.journal is not None:
            self._stored = taken.journal[1]
            self.journal.forget(self._stored)
