"""tweeter as a person runs it: its own command, processes and settings, 10,000 keywords.

What is not a default is said in SETTINGS. A second ingest process needs a second stream, for a
stream has one lease: there the measurement makes a second row of the same network, and the
source sends each of the two connections half of the events.
"""

import contextlib
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import ClassVar, Self

from sqlalchemy import NullPool, create_engine, text

from bench.network import Network, Sent
from tests.integration.running import Running, wait_for
from tweeter.store import streams
from tweeter.store.engine import make_engine

SETTINGS = {
    "X_DAY_POSTS": "0",  # no budgets: the guard would pause the rules within a second
    "X_MONTH_POSTS": "0",
    "X_PLAN": "enterprise",  # the plan with two connections
    "LOOK_BACK_HOURS": "0",  # the past is measured by itself
}
LOOK_S = 0.02
STUCK_S = 60.0  # nothing more was committed for so long
READY_S = 120.0
WARM_S = 10.0  # before a cost is measured: what a start takes is over


class Stuck(Exception):
    """Events were sent and do not arrive in the database."""


class Reader(threading.Thread):
    """A browser on the live page that takes what comes, so that broadcasting is paid for."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._line = socket.create_connection(("127.0.0.1", port))
        self._line.sendall(
            f"GET /live/stream?c1=all HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        )

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while self._line.recv(1 << 18):
                pass

    def close(self) -> None:
        """Leave the page."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()


class Product:
    """`with Product(folder, network, url) as product`: started, connected, with its keywords.

    processes: so many follow the network. ready: a data folder to begin with (SQLite), which
    has the keywords already. more: other settings; without them no job is under way at the start.
    """

    settings: ClassVar = SETTINGS
    is_read = True  # a browser reads the live page

    def __init__(
        self,
        folder: Path,
        network: Network,
        url: str,
        *,
        processes: int = 1,
        ready: Path | None = None,
        more: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.network = network
        self.url = url
        self.processes = processes
        self._ready, self._idle = ready, not more
        settings = self.settings | {"SLOTS": str(processes)} | (more or {})
        if not url.startswith("sqlite"):
            settings["DATABASE_URL"] = url
        if network.plan.network == "x":
            settings |= {"X_API_BASE": network.url, "X_BEARER_TOKEN": "sim-token"}
        elif network.plan.network == "bluesky":
            settings["BLUESKY_URL"] = network.url
        folder.mkdir(parents=True, exist_ok=True)
        self.running = Running(folder, **settings)
        self.total = 0  # events that were sent
        self._reader: Reader | None = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        if self._ready is not None:
            shutil.copytree(self._ready, self.folder / "data")
        else:
            add_keywords(self.running, self.network.stream.keywords)
        self.network.ask(do="forget")
        self.running.start()
        self._engine = create_engine(self.running.database_url(), poolclass=NullPool)
        self._connection = self._engine.connect()
        wait_for(lambda: self.one("SELECT count(*) FROM slots") >= self.processes, READY_S)
        self.network.connected(1)
        if self.processes > 1:
            self._second_stream()
            self.network.connected(2)
        waiting = "SELECT count(*) FROM jobs WHERE state = 'waiting'"
        if self._idle:
            wait_for(lambda: self.one(waiting) == 0, READY_S, "for the jobs of new keywords")
        if self.is_read:
            self._reader = Reader(self.running.port)
            self._reader.start()

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()
        if hasattr(self, "_connection"):
            self._connection.close()
            self._engine.dispose()
        self.running.__exit__()

    def _second_stream(self) -> None:
        engine = make_engine(self.running.database_url())
        network = self.network.plan.network
        first = next(s for s in streams.list_all(engine) if s.name == network)
        streams.ensure(engine, f"{network}-2", network, first.options)
        engine.dispose()

    def one(self, statement: str) -> int:
        """A number from its database, as of now."""
        # A transaction for each look: a snapshot that stays open would show nothing new.
        with self._connection.begin():
            return int(self._connection.execute(text(statement)).scalar() or 0)

    def owners(self) -> int:
        """How many processes follow the network."""
        network = self.network.plan.network
        return self.one(
            f"SELECT count(DISTINCT owner) FROM streams WHERE network = '{network}' AND wanted"
        )

    def committed(self) -> int:
        """Events that are done with: the counter moves in the transaction of their rows."""
        return self.one("SELECT sum(events) FROM streams")

    def take(self, count: int) -> tuple[Sent, float]:
        """Send the next events; returns when all are committed, with the seconds it took.

        From the first byte on the socket to the commit after which every event is in the
        streams' counters, which move in the transaction of the rows. Raises Stuck.
        """
        if self.owners() != self.processes:
            raise Stuck(f"{self.owners()} processes follow it, not {self.processes}")
        first, self.total = self.total, self.total + count
        self.network.say(do="go", first=first, count=count)
        done, moved_s = 0, time.monotonic()
        while done < self.total:
            time.sleep(LOOK_S)
            now = self.committed()
            at_ns = time.time_ns()
            if now > done:
                done, moved_s = now, time.monotonic()
            elif time.monotonic() - moved_s > STUCK_S:
                raise Stuck(f"{done:,} of {self.total:,} events committed, then none for a minute")
        answer = self.network.answer()
        sent = Sent(first, count, answer["first_ns"], answer["sent_ns"])
        return sent, (at_ns - sent.first_ns) / 1e9


class Core(Product):
    """The core set-up: without the search index, and nobody reads live."""

    settings: ClassVar = SETTINGS | {"SEARCH_INDEX": "false"}
    is_read = False


def add_keywords(running: Running, keywords: list[str]) -> None:
    """Make the tables, and add the keywords as a person would: from a file."""
    file = running.folder / "keywords.txt"
    running.cli("init")
    for start in range(0, len(keywords), 10_000):
        file.write_text("\n".join(keywords[start : start + 10_000]))
        running.cli("keyword", "import", str(file), timeout_s=300)


def ready_folder(folder: Path, keywords: list[str]) -> Path:
    """A data folder with the keywords in an SQLite database, for runs to begin with."""
    folder.mkdir(parents=True)
    running = Running(folder)
    add_keywords(running, keywords)
    return folder / "data"
