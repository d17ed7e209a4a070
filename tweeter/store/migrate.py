"""Bring a database to this program's schema, by Alembic's numbered steps."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, insert, inspect, select

from tweeter.errors import StoreError
from tweeter.store.engine import reading, writing
from tweeter.store.schema import positions

_FOLDER = Path(__file__).parent / "migrations"


def _alembic(engine: Engine) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["engine"] = engine
    return config


def version(engine: Engine) -> str:
    """The revision the database is at; "" for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def newest() -> str:
    """The revision that this program is written for."""
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


def upgrade(engine: Engine) -> tuple[str, str]:
    """Create what is missing; safe to run twice. Returns (revision before, revision now).

    Raises StoreError if the database is newer than this program.
    """
    before = version(engine)
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if before and before not in known:
        raise StoreError(
            f"The database is at revision {before}, which this version of tweeter does not know:"
            " it was used by a newer one. Install that version again, or restore a backup."
        )
    if before != newest():
        command.upgrade(_alembic(engine), "head")
    with writing(engine) as connection:
        names = set(connection.execute(select(positions.c.name)).scalars())
        for name in {"feed", "keywords"} - names:
            connection.execute(insert(positions).values(name=name, value=0))
    return before, newest()


def check(engine: Engine) -> None:
    """Raise StoreError, saying what to do, unless the database is at this program's revision."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("streams"):
            raise StoreError("The database is empty. Create it: python database_init.py")
    found = version(engine)
    if found != newest():
        raise StoreError(
            f"The database is at revision {found or 'none'}, this tweeter needs {newest()}."
            " Stop tweeter, then run: python database_init.py"
        )
