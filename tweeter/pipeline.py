"""Stages joined: raw events in; posts, matches, counters and the cursor out, in one transaction.

Read this first. `digest` is pure: it decodes each event, matches each post and sorts the
results into what the store must do. `store` does it and repeats what may be repeated.
"""

import threading
from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine

from tweeter import decode
from tweeter.errors import DecodeError
from tweeter.keywords import Matcher
from tweeter.records import AccountChange, Event, Ignored, Post, RawEvent, Removal
from tweeter.sources.inbox import Taken
from tweeter.store import batches, keywords
from tweeter.store.batches import Batch, KeywordsChanged, Outcome
from tweeter.store.leases import Lease
from tweeter.store.quarantine import Rejected

OLD_US = 7 * 24 * 3_600_000_000


class KeywordBook:
    """The matcher of a process, brought up to date when the keywords' revision moves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.revision = -1
        self.matcher = Matcher(())
        self.expressions: tuple[tuple[int, str], ...] = ()

    def refresh(self) -> None:
        """Load the keywords if they changed. Called from several threads."""
        with self._lock:
            revision, active = keywords.active(self._engine)
            if revision == self.revision:
                return
            self.matcher = Matcher(active)
            self.expressions = tuple((k.id, k.expression) for k in active)
            self.revision = revision

    def current(self) -> tuple[int, Matcher]:
        """Revision and matcher that belong together."""
        with self._lock:
            return self.revision, self.matcher


def digest(events: Sequence[RawEvent], matcher: Matcher, revision: int) -> Batch:
    """Decode and match: what the events mean for the store. Raises nothing for bad events."""
    batch = Batch(items=[], counts=Counter(), rejected=[], revision=revision)
    cursor = 0
    for raw in events:
        batch.counts["lines"] += raw.lines
        if raw.cursor:
            batch.cursor = raw.cursor
        if not raw.body.strip():
            batch.counts.update(("events", "ignored"))
            continue
        try:
            decoded = decode.DECODERS[raw.shape](raw)
        except DecodeError as error:  # theirs: keep a sample, go on
            batch.counts["events"] += 1
            batch.rejected.append(Rejected(raw.body, error.reason, error.detail, raw.place))
            continue
        batch.counts["events"] += len(decoded)
        for event in decoded:
            if isinstance(event, Post) and raw.shape != "any":  # live: files may be old
                event = _dated_now_if_old(event)
            _sort(event, matcher, batch)
            cursor = event.cursor or cursor
    if cursor and not batch.cursor:
        batch.cursor = str(cursor)
    return batch


def _dated_now_if_old(post: Post) -> Post:
    """A live post that claims to be older than OLD_US counts where it came, and says so."""
    if post.received_at - post.occurred_at <= OLD_US:
        return post
    flags = (*post.flags, "backdated")
    return msgspec.structs.replace(post, occurred_at=post.received_at, flags=flags)


def _sort(event: Event, matcher: Matcher, batch: Batch) -> None:
    """Put an event where it belongs: what cannot change the store is only counted."""
    match event:
        case Post():
            found = matcher.match(event)
            if found or event.operation == "update" or event.supersedes:
                batch.items.append((event, found))
            else:
                batch.counts["unmatched"] += 1
        case Removal() | AccountChange():
            batch.items.append(event)
        case Ignored():
            batch.counts["ignored"] += 1


class Pipeline:
    """Stores what one stream reads, under its lease."""

    def __init__(self, engine: Engine, lease: Lease, book: KeywordBook) -> None:
        self.engine = engine
        self.lease = lease
        self.book = book

    def store(self, taken: Taken) -> tuple[Outcome, str]:
        """Store the events; returns what changed and the cursor after them ("" = unmoved).

        Raises LeaseLost (nothing written) and SQLAlchemy's errors (do it again: safe).
        """
        while True:
            revision, matcher = self.book.current()
            batch = digest(taken.events, matcher, revision)
            batch.covered_until = taken.covered_until
            batch.journal = taken.journal
            try:
                return batches.commit(self.engine, self.lease, batch), batch.cursor
            except KeywordsChanged:
                self.book.refresh()
