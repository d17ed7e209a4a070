"""What several parts of a page want to know: in one moment it is read once."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, bindparam, select

from tweeter.store.cells import DAY, US
from tweeter.store.engine import db_now, once, read_clock
from tweeter.store.schema import DELETED, DELETED_OF, keywords, positions
from tweeter.store.schema import streams as stream_table


def now(connection: Connection) -> int:
    """The database's clock, microseconds."""
    return once(connection, "now", lambda: read_clock(connection))


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is deleted by now as too old: posts of before a moment, by network.

    by_keyword: by a keyword's own days, by its id; these may be more now than they were then.
    """

    now: int
    by_network: Mapping[str, int]
    by_keyword: Mapping[int, int]

    def since(
        self, keyword_id: int, created_at: int, keep_days: int, networks: Sequence[str] = ()
    ) -> int:
        """The moment from which a keyword has all posts that came, on these networks (none: all).

        Its own days delete those of before, and the days of the networks.
        """
        theirs = [at for name, at in self.by_network.items() if not networks or name in networks]
        own = [self.now - keep_days * DAY * US] if keep_days else []
        return max([created_at, self.by_keyword.get(keyword_id, 0), *own, *theirs])


def kept(connection: Connection) -> Kept:
    """What was deleted as too old."""

    def read() -> Kept:
        networks: dict[str, int] = {}
        own: dict[int, int] = {}
        for name, at in connection.execute(_deleted):
            if name.startswith(DELETED_OF):
                own[int(name.removeprefix(DELETED_OF))] = int(at)
            else:
                networks[name.removeprefix(DELETED)] = int(at)
        return Kept(now=now(connection), by_network=networks, by_keyword=own)

    return once(connection, "kept", read)


_deleted = select(positions).where(positions.c.name.startswith(DELETED))


def streams(connection: Connection) -> Sequence[RowMapping]:
    """All rows of streams, in the order they were made."""
    return once(connection, "streams", lambda: connection.execute(_streams).mappings().all())


_streams = select(stream_table).order_by(stream_table.c.id)


def keyword(connection: Connection, keyword_id: int) -> Mapping[Any, Any] | None:
    """A row of keywords; with it comes the clock, which who wants one of them mostly wants too."""
    return once(connection, ("keyword", keyword_id), lambda: _read(connection, keyword_id))


def _read(connection: Connection, keyword_id: int) -> Mapping[Any, Any] | None:
    name = connection.dialect.name
    if name not in _of_keyword:
        whole = select(keywords, db_now(connection).label(_CLOCK))
        _of_keyword[name] = whole.where(keywords.c.id == bindparam("keyword"))
    row = connection.execute(_of_keyword[name], {"keyword": keyword_id}).mappings().first()
    if row is None:
        return None
    found = dict(row)
    moment = int(found.pop(_CLOCK))
    once(connection, "now", lambda: moment)
    return found


_CLOCK = "clock"
_of_keyword: dict[str, Select[Any]] = {}  # by database: put together once
