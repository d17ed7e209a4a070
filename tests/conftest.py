"""What several tests need: real servers, recorded posts, fresh databases."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from tweeter.store import migrate
from tweeter.store.engine import make_engine

# Loaded now: its plug-in would load it at the very end, where Python 3.11 can stumble over the
# syntax tree of so deep a call (python/cpython#106905).
hypothesis.settings.register_profile("tweeter", deadline=None)
hypothesis.settings.load_profile("tweeter")

ROOT = Path(__file__).parent.parent
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


@pytest.fixture
def pg_url() -> Iterator[str]:
    """A fresh PostgreSQL database, dropped afterwards."""
    server = os.environ.get("TWEETER_TEST_PG_URL")
    if not server:
        lacking("no PostgreSQL: set TWEETER_TEST_PG_URL")
    assert server is not None
    name = f"tweeter_test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each database that tweeter runs on."""
    url: str = request.getfixturevalue(
        {"sqlite": "sqlite_url", "postgresql": "pg_url"}[request.param]
    )
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database."""
    made = make_engine(database_url)
    migrate.upgrade(made)
    yield made
    made.dispose()
