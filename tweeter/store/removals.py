"""Removals: the text goes, a tombstone stays and wins for ever, also over a post yet to come.

So does one with a version over all older ones: an edit that matched nothing is kept so.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from tweeter.records import AccountChange, Post, Removal
from tweeter.store import identities, rollups, search_texts
from tweeter.store.engine import among, chunks, insert_new, there
from tweeter.store.schema import hidden_authors as authors
from tweeter.store.schema import post_aliases, posts, tombstones

SHOWN = "active"
_ERASED: dict[str, Any] = {
    "text": "",
    "also": "",
    "warning": "",
    "author_name": "",
    "tags": "[]",
    "links": "[]",
    "media": "[]",
}


def known(connection: Connection, names: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Those of the (network, key or alias) names that have a tombstone, with its version."""
    found: dict[tuple[str, str], str] = {}
    for some in chunks(there(connection, tombstones, ("network", "key"), names)):
        which = among(connection, (tombstones.c.network, tombstones.c.key), some)
        for row in connection.execute(select(tombstones).where(which)):
            found[row.network, row.key] = row.version
    return found


def is_refused(gone: Mapping[tuple[str, str], str], post: Post) -> bool:
    """Whether a post, or this version of it, must not come back. gone: as `known` says."""
    names = (post.network, post.key), (post.network, post.alias)
    return any(not gone[n] or post.version < gone[n] for n in names if n in gone)


def keep_edits(connection: Connection, edited: Mapping[tuple[str, str], str], now: int) -> None:
    """Refuse what is older than these versions, by name, of posts that are not stored."""
    rows = [
        {"network": network, "key": key, "reason": "edited", "at": now, "version": version}
        for (network, key), version in sorted(edited.items())
    ]
    _bury(connection, rows)


