"""What a column of the live deck shows that is already stored, through the column's filter.

The database narrows by keyword and network; the filter itself is evaluated here, as it is for
the live stream. Each question looks at a bounded number of posts and says how to go on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Select, select

from tweeter.columns import Filter
from tweeter.records import Post
from tweeter.store import feed, posts
from tweeter.store.engine import reading
from tweeter.store.posts import StoredPost
from tweeter.store.schema import matches
from tweeter.store.schema import posts as post_table

LOOKED_AT = 1_000  # posts, at most, for one answer


class Seen(NamedTuple):
    """A post for readers, and as it was decoded: what filters are asked with."""

    shown: StoredPost
    post: Post

    def passes(self, wanted: Filter) -> bool:
        """Whether it is one of the column's."""
        return wanted.matches(self.post, self.shown.keywords)


class Older(msgspec.Struct, frozen=True):
    """Posts, newest first; older: where to go on, "" at the end."""

    posts: list[StoredPost]
    older: str


class Between(msgspec.Struct, frozen=True):
    """Posts, the last published first; before: where to go on, 0 at the end.

    forgotten: part of the stretch is older than what the feed keeps.
    """

    posts: list[StoredPost]
    before: int
    forgotten: bool


def _seen(connection: Connection, statement: Select[Any]) -> list[Seen]:
    rows = connection.execute(statement).all()
    shown = posts.with_keywords(connection, [row._mapping for row in rows])
    return [Seen(one, posts.as_post(row)) for one, row in zip(shown, rows, strict=True)]


def by_ids(engine: Engine, ids: Sequence[int]) -> dict[int, Seen]:
    """Visible posts by posts.id; ids that are unknown or hidden are left out."""
    found: dict[int, Seen] = {}
    with reading(engine) as connection:
        for start in range(0, len(ids), 500):
            some = list(ids[start : start + 500])
            statement = select(post_table).where(
                post_table.c.id.in_(some), post_table.c.hidden == ""
            )
            found.update((seen.shown.id, seen) for seen in _seen(connection, statement))
    return found


def position(wanted: Filter, post: StoredPost) -> str:
    """Where a post stands in a column's order: `newest` goes on after it."""
    return f"{0 if wanted.of == 'all' else post.occurred_at}.{post.id}"


def newest(engine: Engine, wanted: Filter, *, older: str = "", limit: int = 50) -> Older:
    """A column's stored posts, newest first; raises ValueError if `older` is no position.

    May find fewer than limit, and still have a position to go on from.
    """
    found: list[StoredPost] = []
    looked_at, narrow = 0, wanted == Filter(of=wanted.of)
    with reading(engine) as connection:
        while True:
            size = limit - len(found) if narrow else min(4 * limit, LOOKED_AT - looked_at)
            some = _seen(connection, _statement(wanted, older).limit(size + 1))
            for seen in some[:size]:
                looked_at += 1
                older = position(wanted, seen.shown)
                if seen.passes(wanted):
                    found.append(seen.shown)
                    if len(found) == limit:
                        last = seen.shown.id == some[-1].shown.id
                        return Older(found, "" if last else older)
            if len(some) <= size:
                return Older(found, "")
            if looked_at >= LOOKED_AT:
                return Older(found, older)


def _statement(wanted: Filter, older: str) -> Select[Any]:
    statement = select(post_table).where(post_table.c.hidden == "")
    when, which = post_table.c.occurred_at, post_table.c.id
    if wanted.keyword_id is not None:
        when, which = matches.c.occurred_at, matches.c.post_id
        statement = statement.join(matches, which == post_table.c.id).where(
            matches.c.keyword_id == wanted.keyword_id
        )
    if wanted.network:
        statement = statement.where(post_table.c.network == wanted.network)
    if wanted.networks:
        statement = statement.where(post_table.c.network.in_(wanted.networks))
    at, post_id = (int(part) for part in older.split(".")) if older else (0, 0)
    if wanted.of == "all":  # by the time in the networks' ids, which are the primary key
        if older:
            statement = statement.where(which < post_id)
        return statement.order_by(which.desc())
    if older:
        statement = statement.where((when < at) | ((when == at) & (which < post_id)))
    return statement.order_by(when.desc(), which.desc())


def between(engine: Engine, wanted: Filter, after: int, before: int, *, limit: int = 50) -> Between:
    """A column's posts that were published between two numbers of the feed, both excluded."""
    entries = feed.between(engine, after, before, limit=LOOKED_AT)
    known = by_ids(engine, [entry.post_id for entry in entries])
    found: list[StoredPost] = []
    for entry in entries:
        seen = known.get(entry.post_id)
        if seen is not None and seen.passes(wanted):
            found.append(seen.shown)
            if len(found) == limit:
                return Between(found, entry.seq if entry.seq > after + 1 else 0, False)
    if len(entries) == LOOKED_AT:
        return Between(found, entries[-1].seq, False)
    return Between(found, 0, feed.oldest(engine) > after + 1)
