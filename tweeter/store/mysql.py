"""MySQL and MariaDB: what must be told to them so that they keep the promises of the others.

Texts are compared byte by byte with nothing ignored (case, accents, trailing spaces), in
utf8mb4, which holds every character. The session is strict: a text that is too long or a number
out of range is an error, never a warning with the rest of it stored. Moments are UTC.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, insert, inspect, select, text, tuple_
from sqlalchemy.dialects import mysql as dialect
from sqlalchemy.exc import DBAPIError, IntegrityError

from tweeter.errors import StoreError

DUPLICATE = 1062
TAKEN_BACK = (1213, 1205, 1020)  # deadlock, waited too long for a lock, row changed meanwhile
OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0, 17)}
LEAST_PACKET_BYTES = 4 * 1024 * 1024  # a statement of ours has 1 MB, a raw event at most as much
ASKED_AT_ONCE = 500  # MariaDB makes a slow subquery of a list of 1,000
COUNTED_AT_ONCE = 100  # each row goes through the cases until its own

_STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


def session(*, lock_wait_s: int, idle_s: int) -> str:
    """The statement that each new connection begins with."""
    return (
        f"SET SESSION sql_mode='{_STRICT}', time_zone='+00:00', default_storage_engine=InnoDB,"
        f" innodb_lock_wait_timeout={lock_wait_s}, lock_wait_timeout={lock_wait_s}"
        # A paused process must not hold its locks; MySQL has no such setting: a comment there.
        f" /*M!100300 , idle_write_transaction_timeout={idle_s} */"
    )


def code(error: DBAPIError) -> int:
    """The server's number of an error, 0 if it gave none."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else 0


def check(connection: Connection) -> None:
    """Raise StoreError, saying what to do, if the server cannot keep the promises."""
    found = connection.execute(text("SELECT VERSION(), @@max_allowed_packet")).one()
    version, packet_bytes = str(found[0]), int(found[1])
    kind = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    numbers = tuple(int(n) for n in version.partition("-")[0].split(".")[:3] if n.isdigit())
    if numbers < OLDEST[kind]:
        oldest = ".".join(map(str, OLDEST[kind]))
        raise StoreError(
            f"The database server is {kind} {version}: tweeter needs {oldest} or newer."
        )
    if packet_bytes < LEAST_PACKET_BYTES:
        raise StoreError(
            f"The database server takes at most {packet_bytes:,} bytes at once; tweeter needs"
            f" {LEAST_PACKET_BYTES:,}. Set max_allowed_packet=16M in the server's configuration."
        )


def collation(connection: Connection) -> str:
    """The collation that compares byte by byte and does not pad with spaces."""
    is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    return "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"


def make_binary(connection: Connection, tables: Sequence[str]) -> None:
    """Give every text of these tables that collation; quick when they have it."""
    wanted = collation(connection)
    found = connection.execute(
        text(
            "SELECT table_name AS name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_collation <> :wanted"
            " UNION SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND collation_name <> :wanted"
        ),
        {"wanted": wanted},
    ).scalars()
    quote = connection.dialect.identifier_preparer.quote
    for name in sorted(set(found) & set(tables)):
        connection.execute(
            text(f"ALTER TABLE {quote(name)} CONVERT TO CHARACTER SET utf8mb4 COLLATE {wanted}")
        )


def drop_unfinished(connection: Connection, tables: Sequence[Table]) -> None:
    """Drop the tables of a first creation that was killed; each is committed at once here.

    Raises StoreError if one has rows: then it is no such thing.
    """
    found = [table for table in tables if inspect(connection).has_table(table.name)]
    for table in found:
        if connection.execute(select(table.c[table.primary_key.columns[0].name]).limit(1)).first():
            raise StoreError(
                f"The database has a table {table.name} with rows in it and no revision"
                " (alembic_version). Restore a backup, or use an empty database."
            )
    for table in found:
        table.drop(connection)


def insert_new(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], unique: Sequence[str]
) -> list[dict[str, Any]]:
    """Insert the rows that are not there yet and return them.

    Neither INSERT IGNORE (it swallows every fault) nor ON DUPLICATE KEY UPDATE (it takes a clash
    on any key for one on ours) can be trusted, and MySQL has no RETURNING. So the rows that are
    there are looked up, and the others inserted in one piece. If another transaction was faster
    the piece is refused as a whole, after that one has committed, and is looked up again; a
    refusal that no look-up explains is a clash on another constraint, and is raised.
    """
    left = list({tuple(row[name] for name in unique): row for row in reversed(rows)}.values())
    left.reverse()
    left = _not_there(connection, table, left, unique)
    while left:
        try:
            with connection.begin_nested():
                connection.execute(insert(table), left)
        except IntegrityError as error:
            if code(error) != DUPLICATE:
                raise
            still = _not_there(connection, table, left, unique)
            if len(still) == len(left):
                raise
            left = still
        else:
            break
    return left


def add_up(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], sums: Sequence[str]
) -> None:
    """Insert rows, or add their sums to those of the row with the same primary key."""
    made = dialect.insert(table)
    more = {name: table.c[name] + made.inserted[name] for name in sums}
    connection.execute(made.on_duplicate_key_update(more), list(rows))


def count_up(connection: Connection, counter: Column[int], more: Sequence[tuple[int, int]]) -> None:
    """Add to a counter in each of the rows with these ids, which are taken in their order.

    pymysql sends a statement for each of many UPDATEs, and waits for each answer.
    """
    quote = connection.dialect.identifier_preparer.quote
    table, name = quote(counter.table.name), quote(counter.name)
    for start in range(0, len(more), COUNTED_AT_ONCE):
        some = more[start : start + COUNTED_AT_ONCE]
        cases = " ".join(f"WHEN {which:d} THEN {by:d}" for which, by in some)
        listed = ", ".join(f"{which:d}" for which, _ in some)
        connection.exec_driver_sql(
            f"UPDATE {table} SET {name} = {name} + CASE id {cases} END"  # noqa: S608 (numbers)
            f" WHERE id IN ({listed})"
        )


def _not_there(
    connection: Connection, table: Table, rows: list[dict[str, Any]], unique: Sequence[str]
) -> list[dict[str, Any]]:
    columns = [table.c[name] for name in unique]
    there: set[tuple[Any, ...]] = set()
    for start in range(0, len(rows), ASKED_AT_ONCE):
        names = [tuple(r[name] for name in unique) for r in rows[start : start + ASKED_AT_ONCE]]
        found = connection.execute(select(*columns).where(tuple_(*columns).in_(names)))
        there.update(tuple(row) for row in found)
    return [row for row in rows if tuple(row[name] for name in unique) not in there]
