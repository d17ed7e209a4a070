"""One Engine a process, and what differs between databases.

SQLite: WAL, synchronous=FULL, and BEGIN IMMEDIATE for every writing transaction: a
transaction that starts by reading and then writes can fail with "database is locked" at
once, whatever the time-out (SQLITE_BUSY_SNAPSHOT), and one that takes the lock first cannot.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from tweeter.errors import StoreError

BUSY_TIMEOUT_MS = 10_000
_WRITING = "tweeter_writing"


def make_engine(url: str) -> Engine:
    """Make this process's engine. Never share it over fork: a child makes its own."""
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(url, pool_pre_ping=True)
    made_by = os.getpid()

    def refuse_other_process(*_: Any) -> None:
        # The 2016 bug: an engine inherited over fork loses rows and mixes up answers.
        if os.getpid() != made_by:
            raise StoreError("This engine was made in another process: call make_engine here.")

    event.listen(engine, "checkout", refuse_other_process)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: commits at the end, rolls back on any exception."""
    with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent reading transaction."""
    with engine.connect() as connection, connection.begin():
        yield connection


def db_now(connection: Connection) -> ColumnElement[int]:
    """The database's own clock as an SQL expression, unix microseconds."""
    if connection.dialect.name == "sqlite":
        # unixepoch('subsec') needs SQLite 3.42; julianday has a resolution of about 40 us.
        return literal_column("CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)")
    if connection.dialect.name == "postgresql":
        return literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
    return literal_column("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)")


def insert_new(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    unique: Sequence[str],
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert the rows whose `unique` columns are not there yet; the others are left alone.

    Returns `returning` of the rows really inserted, in no order. A clash on any other
    constraint (such as the primary key) raises IntegrityError: it is never swallowed.
    """
    if not rows:
        return []
    wanted = [table.c[name] for name in returning or unique]
    statement: ReturningInsert[Any]
    if connection.dialect.name == "sqlite":
        ours = sqlite.insert(table).on_conflict_do_nothing(index_elements=list(unique))
        statement = ours.returning(*wanted)
    elif connection.dialect.name == "postgresql":
        pg = postgresql.insert(table).on_conflict_do_nothing(index_elements=list(unique))
        statement = pg.returning(*wanted)
    else:
        statement = insert(table).prefix_with("IGNORE").returning(*wanted)
    return [tuple(row) for row in connection.execute(statement, list(rows))]
