"""Storing: posts, matches, counters, removals and the cursor in one transaction, once.

The transaction proves the stream's epoch first, so a process that lost its lease writes
nothing; it proves that the batch was matched with the current keywords, so none is missed;
and it counts only rows that were really inserted, so a batch that comes twice counts once.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import IntegrityError

from tweeter.errors import StoreError, TweeterError
from tweeter.keywords import PART
from tweeter.records import AccountChange, IdentityChange, Match, Post, Removal
from tweeter.store import (
    cells,
    edits,
    feed,
    fences,
    identities,
    keywords,
    matches,
    quarantine,
    reads,
    removals,
    rollups,
    search_texts,
)
from tweeter.store.engine import among, chunks, insert_new, read_clock, repeated, writing
from tweeter.store.leases import JobLease, Lease
from tweeter.store.schema import post_aliases, posts

SALTS = 8  # other row ids to try when two posts hash to one
VERSION_LONGEST = 64  # characters that the row holds

_Found = tuple[Post, tuple[Match, ...]]
Item = _Found | Removal | AccountChange


class KeywordsChanged(TweeterError):
    """The batch was matched with old keywords: match it again with the current ones."""


class Batch(msgspec.Struct, kw_only=True):
    """What one transaction stores, in the order in which the network sent it.

    items      what may change the store: posts that match, edits (with or without match),
               removals, account changes
    counts     of events already decided: lines, events, unmatched, ignored
    rejected   events that did not decode, for quarantine
    revision   of the keywords the posts were matched with
    cursor     position after the batch, "" = unchanged
    covered_until  everything received up to this moment is in this or an earlier batch
    reads      posts that X charges for, by keyword id, reads.EVERYTHING for all
    identities what accounts are called now
    words      search texts of new posts, by (network, key); the store makes what is missing
    indexed    False: new posts get no search texts (the setting search_index is off)
    made       rows of posts that are new, perhaps, by (network, key), with the post: see `prepare`
    sums       what all of these add to counters and sums, if all of them are new
    checked    posts.id of stored posts that their network was asked about just now
    journal    (journal id, position) after the batch, for sources that cannot replay
    """

    items: list[Item]
    counts: Counter[str]
    rejected: list[quarantine.Rejected]
    revision: int
    cursor: str = ""
    covered_until: int = 0
    journal: tuple[str, int] | None = None
    reads: Counter[int] = msgspec.field(default_factory=Counter)
    identities: list[IdentityChange] = msgspec.field(default_factory=list)
    words: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    indexed: bool = True
    made: dict[tuple[str, str], Any] = msgspec.field(default_factory=dict)
    sums: Any = None
    checked: tuple[int, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """True if more than counters and the cursor changes: somebody may be waiting for it."""
        return bool(self.items or self.identities or self.rejected)

    def joined(self, later: "Batch") -> "Batch":
        """Both in one transaction."""
        return Batch(
            items=self.items + later.items,
            counts=self.counts + later.counts,
            rejected=self.rejected + later.rejected,
            revision=later.revision,
            cursor=later.cursor or self.cursor,
            covered_until=later.covered_until or self.covered_until,
            journal=later.journal or self.journal,
            reads=self.reads + later.reads,
            identities=self.identities + later.identities,
            words=later.words | self.words,
            indexed=later.indexed,
            checked=(*self.checked, *later.checked),
        )


class Outcome(msgspec.Struct):
    """What a batch changed; the sums go into the stream's row in the same transaction."""

    stored: int = 0
    unmatched: int = 0
    applied: int = 0
    ignored: int = 0
    duplicates: int = 0

    def joined(self, later: "Outcome") -> "Outcome":
        """The changes of both."""
        names = self.__struct_fields__
        return Outcome(**{name: getattr(self, name) + getattr(later, name) for name in names})