def _bury(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert tombstones; they take the place of those of older versions."""
    wanted = {(row["network"], row["key"]): row for row in rows}
    new = insert_new(connection, tombstones, rows, unique=("network", "key"))
    for some in chunks(wanted.keys() - set(new)):
        which = among(connection, (tombstones.c.network, tombstones.c.key), some)
        edits = select(tombstones).where(which, tombstones.c.version != "").with_for_update()
        for old in connection.execute(edits).all():
            row = wanted[old.network, old.key]
            if not row["version"] or row["version"] > old.version:
                mine = tombstones.c.network == row["network"], tombstones.c.key == row["key"]
                connection.execute(update(tombstones).where(*mine).values(row))


def hidden_authors(
    connection: Connection, names: set[tuple[str, str]], *, hold: bool = False
) -> dict[tuple[str, str], str]:
    """Status of those (network, author_id) whose posts are hidden.

    hold: whoever shows or hides them waits until the transaction ends, and sees its posts.
    """
    found: dict[tuple[str, str], str] = {}
    for some in chunks(there(connection, authors, ("network", "author_id"), names)):
        which = among(connection, (authors.c.network, authors.c.author_id), some)
        statement = select(authors).where(which)
        if hold:
            statement = statement.with_for_update(read=True)
        for row in connection.execute(statement):
            if row.status != SHOWN:
                found[row.network, row.author_id] = row.status
    return found


def apply(connection: Connection, removed: Sequence[Removal], now: int) -> list[tuple[str, int]]:
    """Bury each and empty the stored ones; returns [("remove", posts.id)] for the live feed."""
    if not removed:
        return []
    graves = {
        (r.network, r.key or r.alias): {
            "network": r.network,
            "key": r.key or r.alias,
            "reason": r.reason,
            "at": now,
            "version": "",
        }
        for r in removed
    }
    rows = [graves[name] for name in sorted(graves)]
    _bury(connection, rows)
    reasons = {(r.network, key): r.reason for r in removed for key in _keys(connection, r)}
    changes: list[tuple[str, int]] = []
    for some in chunks(reasons):
        stored = connection.execute(
            select(posts.c.id, posts.c.network, posts.c.key).where(
                among(connection, (posts.c.network, posts.c.key), some),
                posts.c.removed_at.is_(None),
            )
        ).all()
        with rollups.following(connection, [row.id for row in stored]):
            for row in stored:
                _erase(connection, posts.c.id == row.id, reasons[row.network, row.key], now)
                changes.append(("remove", row.id))
    return changes


def _keys(connection: Connection, removal: Removal) -> list[str]:
    if removal.key:
        return [removal.key]
    return list(
        connection.execute(
            select(post_aliases.c.key).where(
                post_aliases.c.network == removal.network, post_aliases.c.alias == removal.alias
            )
        ).scalars()
    )


def _erase(connection: Connection, which: ColumnElement[bool], reason: str, now: int) -> None:
    search_texts.erase(connection, which)
    connection.execute(
        update(posts)
        .where(which, posts.c.removed_at.is_(None))
        .values(removed_at=now, removed_reason=reason, **_ERASED)
    )


def apply_accounts(
    connection: Connection, changes: Sequence[AccountChange], now: int
) -> list[tuple[str, int]]:
    """Hide or show the posts of accounts; a deleted account's posts are emptied.

    An event that is older than what is known changes nothing, unless it is a deletion: events may
    come again, and late. None is later than now, whatever a network's clock says.
    """
    published: list[tuple[str, int]] = []
    for change in changes:
        whose = (authors.c.network == change.network, authors.c.author_id == change.author_id)
        its = select(authors.c.status, authors.c.at).where(*whose).with_for_update()
        before, known_at = connection.execute(its).first() or (None, 0)
        if before == "deleted":
            continue  # final
        at = min(change.occurred_at, now)
        if change.status == "deleted":
            identities.forget(connection, change.network, change.author_id)
        elif before is not None and at < known_at:
            continue
        values = {"status": change.status, "at": at}
        if before is not None:  # the row stays: who waits to hold it would find no other
            connection.execute(update(authors).where(*whose).values(values))
        elif change.status != SHOWN or _has_posts(connection, change):
            named = {"network": change.network, "author_id": change.author_id}
            connection.execute(authors.insert().values(named | values))
        if change.status != (before or SHOWN):
            name = change.network, change.author_id
            published += _show_as(connection, name, change.status, now)
    return published


def _has_posts(connection: Connection, change: AccountChange) -> bool:
    """Whether an older event, yet to come, could hide any: a network shows many accounts again."""
    mine = posts.c.network == change.network, posts.c.author_id == change.author_id
    return connection.execute(select(posts.c.id).where(*mine).limit(1)).first() is not None


def hide(
    connection: Connection, names: Collection[tuple[str, str]], now: int
) -> list[tuple[str, int]]:
    """Hide the posts of those (network, author_id) that are hidden: also those that came since."""
    published: list[tuple[str, int]] = []
    for name in sorted(names):
        whose = (authors.c.network == name[0], authors.c.author_id == name[1])
        status = select(authors.c.status).where(*whose).with_for_update(read=True)
        hidden = connection.execute(status).scalar()
        if hidden and hidden != SHOWN:  # else it came back meanwhile
            published += _show_as(connection, name, hidden, now)
    return published


def _show_as(
    connection: Connection, name: tuple[str, str], status: str, now: int
) -> list[tuple[str, int]]:
    """The posts of a (network, author_id) follow the account's status."""
    mine = (posts.c.network == name[0]) & (posts.c.author_id == name[1])
    visible = mine & posts.c.removed_at.is_(None)
    ids = list(connection.execute(select(posts.c.id).where(visible)).scalars())
    hidden = "" if status == SHOWN else status
    with rollups.following(connection, ids):
        connection.execute(update(posts).where(mine).values(hidden=hidden))
        if status == "deleted":
            _erase(connection, mine, "account deleted", now)
    return [("remove" if hidden else "edit", post_id) for post_id in ids]


def prune(connection: Connection, before: int, *, limit: int = 5_000) -> int:
    """Forget tombstones older than `before` of posts that were never stored, and all of edits;
    returns how many.

    No network sends a post again so late after its removal (Jetstream's window is 36 h).
    """
    old = (
        select(tombstones.c.network, tombstones.c.key)
        .outerjoin(
            posts, (posts.c.network == tombstones.c.network) & (posts.c.key == tombstones.c.key)
        )
        .where(tombstones.c.at < before, or_(posts.c.id.is_(None), tombstones.c.version != ""))
        .limit(limit)
    )
    names = [(row.network, row.key) for row in connection.execute(old)]
    for some in chunks(names):
        which = among(connection, (tombstones.c.network, tombstones.c.key), some)
        connection.execute(delete(tombstones).where(which))
    return len(names)
