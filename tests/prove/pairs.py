"""Databases and brokers of a check: three pairs that cover every one that is named in the docs.

The servers are those of the machine (TWEETER_TEST_*_URL); what a check makes in them is its own
and goes with it.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import redis
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.prove.harness import Broken

PAIRS = ("sqlite", "postgresql", "mariadb")
BROKERS = {"sqlite": "embedded", "postgresql": "redis", "mariadb": "rabbitmq"}


@contextmanager
def pair(name: str) -> Iterator[dict[str, str]]:
    """Settings for `Run.tweeter`: SQLite with the embedded broker, or two servers."""
    with ExitStack() as stack:
        if name == "sqlite":
            yield {}
        elif name == "postgresql":
            database = stack.enter_context(_postgresql())
            yield {"DATABASE_URL": database, "BROKER_URL": stack.enter_context(_redis())}
        else:
            database = stack.enter_context(_mariadb())
            yield {"DATABASE_URL": database, "BROKER_URL": stack.enter_context(_rabbitmq())}


def _server(variable: str) -> str:
    url = os.environ.get(variable, "")
    if not url:
        raise Broken(f"there is no server for this: set {variable}")
    return url


@contextmanager
def _database(url: str, make: str, drop: str) -> Iterator[str]:
    name = f"tweeter_prove_{uuid.uuid4().hex[:12]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(make.format(name)))
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(drop.format(name)))


@contextmanager
def _postgresql() -> Iterator[str]:
    url = _server("TWEETER_TEST_PG_URL")
    with _database(url, "CREATE DATABASE {}", "DROP DATABASE {} WITH (FORCE)") as found:
        yield found


@contextmanager
def _mariadb() -> Iterator[str]:
    make = "CREATE DATABASE {} CHARACTER SET utf8mb4"
    with _database(_server("TWEETER_TEST_MYSQL_URL"), make, "DROP DATABASE {}") as found:
        yield found


@contextmanager
def _redis() -> Iterator[str]:
    """A database number that nobody uses."""
    base = _server("TWEETER_TEST_REDIS_URL").rpartition("/")[0]
    for number in range(15, 0, -1):
        url = f"{base}/{number}"
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0 and client.set("tweeter-prove", "1", nx=True, ex=7_200):
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    raise Broken("every database of the Redis server is in use")


@contextmanager
def _rabbitmq() -> Iterator[str]:
    """A vhost of its own."""
    url = urlsplit(_server("TWEETER_TEST_AMQP_URL"))
    if shutil.which("rabbitmqctl") is None:
        raise Broken("a vhost of our own needs rabbitmqctl")
    name = f"tweeter-prove-{uuid.uuid4().hex[:12]}"
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, url.username or "guest", ".*", ".*", ".*")
        yield f"amqp://{url.netloc}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


def cut_rabbitmq(settings: dict[str, str]) -> None:
    """Close every connection of the program to its vhost."""
    name = settings["BROKER_URL"].rpartition("/")[2]
    _rabbitmqctl("close_all_connections", "--vhost", name, "a fault of the check")


def _rabbitmqctl(*words: str) -> None:
    done = subprocess.run(["rabbitmqctl", *words], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Broken(f"rabbitmqctl {words[0]}: {done.stderr[-300:]}")
