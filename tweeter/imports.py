"""Reading parts of files: any number of processes, each a part at a time.

One that reads a large file has a crew: it cuts the file into blocks of lines, children decode and
match them, and it stores what they find, in the order of the file. A file is not live: thousands
of events are stored at once, and of those that match nothing only their number.

A part is left after PART_S if another file or a look-back waits; what is packed is read on for
longer, since the next one must skip what was read.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import reduce
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import recordings
from tweeter.config import Config
from tweeter.crew import Crew
from tweeter.digest import digest
from tweeter.errors import LeaseLost, SourceError
from tweeter.helper import FAILED
from tweeter.jsonlines import Block
from tweeter.pipeline import Digested, KeywordBook, Part, Pipeline
from tweeter.recordings import position_after
from tweeter.records import RawEvent
from tweeter.store import batches, imports, trouble
from tweeter.store.batches import Batch, KeywordsChanged
from tweeter.store.imports import FilePart
from tweeter.store.leases import RENEW_S, owner

log = logging.getLogger("tweeter.imports")

PART_S = 30.0
SKIP_TIMES = 5  # a packed file is read at least so many times as long as was skipped
STORE_S = 1.0  # at most between two commits, so that it is seen how far it is
STORE_BYTES = 32 * 1024 * 1024  # of lines that are kept until they are stored
CREW_BYTES = 32 * 1024 * 1024  # of lines; fewer are read before a crew has begun
PACKED_TIMES = 8  # a packed file has about so many times as much in it

Events = Block | list[RawEvent]


def work(
    engine: Engine,
    config: Config,
    stream_id: int,
    *,
    should_stop: Callable[[], bool],
    more: Callable[[int, bool], None] = lambda stream_id, is_left: None,
    only: bool = True,
) -> int:
    """Read parts of a file for about PART_S; returns how many batches were stored.

    `more` is called with a file's id when another process could read too, and, with True, when
    this one leaves parts behind. only=False: then files that nobody else reads. Leaves quietly
    when the database is away or a part was taken over: the rows bring it back.
    """
    shift = _Shift(engine, config, should_stop, more)
    try:
        shift.read(stream_id)
        seen = {stream_id}
        while not only and not shift.is_over:
            others = [other for other in imports.idle(engine) if other not in seen]
            if not others:
                break
            seen.add(others[0])
            shift.read(others[0])
    except SQLAlchemyError as error:
        log.error("import_interrupted stream=%d error=%s", stream_id, type(error).__name__)
    finally:
        shift.close()
    return shift.stored


class _Shift:
    """What a process reads one after the other, with the same crew and keywords."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        should_stop: Callable[[], bool],
        more: Callable[[int, bool], None],
    ) -> None:
        self.engine = engine
        self.config = config
        self.should_stop = should_stop
        self.until_s = time.monotonic() + PART_S
        self.book = KeywordBook(engine)
        self.crew: Crew | None = None
        self.stored = 0
        self.is_over = False
        self._more = more

    def read(self, stream_id: int) -> None:
        """Read parts of a file that nobody else reads, until there are none or time is over."""
        asked = False
        while not self.should_stop():
            part, is_more = imports.claim(self.engine, stream_id, owner())
            if part is None:
                return
            if is_more and not asked:
                asked = True
                self._more(stream_id, False)
            if self.crew is None and _size(part) >= CREW_BYTES:
                self.crew = Crew(self.config.helpers, indexed=self.config.search_index)
            self.book.refresh()
            try:
                is_read = _Reading(self, part).run()
            except LeaseLost:
                continue
            if not is_read or time.monotonic() > self.until_s:
                self._more(stream_id, True)
                break
        self.is_over = True

    def close(self) -> None:
        """End the crew."""
        if self.crew is not None:
            self.crew.close()


def _size(part: FilePart) -> int:
    """About how many bytes of lines the whole file has."""
    try:
        size = Path(part.path).stat().st_size
    except OSError:
        return 0
    return size if part.end else size * PACKED_TIMES


