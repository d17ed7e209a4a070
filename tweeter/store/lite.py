"""SQLite: many rows by hand; SQLAlchemy takes longer over the parameters than SQLite over rows.

Rows are written in a transaction that holds the database's only lock for writing (BEGIN
IMMEDIATE): what is not there when it looks is not there when it inserts.
"""

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Table
from sqlalchemy.sql.schema import ScalarElementColumnDefault


def there(
    connection: Connection, table: Table, unique: Sequence[str], keys: Sequence[tuple[Any, ...]]
) -> set[tuple[Any, ...]]:
    """Those of the keys that the table has."""
    asked = msgspec.json.encode(keys).decode()
    return set(map(tuple, connection.exec_driver_sql(_look_up(table, tuple(unique)), (asked,))))


def insert_new(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], unique: Sequence[str]
) -> list[dict[str, Any]]:
    """Insert the rows whose `unique` columns are not there yet, and return them."""
    keys = [tuple([row[name] for name in unique]) for row in rows]
    known = there(connection, table, unique, keys)
    new = []
    for key, row in zip(keys, rows, strict=True):
        if key not in known:
            known.add(key)  # of two in one batch the first one counts
            new.append(row)
    insert(connection, table, new)
    return new


def insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all give the same columns; columns left out take their defaults."""
    if not rows:
        return
    names = list(rows[0])
    left_out = {n: value for n, value in _defaults(table).items() if n not in names}
    if left_out:
        rows = [left_out | row for row in rows]
    names += left_out
    connection.exec_driver_sql(_insert(table, tuple(names)), list(map(itemgetter(*names), rows)))


@cache
def _defaults(table: Table) -> dict[str, Any]:
    defaults = {c.name: c.default for c in table.columns}
    return {n: d.arg for n, d in defaults.items() if isinstance(d, ScalarElementColumnDefault)}


def add_up(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, keys: int
) -> None:
    """Insert whole rows, or add their sums to those of the row with the same primary key.

    The first `keys` columns of the table are its primary key, the others are sums.
    """
    connection.exec_driver_sql(_add_up(table, keys), list(rows))


def count_up(connection: Connection, counter: Column[int], more: Sequence[tuple[int, int]]) -> None:
    """Add to a counter in each of the rows with these ids."""
    name = _quoted(counter.name)
    raised = f"UPDATE {counter.table.name} SET {name} = {name} + ? WHERE id = ?"  # noqa: S608
    connection.exec_driver_sql(raised, [(by, which) for which, by in more])


@cache
def _insert(table: Table, names: tuple[str, ...]) -> str:
    listed, marks = ", ".join(map(_quoted, names)), ", ".join("?" * len(names))
    return f"INSERT INTO {table.name} ({listed}) VALUES ({marks})"  # noqa: S608 (our own names)


@cache
def _look_up(table: Table, unique: tuple[str, ...]) -> str:
    # CROSS JOIN: for each key one look into the index. Of (a, b) IN (VALUES …) SQLite makes a walk
    # over the whole index.
    listed = ", ".join(f"there.{_quoted(name)}" for name in unique)
    same = " AND ".join(
        f"there.{_quoted(name)} = json_extract(asked.value, '$[{n}]')"
        for n, name in enumerate(unique)
    )
    return f"SELECT {listed} FROM json_each(?) AS asked CROSS JOIN {table.name} AS there ON {same}"  # noqa: S608


@cache
def _add_up(table: Table, keys: int) -> str:
    names = [_quoted(column.name) for column in table.columns]
    more = ", ".join(f"{name} = {name} + excluded.{name}" for name in names[keys:])
    return (
        f"{_insert(table, tuple(c.name for c in table.columns))}"
        f" ON CONFLICT ({', '.join(names[:keys])}) DO UPDATE SET {more}"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
