"""Stages joined: raw events in; posts, matches, counters and the cursor out, in one transaction.

Read this first. `digest` is pure: it decodes each event, matches each post and sorts the
results into what the store must do; in a flood a helper process does it. `commit` does what it
says and repeats what may be repeated; what a helper kept, the helper stores.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import memory
from tweeter.digest import PAID, digest
from tweeter.errors import DecodeError
from tweeter.helper import Kept, place
from tweeter.helpers import FLOOD_EVENTS, Helpers, is_much
from tweeter.keywords import Matcher, network_of
from tweeter.records import Keyword, RawEvent
from tweeter.sources.inbox import Taken
from tweeter.store import batches, binding, keywords, trouble
from tweeter.store.batches import Batch, KeywordsChanged, Outcome
from tweeter.store.leases import JobLease, Lease
from tweeter.store.quarantine import rejected

NO_REVISION = -1
REFUSED = "cannot be stored"  # why an event is in quarantine that was read well


class Known(NamedTuple):
    """The keywords of a revision, and what follows from them.

    unlearned: names of X whose ids are not known.
    """

    revision: int
    matcher: Matcher
    keywords: tuple[Keyword, ...]
    unlearned: frozenset[str]


class KeywordBook:
    """The matcher of a process, brought up to date when the keywords' revision moves.

    Who reads what is known never waits for who refreshes it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known = Known(NO_REVISION, Matcher(()), (), frozenset())

    def refresh(self) -> None:
        """Load the keywords if they changed. Called from several threads."""
        with self._lock:
            before = self._known
            revision, active = keywords.active(
                self._engine, known=before.revision, had=before.keywords
            )
            if revision == before.revision:
                return
            unlearned = frozenset(
                name
                for keyword in active
                for name, author_id in keyword.accounts
                if not author_id and network_of(name) == PAID
            )
            matcher = Matcher(active, before=before.matcher)
            self._known = Known(revision, matcher, tuple(active), unlearned)
            memory.keep()

    @property
    def revision(self) -> int:
        """Of the keywords that are known."""
        return self._known.revision

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """Those that are known."""
        return self._known.keywords

    @property
    def unlearned(self) -> frozenset[str]:
        """Names of X that are followed, whose ids are not known."""
        return self._known.unlearned

    def current(self) -> tuple[int, Matcher]:
        """Revision and matcher that belong together."""
        return self._known[:2]

    def revised(self) -> tuple[int, tuple[Keyword, ...]]:
        """Revision and keywords that belong together."""
        known = self._known
        return known.revision, known.keywords


class Part(NamedTuple):
    """Events, and what they mean for the store with the keywords of a moment, or who keeps it."""

    events: list[RawEvent]
    batch: Batch | Kept


class Digested(NamedTuple):
    """What is to be stored, in order: one transaction for each part."""

    parts: list[Part]

    @property
    def is_urgent(self) -> bool:
        """True if more than counters and the cursor changes: somebody may be waiting for it."""
        return any(isinstance(batch, Kept) or batch.is_urgent for _, batch in self.parts)

    @property
    def has_much(self) -> bool:
        """True if much of it is to be stored. What a helper keeps is."""
        return any(
            isinstance(batch, Kept) or is_much(len(batch.items), len(events))
            for events, batch in self.parts
        )

    def is_full(self, items: int, events: int) -> bool:
        """True if it has so many that no more should join it. What a helper keeps is full."""
        last = self.parts[-1]
        if isinstance(last.batch, Kept):
            return True
        return len(last.batch.items) >= items or len(last.events) >= events

    def joined(self, later: "Digested") -> "Digested":
        """Both, with as few transactions as possible."""
        *before, last = self.parts
        first, *after = later.parts
        if isinstance(last.batch, Kept) or isinstance(first.batch, Kept):
            return Digested(self.parts + later.parts)
        batch = last.batch.joined(first.batch)
        if last.batch.revision != first.batch.revision:  # so `commit` matches all of it again
            batch.revision = NO_REVISION
        return Digested([*before, Part(last.events + first.events, batch), *after])


