"""Fresh databases for a run: a file, or one of our own on the server that the environment names."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import NullPool, create_engine, make_url, text

SERVERS = {"postgresql": "TWEETER_TEST_PG_URL", "mariadb": "TWEETER_TEST_MYSQL_URL"}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def lacking(kind: str) -> str:
    """Why a database cannot be measured; "" if it can."""
    variable = SERVERS.get(kind, "")
    return f"set {variable}" if variable and not os.environ.get(variable) else ""


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database, which is dropped afterwards."""
    if kind == "sqlite":
        folder.mkdir(parents=True, exist_ok=True)
        yield f"sqlite:///{folder / 'tweeter.db'}"
        return
    server, name = os.environ[SERVERS[kind]], f"tweeter_bench_{uuid.uuid4().hex[:12]}"
    make = " CHARACTER SET utf8mb4" if kind == "mariadb" else ""
    drop = " WITH (FORCE)" if kind == "postgresql" else ""
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{make}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{drop}"))
