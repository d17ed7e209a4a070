"""Move a running SQLite installation to a server, killed anywhere and gone on with.

1. Triggers in the source begin to log which rows change (`changes`).
2. Every table is copied in pieces; how far it is stands in the copy, in the piece's transaction.
3. The log is followed until little is left of it. All this while everybody writes.
4. Writers of the source are held back (`held`): nothing can be committed to it any more. What
   they read meanwhile waits: in the journal (X), or is sent again from the cursor (the others).
5. The rest of the log is followed, and both sides are counted and summed up, table by table.
6. The source is marked as moved, for good; then the copy may be used. There is no moment at
   which both can be written, and no row that is in neither.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from tweeter.errors import StoreError
from tweeter.store import changes, held, migrate, revisions
from tweeter.store.engine import insert_all, reading, repeated, writing
from tweeter.store.leases import is_dead, owner
from tweeter.store.schema import metadata, slots, workers

PIECE_ROWS = 2_000
FEW = 1_000  # entries of the log that are left when writers are held back
ROUNDS = 50  # of following the log; then they are held back anyhow
SAID_EVERY_S = 1.0

# Who runs is true of one moment and one database: it is not moved.
TABLES = [table for table in metadata.sorted_tables if table not in (workers, slots)]

_own = MetaData()
progress = Table(
    revisions.MOVING,
    _own,
    Column("name", String(64), primary_key=True),  # of a table; changes.TOKEN: of the move
    Column("position", Text, nullable=False),  # primary key reached, JSON; "": all is copied
    Column("copied", BigInteger, nullable=False),
)

Say = Callable[[str], None]


class Summed(NamedTuple):
    """A table on one side: rows, and the sum of their hashes."""

    rows: int
    checksum: int


class Move:
    """One run of `tweeter db move`. `say` gets progress, a sentence at a time."""

    def __init__(self, source: Engine, target: Engine, say: Say) -> None:
        self._source = source
        self._target = target
        self._say = say
        self._said_at = 0.0

    def run(self) -> dict[str, Summed]:
        """Move everything; returns what was found equal on both sides, by table.

        Raises StoreError when it cannot be, with writers free again; SQLAlchemy's errors when
        a database fails: then run it again.
        """
        if held.state(self._source) == held.MOVED:
            self._finish()
            return {}
        self._begin()
        for table in TABLES:
            self._copy(table)
        self._follow()
        began_at = time.monotonic()
        with self._held_back():
            while self._apply():
                pass
            sums = self._verify()
            _set_sequences(self._target)
            with changes.mover(self._source) as connection:
                self._refuse_cancelled(connection)
                held.set_state(connection, held.MOVED)
        self._finish()
        self._say(f"Writing was held back for {time.monotonic() - began_at:.1f} s.")
        return sums

    # Beginning and end.

    def _begin(self) -> None:
        revisions.check(self._source)
        with changes.mover(self._source) as connection:
            if not changes.is_on(connection):
                changes.switch_on(connection, TABLES, secrets.token_hex(16))
            other = changes.noted(connection, changes.OWNER)
            if other and other != owner() and not is_dead(other):
                raise StoreError("Another `python -m tweeter db move` of this database is running.")
            changes.note(connection, changes.OWNER, owner())
            held.set_state(connection, held.FREE)  # of a run that was killed
            token = changes.noted(connection, changes.TOKEN)
        found = inspect(self._target)
        if not found.has_table(progress.name):
            if found.has_table("streams"):
                raise StoreError("The database to move to has tweeter's tables already: empty it.")
            _own.create_all(self._target)
        with writing(self._target) as connection:
            theirs = _position(connection, changes.TOKEN)
            if theirs is None:
                _insert_position(connection, changes.TOKEN, token)
            elif theirs != token:
                raise StoreError("Another database is being moved there. Empty it first.")
            else:
                self._say("Going on with the move that was begun.")
        migrate.upgrade(self._target)

    def _finish(self) -> None:
        """The source is marked as moved: let the copy be used, and clean up."""
        with self._source.connect() as connection:
            token = changes.noted(connection, changes.TOKEN) if changes.is_on(connection) else ""
        if not token:  # a run before came to its end
            revisions.check(self._target)
            self._say("This database was moved before.")
            return
        if inspect(self._target).has_table(progress.name):
            with reading(self._target) as connection:
                theirs = _position(connection, changes.TOKEN)
            if theirs != token:
                raise StoreError("This database was moved, but not to there.")
            _own.drop_all(self._target)
        with changes.mover(self._source) as connection:
            changes.switch_off(connection, TABLES)

    @contextmanager
    def _held_back(self) -> Iterator[None]:
        """Nobody else writes to the source; after a failure they may again."""
        with changes.mover(self._source) as connection:
            held.set_state(connection, held.HOLD)
        try:
            yield
        except BaseException:
            with changes.mover(self._source) as connection:
                held.set_state(connection, held.FREE)
            raise

    def _refuse_cancelled(self, connection: Connection) -> None:
        """Raise StoreError if writers were let in since they were held back, by whomever."""
        is_held = held.state_of(connection) == held.HOLD and changes.is_on(connection)
        if not (is_held and changes.noted(connection, changes.OWNER) == owner()):
            raise StoreError("The move was cancelled meanwhile: the SQLite file is used as before.")

    # Copying.

    def _copy(self, table: Table) -> None:
        """Copy what is left of a table, a piece a transaction."""
        with reading(self._source) as connection:
            total = connection.execute(select(func.count()).select_from(table)).scalar_one()
        while True:
            try:
                done = self._copy_piece(table, total)
            except IntegrityError:
                # A row was deleted and came again under another key: follow the log to there.
                if not self._apply():
                    raise
                continue
            if done:
                return

    def _copy_piece(self, table: Table, total: int) -> bool:
        with reading(self._target) as connection:
            reached = _position(connection, table.name)
        if reached == "":
            return True
        statement = select(table).order_by(*table.primary_key).limit(PIECE_ROWS)
        if reached is not None:
            after = tuple_(*json.loads(reached))
            statement = statement.where(tuple_(*table.primary_key) > after)
        with reading(self._source) as connection:
            rows = [dict(row) for row in connection.execute(statement).mappings()]
        last = [rows[-1][column.name] for column in table.primary_key] if rows else []
        position = json.dumps(last) if len(rows) == PIECE_ROWS else ""
        copied = repeated(self._write_piece)(table, rows, reached, position)
        self._tell(f"{table.name}: {copied:,} of about {max(total, copied):,} rows", not position)
        return not position

    def _write_piece(
        self, table: Table, rows: list[dict[str, Any]], reached: str | None, position: str
    ) -> int:
        with writing(self._target) as connection:
            if reached is None:
                connection.execute(delete(table))  # what `upgrade` puts into a new database
                _insert_position(connection, table.name, position)
            insert_all(connection, table, rows)
            mine = progress.c.name == table.name
            connection.execute(
                update(progress)
                .where(mine)
                .values(position=position, copied=progress.c.copied + len(rows))
            )
            return int(connection.execute(select(progress.c.copied).where(mine)).scalar_one())

    def _follow(self) -> None:
        """Follow the log until little is left."""
        for _ in range(ROUNDS):
            done = self._apply()
            self._tell(f"catching up: {done:,} changes", True)
            if done < FEW:
                return

    def _apply(self) -> int:
        """Bring the oldest entries of the log into the copy; returns how many there were."""
        limit = 4 * FEW
        while True:
            with reading(self._source) as connection:
                piece = changes.read(connection, TABLES, limit)
            try:
                repeated(self._write_changes)(piece)
            except IntegrityError:
                # Two rows changed places beyond this piece: all entries together are one moment.
                if piece.entries < limit:
                    raise
                limit *= 4
                continue
            if piece.last:
                with changes.mover(self._source) as connection:
                    changes.forget(connection, piece.last)
            return piece.entries

    def _write_changes(self, piece: changes.Piece) -> None:
        with writing(self._target) as connection:
            for table in TABLES:
                changes.drop(connection, table, piece.keys.get(table.name, []))
            for table in TABLES:
                # Rows ahead of where the copying is come with their own piece.
                rows = piece.rows.get(table.name, [])
                insert_all(connection, table, self._not_ahead(connection, table, rows))

    def _not_ahead(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        reached = _position(connection, table.name)
        if reached == "":
            return rows
        if reached is None:
            return []
        last = json.loads(reached)
        key = [column.name for column in table.primary_key]
        return [row for row in rows if [_order(row[n]) for n in key] <= [_order(v) for v in last]]

    # Comparing.

    def _verify(self) -> dict[str, Summed]:
        """Count and sum up both sides; raises StoreError where they differ."""
        sums: dict[str, Summed] = {}
        wrong = []
        with ThreadPoolExecutor(2) as pool:
            for table in TABLES:
                here = pool.submit(summed, self._source, table)
                there = pool.submit(summed, self._target, table)
                sums[table.name] = here.result()
                if here.result() != there.result():
                    wrong.append(table.name)
                self._tell(f"{table.name}: {here.result().rows:,} rows compared", True)
        if wrong:
            with writing(self._target) as connection:
                connection.execute(delete(progress).where(progress.c.name.in_(wrong)))
            raise StoreError(
                f"The copies of {', '.join(wrong)} differ from the originals; nothing was"
                " switched. Run it again: these tables are copied anew."
            )
        return sums

    def _tell(self, words: str, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            self._say(words)


def _order(value: Any) -> Any:
    """As SQLite orders texts: by their bytes."""
    return value.encode() if isinstance(value, str) else value


def _position(connection: Connection, name: str) -> str | None:
    statement = select(progress.c.position).where(progress.c.name == name)
    return connection.execute(statement).scalar()


def _insert_position(connection: Connection, name: str, position: str) -> None:
    connection.execute(insert(progress).values(name=name, position=position, copied=0))


def summed(engine: Engine, table: Table) -> Summed:
    """Rows of a table, and the sum of their hashes, in whatever order they come."""
    names = sorted(column.name for column in table.columns)
    statement = select(*(table.c[name] for name in names))
    count = total = 0
    with reading(engine) as connection:
        streamed = connection.execution_options(stream_results=True, yield_per=PIECE_ROWS)
        for row in streamed.execute(statement):
            body = msgspec.json.encode(tuple(row))
            total += int.from_bytes(hashlib.blake2b(body, digest_size=8).digest())
            count += 1
    return Summed(count, total & (1 << 64) - 1)


def _set_sequences(engine: Engine) -> None:
    """Let PostgreSQL count on from the highest id; the others do by themselves."""
    if engine.dialect.name != "postgresql":
        return
    with writing(engine) as connection:
        for table in TABLES:
            (first, *more) = table.primary_key
            if more or first.autoincrement is not True:
                continue
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{first.name}'),"  # noqa: S608
                    f" COALESCE(max({first.name}), 1), max({first.name}) IS NOT NULL)"
                    f" FROM {table.name}"
                )
            )


def has_ended(source: Engine) -> bool:
    """True if this database was moved, and the copy is in use."""
    with reading(source) as connection:
        return held.state_of(connection) == held.MOVED and not changes.is_on(connection)


def cancel(source: Engine, *, ended: bool = False) -> bool:
    """Give the source back to its writers; the copy is left as it is. False: nothing to cancel.

    ended: also after the move has come to its end; otherwise that raises StoreError.
    """
    with changes.mover(source) as connection:
        found = changes.is_on(connection)
        if not (found or ended) and held.state_of(connection) == held.MOVED:
            raise StoreError("The move has ended meanwhile: this database was moved.")
        changes.switch_off(connection, TABLES)
        held.set_state(connection, held.FREE)
    return found
