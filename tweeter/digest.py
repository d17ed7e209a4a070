"""Raw events into a batch: decoded, matched, sorted into what the store must do. Pure.

What costs time and needs no database is done here, so that a transaction is short and a helper
(`helper.py`) can do it beside the one who stores.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from tweeter import decode
from tweeter.decode.glance import GLANCES, Glance
from tweeter.errors import DecodeError
from tweeter.keywords import Matcher
from tweeter.records import (
    AccountChange,
    Event,
    IdentityChange,
    Ignored,
    Post,
    RawEvent,
    Removal,
)
from tweeter.store import search_texts
from tweeter.store.batches import Batch
from tweeter.store.quarantine import Rejected
from tweeter.store.reads import EVERYTHING

PAID = "x"  # the shape of a live stream whose posts cost money
IN_VAIN = 20  # first looks more than such as spared a decoding: then no more in this batch
OLD_US = 7 * 24 * 3_600_000_000


def digest(
    events: Iterable[RawEvent],
    matcher: Matcher,
    revision: int,
    *,
    is_live: bool = True,
    indexed: bool = True,
) -> Batch:
    """Decode and match: what the events mean for the store. Raises nothing for bad events.

    is_live=False: the events are asked for from the past, so old dates are right. indexed=False:
    no words for the search are made.
    """
    batch = Batch(items=[], counts=Counter(), rejected=[], revision=revision, indexed=indexed)
    first_look = _FirstLook(matcher)
    cursor = 0
    for raw in events:
        if raw.lines:
            batch.counts["lines"] += raw.lines
        if raw.cursor:
            batch.cursor = raw.cursor
        glance = first_look.at(raw)
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
    """Finds the posts that no keyword matches, and what is none, before they are decoded; it is
    given up where most posts match (X sends little else), for then it is done in vain.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._may_match = matcher.may_match
        self._in_vain = 0
        self._unmatched: dict[str, int] = {}  # by shape
        self._ignored = 0

    def at(self, raw: RawEvent) -> Glance | None:
        """What it shows if it is no post, or a new one that no keyword matches; else None."""
        shape = raw.shape
        look = GLANCES.get(shape)
        if look is None or self._in_vain > IN_VAIN + self._unmatched.get(shape, 0):
            return None
        glance = look(raw.body)
        if glance is None:
            return None
        if not glance.is_post:
            self._ignored += 1
            return glance
        if self._may_match(glance.texts, glance.authors, glance.links):
            self._in_vain += 1
            return None
        self._unmatched[shape] = self._unmatched.get(shape, 0) + 1
        return glance

    def count(self, batch: Batch) -> None:
        """Enter what was found."""
        if self._ignored:
            batch.counts.update(events=self._ignored, ignored=self._ignored)
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
                if batch.indexed and found and event.operation == "create":
                    batch.words.setdefault((event.network, event.key), search_texts.of_post(event))
            else:
                batch.counts["unmatched"] += 1
        case Removal() | AccountChange():
            batch.items.append(event)
        case IdentityChange():
            batch.identities.append(event)
        case Ignored():
            batch.counts["ignored"] += 1
