"""What several parts of a page want to know: in one moment it is read once."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, bindparam, select

from tweeter.store.engine import db_now, once
from tweeter.store.schema import keywords
from tweeter.store.schema import streams as stream_table


def now(connection: Connection) -> int:
    """The database's clock, microseconds."""
    return once(
        connection, "now", lambda: int(connection.execute(select(db_now(connection))).scalar_one())
    )


def streams(connection: Connection) -> Sequence[RowMapping]:
    """All rows of streams, in the order they were made."""
    return once(connection, "streams", lambda: connection.execute(_streams).mappings().all())


_streams = select(stream_table).order_by(stream_table.c.id)


def keyword(connection: Connection, keyword_id: int) -> RowMapping | None:
    """A row of keywords."""
    return once(
        connection,
        ("keyword", keyword_id),
        lambda: connection.execute(_keyword, {"keyword": keyword_id}).mappings().first(),
    )


_keyword = select(keywords).where(keywords.c.id == bindparam("keyword"))