class Pipeline:
    """Stores what one stream reads, under its lease. indexed: for the search's index, too.

    digest_as: reads events instead of `digest`, with the same arguments.
    """

    def __init__(
        self,
        engine: Engine,
        lease: Lease | JobLease,
        book: KeywordBook,
        *,
        is_live: bool = True,
        indexed: bool = True,
        digest_as: Callable[..., Batch] = digest,
    ) -> None:
        self.engine = engine
        self.lease = lease
        self.book = book
        self._how = {"is_live": is_live, "indexed": indexed}
        self._digest_as = digest_as

    def digest(self, taken: Taken) -> Digested:
        """Decode and match what was taken."""
        return _digested(taken, self._digest(taken.events))

    def digest_by(self, helpers: Helpers, taken: Taken, *, keep: bool = False) -> Digested | None:
        """The same by another process, if it can.

        keep: it may keep what it found until `commit`; not of X while names are followed whose
        ids its posts teach.
        """
        revision, keywords = self.book.revised()
        keep = keep and isinstance(self.lease, Lease) and not self._may_learn(taken.events)
        batch = helpers.digest(taken.events, revision, keywords, keep=keep, **self._how)
        return None if batch is None else _digested(taken, batch)

    def _digest(self, events: Sequence[RawEvent]) -> Batch:
        revision, matcher = self.book.current()
        return self._digest_as(events, matcher, revision, **self._how)

    def commit(self, digested: Digested, helpers: Helpers | None = None) -> tuple[Outcome, str]:
        """Store it; returns what changed and the cursor after it ("" = unmoved).

        What is stored leaves `digested`, so doing it again goes on with the rest. What no database
        takes is looked for by halves, and that one event goes to quarantine. Raises LeaseLost
        (nothing of the rest written) and SQLAlchemy's errors (do it again: safe).
        """
        whole, cursor = Outcome(), ""
        while digested.parts:
            part = digested.parts[0]
            try:
                outcome, moved = self._commit_kept(part, helpers) or self._commit(part)
            except (SQLAlchemyError, *trouble.OF_DATA) as error:
                why = trouble.of_data(error)
                if why is None or not part.events or _is_refused(part):
                    raise
                digested.parts[:1] = self._apart(part, why)
                continue
            del digested.parts[0]
            whole, cursor = whole.joined(outcome), moved or cursor
        return whole, cursor

    def _commit_kept(self, part: Part, helpers: Helpers | None) -> tuple[Outcome, str] | None:
        """Let the helper store what it keeps; None if nothing is kept, or nobody knows."""
        if helpers is None or not isinstance(part.batch, Kept) or not isinstance(self.lease, Lease):
            return None
        return helpers.store(
            part.batch, self.engine.url.render_as_string(hide_password=False), self.lease
        )

    def _commit(self, part: Part) -> tuple[Outcome, str]:
        batch = part.batch if isinstance(part.batch, Batch) else self._again(part)
        while True:
            try:
                outcome = batches.commit(self.engine, self.lease, batch)
            except KeywordsChanged:
                self.book.refresh()
                batch = self._again(part)
                continue
            if self._may_learn(part.events):
                self._learn(batch)
            return outcome, batch.cursor

    def _again(self, part: Part) -> Batch:
        """The part's batch, digested here and now."""
        again = self._digest(part.events)
        place(again, part.batch)
        return again

    def _apart(self, part: Part, why: Exception) -> list[Part]:
        """Two halves of what was refused, of which the last moves the cursor; of one event what
        puts it into quarantine.
        """
        events = part.events
        half = len(events) // 2
        if half:
            first = self._digest(events[:half])
            first.cursor = ""
            parts = [Part(events[:half], first), Part(events[half:], self._digest(events[half:]))]
        else:
            parts = [Part(events, _refused(events[0], self._digest(events), why))]
        place(parts[-1].batch, part.batch)
        return parts

    def store(self, taken: Taken, helpers: Helpers | None = None) -> tuple[Outcome, str]:
        """Both at once; many events with the help of others."""
        digested = None
        if helpers is not None and len(taken.events) >= FLOOD_EVENTS:
            digested = self.digest_by(helpers, taken)
        return self.commit(digested or self.digest(taken))

    def _may_learn(self, events: Sequence[RawEvent]) -> bool:
        """Whether they may be posts that teach the ids of followed names."""
        return bool(self.book.unlearned and events and events[0].shape == PAID)

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


def _refused(raw: RawEvent, batch: Batch, why: Exception) -> Batch:
    """A batch with one event in quarantine; that it was read, and paid for, is still counted."""
    error = DecodeError(REFUSED, f"{type(why).__name__}: {why}")
    return Batch(
        items=[],
        counts=+Counter({name: batch.counts[name] for name in ("events", "lines")}),
        rejected=[rejected(raw, error)],
        revision=batch.revision,
        reads=batch.reads,
    )


def _is_refused(part: Part) -> bool:
    batch = part.batch
    return isinstance(batch, Batch) and any(one.reason == REFUSED for one in batch.rejected)


def _digested(taken: Taken, batch: Batch | Kept) -> Digested:
    batch.cursor = taken.position or batch.cursor
    batch.covered_until = taken.covered_until
    batch.journal = taken.journal
    return Digested([Part(taken.events, batch)])
