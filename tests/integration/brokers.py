"""The brokers of the tests: each with a URL, a way to be away, and cleaning up behind us."""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import kombu
import redis

from tests.conftest import lacking
from tests.integration.proxy import Proxy
from tests.integration.running import Running


class Broker:
    """url goes through a proxy, "" is the embedded one. away and back: for everybody."""

    def __init__(self, url: str, direct: str, proxy: Proxy | None) -> None:
        self.url = url
        self.direct = direct
        self._proxy = proxy

    def away(self, tweeter: Running) -> None:
        if self._proxy is not None:
            self._proxy.cut()
        else:
            os.kill(tweeter.pids(r"valkey")[0], signal.SIGSTOP)

    def back(self, tweeter: Running) -> None:
        if self._proxy is not None:
            assert self._proxy.refused, "nobody noticed that it was away"
            self._proxy.mend()
        else:
            os.kill(tweeter.pids(r"valkey")[0], signal.SIGKILL)  # a new one begins

    def names(self) -> list[str]:
        """Everything of Celery's that lies in it; of RabbitMQ nothing can be listed."""
        if not self.direct.startswith("redis"):
            return []
        return sorted(key.decode() for key in redis.Redis.from_url(self.direct).scan_iter())

    def waiting(self, prefix: str, queue: str) -> int:
        """Messages that lie in a queue of an installation."""
        name = f"{prefix}.{queue}"
        if self.direct.startswith("redis"):
            found = redis.Redis.from_url(self.direct).llen(f"{prefix}:{name}")
            assert isinstance(found, int)
            return found
        with kombu.Connection(self.direct) as connection:
            return int(connection.channel().queue_declare(name, passive=True).message_count)


@contextmanager
def broker(kind: str) -> Iterator[Broker]:
    """ "embedded", "redis" or "amqp"."""
    if kind == "embedded":
        yield Broker("", "", None)
        return
    setting = {"redis": "TWEETER_TEST_REDIS_URL", "amqp": "TWEETER_TEST_AMQP_URL"}[kind]
    given = os.environ.get(setting, "")
    if not given:
        lacking(f"no {kind}: set {setting}")
    parts = urlsplit(given)
    make = _redis if kind == "redis" else _amqp
    with make(given) as direct, Proxy(parts.hostname or "", parts.port or 0) as proxy:
        place = urlsplit(direct)
        there = place.netloc.rpartition("@")[0]
        netloc = f"{there}@127.0.0.1:{proxy.port}" if there else f"127.0.0.1:{proxy.port}"
        yield Broker(place._replace(netloc=netloc).geturl(), direct, proxy)


@contextmanager
def _redis(given: str) -> Iterator[str]:
    """A database number that is empty, emptied afterwards."""
    for number in range(15, 0, -1):
        url = urlsplit(given)._replace(path=f"/{number}").geturl()
        client = redis.Redis.from_url(url)
        if client.set("tweeter-test", uuid.uuid4().hex, nx=True, ex=600) and client.dbsize() == 1:
            break
    else:
        raise AssertionError("every database of this Redis is in use")
    try:
        yield url
    finally:
        client.flushdb()


@contextmanager
def _amqp(given: str) -> Iterator[str]:
    yield given


def forget_queues(url: str, prefix: str) -> None:
    """Delete an installation's queues of a RabbitMQ; those of workers expire by themselves."""
    with kombu.Connection(url) as connection:
        channel = connection.channel()
        for name in ("ingest", "maintenance", "exports"):
            channel.queue_delete(f"{prefix}.{name}")
            channel.exchange_delete(f"{prefix}.{name}")
        channel.exchange_delete(f"{prefix}.events")
