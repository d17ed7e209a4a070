"""Raw events into a batch: decoded, matched, sorted into what the store must do. Pure.

What costs time and needs no database is done here, so that a transaction is short and a helper
(`helper.py`) can do it beside the one who stores.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from tweeter import decode
from tweeter.decode.glance import GLANCES, Glance
from tweeter.errors import DecodeError
from tweeter.keywords import Matcher, Seen
from tweeter.moments import DAY_US
from tweeter.records import (
    AccountChange,
    Event,
    IdentityChange,
    Ignored,
    Match,
    Post,
    RawEvent,
    Removal,
    Unread,
)
from tweeter.store import search_texts
from tweeter.store.batches import Batch
from tweeter.store.quarantine import rejected
from tweeter.store.reads import EVERYTHING

PAID = "x"  # the shape of a live stream whose posts cost money
IN_VAIN = 20  # first looks more than such as spared a decoding: then no more in this batch
# Events that go through each step together: its code and tables stay in the processor's caches,
# where for one event after the other each step throws those of the last one out.
TOGETHER = 64
OLD_US = 7 * DAY_US
UNEXPECTED = "not expected"  # why an event is in quarantine that we fail at
# What our code raises at an event that it was not written for.
FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

log = logging.getLogger("tweeter.digest")


def digest(
    raw_events: Iterable[RawEvent],
    matcher: Matcher,
    revision: int,
    *,
    is_live: bool = True,
    indexed: bool = True,
) -> Batch:
    """Decode and match: what the events mean for the store. Raises nothing for bad events.

    is_live=False: the events are asked for from the past, so old dates are right. indexed=False:
    no words for the search are made. One that we fail at is looked for by halves, and goes to
    quarantine: a journal would bring it back for ever. raw_events may be gone through twice.
    """
    try:
        return _digest(raw_events, matcher, revision, is_live=is_live, indexed=indexed)
    except FAULTS as error:
        some = list(raw_events)
        if len(some) == 1:
            log.exception("event_not_expected shape=%s", some[0].shape)
            return _unexpected(some[0], error, revision, indexed=indexed)
        half = len(some) // 2
        how = {"is_live": is_live, "indexed": indexed}
        first, later = (digest(one, matcher, revision, **how) for one in (some[:half], some[half:]))
        return first.joined(later)


def _digest(
    raw_events: Iterable[RawEvent],
    matcher: Matcher,
    revision: int,
    *,
    is_live: bool,
    indexed: bool,
) -> Batch:
    batch = Batch(items=[], counts=Counter(), rejected=[], revision=revision, indexed=indexed)
    first_look = _FirstLook(matcher)
    cursor = 0
    for raw, first in first_look.along(raw_events):
        if raw.lines:
            batch.counts["lines"] += raw.lines
        if raw.cursor:
            batch.cursor = raw.cursor
        if isinstance(first, Glance):
            cursor = first.cursor or cursor
            continue
        events = [first.post] if first else _decoded(raw, batch)
        batch.counts["events"] += len(events)
        for event in events:
            if isinstance(event, Post):
                if is_live and raw.shape != "any":  # files may be old
                    event = _dated_now_if_old(event)
                found = matcher.match(event, first.seen if first else None)
                _keep(event, found, batch, is_paid=raw.shape == PAID)
            else:
                _sort(event, batch, raw)
            cursor = event.cursor or cursor
    first_look.count(batch)
    if cursor and not batch.cursor:
        batch.cursor = str(cursor)
    return batch


def _unexpected(raw: RawEvent, error: Exception, revision: int, *, indexed: bool) -> Batch:
    """A batch with the event in quarantine."""
    why = DecodeError(UNEXPECTED, f"{type(error).__name__}: {error}")
    return Batch(
        items=[],
        counts=+Counter(events=1, lines=raw.lines),
        rejected=[rejected(raw, why)],
        revision=revision,
        cursor=raw.cursor,
        indexed=indexed,
    )


class _Post(NamedTuple):
    """A post, and what of the keywords was seen in its texts."""

    post: Post
    seen: Seen


class _FirstLook:
    """Finds the posts that no keyword matches, and what is none, before they are decoded.

    Where a look does not make the whole post, it is given up if most posts match: it is in vain.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._in_vain = 0
        self._unmatched: dict[str, int] = {}  # by shape
        self._ignored = 0

    def along(
        self, raw_events: Iterable[RawEvent]
    ) -> Iterator[tuple[RawEvent, Glance | _Post | None]]:
        """Each event, and what it shows if it is no post, or a new one that no keyword matches; a
        whole post that may match; or None: decode it.
        """
        raws = iter(raw_events)
        while some := list(islice(raws, TOGETHER)):
            glances = self._glances(some)
            said = [glance.texts for glance in glances if glance is not None and glance.is_post]
            seen = iter(self._matcher.seen_in_each(said))
            for raw, glance in zip(some, glances, strict=True):
                if glance is None:
                    yield raw, None
                elif glance.is_post:
                    yield raw, self._found(raw, glance, next(seen))
                else:
                    self._ignored += 1
                    yield raw, glance

    def _glances(self, raws: Sequence[RawEvent]) -> list[Glance | None]:
        looks = {shape: self._look(shape) for shape in {raw.shape for raw in raws}}
        return [looks[raw.shape](raw.body) for raw in raws]

    def _look(self, shape: str) -> Callable[[bytes], Glance | None]:
        is_in_vain = self._in_vain > IN_VAIN + self._unmatched.get(shape, 0)
        return _no_look if is_in_vain else GLANCES.get(shape, _no_look)

    def _found(self, raw: RawEvent, glance: Glance, seen: Seen) -> Glance | _Post | None:
        if not self._matcher.may_match(seen, glance.authors, glance.links):
            self._unmatched[raw.shape] = self._unmatched.get(raw.shape, 0) + 1
            return glance
        if glance.whole is not None:
            return _Post(glance.whole(raw), seen)
        self._in_vain += 1
        return None

    def count(self, batch: Batch) -> None:
        """Enter what was found."""
        if self._ignored:
            batch.counts.update(events=self._ignored, ignored=self._ignored)
        for shape, count in self._unmatched.items():
            batch.counts.update(events=count, unmatched=count)
            if shape == PAID:
                batch.reads[EVERYTHING] += count


