"""Bring a database to this program's schema, by Alembic's numbered steps.

On SQLite and PostgreSQL an upgrade is one transaction: killed anywhere, nothing has happened.
MySQL and MariaDB commit each change of a table at once: there a backup is the way back.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from tweeter.errors import StoreError
from tweeter.store import bulk, changes
from tweeter.store.engine import insert_new, reading, repeated, was_taken_back, writing
from tweeter.store.revisions import (
    known,
    newest,
    refuse_absent,
    refuse_newer,
    refuse_unfit_server,
    version,
)
from tweeter.store.schema import positions
from tweeter.store.search_texts import RENEWED

_FOLDER = Path(__file__).parent / "migrations"


def _alembic(engine: Engine) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> tuple[str, str]:
    """Create what is missing; safe to run twice. Returns (revision before, revision now).

    An SQLite database with something in it is kept as it was beside itself (`kept_at`).
    Raises StoreError if the database is newer than this program, or in use.
    """
    refuse_unfit_server(engine)
    before = version(engine)
    refuse_newer(before)
    if before != newest():
        _step(engine, newest(), keep=before)
    with writing(engine) as connection:
        names = ("feed", "keywords") if before else ("feed", "keywords", RENEWED)
        rows = [{"name": name, "value": 0} for name in names]
        insert_new(connection, positions, rows, unique=("name",))  # others may do it just now
        if before not in ("", newest()):
            bulk.compare_anew(connection)
    return before, newest()


def downgrade(engine: Engine, revision: str) -> tuple[str, str]:
    """Take back the steps after `revision`; what only they could hold is gone.

    Returns (revision before, revision now). Raises StoreError as `upgrade` does.
    """
    before = version(engine)
    refuse_newer(before)
    if revision not in known() or revision > before:
        raise StoreError(
            f"The database is at revision {before or 'none'}; it can go down to one of"
            f" {', '.join(sorted(one for one in known() if one < before)) or 'none'}."
        )
    if revision != before:
        _step(engine, revision, keep=before, down=True)
    return before, revision


def _step(engine: Engine, to: str, *, keep: str, down: bool = False) -> None:
    run = repeated(command.downgrade if down else command.upgrade)
    if keep and engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            if changes.is_on(connection):  # a changed table would lose its triggers
                raise StoreError(
                    "The database is being moved: finish that first, or:"
                    " python -m tweeter db move --cancel"
                )
        backup(engine, kept_at(engine, keep))
    try:
        run(_alembic(engine), to)
    except DBAPIError as error:
        if not was_taken_back(error):
            raise
        raise StoreError(
            f"The tables could not be brought to revision {to}: other connections use them."
            " Stop tweeter everywhere (and long queries), then try again."
        ) from error


def kept_at(engine: Engine, revision: str) -> Path:
    """Where an SQLite database is kept before it leaves a revision."""
    file = Path(engine.url.database or "")
    return file.with_name(f"{file.name}.{revision}.backup")


def backup(engine: Engine, path: Path) -> None:
    """Copy an SQLite database, also while it is written to; the copy is one moment's.

    The file appears whole or not at all, readable by its owner only, and takes the place of
    one of that name. Raises StoreError if it cannot be written, if it would take the place of the
    database itself, if there is none to copy, or on another database.
    """
    if engine.dialect.name != "sqlite":
        tool = "pg_dump" if engine.dialect.name == "postgresql" else "mariadb-dump"
        raise StoreError(f"tweeter backs up SQLite only. Here use: {tool}")
    if not path.name:
        raise StoreError("The backup needs the name of a file.")
    refuse_absent(engine)
    part = path.with_name(f"{path.name}.part")
    for written in (path, part):
        if _is_of_database(engine, written):
            raise StoreError(
                f"{written} is the database itself, or a part of it: a backup would destroy it."
                " Give the name of another file."
            )
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            closing(sqlite3.connect(str(engine.url.database))) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
        os.replace(part, path)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"The backup {path} cannot be written: {error}.") from error


def _is_of_database(engine: Engine, path: Path) -> bool:
    """True if the file, by whatever name, is the database or one that SQLite has beside it."""
    database = os.path.realpath(engine.url.database or "")
    for own in (f"{database}{end}" for end in ("", "-wal", "-shm", "-journal")):
        if os.path.realpath(path) == own:
            return True
        if os.path.exists(path) and os.path.exists(own) and os.path.samefile(path, own):
            return True
    return False
