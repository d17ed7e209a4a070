"""Reading parts of a file: any number of processes, each a part at a time.

A part is left after PART_S, so that a long file does not keep others waiting; what is packed is
read on for longer, since the next one must skip what was read.
"""

import logging
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter.config import Config
from tweeter.errors import LeaseLost, SourceError
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import RawEvent
from tweeter.sources import replay_parts
from tweeter.sources.inbox import Taken
from tweeter.store import imports
from tweeter.store.imports import FilePart
from tweeter.store.leases import RENEW_S, owner

log = logging.getLogger("tweeter.imports")

PART_S = 30.0
SKIP_TIMES = 5  # a packed file is read at least so many times as long as was skipped


def work(
    engine: Engine,
    config: Config,
    stream_id: int,
    *,
    should_stop: Callable[[], bool],
    more: Callable[[], None] = lambda: None,
) -> int:
    """Read parts of a file for about PART_S; returns how many batches were stored.

    `more` is called when another process could read too, and when this one leaves parts behind.
    Leaves quietly when the database is away or a part was taken over: the rows bring it back.
    """
    book, until_s, asked, stored = KeywordBook(engine), time.monotonic() + PART_S, False, 0
    try:
        while not should_stop():
            part, is_more = imports.claim(engine, stream_id, owner())
            if part is None:
                break
            if is_more and not asked:
                asked = True
                more()
            book.refresh()
            reading = _Reading(engine, config, part, book)
            try:
                is_read = reading.run(until_s, should_stop)
            except LeaseLost:
                continue
            finally:
                stored += reading.batches
            if not is_read or time.monotonic() > until_s:
                more()
                break
    except SQLAlchemyError as error:
        log.error("import_interrupted stream=%d error=%s", stream_id, type(error).__name__)
    return stored


class _Reading:
    """One part, under its lease."""

    def __init__(self, engine: Engine, config: Config, part: FilePart, book: KeywordBook) -> None:
        self._engine = engine
        self._batch_posts = config.batch_posts
        self._part = part
        self._pipeline = Pipeline(engine, part.lease, book, is_live=False)
        self._events: list[RawEvent] = []
        self._until_s = 0.0
        self.batches = 0

    def run(self, until_s: float, should_stop: Callable[[], bool]) -> bool:
        """True when it is read to its end (or cannot be); False when it was left."""
        self._until_s = until_s
        part, began_s = self._part, time.monotonic()
        renewed_s = began_s
        try:
            for block in replay_parts.read(
                part.path, replay_parts.Part(part.start, part.end), part.position
            ):
                now_s = time.monotonic()
                if not block:  # skipped
                    self._until_s = max(until_s, now_s + (now_s - began_s) * SKIP_TIMES)
                    if now_s - renewed_s > RENEW_S:
                        imports.renew(self._engine, part)
                        renewed_s = now_s
                self._events += block
                if len(self._events) >= self._batch_posts:
                    self._store()
                if should_stop() or now_s > self._until_s:
                    self._store()
                    imports.release(self._engine, part)
                    return False
        except SourceError as error:
            self._store()
            imports.end(self._engine, part, error.state)
            return True
        self._store()
        imports.end(self._engine, part)
        return True

    def _store(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._pipeline.store(Taken(events, 0, position=events[-1].cursor))
            self.batches += 1
