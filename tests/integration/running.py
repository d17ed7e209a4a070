"""tweeter as a person runs it: started by its command, watched from outside."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from sqlalchemy import NullPool, create_engine, text

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PATIENCE = 3


def wait_for(condition: Callable[[], Any], timeout_s: float = 30, what: str = "") -> Any:
    """Wait until the condition gives something true, and return it.

    timeout_s is what a machine of its own needs; on one that others use too it takes longer, and
    what is promised in seconds is measured by `make prove`, not by tests.
    """
    until = time.monotonic() + PATIENCE * timeout_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"waited {timeout_s} s in vain {what}"
        time.sleep(0.05)


def tree(pid: int) -> dict[int, str]:
    """All living descendants of a process, with their command lines."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            found[child] = words
            waiting.append(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Running:
    """`with Running(tmp_path, BLUESKY_URL=…) as tweeter:`; settings without TWEETER_.

    root: where the program is. DATABASE_URL runs it on another database than SQLite in its folder.
    server_url: what `sql` asks if it is not what tweeter is told (a proxy stands between).
    """

    def __init__(self, folder: Path, *, root: Path = ROOT, **settings: str) -> None:
        self.folder = folder
        self.root = root
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
        self.env |= {"TWEETER_DATA_DIR": str(folder / "data"), "TWEETER_PORT": str(self.port)}
        self.env |= {"TWEETER_BLUESKY_URL": "", "TWEETER_BLUESKY_API": ""}
        self.env |= {f"TWEETER_{name}": value for name, value in settings.items()}
        self.server_url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "tweeter.log").open("ab")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self._log.close()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tweeter", "up"],
            cwd=self.root,
            env=self.env,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        wait_for(self.answers, 30, self.log_tail())

    def answers(self) -> bool:
        try:
            return bool(self.health())
        except OSError:
            return False

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Stop in order; returns the seconds it took."""
        assert self.process is not None
        began_at = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=15)
        return time.monotonic() - began_at

    def log_text(self) -> str:
        return (self.folder / "tweeter.log").read_text(errors="replace")

    def log_tail(self) -> str:
        return self.log_text()[-2000:]

    def cli(self, *words: str, check: bool = True, timeout_s: float = 120) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tweeter", *words],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout if check else done.stdout + done.stderr

    def add(self, expression: str) -> int:
        return int(json.loads(self.cli("keyword", "add", expression, "--json"))["id"])

    def add_all(self, expressions: Iterable[str]) -> list[int]:
        """By the API: a command for each would take most of a second of a processor."""
        return [self._added(expression) for expression in expressions]

    def _added(self, expression: str) -> int:
        body = json.dumps({"expression": expression}).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/keywords", body, kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(json.load(answer)["keyword"]["id"])

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Straight from its database, past our own code.

        Values stand for each ? of the statement, in order. A statement that changes something
        is committed.
        """
        pieces = statement.split("?")
        named = "".join(f"{piece}:v{n}" for n, piece in enumerate(pieces[:-1])) + pieces[-1]
        engine = create_engine(self.database_url(), poolclass=NullPool)
        with engine.begin() as connection:
            found = connection.execute(text(named), {f"v{n}": v for n, v in enumerate(values)})
            rows = [tuple(row) for row in found] if found.returns_rows else []
        engine.dispose()
        return rows

    def database_url(self) -> str:
        """The URL of its database: server_url, DATABASE_URL or the file in its folder."""
        file = self.folder / "data" / "tweeter.db"
        url = self.server_url or self.env.get("TWEETER_DATABASE_URL")
        return url or f"sqlite:///{file}"

    def pids(self, pattern: str) -> list[int]:
        """Descendants whose command line has the pattern."""
        assert self.process is not None
        found = tree(self.process.pid)
        return sorted(pid for pid, words in found.items() if re.search(pattern, words))

    def slot_pid(self) -> int:
        """The pool process that follows the streams."""
        owners = wait_for(lambda: self.sql("SELECT owner FROM slots"), 20, "for a slot")
        return int(owners[0][0].split("|")[2])
