"""Whether a database is fit for this program: what every process asks at its start and again.

`migrate` brings it there. It needs Alembic; who only looks does not load it (tests/test_lean.py).
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Engine, column, inspect, select, table

from tweeter.errors import MustEnd, StoreError
from tweeter.store import held, mysql
from tweeter.store.engine import reading

MOVING = "move_progress"  # the table of an unfinished move into a database (`move`)
STEPS = Path(__file__).parent / "migrations" / "versions"
_CREATE = (
    "Create it: python database_init.py. If you have one, look at TWEETER_DATA_DIR and"
    " TWEETER_DATABASE_URL, and whether this is tweeter's folder."
)
_NOTED = table("alembic_version", column("version_num"))


def version(engine: Engine) -> str:
    """The revision the database is at; "" for an empty one."""
    with reading(engine) as connection:
        if not inspect(connection).has_table(_NOTED.name):
            return ""
        return connection.execute(select(_NOTED.c.version_num)).scalar() or ""


@cache  # of the files as they were at the start: an upgrade replaces them under a process
def known() -> frozenset[str]:
    """All revisions of this program: steps are numbered, and files are named by them."""
    return frozenset(file.name.partition("_")[0] for file in STEPS.glob("[0-9]*_*.py"))


def newest() -> str:
    """The revision that this program is written for."""
    return max(known(), default="")


def refuse_newer(at: str) -> None:
    """Raise StoreError if a database is at a revision that only a newer program knows."""
    if at and at not in known():
        raise StoreError(
            f"The database is at revision {at}, which this version of tweeter does not know:"
            " it was used by a newer one. Install that version again, or restore a backup."
        )


def refuse_absent(engine: Engine) -> None:
    """Raise StoreError if there is no database yet, or an empty one; no file is made."""
    url = engine.url
    file = Path(url.database or "").absolute()
    if engine.dialect.name == "sqlite" and "uri" not in url.query and _is_nothing(file):
        raise StoreError(f"There is no database at {file} yet. {_CREATE}")
    with reading(engine) as connection:
        if not inspect(connection).has_table("streams"):
            where = url.set(query={}).render_as_string()  # an option may be a password
            name = file if engine.dialect.name == "sqlite" else where
            raise StoreError(f"The database at {name} is empty. {_CREATE}")


def _is_nothing(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it cannot be looked at: to open it will say why
        return False


def check(engine: Engine) -> None:
    """Raise StoreError, saying what to do, unless the database is fit for this program."""
    refuse_absent(engine)
    refuse_unfit_server(engine)
    with reading(engine) as connection:
        if inspect(connection).has_table(MOVING):
            raise StoreError(
                "A move into this database is not finished. Run `python -m tweeter db move` again,"
                " with TWEETER_DATABASE_URL still set to the old one."
            )
    at = version(engine)
    refuse_newer(at)
    if at != newest():
        raise StoreError(
            f"The database is at revision {at or 'none'}, this tweeter needs {newest()}."
            " Stop tweeter, then run: python database_init.py"
        )


def refuse_unfit_server(engine: Engine) -> None:
    """Raise StoreError if a server is too old for us, or set up in a way that loses posts."""
    if engine.dialect.name in ("sqlite", "postgresql"):
        return
    with reading(engine) as connection:
        mysql.check(connection)


def refuse_change(engine: Engine) -> None:
    """Raise MustEnd if the database was upgraded or moved away under a running process.

    Asked every few seconds by whoever writes. A database that is away is no reason to end:
    SQLAlchemy's errors pass through.
    """
    if held.state(engine) == held.MOVED:
        raise MustEnd(held.MOVED_WORDS)
    at = version(engine)
    if at != newest():
        raise MustEnd(
            f"The database was brought to revision {at or 'none'} by another version of tweeter;"
            f" this process knows {newest()} and ends. Start the new version."
        )
