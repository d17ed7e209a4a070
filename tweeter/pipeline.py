"""Stages joined: raw events in; posts, matches, counters and the cursor out, in one transaction.

Read this first. `digest` is pure: it decodes each event, matches each post and sorts the
results into what the store must do. `commit` does it and repeats what may be repeated.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import decode
from tweeter.decode.glance import GLANCES, Glance
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
NO_REVISION = -1
IN_VAIN = 20  # first looks more than such as spared a decoding: then no more in this batch
OLD_US = 7 * 24 * 3_600_000_000


class KeywordBook:
    """The matcher of a process, brought up to date when the keywords' revision moves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.revision = NO_REVISION
        self.matcher = Matcher(())
        self.keywords: tuple[Keyword, ...] = ()
        self.unlearned: frozenset[str] = frozenset()  # names of X whose ids are not known

    def refresh(self) -> None:
        """Load the keywords if they changed. Called from several threads."""
        with self._lock:
            revision, active = keywords.active(self._engine, known=self.revision)
            if revision == self.revision:
                return
            self.matcher = Matcher(active, before=self.matcher)
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
    first_look = _FirstLook(matcher)
    cursor = 0
    for raw in events:
        if raw.lines:
            batch.counts["lines"] += raw.lines
        if raw.cursor:
            batch.cursor = raw.cursor
        glance = first_look.unmatched(raw)
        if glance is not None:
            cursor = glance.cursor or cursor
            continue
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
    first_look.count(batch)
    if cursor and not batch.cursor:
        batch.cursor = str(cursor)
    return batch


class _FirstLook:
    """Finds the posts that no keyword matches before they are decoded; it is given up where most
    match (X sends little else), for then it is done in vain.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._may_match = matcher.may_match
        self._in_vain = 0
        self._unmatched: dict[str, int] = {}  # by shape

    def unmatched(self, raw: RawEvent) -> Glance | None:
        """What the event shows if it is a new post that no keyword matches; else None."""
        shape = raw.shape
        look = GLANCES.get(shape)
        if look is None or self._in_vain > IN_VAIN + self._unmatched.get(shape, 0):
            return None
        glance = look(raw.body)
        if glance is None:
            return None
        if self._may_match(glance.texts, glance.authors, glance.links):
            self._in_vain += 1
            return None
        self._unmatched[shape] = self._unmatched.get(shape, 0) + 1
        return glance

    def count(self, batch: Batch) -> None:
        """Enter what was found."""
        for shape, count in self._unmatched.items():
            batch.counts.update(events=count, unmatched=count)
            if shape == PAID:
                batch.reads[EVERYTHING] += count


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


class Digested(NamedTuple):
    """Events, and what they mean for the store with the keywords of a moment."""

    events: list[RawEvent]
    batch: Batch


class Pipeline:
    """Stores what one stream reads, under its lease."""

    def __init__(
        self, engine: Engine, lease: Lease | JobLease, book: KeywordBook, *, is_live: bool = True
    ) -> None:
        self.engine = engine
        self.lease = lease
        self.book = book
        self._is_live = is_live

    def digest(self, taken: Taken, after: Digested | None = None) -> Digested:
        """Decode and match what was taken; it is stored together with what waits (after)."""
        events = [*after.events, *taken.events] if after is not None else taken.events
        batch = self._digest(taken.events)
        batch.cursor = taken.position or batch.cursor
        batch.covered_until = taken.covered_until
        batch.journal = taken.journal
        if after is not None:
            batch = after.batch.joined(batch)
            if after.batch.revision != batch.revision:  # so `commit` matches all of it again
                batch.revision = NO_REVISION
        return Digested(events, batch)

    def _digest(self, events: Sequence[RawEvent]) -> Batch:
        revision, matcher = self.book.current()
        return digest(events, matcher, revision, is_live=self._is_live)

    def commit(self, digested: Digested) -> tuple[Outcome, str]:
        """Store it; returns what changed and the cursor after it ("" = unmoved).

        Raises LeaseLost (nothing written) and SQLAlchemy's errors (do it again: safe).
        """
        events, batch = digested.events, digested.batch
        while True:
            try:
                outcome = batches.commit(self.engine, self.lease, batch)
            except KeywordsChanged:
                self.book.refresh()
                again = self._digest(events)
                again.cursor, again.journal = batch.cursor, batch.journal
                again.covered_until = batch.covered_until
                batch = again
                continue
            if self.book.unlearned and events and events[0].shape == PAID:
                self._learn(batch)
            return outcome, batch.cursor

    def store(self, taken: Taken) -> tuple[Outcome, str]:
        """Both at once."""
        return self.commit(self.digest(taken))

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
