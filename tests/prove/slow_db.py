"""R18: a database that stands still for 2 s in every 10 slows the storing and loses nothing."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.flow import Flow, audit
from tests.prove.harness import Run
from tests.prove.poison import _Database
from tests.prove.proxy import Proxy
from tests.prove.slow_client import MB, rss_bytes
from tests.prove.world import World

STALL_S, EVERY_S = 2.0, 10.0
SHORT_S, FULL_S = 42, 240
POSTS_A_S = 500
HANG_S = 25  # once, at the end: longer than a lease
SERVER = "TWEETER_TEST_PG_URL"


def run(run: Run) -> None:
    _on_sqlite(run)
    with contextlib.ExitStack() as stack:
        server = server_url()
        if not server:
            run.figures["postgresql"] = f"left out: set {SERVER}"
            return
        database = stack.enter_context(_Database(server))
        url = make_url(database.url)
        proxy = stack.enter_context(Proxy(url.host or "127.0.0.1", url.port or 5432))
        shown = url.set(host="127.0.0.1", port=proxy.port)
        settings = {"DATABASE_URL": shown.render_as_string(hide_password=False)}
        _slowed(run, "postgresql", settings, database.url, lambda: _hung(proxy))
        run.figure("postgresql_bytes_by_proxy", proxy.passed, least=100_000)
    run.fired(sqlite_stall=3, postgresql_stall=3)


def server_url() -> str:
    """A PostgreSQL for the checks, "" for none."""
    return os.environ.get(SERVER, "")


def _on_sqlite(run: Run) -> None:
    file = run.folder / "sqlite" / "data" / "tweeter.db"
    _slowed(run, "sqlite", {}, "", lambda: _locked(str(file)))


@contextmanager
def _hung(proxy: Proxy) -> Iterator[None]:
    proxy.hung = True
    yield
    proxy.hung = False


@contextmanager
def _locked(file: str) -> Iterator[None]:
    """Another program holds the write lock."""
    connection = sqlite3.connect(file, timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def _slowed(
    run: Run,
    name: str,
    settings: dict[str, str],
    audit_url: str,
    stall: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    lasts_s = FULL_S if run.full else SHORT_S
    with World(["bluesky"]) as world:
        tweeter = run.tweeter(name, **settings, **world.settings())
        tweeter.server_url = audit_url
        with tweeter:
            tweeter.add("storm")
            wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
            with Flow(world, POSTS_A_S) as flow, _Memory(tweeter) as memory:
                until = time.monotonic() + lasts_s
                while time.monotonic() < until:
                    time.sleep(EVERY_S - STALL_S)
                    _stall(run, name, stall, STALL_S)
                _stall(run, f"{name}_long", stall, HANG_S)
                back_s = _caught_up(tweeter, flow)
                flow.end()
                audit(run, tweeter, flow.keys, name)
            run.figure(f"{name}_caught_up_s", back_s, most=30)
            run.figure(f"{name}_most_rss_mb", memory.most / MB, least=1, most=400)
            run.figure(f"{name}_processes_replaced", memory.replaced(), most=0)


def _stall(
    run: Run, name: str, stall: Callable[[], contextlib.AbstractContextManager[None]], s: float
) -> None:
    with stall():
        time.sleep(s)
        run.fault(f"{name}_stall")


def _caught_up(tweeter: Running, flow: Flow) -> float:
    """Seconds until the database is at most 2 s of posts behind the script."""
    began_s = time.monotonic()
    count = "SELECT count(*) FROM posts"
    wait_for(
        lambda: len(flow.keys) - tweeter.sql(count)[0][0] < 2 * POSTS_A_S, 60, "for the backlog"
    )
    return time.monotonic() - began_s


class _Memory(Beside):
    """Looks at the memory of every process of tweeter, twice a second."""

    def __init__(self, tweeter: Running) -> None:
        super().__init__()
        self._tweeter = tweeter
        self.most = 0
        self._first = tweeter.slot_pid()
        self._last = self._first

    def end(self) -> None:
        super().end()
        self._last = self._tweeter.slot_pid()

    def replaced(self) -> int:
        """1 if another process follows the streams than at the start."""
        return int(self._first != self._last)

    def work(self) -> None:
        while not self.ended.wait(0.5):
            for pid in self._tweeter.pids("."):
                with contextlib.suppress(OSError):
                    self.most = max(self.most, rss_bytes(pid))
