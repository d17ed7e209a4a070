"""What a column of the live deck shows that is already stored, through the column's filter.

The newest are a search; what was published in a stretch of the feed is asked of each post, as
the live stream does. Each takes a bounded time and says how to go on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Select, select

from tweeter.filters import Question
from tweeter.records import Post
from tweeter.store import feed, posts, search
from tweeter.store.engine import chunks, reading
from tweeter.store.posts import StoredPost
from tweeter.store.schema import posts as post_table

LIMIT_S = 0.5  # for one answer: a page has up to twelve columns
LOOKED_AT = 1_000  # posts of the feed, at most, for one answer


class Seen(NamedTuple):
    """A post for readers, and as it was decoded: what filters are asked with."""

    shown: StoredPost
    post: Post

    def passes(self, wanted: Question) -> bool:
        """Whether it is one of the column's."""
        return wanted.passes(self.post, self.shown.keywords)


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
        for some in chunks(ids):
            statement = select(post_table).where(
                post_table.c.id.in_(some), post_table.c.hidden == ""
            )
            found.update((seen.shown.id, seen) for seen in _seen(connection, statement))
    return found


def newest(engine: Engine, wanted: Question, *, older: str = "", limit: int = 50) -> Older:
    """A column's stored posts, newest first; raises ValueError if `older` is no position.

    May find fewer than limit, and still have a position to go on from.
    """
    found = search.newest(engine, wanted, older=older, limit=limit, limit_s=LIMIT_S)
    return Older(found.posts, found.older)


def between(
    engine: Engine, wanted: Question, after: int, before: int, *, limit: int = 50
) -> Between:
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
