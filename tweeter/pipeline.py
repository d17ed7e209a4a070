"""Stages joined: raw events in; posts, matches, counters and the cursor out, in one transaction.

Read this first. `digest` is pure: it decodes each event, matches each post and sorts the
results into what the store must do. `store` does it and repeats what may be repeated.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import decode
from tweeter.errors import DecodeError
from tweeter.keywords import Matcher, network_of
from tweeter.records import (
    AccountChange,
    Event,
    IdentityChange,
    Ignored,
    Keyword,
    Post,
    RawEvent,
    Removal,
)
from tweeter.sources.inbox import Taken
from tweeter.store import batches, binding, keywords
from tweeter.store.batches import Batch, KeywordsChanged, Outcome
from tweeter.store.leases import JobLease, Lease
from tweeter.store.quarantine import Rejected
from tweeter.store.reads import EVERYTHING

PAID = "x"  # the shape of a live stream whose posts cost money
OLD_US = 7 * 24 * 3_600_000_000


class KeywordBook:
    """The matcher of a process, brought up to date when the keywords' revision moves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.revision = -1
        self.matcher = Matcher(())
        self.keywords: tuple[Keyword, ...] = ()
        self.unlearned: frozenset[str] = frozenset()  # names of X whose ids are not known

    def refresh(self) -> None:
        """Load the keywords if they changed. Called from several threads."""
        with self._lock:
            revision, active = keywords.active(self._engine)
            if revision == self.revision:
                return
            self.matcher = Matcher(active)
            self.keywords = tuple(active)
            self.unlearned = frozenset(
                name
                for keyword in active
                for name, author_id in keyword.accounts
                if not author_id and network_of(name) == PAID
            )
            self.revision = revision

    def current(self) -> tuple[int, Matcher]:
        """Revision and matcher that belong together."""
        with self._lock:
            return self.revision, self.matcher


def digest(
    events: Sequence[RawEvent], matcher: Matcher, revision: int, *, is_live: bool = True
) -> Batch:
    """Decode and match: what the events mean for the store. Raises nothing for bad events.

    is_live=False: the events are asked for from the past, so old dates are right.
    """
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
            if isinstance(event, Post) and is_live and raw.shape != "any":  # files may be old
                event = _dated_now_if_old(event)
            _sort(event, matcher, batch, is_paid=raw.shape == PAID)
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


def _sort(event: Event, matcher: Matcher, batch: Batch, *, is_paid: bool) -> None:
    """Put an event where it belongs: what cannot change the store is only counted."""
    match event:
        case Post():
            found = matcher.match(event)
            if is_paid:
                batch.reads.update((EVERYTHING, *(match.keyword_id for match in found)))
            if found or event.operation == "update" or event.supersedes:
                batch.items.append((event, found))
            else:
                batch.counts["unmatched"] += 1
        case Removal() | AccountChange():
            batch.items.append(event)
        case IdentityChange():
            batch.identities.append(event)
        case Ignored():
            batch.counts["ignored"] += 1


class Pipeline:
    """Stores what one stream reads, under its lease."""

    def __init__(
        self, engine: Engine, lease: Lease | JobLease, book: KeywordBook, *, is_live: bool = True
    ) -> None:
        self.engine = engine
        self.lease = lease
        self.book = book
        self._is_live = is_live

    def store(self, taken: Taken) -> tuple[Outcome, str]:
        """Store the events; returns what changed and the cursor after them ("" = unmoved).

        Raises LeaseLost (nothing written) and SQLAlchemy's errors (do it again: safe).
        """
        while True:
            revision, matcher = self.book.current()
            batch = digest(taken.events, matcher, revision, is_live=self._is_live)
            batch.cursor = taken.position or batch.cursor
            batch.covered_until = taken.covered_until
            batch.journal = taken.journal
            try:
                outcome = batches.commit(self.engine, self.lease, batch)
            except KeywordsChanged:
                self.book.refresh()
                continue
            if self.book.unlearned and taken.events and taken.events[0].shape == PAID:
                self._learn(batch)
            return outcome, batch.cursor

    def _learn(self, batch: Batch) -> None:
        """An account of X that is followed by name has posted: take its id (docs/adr/0004)."""
        for item in batch.items:
            post = item[0] if isinstance(item, tuple) else None
            if post is None or post.author_handle.casefold() not in self.book.unlearned:
                continue
            with suppress(SQLAlchemyError):  # its next post teaches it as well
                binding.bind(
                    self.engine, post.network, post.author_handle.casefold(), post.author_id
                )