def row_id(sort_us: int, key: str, salt: int = 0) -> int:
    """The integer key of a post: the time in its id (ms) << 20 | 20 bits of a hash; 62 bits."""
    digest = hashlib.blake2b(f"{salt}{key}".encode(), digest_size=3).digest()
    ms = min(max(sort_us // 1000, 0), (1 << 42) - 1)
    return ms << 20 | int.from_bytes(digest) >> 4


def prepare(batch: Batch) -> None:
    """Make the rows of its posts, and what they add to the sums, before a lock is held for it.

    Only for a batch that is complete and stays in this process: they are neither joined nor sent.
    """
    batch.sums = rollups.Sums()
    for item in batch.items:
        if isinstance(item, tuple) and item[1] and item[0].operation == "create":
            post, found = item
            if (post.network, post.key) not in batch.made:
                row = cells.Made(_row(post, "", 0))
                batch.made[post.network, post.key] = post, row
                matches.count(batch.sums, [(row, found)])
    batch.sums.close()


@repeated
def commit(engine: Engine, lease: Lease | JobLease, batch: Batch) -> Outcome:
    """Store a batch; returns what it changed.

    Raises LeaseLost (nothing written), KeywordsChanged (nothing written: match again), Held
    (nothing written: wait) and SQLAlchemy's errors when the database fails (nothing written, or,
    if COMMIT itself failed, unknown: doing it again is safe).
    """
    for salt in range(SALTS):
        try:
            with writing(engine) as connection:
                return _commit(connection, lease, batch, salt)
        except IntegrityError:
            if salt == SALTS - 1:
                raise
    raise StoreError("Posts clash in the table of posts.")


def _commit(connection: Connection, lease: Lease | JobLease, batch: Batch, salt: int) -> Outcome:
    fences.prove(connection, lease)
    if keywords.revision(connection, lock=True) != batch.revision:
        raise KeywordsChanged("The keywords changed while the batch was matched.")
    now = read_clock(connection)
    outcome, changes = Outcome(), []
    if batch.items:
        changes = _apply(connection, batch, outcome, salt, now)
    changed = identities.apply(connection, batch.identities)
    outcome.applied += changed
    outcome.ignored += len(batch.identities) - changed
    for rejected in batch.rejected:
        quarantine.put(connection, lease.stream_id, rejected, now)
    if batch.checked:
        which = posts.c.id.in_(batch.checked)
        connection.execute(update(posts).where(which).values(checked_at=now))
    reads.add(connection, "x", now, batch.reads)
    feed.publish(connection, changes, now)
    fences.advance(connection, lease, batch, outcome, now)
    return outcome


def _apply(
    connection: Connection, batch: Batch, outcome: Outcome, salt: int, now: int
) -> list[tuple[str, int]]:
    """Apply the items; returns what the live feed must know, as (kind, posts.id)."""
    work = _sorted(connection, batch.items, outcome, now)
    with rollups.collecting(connection):
        changes, there = _insert(connection, work, salt, batch)
        outcome.stored += len(work.fresh) - len(there)
        # Another process stored it meanwhile: an edit of it is newer, perhaps.
        late = [item for item in there if item[0].operation == "update"]
        outcome.duplicates += len(there) - len(late)
        edited = late + work.updates
        changes += _update(connection, edited, outcome, salt, indexed=batch.indexed)
        removals.keep_edits(connection, work.unmatched, now)
        changes += removals.apply(connection, work.removed, now)
        changes += removals.apply_accounts(connection, work.accounts, now)
    return changes


class _Work(msgspec.Struct):
    """A batch's items by what is to be done with them. fresh: posts to insert, by name.

    unmatched: versions of edits, by name, that match nothing, of posts that are not stored.
    """

    fresh: dict[tuple[str, str], _Found] = msgspec.field(default_factory=dict)
    updates: list[_Found] = msgspec.field(default_factory=list)
    unmatched: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    removed: list[Removal] = msgspec.field(default_factory=list)
    accounts: list[AccountChange] = msgspec.field(default_factory=list)

    @property
    def is_all_new(self) -> bool:
        """Whether nothing that is stored is changed."""
        return not (self.updates or self.removed or self.accounts)


def _sorted(connection: Connection, items: Sequence[Item], outcome: Outcome, now: int) -> _Work:
    """Decide what to do with each item, and hold the stored posts that are changed."""
    stored = _hold(connection, items)
    gone = removals.known(connection, _names(items))
    hidden = removals.hidden_authors(connection, _authors(items))
    work = _Work()
    for item in items:
        if isinstance(item, Removal):
            # From here on the post is refused; one that came earlier in this batch is stored
            # and then emptied, as if each event had been a transaction of its own.
            gone[item.network, item.key or item.alias] = ""
            work.removed.append(item)
            outcome.applied += 1
        elif isinstance(item, AccountChange):
            work.accounts.append(item)
            if hidden.get((item.network, item.author_id)) != "deleted":  # that is final
                hidden[item.network, item.author_id] = item.status
            outcome.applied += 1
        else:
            post, found = item
            name = post.network, post.key
            work.removed.extend(_superseded(post, now))
            deleted = hidden.get((post.network, post.author_id)) == "deleted"
            is_known = name in stored or name in work.fresh
            if deleted or (gone and removals.is_refused(gone, post)):
                outcome.ignored += 1
            elif post.operation == "update" and is_known:
                work.updates.append(item)
            elif name in work.fresh:
                outcome.duplicates += 1
            elif found:  # an edit of a post that is not stored is as good as new
                work.fresh[name] = item
            else:
                outcome.unmatched += 1
                if post.operation == "update" and post.version:
                    work.unmatched[name] = gone[name] = post.version[:VERSION_LONGEST]
    return work


def _hold(connection: Connection, items: Sequence[Item]) -> set[tuple[str, str]]:
    """Names of the stored posts that edits and removals are of, which are held from now on."""
    names: set[tuple[str, str]] = set()
    for item in items:
        if isinstance(item, Removal) and item.key:
            names.add((item.network, item.key))
        elif isinstance(item, tuple):
            post = item[0]
            names.update((post.network, key) for key in post.supersedes)
            if post.operation == "update":
                names.add((post.network, post.key))
    stored: dict[int, tuple[str, str]] = {}
    columns = posts.c.network, posts.c.key
    for some in chunks(names):
        rows = select(posts.c.id, *columns).where(among(connection, columns, some))
        stored.update((row.id, (row.network, row.key)) for row in connection.execute(rows))
    return {stored[number] for number in rollups.hold(connection, stored)}


def _superseded(post: Post, now: int) -> Iterator[Removal]:
    for key in post.supersedes:
        yield Removal(network=post.network, key=key, occurred_at=now, reason="edited")


def _names(items: Iterable[Any]) -> set[tuple[str, str]]:
    names: set[tuple[str, str]] = set()
    for item in items:
        if isinstance(item, tuple):
            names.add((item[0].network, item[0].key))
            if item[0].alias:
                names.add((item[0].network, item[0].alias))
    return names


def _authors(items: Iterable[Any]) -> set[tuple[str, str]]:
    return {(i[0].network, i[0].author_id) for i in items if isinstance(i, tuple)}


def _insert(
    connection: Connection, work: _Work, salt: int, batch: Batch
) -> tuple[list[tuple[str, int]], list[_Found]]:
    """Store posts; returns what the live feed must know, and those that are there already."""
    items = list(work.fresh.values())
    if not items:
        return [], []
    hidden = removals.hidden_authors(connection, _authors(items), hold=True)
    rows = [
        _new_row(post, hidden.get((post.network, post.author_id), ""), salt, batch)
        for post, _ in items
    ]
    rows.sort(key=lambda row: row["id"])  # one order everywhere: no deadlocks between writers
    inserted = insert_new(
        connection, posts, rows, unique=("network", "key"), returning=("id", "network", "key")
    )
    ids = {(network, key) for _, network, key in inserted}
    words = batch.words if batch.indexed else None
    search_texts.add(connection, [r for r in rows if (r["network"], r["key"]) in ids], words)
    by_name = {(row["network"], row["key"]): row for row in rows}
    new = [(by_name[p.network, p.key], p, found) for p, found in items if (p.network, p.key) in ids]
    sums = batch.sums if work.is_all_new and _are_as_made(work, new, batch) else None
    matches.add_new(connection, [(row, found) for row, _, found in new], sums)
    aliases = [{"network": p.network, "alias": p.alias, "key": p.key} for p, _ in items if p.alias]
    insert_new(connection, post_aliases, aliases, unique=("network", "alias"))
    there = [item for item in items if (item[0].network, item[0].key) not in ids]
    return [("post", row["id"]) for row, _, _ in new if not row["hidden"]], there


def _are_as_made(
    work: _Work, new: Sequence[tuple[Any, Post, tuple[Match, ...]]], batch: Batch
) -> bool:
    """Whether all posts were inserted, and are those that were prepared, as they were."""
    if not len(work.fresh) == len(new) == len(batch.made):
        return False
    nothing = None, None
    return all(row is batch.made.get((post.network, post.key), nothing)[1] for row, post, _ in new)


def _update(
    connection: Connection,
    items: Sequence[_Found],
    outcome: Outcome,
    salt: int,
    *,
    indexed: bool,
) -> list[tuple[str, int]]:
    """Edits: a stored post takes its new text."""
    changes = []
    for post, found in items:
        outcome.applied += 1
        changes += edits.apply(connection, _row(post, "", salt), found, indexed=indexed)
    return changes


def _new_row(post: Post, hidden: str, salt: int, batch: Batch) -> dict[str, Any]:
    of, row = batch.made.get((post.network, post.key), (None, None))
    if row is None or of is not post or hidden or salt:
        return _row(post, hidden, salt)
    return row  # type: ignore[no-any-return]


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()


def _row(post: Post, hidden: str, salt: int) -> dict[str, Any]:
    return {
        "id": row_id(post.sort_us, f"{post.network}:{post.key}", salt),
        "network": post.network,
        "key": post.key,
        "post_id": post.post_id,
        "url": post.url,
        "text": post.text,
        "also": PART.join(post.also),
        "warning": post.warning,
        "kind": post.kind,
        "traits": " ".join(post.traits),
        "lang": post.lang[:35],
        "author_id": post.author_id[: search_texts.AUTHOR_LONGEST],
        "author_handle": post.author_handle,
        "author_name": post.author_name,
        "tags": _json(post.tags) if post.tags else "[]",
        "links": _json(post.links) if post.links else "[]",
        "media": _json(post.media) if post.media else "[]",
        "reply_to": post.reply_to,
        "created_at": post.created_at,
        "occurred_at": post.occurred_at,
        "received_at": post.received_at,
        "version": post.version[:VERSION_LONGEST],
        "edited_at": post.edited_at,
        "sensitive": post.sensitive,
        "flags": " ".join(post.flags),
        "hidden": hidden,
        "removed_at": None,
        "removed_reason": "",
        "checked_at": 0,
    }
