"""PostgreSQL: the settings of a connection, and many rows in one parameter.

A thousand posts are thirty thousand parameters, each of which the driver, the wire and the
parser handle alone. As one JSON text, which the server takes apart into the table's own types,
they are stored several times faster (docs/databases.md).
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    TextClause,
    any_,
    cast,
    column,
    literal,
    select,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def session(*, lock_wait_s: int, idle_s: int) -> str:
    """What is set for a connection as long as it lives.

    It takes many of our questions for dearer than they are. To compile one (jit), or to start
    workers for it, takes 20 to 800 ms where to answer it takes 5; and workers read all of a table
    where an index leads to a hundredth of it.
    """
    return (
        f"SET lock_timeout = '{lock_wait_s}s';"
        f" SET idle_in_transaction_session_timeout = '{idle_s}s';"
        " SET jit = off; SET max_parallel_workers_per_gather = 0"
    )


def insert(table: Table, names: Sequence[str]) -> "postgresql.Insert":
    """INSERT of these columns from the parameter that `packed` makes."""
    listed = ", ".join(map(_quoted, names))
    source = text(
        f"SELECT {listed} FROM json_populate_recordset("  # noqa: S608 (names of our own schema)
        f"NULL::{_quoted(table.name)}, CAST(:packed AS json))"
    ).columns(*(column(name) for name in names))
    statement: postgresql.Insert = _dialect().insert(table)
    return statement.from_select(list(names), source, include_defaults=False)


@cache
def _dialect() -> Any:
    """What SQLAlchemy has for PostgreSQL. To load it takes a tenth of a command's time (40 ms) and
    2 MB: not where another database is used.
    """
    from sqlalchemy.dialects import postgresql

    return postgresql


@cache
def _quoted(name: str) -> str:
    """A name of our schema as it stands in a statement."""
    return str(_dialect().dialect().identifier_preparer.quote(name))


def packed(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The rows, which give the same columns, as the statement's only parameter.

    A column of bytes has them in the first row: ours are never NULL.
    """
    if any(isinstance(value, bytes) for value in rows[0].values()):
        rows = [_plain(row) for row in rows]
    return {"packed": msgspec.json.encode(rows).decode()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {n: f"\\x{v.hex()}" if isinstance(v, bytes) else v for n, v in row.items()}


def one_of(column: ColumnElement[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """A condition: the column is one of the numbers, which are one text.

    To write down a list of thousands takes the driver ten times as long.
    """
    listed = literal("{" + ",".join(map(str, numbers)) + "}", Text)
    return column == any_(cast(listed, ARRAY(BigInteger)))


def there(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    keys: Sequence[tuple[Any, ...]],
) -> set[tuple[Any, ...]]:
    """Those of the keys, values of these columns, that some row of the table has."""
    if not keys:
        return set()
    rows = [dict(zip(columns, key, strict=True)) for key in keys]
    return set(map(tuple, connection.execute(_look_up(table, tuple(columns)), packed(rows))))


def count_up(connection: Connection, counter: Column[int], more: Sequence[tuple[int, int]]) -> None:
    """Add to a counter in each of the rows with these ids: all are held first, by id."""
    mine = counter.table.c.id
    held = select(mine).where(one_of(mine, [which for which, _ in more])).order_by(mine)
    connection.execute(held.with_for_update(key_share=True))
    connection.execute(_count_up(counter), {"packed": msgspec.json.encode(more).decode()})


@cache
def _count_up(counter: Column[int]) -> TextClause:
    table, name = _quoted(counter.table.name), _quoted(counter.name)
    return text(
        f"UPDATE {table} SET {name} = {table}.{name} + CAST(asked.one ->> 1 AS bigint)"  # noqa: S608
        " FROM json_array_elements(CAST(:packed AS json)) AS asked(one)"
        f" WHERE {table}.id = CAST(asked.one ->> 0 AS bigint)"
    )


@cache
def _look_up(table: Table, columns: tuple[str, ...]) -> TextClause:
    name, listed = _quoted(table.name), ", ".join(map(_quoted, columns))
    return text(
        f"SELECT {listed} FROM json_populate_recordset(NULL::{name}, CAST(:packed AS json))"  # noqa: S608
        f" AS asked JOIN {name} AS there USING ({listed})"
    )
