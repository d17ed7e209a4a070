"""What keywords are called: each process keeps that for as long as their revision is the same."""

import threading
from collections.abc import Iterable
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, bindparam, select

from tweeter.store.engine import chunks, once, reading
from tweeter.store.keyword_revision import revision
from tweeter.store.schema import keywords


class Called(NamedTuple):
    """A keyword, and what it is called."""

    id: int
    expression: str


class _Kept:
    """Of one revision: names by id (None: there is none), and the newest keywords."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.names: dict[int, str | None] = {}
        self.newest: dict[int, list[Called]] = {}  # by how many


_lock = threading.Lock()
_kept: WeakKeyDictionary[Engine, _Kept] = WeakKeyDictionary()


def names(engine: Engine, keyword_ids: Iterable[int]) -> dict[int, str]:
    """Expressions by id, for the words under a post; removed keywords have none."""
    wanted = set(keyword_ids)
    if not wanted:
        return {}
    with reading(engine) as connection:
        kept = _now(connection).names
        for some in chunks(wanted - kept.keys()):
            rows = connection.execute(_named, {"ids": some})
            kept.update(dict.fromkeys(some) | {row.id: row.expression for row in rows})
    return {number: name for number in wanted if (name := kept[number]) is not None}


def newest(engine: Engine, limit: int) -> list[Called]:
    """The keywords that were added last, newest first, without removed ones."""
    with reading(engine) as connection:
        kept = _now(connection).newest
        if limit not in kept:
            kept[limit] = [Called(*row) for row in connection.execute(_newest, {"most": limit})]
        return kept[limit]


def _now(connection: Connection) -> _Kept:
    return once(connection, "expressions", lambda: _of_revision(connection))


def _of_revision(connection: Connection) -> _Kept:
    """What is kept, if it is of the keywords' revision.

    Whatever gives a keyword another expression or state raises that (`keywords.bump`), in the same
    transaction. It is read first: names may be newer than it says, never older.
    """
    at = revision(connection)
    with _lock:
        kept = _kept.get(connection.engine)
        if kept is None or kept.revision != at:
            kept = _kept[connection.engine] = _Kept(at)
    return kept


_called = select(keywords.c.id, keywords.c.expression).where(keywords.c.state != "removed")
_named = _called.where(keywords.c.id.in_(bindparam("ids", expanding=True)))
_newest = _called.order_by(keywords.c.id.desc()).limit(bindparam("most"))
