"""What accounts are called, where their posts do not say it (Bluesky): a cache by stable id.

It is filled from the network's identity events and, lazily, by asking (`tweeter.names`). Only
accounts that matter here are kept: those of stored posts, and those that keywords follow.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, and_, delete, func, select, update

from tweeter.moments import DAY_US
from tweeter.records import NO_HANDLE, IdentityChange
from tweeter.store.engine import (
    among,
    chunks,
    insert_new,
    read_clock,
    reading,
    repeated,
    writing,
)
from tweeter.store.schema import feed, followed_names, identities, posts

NETWORK = "bluesky"  # whose posts carry no handle
KEPT_US = 30 * DAY_US  # then it is asked again, though nothing was heard
SWEEP_POSTS = 500  # looked at in one query

Names = dict[tuple[str, str], "Known"]  # by (network, author_id)


class Known(NamedTuple):
    """handle "" = the network knows none; name is what the account shows, may be ""."""

    handle: str
    name: str


class Found(NamedTuple):
    """Accounts to ask for. position: where to go on; `is_more`: at once."""

    author_ids: list[str]
    position: int
    is_more: bool


def known(connection: Connection, accounts: set[tuple[str, str]]) -> Names:
    """What those of the (network, author_id) are called that are known."""
    found: Names = {}
    whose = identities.c.network, identities.c.author_id
    for some in chunks(accounts):
        for row in connection.execute(select(identities).where(among(connection, whose, some))):
            found[row.network, row.author_id] = Known(row.handle, row.name)
    return found


def account_of(engine: Engine, handle: str) -> str:
    """The account that had the handle last, as far as it was heard; "" if none."""
    with reading(engine) as connection:
        found = connection.execute(
            select(identities.c.author_id)
            .where(identities.c.network == NETWORK, identities.c.handle == handle)
            .order_by(identities.c.at.desc())
            .limit(1)
        ).scalar()
        return str(found or "")


# Events.


def apply(connection: Connection, changes: Sequence[IdentityChange]) -> int:
    """Enter what the network says; returns how many changed something.

    An event no newer than what is known changes nothing: events may come again.
    """
    if not changes:
        return 0
    ids = {change.author_id for change in changes}
    before: dict[str, tuple[str, int]] = {}
    for some in chunks(ids):
        mine = (identities.c.network == NETWORK, identities.c.author_id.in_(some))
        for row in connection.execute(select(identities).where(*mine)):
            before[row.author_id] = row.handle, row.at
    cared_for = _cared_for(connection, ids - set(before), {c.handle for c in changes})
    applied = 0
    # One order everywhere, so that two writers cannot wait for each other.
    for change in sorted(changes, key=lambda change: (change.author_id, change.occurred_at)):
        if change.author_id in before:
            now_called = _change(connection, change, *before[change.author_id])
        elif change.handle and (change.author_id in cared_for or change.handle in cared_for):
            now_called = _begin(connection, change)
        else:
            continue
        if now_called is not None:
            before[change.author_id] = now_called
            applied += 1
    return applied


def _cared_for(connection: Connection, ids: set[str], handles: set[str]) -> set[str]:
    """Those of the ids and handles that stored posts have or keywords follow."""
    found: set[str] = set()
    for some in chunks(ids):
        for statement in (
            select(posts.c.author_id)
            .where(posts.c.network == NETWORK, posts.c.author_id.in_(some))
            .distinct(),
            select(followed_names.c.author_id).where(followed_names.c.author_id.in_(some)),
        ):
            found.update(connection.execute(statement).scalars())
    for some in chunks(handles - {"", NO_HANDLE}):
        statement = select(followed_names.c.name).where(
            followed_names.c.name.in_(some), followed_names.c.author_id == ""
        )
        found.update(connection.execute(statement).scalars())
    return found


def _begin(connection: Connection, change: IdentityChange) -> tuple[str, int] | None:
    handle = "" if change.handle == NO_HANDLE else change.handle
    row: dict[str, Any] = {"network": NETWORK, "author_id": change.author_id}
    row |= {"handle": handle, "name": "", "at": change.occurred_at}
    row["due_at"] = 0  # the name it shows is asked for
    made = insert_new(connection, identities, [row], unique=("network", "author_id"))
    return (handle, change.occurred_at) if made else None


def _change(
    connection: Connection, change: IdentityChange, handle: str, at: int
) -> tuple[str, int] | None:
    if change.occurred_at <= at:
        return None
    values: dict[str, Any] = {"at": change.occurred_at}
    now_called = handle
    if change.handle:
        now_called = values["handle"] = "" if change.handle == NO_HANDLE else change.handle
    else:
        values["due_at"] = 0  # something of it changed: ask again
    connection.execute(
        update(identities)
        .where(identities.c.network == NETWORK, identities.c.author_id == change.author_id)
        .values(values)
    )
    if change.handle and now_called == handle:
        return None
    return now_called, change.occurred_at


def forget(connection: Connection, network: str, author_id: str) -> None:
    """The account is gone, so its name goes too."""
    connection.execute(
        delete(identities).where(
            identities.c.network == network, identities.c.author_id == author_id
        )
    )


# Asking, lazily.


@repeated
def remember(engine: Engine, asked: Sequence[str], answers: Mapping[str, Known]) -> None:
    """Keep what the network answered; an account that it did not name has no handle."""
    with writing(engine) as connection:
        now = read_clock(connection)
        rows = []
        for author_id in sorted(set(asked)):
            handle, name = answers.get(author_id, Known("", ""))
            values = {"handle": handle, "name": name, "at": now, "due_at": now + KEPT_US}
            rows.append({"network": NETWORK, "author_id": author_id, **values})
        made = insert_new(connection, identities, rows, unique=("network", "author_id"))
        new = {author_id for _, author_id in made}
        for row in rows:
            if row["author_id"] not in new:
                connection.execute(
                    update(identities)
                    .where(
                        identities.c.network == NETWORK,
                        identities.c.author_id == row["author_id"],
                        identities.c.at <= now,
                    )
                    .values(row)
                )


_SHOWN = (
    posts.c.network == NETWORK,
    posts.c.author_handle == "",
    posts.c.hidden == "",
    posts.c.removed_at.is_(None),
)
_IS_KNOWN = (identities.c.network == posts.c.network) & (
    identities.c.author_id == posts.c.author_id
)


def unknown_lately(engine: Engine, after: int, *, limit: int) -> Found:
    """Authors of posts stored after a number of the feed whose names are unknown, newest first."""
    statement = (
        select(posts.c.author_id)
        .join(feed, feed.c.post_id == posts.c.id)
        .outerjoin(identities, _IS_KNOWN)
        .where(feed.c.seq > after, feed.c.kind == "post", *_SHOWN)
        .where(identities.c.author_id.is_(None))
        .order_by(feed.c.seq.desc())
        .limit(limit)
    )
    with reading(engine) as connection:
        head = int(connection.execute(select(func.max(feed.c.seq))).scalar() or after)
        rows = list(connection.execute(statement).scalars())
    is_more = len(rows) == limit
    return Found(list(dict.fromkeys(rows)), after if is_more else head, is_more)


def unknown_before(engine: Engine, position: int, *, limit: int) -> Found:
    """The same going down through all posts, from below a posts.id; position 0: the end."""
    statement = (  # all posts, not only those of interest: so many rows are read and no more
        select(posts.c.id, posts.c.author_id, and_(*_SHOWN).label("shown"))
        .add_columns(identities.c.author_id.label("known"))
        .outerjoin(identities, _IS_KNOWN)
        .where(posts.c.id < position)
        .order_by(posts.c.id.desc())
        .limit(SWEEP_POSTS)
    )
    found: dict[str, None] = {}
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
    for row in rows:
        if row.shown and row.known is None:
            if len(found) == limit and row.author_id not in found:
                return Found(list(found), position, True)
            found[row.author_id] = None
        position = row.id
    is_more = len(rows) == SWEEP_POSTS
    return Found(list(found), position if is_more else 0, is_more)


def stale(engine: Engine, *, limit: int) -> list[str]:
    """Accounts whose names are to be asked for again, the longest due first."""
    with reading(engine) as connection:
        now = read_clock(connection)
        return list(
            connection.execute(
                select(identities.c.author_id)
                .where(identities.c.network == NETWORK, identities.c.due_at <= now)
                .order_by(identities.c.due_at)
                .limit(limit)
            ).scalars()
        )
