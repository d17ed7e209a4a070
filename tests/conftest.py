"""What several tests need: real servers, recorded posts, fresh databases."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text

from tests.lent import Lent, MariaDB, PostgreSQL
from tweeter.store import migrate
from tweeter.store.engine import make_engine

# Loaded now: its plug-in would load it at the very end, where Python 3.11 can stumble over the
# syntax tree of so deep a call (python/cpython#106905).
hypothesis.settings.register_profile("tweeter", deadline=None)
hypothesis.settings.load_profile("tweeter")

ROOT = Path(__file__).parent.parent
LATIN = "CHARACTER SET latin1"
STRICT = bool(os.environ.get("TWEETER_TEST_STRICT"))


def lacking(reason: str) -> None:
    """Skip the test, or fail it where everything must be there."""
    if STRICT:
        pytest.fail(f"{reason} (TWEETER_TEST_STRICT is set)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of recorded posts, which is not part of the project."""
    folder = Path(os.environ.get("TWEETER_TEST_SAMPLES", ROOT.parent / "shared" / "samples"))
    if not folder.is_dir():
        pytest.skip(f"no recorded posts in {folder}")
    return folder


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tweeter.db'}"


def server_of(variable: str, name: str) -> str:
    """The URL of a real server, from an environment variable."""
    url = os.environ.get(variable)
    if not url:
        lacking(f"no {name}: set {variable}")
    assert url is not None
    return url


def fresh_database(server: str, how: str = "", drop: str = "") -> Iterator[str]:
    """A database of our own on a server, dropped afterwards. how, drop: more words of SQL."""
    name = f"tweeter_test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {how}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} {drop}"))
    admin.dispose()


@pytest.fixture(scope="session")
def pg_server() -> str:
    return server_of("TWEETER_TEST_PG_URL", "PostgreSQL")


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    return server_of("TWEETER_TEST_MYSQL_URL", "MariaDB")


@pytest.fixture
def pg_url(pg_server: str) -> Iterator[str]:
    """A fresh PostgreSQL database."""
    yield from fresh_database(pg_server, drop="WITH (FORCE)")


@pytest.fixture
def mariadb_url(mariadb_server: str) -> Iterator[str]:
    """A fresh database on MariaDB (or MySQL).

    The database's own collation ignores case: ours must not depend on it.
    """
    yield from fresh_database(mariadb_server, LATIN)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each database that tweeter runs on."""
    fixtures = {"sqlite": "sqlite_url", "postgresql": "pg_url", "mariadb": "mariadb_url"}
    url: str = request.getfixturevalue(fixtures[request.param])
    return url


def upgraded(url: str) -> str:
    made = make_engine(url)
    migrate.upgrade(made)
    made.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "tweeter.db"
    upgraded(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def pg_template(pg_server: str) -> Iterator[str]:
    for url in fresh_database(pg_server, drop="WITH (FORCE)"):
        yield upgraded(url)


@pytest.fixture(scope="session")
def mariadb_template(mariadb_server: str) -> Iterator[list[str]]:
    """The statements that make a migrated database; its own must be there while they run."""
    for url in fresh_database(mariadb_server, LATIN):
        made = create_engine(upgraded(url))
        with made.connect() as connection:
            yield list(_statements(connection, str(made.url.database)))
        made.dispose()


def _statements(connection: Connection, database: str) -> Iterator[str]:
    yield "SET foreign_key_checks = 0"
    for table in inspect(connection).get_table_names():
        yield connection.execute(text(f"SHOW CREATE TABLE `{table}`")).one()[1]
        if connection.execute(text(f"SELECT count(*) FROM `{table}`")).scalar():
            yield f"INSERT INTO `{table}` SELECT * FROM `{database}`.`{table}`"


@pytest.fixture
def sqlite_copy(sqlite_template: Path, sqlite_url: str) -> str:
    shutil.copy(sqlite_template, str(make_url(sqlite_url).database))
    return sqlite_url


@pytest.fixture
def sqlite_engine(sqlite_copy: str) -> Iterator[Engine]:
    """A migrated SQLite database, for what does not differ between databases."""
    made = make_engine(sqlite_copy)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def pg_lent(pg_server: str, pg_template: str) -> Iterator[Lent]:
    template = f"TEMPLATE {make_url(pg_template).database}"
    fresh = contextmanager(fresh_database)
    lent = Lent(lambda: fresh(pg_server, template, drop="WITH (FORCE)"), PostgreSQL)
    yield lent
    lent.drop()


@pytest.fixture
def pg_copy(pg_lent: Lent) -> Iterator[str]:
    with pg_lent.lend() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_lent(mariadb_server: str, mariadb_template: list[str]) -> Iterator[Lent]:
    @contextmanager
    def fresh() -> Iterator[str]:
        for url in fresh_database(mariadb_server, LATIN):
            copy = create_engine(url)
            with copy.begin() as connection:
                for statement in mariadb_template:
                    connection.exec_driver_sql(statement.replace("%", "%%"))
            copy.dispose()
            yield url

    lent = Lent(fresh, MariaDB)
    yield lent
    lent.drop()


@pytest.fixture
def mariadb_copy(mariadb_lent: Lent) -> Iterator[str]:
    with mariadb_lent.lend() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A migrated database, copied from one that the migrations made (a tenth of the time)."""
    fixtures = {"sqlite": "sqlite_copy", "postgresql": "pg_copy", "mariadb": "mariadb_copy"}
    url: str = request.getfixturevalue(fixtures[request.param])
    return url


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """A migrated database."""
    made = make_engine(migrated_url)
    yield made
    made.dispose()
