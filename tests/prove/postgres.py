"""A PostgreSQL of the check's own, to be killed: initdb in a temporary folder, a free port.

The machine's server is somebody else's; only one that we started may be crashed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.integration.running import free_port, wait_for

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


def programs() -> Path | None:
    """The folder of initdb and postgres, newest first; None if there is none."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).resolve().parent
    folders = [p for place in PLACES for p in Path("/").glob(place[1:]) if (p / "initdb").exists()]
    return sorted(folders)[-1] if folders else None


class OwnPostgres:
    """`with OwnPostgres() as server`: server.url is a database of it."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None, "no PostgreSQL is installed"
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="tweeter-prove-pg-"))
        self._as: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(self._folder, "postgres", "postgres")
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        data = str(self._folder / "data")
        initdb = [str(self._programs / "initdb"), "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*self._as, *initdb, "-E", "UTF8", "--no-locale"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers (after a crash: recovered)."""
        words = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", ""]
        words += ["-c", "listen_addresses=127.0.0.1", "-c", "log_min_messages=fatal"]
        self._process = subprocess.Popen(
            [*self._as, str(self._programs / "postgres"), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        wait_for(self.answers, 60, "for PostgreSQL")

    def answers(self) -> bool:
        """True when a query is answered."""
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                return bool(connection.execute(text("SELECT 1")).scalar())
        except OperationalError:
            return False
        finally:
            engine.dispose()

    def crash(self) -> None:
        """End it at once, as `pg_ctl stop -m immediate` does: no checkpoint, recovery follows."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)
