"""What keywords are called: each process keeps that for as long as their revision is the same."""

import threading
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from tweeter.store.engine import once, reading
from tweeter.store.schema import keywords, positions

_lock = threading.Lock()
_kept: WeakKeyDictionary[Engine, tuple[int, Mapping[int, str]]] = WeakKeyDictionary()


class Called(NamedTuple):
    """A keyword, and what it is called."""

    id: int
    expression: str


def of_all(connection: Connection) -> Mapping[int, str]:
    """Expressions by id, newest first; removed keywords have none.

    Whatever gives a keyword another expression or state raises the revision (`keywords.bump`).
    """
    return once(connection, "expressions", lambda: _of_all(connection))


def _of_all(connection: Connection) -> Mapping[int, str]:
    revision = int(connection.execute(_revision).scalar_one())
    with _lock:
        kept = _kept.get(connection.engine)
    if kept is not None and kept[0] == revision:
        return kept[1]
    found = {row.id: row.expression for row in connection.execute(_expressions)}
    with _lock:
        _kept[connection.engine] = revision, found
    return found


_revision = select(positions.c.value).where(positions.c.name == "keywords")
_expressions = (
    select(keywords.c.id, keywords.c.expression)
    .where(keywords.c.state != "removed")
    .order_by(keywords.c.id.desc())
)


def newest(engine: Engine, limit: int) -> list[Called]:
    """The keywords that were added last, newest first, without removed ones."""
    with reading(engine) as connection:
        return [Called(*one) for one in islice(of_all(connection).items(), limit)]
