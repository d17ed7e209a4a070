"""The live feed's log: what was committed, in the order of commits.

Each transaction takes its numbers as its last step, by raising one row that it then holds
until it commits: a number is visible only after all smaller ones are. An auto-increment id
gives no such promise, and a reader that remembers the highest id skips rows for good
(`test_feed_misses_nothing_with_slow_commits`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, select, update

from tweeter.store.engine import insert_all, reading
from tweeter.store.schema import feed, positions


class Entry(NamedTuple):
    """A change: kind is "post", "edit" or "remove"; post_id is posts.id."""

    seq: int
    kind: str
    post_id: int


def publish(connection: Connection, changes: Sequence[tuple[str, int]], now: int) -> None:
    """Number the changes of this transaction; call it last."""
    if not changes:
        return
    connection.execute(
        update(positions)
        .where(positions.c.name == "feed")
        .values(value=positions.c.value + len(changes))
    )
    last = head(connection)
    first = last - len(changes) + 1
    rows = [
        {"seq": first + n, "kind": kind, "post_id": post_id, "at": now}
        for n, (kind, post_id) in enumerate(changes)
    ]
    insert_all(connection, feed, rows)


def head(connection: Connection) -> int:
    """The last number given; 0 if none."""
    statement = select(positions.c.value).where(positions.c.name == "feed")
    return int(connection.execute(statement).scalar_one())


def last(engine: Engine) -> int:
    """The last number that readers can see."""
    with reading(engine) as connection:
        return head(connection)


def since(engine: Engine, seq: int, *, limit: int = 500) -> list[Entry]:
    """The entries after `seq`, oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(feed.c.seq, feed.c.kind, feed.c.post_id)
            .where(feed.c.seq > seq)
            .order_by(feed.c.seq)
            .limit(limit)
        )
        return [Entry(*row) for row in rows]


def between(engine: Engine, after: int, before: int, *, limit: int) -> list[Entry]:
    """New posts published between two numbers, both excluded, the last first."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(feed.c.seq, feed.c.kind, feed.c.post_id)
            .where(feed.c.seq > after, feed.c.seq < before, feed.c.kind == "post")
            .order_by(feed.c.seq.desc())
            .limit(limit)
        )
        return [Entry(*row) for row in rows]


def count(engine: Engine, after: int, until: int) -> int:
    """How many new posts were published after one number up to another, as far as is kept."""
    with reading(engine) as connection:
        statement = select(func.count()).where(
            feed.c.seq > after, feed.c.seq <= until, feed.c.kind == "post"
        )
        return int(connection.execute(statement).scalar_one())


def oldest(engine: Engine) -> int:
    """The first number still kept; a reader behind it has missed something. 0 if none."""
    with reading(engine) as connection:
        return int(connection.execute(select(func.min(feed.c.seq))).scalar() or 0)


def prune(connection: Connection, before: int) -> int:
    """Forget entries older than the moment `before`; returns how many."""
    return connection.execute(delete(feed).where(feed.c.at < before)).rowcount
