"""What changed in an SQLite database since a moment: a log that triggers write, for `move`.

A trigger belongs to the transaction that fires it, whichever process that is: a change is in the
log if and only if it was committed. An entry names a row by its primary key and not what became
of it: who follows the log reads the row as it is then, so order and repetition do not matter.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, delete, select, text

from tweeter.store import held
from tweeter.store.engine import among, writing
from tweeter.store.leases import is_dead

LOG = "move_log"
TOKEN, OWNER = "token", "owner"  # entries about the move itself, in place of a table's name
_CHUNK = 300  # names in one IN (...)

Key = tuple[Any, ...]


class Piece(NamedTuple):
    """Rows that changed, by table, as they are now (those that are not there were deleted)."""

    last: int  # number of the last entry; 0: there is none
    entries: int
    keys: dict[str, list[Key]]
    rows: dict[str, list[dict[str, Any]]]


def is_on(connection: Connection) -> bool:
    """True if the log is being written."""
    found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
    return connection.execute(text(found), {"name": LOG}).first() is not None


def switch_on(connection: Connection, tables: Iterable[Table], token: str) -> None:
    """Begin the log; part of a writing transaction. `token` tells this move from others."""
    connection.exec_driver_sql(
        f"CREATE TABLE {LOG} (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, pk TEXT)"
    )
    note(connection, TOKEN, token)
    for table in tables:
        for event, sides in (("INSERT", "N"), ("UPDATE", "ON"), ("DELETE", "O")):
            body = "".join(_entry(table, {"N": "NEW", "O": "OLD"}[side]) for side in sides)
            connection.exec_driver_sql(
                f'CREATE TRIGGER "{_trigger(table, event)}" AFTER {event} ON "{table.name}"'
                f" BEGIN {body} END"
            )


def _entry(table: Table, side: str) -> str:
    values = ", ".join(f'{side}."{column.name}"' for column in table.primary_key)
    return f"INSERT INTO {LOG} (name, pk) VALUES ('{table.name}', json_array({values}));"  # noqa: S608


def _trigger(table: Table, event: str) -> str:
    return f"move_{table.name}_{event.lower()}"


def switch_off(connection: Connection, tables: Iterable[Table]) -> None:
    """End the log and forget it; harmless if it is off."""
    for table in tables:
        for event in ("INSERT", "UPDATE", "DELETE"):
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{_trigger(table, event)}"')
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {LOG}")


def noted(connection: Connection, name: str) -> str:
    """What `note` kept under this name, "" if nothing."""
    found = connection.execute(text(f"SELECT pk FROM {LOG} WHERE name = :name"), {"name": name})  # noqa: S608
    return str(found.scalar() or "")


def note(connection: Connection, name: str, value: str) -> None:
    """Keep a text about the move itself."""
    connection.execute(text(f"DELETE FROM {LOG} WHERE name = :name"), {"name": name})  # noqa: S608
    connection.execute(
        text(f"INSERT INTO {LOG} (name, pk) VALUES (:name, :value)"),  # noqa: S608
        {"name": name, "value": value},
    )


def read(connection: Connection, tables: Sequence[Table], limit: int) -> Piece:
    """The oldest entries and their rows; the connection's transaction must see one moment."""
    entries = connection.execute(
        text(
            f"SELECT number, name, pk FROM {LOG} WHERE name NOT IN ('{TOKEN}', '{OWNER}')"  # noqa: S608
            " ORDER BY number LIMIT :limit"
        ),
        {"limit": limit},
    ).all()
    keys: dict[str, dict[Key, None]] = {}
    for entry in entries:
        keys.setdefault(entry.name, {})[tuple(json.loads(entry.pk))] = None
    by_name = {table.name: table for table in tables}
    rows = {name: _rows(connection, by_name[name], list(keys[name])) for name in keys}
    last = entries[-1].number if entries else 0
    return Piece(last, len(entries), {name: list(found) for name, found in keys.items()}, rows)


def _rows(connection: Connection, table: Table, keys: list[Key]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in _chunks(keys):
        rows = connection.execute(
            select(table).where(among(connection, list(table.primary_key), some))
        ).mappings()
        found.extend(dict(row) for row in rows)
    return found


def _chunks(keys: list[Key]) -> Iterable[list[Key]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def drop(connection: Connection, table: Table, keys: list[Key]) -> None:
    """Delete rows by primary key, in the copy."""
    for some in _chunks(keys):
        connection.execute(delete(table).where(among(connection, list(table.primary_key), some)))


def forget(connection: Connection, last: int) -> None:
    """Delete the entries up to this number: they are in the copy."""
    connection.execute(
        text(f"DELETE FROM {LOG} WHERE number <= :last AND name NOT IN ('{TOKEN}', '{OWNER}')"),  # noqa: S608
        {"last": last},
    )


@contextmanager
def mover(source: Engine) -> Iterator[Connection]:
    """A writing transaction on the source that is not held back."""
    with writing(source.execution_options(**{held.MOVER: True})) as connection:
        yield connection


def free_if_abandoned(source: Engine) -> bool:
    """End the hold of a move that was killed; the move can be gone on with later."""
    if held.state(source) != held.HOLD:
        return False
    with mover(source) as connection:
        owner = noted(connection, OWNER) if is_on(connection) else ""
        if owner and not is_dead(owner):
            return False
        held.set_state(connection, held.FREE)
    return True
