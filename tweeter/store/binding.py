"""A followed name gets its id after its keyword was saved: asked for again, or learned.

Its keywords mean something else from then on, though their text is the same: each begins a new
version. Whatever comes is matched by the id; stored posts are matched again, and the past is asked
for once more where it is free, for an account's posts may not have been known as its.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, select, update

from tweeter.store import jobs, keywords
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.schema import followed_names
from tweeter.store.schema import keywords as keyword_table

ASKED = ("bluesky", "mastodon")  # networks that can be asked without cost


class Due(NamedTuple):
    """A name to ask for, and how often that was tried."""

    name: str
    network: str
    tries: int


def _due(now: int) -> ColumnElement[bool]:
    living = select(keyword_table.c.id).where(keyword_table.c.state != "removed")
    return and_(
        followed_names.c.author_id == "",
        followed_names.c.network.in_(ASKED),
        followed_names.c.retry_at <= now,
        followed_names.c.keyword_id.in_(living),
    )


def due(engine: Engine, *, limit: int) -> list[Due]:
    """Names without an id whose time to be asked for has come, the longest due first."""
    table = followed_names
    with reading(engine) as connection:
        now = read_clock(connection)
        found = connection.execute(
            select(table.c.name, table.c.network, func.max(table.c.tries).label("tries"))
            .where(_due(now))
            .group_by(table.c.name, table.c.network)
            .order_by(func.min(table.c.retry_at), table.c.name)
            .limit(limit)
        )
        return [Due(row.name, row.network, row.tries) for row in found]


def is_any_due(connection: Connection, now: int) -> bool:
    """Whether `due` would give any."""
    statement = select(followed_names.c.name).where(_due(now)).limit(1)
    return connection.execute(statement).first() is not None


@repeated
def bind(engine: Engine, network: str, name: str, author_id: str) -> int:
    """Give a name its id in all keywords that wait for it; returns how many did."""
    waiting = (
        followed_names.c.network == network,
        followed_names.c.name == name,
        followed_names.c.author_id == "",
    )
    with reading(engine) as connection:
        if connection.execute(select(followed_names.c.keyword_id).where(*waiting)).first() is None:
            return 0
    with writing(engine) as connection:
        keywords.bump(connection)  # first, as everywhere: one order of locks
        now = read_clock(connection)
        ids = connection.execute(select(followed_names.c.keyword_id).where(*waiting)).scalars()
        numbers = list(ids)
        connection.execute(
            update(followed_names).where(*waiting).values(author_id=author_id, words="", at=now)
        )
        named = select(keyword_table).where(keyword_table.c.id.in_(numbers))
        for row in connection.execute(named.order_by(keyword_table.c.id)).all():
            _begin_version(connection, row, network, now)
        return len(numbers)


def _begin_version(connection: Connection, row: Any, network: str, now: int) -> None:
    """A keyword whose account became known: its matches of before are judged again.

    Those of a removed one when it is restored.
    """
    version = row.version + 1
    values = {"version": version, "changed_at": now, "complete_at": None}
    if network == "x":  # its past costs: what was asked for stays so
        values["looked_back"] = row.looked_back + 1
    mine = keyword_table.c.id == row.id
    connection.execute(update(keyword_table).where(mine).values(values))
    keywords.record_version(connection, row.id, version, row.expression, now)
    if row.state != "removed":
        jobs.start_rematch(connection, row.id, version, now)


@repeated
def put_off(engine: Engine, network: str, name: str, words: str, wait_s: float) -> None:
    """The name is still not known: say why, and when it is tried again."""
    with writing(engine) as connection:
        now = read_clock(connection)
        connection.execute(
            update(followed_names)
            .where(
                followed_names.c.network == network,
                followed_names.c.name == name,
                followed_names.c.author_id == "",
            )
            .values(
                words=words,
                tries=followed_names.c.tries + 1,
                retry_at=now + int(wait_s * 1_000_000),
            )
        )