class _Reading:
    """One part, under its lease."""

    def __init__(self, shift: _Shift, part: FilePart) -> None:
        self._shift = shift
        self._part = part
        self._asked: deque[tuple[Events, Future[Batch] | Batch]] = deque()
        self._events: list[Events] = []  # of `_digested`, which wait to be stored
        self._digested: list[Batch] = []
        self._size = 0
        self._store_at_s = 0.0  # what comes first is stored at once: it has begun

    def run(self) -> bool:
        """True when it is read to its end (or cannot be); False when it was left."""
        shift, part, began_s = self._shift, self._part, time.monotonic()
        until_s, renewed_s, stream_id = shift.until_s, began_s, part.lease.stream_id
        cut = recordings.Part(part.start, part.end)
        try:
            for events in recordings.read(part.path, cut, part.position):
                now_s = time.monotonic()
                if not events:  # skipped
                    until_s = max(until_s, now_s + (now_s - began_s) * SKIP_TIMES)
                    if now_s - renewed_s > RENEW_S:
                        imports.renew(shift.engine, part)
                        renewed_s = now_s
                if now_s > until_s and not imports.others_wait(shift.engine, stream_id):
                    until_s = shift.until_s = now_s + PART_S
                if shift.should_stop() or now_s > until_s:
                    self._store_all()
                    imports.release(shift.engine, part)
                    return False
                if events:
                    self._give(events)
        except SourceError as error:
            self._store_all()
            imports.end(shift.engine, part, error.state)
            return True
        self._store_all()
        imports.end(shift.engine, part)
        return True

    def _give(self, events: Events) -> None:
        """Have them digested, and take what is ready."""
        crew, asked = self._shift.crew, None
        if crew is not None and isinstance(events, Block):
            asked = crew.digest(events, *self._shift.book.revised())
        self._asked.append((events, asked or self._digest(events)))
        ahead = 2 * crew.size if crew is not None else 0
        while len(self._asked) > ahead or (self._asked and _is_ready(self._asked[0][1])):
            self._take()

    def _digest(self, events: Events) -> Batch:
        revision, matcher = self._shift.book.current()
        indexed = self._shift.config.search_index
        return digest(events, matcher, revision, is_live=False, indexed=indexed)

    def _take(self) -> None:
        """Take the oldest that was asked for; with those before it, it may be stored."""
        events, asked = self._asked.popleft()
        try:
            batch = asked.result() if isinstance(asked, Future) else asked
        except FAILED:
            batch = self._digest(events)
        if batch.revision != self._shift.book.revision:
            batch = self._digest(events)
        self._events.append(events)
        self._digested.append(batch)
        self._size += len(events.data) if isinstance(events, Block) else 0
        items = sum(len(one.items) for one in self._digested)
        if (
            items >= self._shift.config.batch_posts
            or self._size >= STORE_BYTES
            or time.monotonic() >= self._store_at_s
        ):
            self._store()

    def _store_all(self) -> None:
        while self._asked:
            self._take()
        self._store()

    def _store(self) -> None:
        if not self._events:
            return
        while True:
            batch = reduce(Batch.joined, self._digested)
            batch.cursor = str(position_after(self._events[-1]))
            try:
                batches.commit(self._shift.engine, self._part.lease, batch)
                break
            except KeywordsChanged:
                self._shift.book.refresh()
                self._digested = [self._digest(events) for events in self._events]
            except (SQLAlchemyError, *trouble.OF_DATA) as error:
                if trouble.of_data(error) is None:
                    raise
                self._store_apart(batch)
                break
        self._events, self._digested, self._size = [], [], 0
        self._store_at_s = time.monotonic() + STORE_S
        self._shift.stored += 1

    def _store_apart(self, batch: Batch) -> None:
        """Store all but what no database takes, which goes to quarantine."""
        shift, indexed = self._shift, self._shift.config.search_index
        events = [event for some in self._events for event in some]
        lease = self._part.lease
        pipeline = Pipeline(shift.engine, lease, shift.book, is_live=False, indexed=indexed)
        pipeline.commit(Digested([Part(events, batch)]))


def _is_ready(asked: Future[Batch] | Batch) -> bool:
    return asked.done() if isinstance(asked, Future) else True