def _no_look(_: bytes) -> None:
    return None


def _dated_now_if_old(post: Post) -> Post:
    """A live post that claims to be older than OLD_US counts where it came, and says so."""
    if post.received_at - post.occurred_at <= OLD_US:
        return post
    flags = (*post.flags, "backdated")
    return msgspec.structs.replace(post, occurred_at=post.received_at, flags=flags)


def _decoded(raw: RawEvent, batch: Batch) -> list[Event]:
    """What it means; nothing if it is broken, which is kept as rejected."""
    if not raw.body.strip():
        return [Ignored("empty")]
    try:
        return decode.DECODERS[raw.shape](raw)
    except DecodeError as error:  # theirs: keep a sample, go on
        batch.counts["events"] += 1
        batch.rejected.append(rejected(raw, error))
        return []


def _keep(post: Post, found: tuple[Match, ...], batch: Batch, *, is_paid: bool) -> None:
    """Put a post and its matches into the batch; what cannot change the store is only counted."""
    if is_paid:
        batch.reads[EVERYTHING] += 1
        for match in found:
            batch.reads[match.keyword_id] += 1
    if not found and post.operation != "update" and not post.supersedes:
        batch.counts["unmatched"] += 1
        return
    batch.items.append((post, found))
    if batch.indexed and found and post.operation == "create":
        name = post.network, post.key
        if name not in batch.words:
            batch.words[name] = search_texts.of_post(post)


def _sort(event: Event, batch: Batch, raw: RawEvent) -> None:
    """Put what is no post where it belongs."""
    match event:
        case Removal() | AccountChange():
            batch.items.append(event)
        case IdentityChange():
            batch.identities.append(event)
        case Ignored():
            batch.counts["ignored"] += 1
        case Unread():
            own = msgspec.structs.replace(raw, body=event.body)
            batch.rejected.append(rejected(own, DecodeError(event.reason, event.detail)))
