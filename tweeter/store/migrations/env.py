"""Alembic's entry: run the steps on the engine that `migrate` was given, one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from tweeter.store import mysql
from tweeter.store.engine import LOCK_WAIT_S, writing
from tweeter.store.schema import metadata

DDL_WAIT_S = 2  # a step that waits for a lock holds up everybody who comes after it
TURN_WAIT_S = 60  # for another process that upgrades


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """Hold the right to change tables; SQLite has one writer anyhow."""
    if connection.dialect.name == "postgresql":  # all of it ends with the transaction
        connection.execute(text(f"SET LOCAL lock_timeout = '{TURN_WAIT_S}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tweeter migrations'))"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{DDL_WAIT_S}s'"))
    if connection.dialect.name in ("sqlite", "postgresql"):
        yield
        return
    name = f"SELECT GET_LOCK(CONCAT('tweeter ', MD5(DATABASE())), {TURN_WAIT_S})"
    connection.execute(text(name)).all()
    connection.execute(text(f"SET SESSION lock_wait_timeout = {DDL_WAIT_S}"))
    try:
        if not MigrationContext.configure(connection).get_current_revision():
            mysql.drop_unfinished(connection, metadata.sorted_tables)
        yield
        mysql.make_binary(connection, list(metadata.tables))
    finally:
        connection.execute(text("SELECT RELEASE_ALL_LOCKS()")).all()
        connection.execute(text(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_S}"))


with writing(context.config.attributes["engine"]) as connection, _turn(connection):
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    context.run_migrations()
