"""One Engine a process, its transactions, and the clock of its database.

Every database gives the same promises; `mysql.py`, and the functions `_set_up_…` here, say with
which words each is made to. A writing transaction reads what is committed at that moment
(READ COMMITTED), so a row that it waited for is read as the other left it; on MySQL this also
takes no locks on gaps between rows, the main cause of deadlocks there. A reading one sees one
moment throughout.

SQLite: WAL, synchronous=FULL, and BEGIN IMMEDIATE for every writing transaction: a
transaction that starts by reading and then writes can fail with "database is locked" at
once, whatever the time-out (SQLITE_BUSY_SNAPSHOT), and one that takes the lock first cannot.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    event,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.exc import DBAPIError

from tweeter.errors import StoreError
from tweeter.store import drivers, held, lite, mysql, postgres
from tweeter.store.forks import ClosedAtForks

P = ParamSpec("P")
T = TypeVar("T")
NAMED = 400  # in one IN (...): SQLite's limits are far above

LOCK_WAIT_S = 10  # for a lock of another transaction; then the statement fails
IDLE_S = 15  # a process paused inside a transaction loses it: nobody waits for it for ever
TRIES = 8  # of a transaction that the database took back
# Kept prepared a connection. An INSERT of n rows is a text of its own for each n, a few hundred
# kB each; with Python's 128 a writer grows by 60 MB in minutes. What is hot are about 25.
STATEMENTS = 32
LOG_PAGES = 8_000  # of SQLite's log, 32 MB, that a flood may fill; else 1,000 (docs/performance.md)
# A server whose machine or network vanished is noticed in half a minute, not in two hours.
SERVER_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # ms
}
_WRITING = "tweeter_writing"

# The database took the whole transaction back, and says that it may be made again: deadlock,
# serialization failure, waited too long for a lock.
_TAKEN_BACK = {"40001", "40P01", "55P03"}


def make_engine(url: str, *, will_fork: bool = False, in_floods: bool = False) -> Engine:
    """Make this process's engine. Never share it over fork: a child makes its own.

    will_fork=True in a process that uses it in one thread and forks in another. in_floods=True in
    one that stores in floods only: SQLite's log may grow before it is brought into the file.
    Raises StoreError, at once or when it connects, for a URL that the driver cannot use.
    """
    if url.startswith("sqlite"):
        args: dict[str, Any] = {"timeout": LOCK_WAIT_S, "cached_statements": STATEMENTS}
        pool = ClosedAtForks if will_fork else None
        engine = drivers.engine(url, args, _set_up_sqlite, poolclass=pool)
        event.listen(engine, "begin", _begin_sqlite)
        if in_floods:
            event.listen(engine, "connect", _let_the_log_grow)
    elif url.startswith("postgresql"):
        engine = drivers.engine(url, SERVER_ALIVE, _set_up_postgresql, pool_pre_ping=True)
    else:
        words = mysql.session(lock_wait_s=LOCK_WAIT_S, idle_s=IDLE_S)
        args = {"init_command": words}
        engine = drivers.engine(url, args, lambda _: None, pool_pre_ping=True)
        event.listen(engine, "begin", _begin_mysql)
    made_by = os.getpid()

    def refuse_other_process(*_: Any) -> None:
        # The 2016 bug: an engine inherited over fork loses rows and mixes up answers.
        if os.getpid() != made_by:
            raise StoreError("This engine was made in another process: call make_engine here.")

    event.listen(engine, "checkout", refuse_other_process)
    return engine


def _set_up_sqlite(connection: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_S * 1000}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _let_the_log_grow(connection: Any, _record: Any) -> None:
    """A page that several transactions change is copied into the file once (SQLite: WAL).

    Who waits for a commit would feel that more is copied at once: only for who stores in floods.
    """
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")


def _begin_sqlite(connection: Connection) -> None:
    writing = _is_writing(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
    if writing:
        held.refuse(connection)


def _set_up_postgresql(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(postgres.session(lock_wait_s=LOCK_WAIT_S, idle_s=IDLE_S))
    connection.commit()


def _begin_mysql(connection: Connection) -> None:
    level = "READ COMMITTED" if _is_writing(connection) else "REPEATABLE READ"
    connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")  # of this one only


def _is_writing(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_WRITING, False))


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: commits at the end, rolls back on any exception.

    Raises Held while a move of the database holds writers back, MustEnd after it.
    """
    with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent reading transaction; inside `one_moment` the one that is open there."""
    shared: Connection | None = getattr(_moment, "connection", None)
    if shared is not None and shared.engine is engine:
        yield shared
        return
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


_moment = threading.local()


@contextmanager
def one_moment(engine: Engine) -> Iterator[None]:
    """All that this thread reads inside is of one moment, in one transaction.

    A page with dozens of short questions takes a third less time for them. Not for what looks at
    what it wrote itself. What is `fulltext.limited` is read `apart`: its limits would hold for
    the rest.
    """
    with reading(engine) as connection:
        before = getattr(_moment, "connection", None)
        if before is connection:
            yield
            return
        _moment.connection, _moment.known = connection, {}
        try:
            yield
        finally:
            _moment.connection = before


@contextmanager
def apart() -> Iterator[None]:
    """What is read here is of a transaction of its own, also inside `one_moment`."""
    before = dict(vars(_moment))
    _moment.connection = None
    try:
        yield
    finally:
        vars(_moment).update(before)


def once(connection: Connection, key: Hashable, ask: Callable[[], T]) -> T:
    """What `ask` reads; inside `one_moment` only the first to want it asks."""
    is_shared = getattr(_moment, "connection", None) is connection
    known: dict[Hashable, T] = _moment.known if is_shared else {}
    if key not in known:
        known[key] = ask()
    return known[key]


def was_taken_back(error: DBAPIError) -> bool:
    """True if the database rolled the transaction back and the same again may succeed."""
    number = mysql.code(error)
    if number:
        return number in mysql.TAKEN_BACK
    return getattr(error.orig, "sqlstate", None) in _TAKEN_BACK


def repeated(work: Callable[P, T]) -> Callable[P, T]:
    """For a function that is a whole transaction: done again when the database took it back.

    Deadlocks between writers are ordinary on PostgreSQL and MySQL; the answer is to do the whole
    again, never the statement. A connection that is lost is not repeated here: whether its COMMIT
    counted is unknown, and only the caller knows whether twice is harmless (a batch is, a
    person's click is not).
    """

    @wraps(work)
    def repeat(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, TRIES):
            try:
                return work(*args, **kwargs)
            except DBAPIError as error:
                if not was_taken_back(error):
                    raise
                time.sleep(random.uniform(0.2, 1.0) * 0.01 * 2**attempt)  # noqa: S311
        return work(*args, **kwargs)

    return repeat


def chunks(values: Iterable[Any], *, reverse: bool = False) -> Iterator[list[Any]]:
    """The values, each once and in order, as many at a time as one IN (...) should name."""
    ordered = sorted(set(values), reverse=reverse)
    for start in range(0, len(ordered), NAMED):
        yield ordered[start : start + NAMED]


def among(
    connection: Connection, columns: Sequence[ColumnElement[Any]], keys: Iterable[Sequence[Any]]
) -> ColumnElement[bool]:
    """A condition: the columns, of one index and in its order, have the values of a key.

    A few hundred keys at most. For `(a, b) IN (VALUES …)` SQLite reads the whole index, for
    `a = … AND b IN (…)` it looks into it.
    """
    if connection.dialect.name != "sqlite" or len(columns) == 1:
        return tuple_(*columns).in_(list(keys))
    *first, last = columns
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for *values, value in keys:
        groups.setdefault(tuple(values), []).append(value)
    return or_(
        false(),
        *(
            and_(*(c == v for c, v in zip(first, values, strict=True)), last.in_(found))
            for values, found in groups.items()
        ),
    )


def one_of(
    connection: Connection, column: ColumnElement[int], numbers: Sequence[int]
) -> ColumnElement[bool]:
    """A condition: the column is one of very many numbers, which are one parameter.

    A thousand parameters take longer to be written down than to be looked up.
    """
    if connection.dialect.name == "sqlite":
        listed = func.json_each(msgspec.json.encode(numbers).decode()).table_valued("value")
        return column.in_(select(listed.c.value))
    if connection.dialect.name == "postgresql":
        return postgres.one_of(column, numbers)
    return column.in_(numbers)


def there(
    connection: Connection, table: Table, columns: Sequence[str], keys: Iterable[tuple[Any, ...]]
) -> set[tuple[Any, ...]]:
    """Those of the keys, values of these columns of one index, that some row has."""
    if connection.dialect.name == "sqlite":
        return lite.there(connection, table, columns, sorted(keys))
    if connection.dialect.name == "postgresql":
        return postgres.there(connection, table, columns, sorted(keys))
    found: set[tuple[Any, ...]] = set()
    its = [table.c[name] for name in columns]
    for some in chunks(keys):
        rows = connection.execute(select(*its).where(tuple_(*its).in_(some)))
        found.update(tuple(row) for row in rows)
    return found


def db_now(connection: Connection) -> ColumnElement[int]:
    """The database's own clock as an SQL expression, unix microseconds."""
    if connection.dialect.name == "sqlite":
        # unixepoch('subsec') needs SQLite 3.42; julianday has a resolution of about 40 us.
        return literal_column("CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)")
    if connection.dialect.name == "postgresql":
        return literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
    return literal_column("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)")


def read_clock(connection: Connection) -> int:
    """The database's own clock, unix microseconds."""
    return int(connection.execute(select(db_now(connection))).scalar_one())


def insert_new(
    connection: Connection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    unique: Sequence[str],
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Insert the rows whose `unique` columns are not there yet; the others are left alone.

    All rows give the same columns. Returns `returning` of the rows really inserted, in no order;
    these must be among the given columns. A clash on any other constraint (such as the primary
    key) raises IntegrityError: it is never swallowed.
    """
    if not rows:
        return []
    names = list(returning or unique)
    if connection.dialect.name == "sqlite":
        inserted = lite.insert_new(connection, table, rows, unique)
        return [tuple(row[name] for name in names) for row in inserted]
    wanted = [table.c[name] for name in names]
    if connection.dialect.name == "postgresql":
        made = postgres.insert(table, list(rows[0]))
        pg = made.on_conflict_do_nothing(index_elements=list(unique)).returning(*wanted)
        return [tuple(row) for row in connection.execute(pg, postgres.packed(rows))]
    inserted = mysql.insert_new(connection, table, rows, unique)
    return [tuple(row[name] for name in names) for row in inserted]


def add_up(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, keys: int
) -> None:
    """Insert whole rows, or add their sums to those of the row with the same primary key.

    The first `keys` columns of the table are its primary key, the others are sums.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        lite.add_up(connection, table, rows, keys=keys)
        return
    named = [dict(zip(names, row, strict=True)) for row in rows]
    if connection.dialect.name == "postgresql":
        made = postgres.insert(table, names)
        more = {name: table.c[name] + made.excluded[name] for name in names[keys:]}
        pg = made.on_conflict_do_update(index_elements=names[:keys], set_=more)
        connection.execute(pg, postgres.packed(named))
    else:
        mysql.add_up(connection, table, named, names[keys:])


def count_up(connection: Connection, counter: Column[int], more: Sequence[tuple[int, int]]) -> None:
    """Add to a counter in each of the rows with these ids. more: (id, how much), by id."""
    if not more:
        return
    ways = {"sqlite": lite, "postgresql": postgres}
    ways.get(connection.dialect.name, mysql).count_up(connection, counter, more)


def insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows that give the same columns, in the fastest way of each database."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(postgres.insert(table, list(rows[0])), postgres.packed(rows))
    elif connection.dialect.name == "sqlite":
        lite.insert(connection, table, rows)
    else:  # pymysql joins rows to statements of up to 1 MB
        connection.execute(insert(table), list(rows))
