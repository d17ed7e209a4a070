"""One parent for all processes: starts, restarts with back-off, stops in order, leaves none.

A child is its own process group and is sent SIGTERM when the parent dies, however it dies
(Linux); Celery's pool processes do the same for themselves. Nothing here knows the database: who
only waits for others needs no memory for it (tests/test_lean.py).
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from tweeter import config as configuration
from tweeter.broker import die_with_parent
from tweeter.config import Config
from tweeter.errors import MUST_END, AlreadyRunning, ConfigError
from tweeter.harmless import one_line

FIRST_WAIT_S = 0.5
LAST_WAIT_S = 30.0
PORT_WAIT_S = 3.0
STEADY_S = 30.0  # a child that ran so long is started again at once
TIER_S = (2.5, 5.5, 1.5)  # for the web, the workers, the broker to end: 9.5 s in all


class Role(NamedTuple):
    """A child: what it is called, how it is started, and when it is stopped (tier 0 first)."""

    name: str
    argv: Sequence[str]
    tier: int


def default_roles(config: Config) -> list[Role]:
    """Broker if it is embedded, workers (which also do the scheduler's work), web."""
    ours = [sys.executable, "-m", "tweeter"]
    celery = [sys.executable, "-m", "celery", "-A", "tweeter.views.flask_tasks", "worker"]
    celery += ["--loglevel", config.log_level, "--without-mingle", "--without-gossip"]
    celery += ["--without-heartbeat"]  # nobody listens to these: workers stand in the database
    roles = [] if config.broker_url else [Role("broker", [*ours, "broker"], 2)]
    roles += [
        Role(name, [*celery, "-n", f"{name}@%h"], 1) for name in _numbered("worker", config.workers)
    ]
    names = ["web"] if config.web_processes == 1 else _numbered("web", config.web_processes)
    return [*roles, *(Role(name, [*ours, "web"], 0) for name in names)]


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}{n}" for n in range(1, count + 1)]


def main() -> None:
    """What `tweeter up` does."""
    try:
        with configuration.errors_to_stderr():
            config = configuration.load()
            configuration.make_data_dir(config)
            code = run(config, default_roles(config), before=create_database)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def create_database() -> int:
    """Create the database or bring it up to date, in a process that ends; returns its exit code."""
    words = [sys.executable, "-m", "tweeter", "init"]
    return subprocess.run(words, preexec_fn=die_with_parent, check=False).returncode  # noqa: S603


def run(config: Config, roles: Sequence[Role], *, before: Callable[[], int]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    `before` runs first, under the lock; an exit code of it other than 0 is returned at once.
    Raises AlreadyRunning, and ConfigError when the port is taken.
    """
    with (config.data_dir / "tweeter.lock").open("a+") as lock:
        _hold(lock, config)
        _refuse_taken_port(config)
        code = before()
        return code or asyncio.run(Supervisor(config, roles).run())


def _url(config: Config) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{config.port}"


def _hold(lock: IO[str], config: Config) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        words = lock.read().strip() or "another process"
        raise AlreadyRunning(f"tweeter already runs here: {words}.") from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{_url(config)}, process {os.getpid()}, data in {config.data_dir}")
    lock.flush()


def _refuse_taken_port(config: Config) -> None:
    """Look before anything is started. Children of a killed parent may need a moment to go."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    until = time.monotonic() + PORT_WAIT_S
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.host, config.port))
                return
            except OSError as error:
                if time.monotonic() > until:
                    raise ConfigError(
                        [
                            f"Port {config.port} on {config.host} is taken by another program"
                            f" ({error.strerror}). Stop it, or choose another port:"
                            " TWEETER_PORT=5001."
                        ]
                    ) from error
        time.sleep(0.1)


class Supervisor:
    """Keeps the children of the roles running."""

    def __init__(self, config: Config, roles: Sequence[Role]) -> None:
        self._config = config
        self._roles = roles
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._code = 0
        self._width = max(len(role.name) for role in roles)

    async def run(self) -> int:
        """Start all, wait for a signal or a child that must end, stop all; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        keeping = [(r.tier, asyncio.create_task(self._keep(r))) for r in self._roles]
        announcing = asyncio.create_task(self._announce())
        await self._stopping.wait()
        announcing.cancel()
        self._say("tweeter", "stopping")
        for tier, limit_s in enumerate(TIER_S):
            tasks = [task for its, task in keeping if its == tier]
            await self._stop_tier(tier, limit_s)
            # A process that left its group may hold a child's output for ever.
            for task in (await asyncio.wait(tasks, timeout=limit_s))[1] if tasks else ():
                task.cancel()
        self._say("tweeter", "stopped")
        return self._code

    async def _keep(self, role: Role) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            began_at = time.monotonic()
            code = await self._once(role)
            if self._stopping.is_set():
                return
            if code == MUST_END:
                self._say(role.name, "must end, and so does everything else: see the reason above")
                self._code = MUST_END
                self._stopping.set()
                return
            wait_s = FIRST_WAIT_S if time.monotonic() - began_at > STEADY_S else wait_s * 2
            wait_s = min(wait_s, LAST_WAIT_S)
            how = "did not start" if code is None else f"ended with {code}"
            self._say(role.name, f"{how}; starting it again in {wait_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _once(self, role: Role) -> int | None:
        """Start the role and wait for its end: its exit code, None if it could not be started."""
        try:
            child = await self._start(role)
        except (OSError, subprocess.SubprocessError) as error:  # no process or memory to be had now
            self._say(role.name, f"cannot be started: {error}")
            return None
        if self._stopping.is_set():  # while it began: nobody else will stop it
            _end_group(child)
        await self._relay(role.name, child)
        code = await child.wait()
        self._children.pop(role.name, None)
        return code

    async def _start(self, role: Role) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *role.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "TWEETER_SUPERVISED": "1", "PYTHONUNBUFFERED": "1"},
            preexec_fn=die_with_parent,
            process_group=0,
        )
        self._children[role.name] = child
        return child

    async def _relay(self, name: str, child: asyncio.subprocess.Process) -> None:
        """The child's lines, each with its name before it, until it ends."""
        assert child.stdout is not None  # noqa: S101 (it is a pipe)
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:  # a line beyond all bounds: its beginning is lost, not the child
                continue
            if not line:
                return
            self._say(name, one_line(line.decode("utf-8", "replace").rstrip()))

    def _say(self, name: str, words: str) -> None:
        sys.stderr.write(f"{name:<{self._width}} | {words}\n")
        sys.stderr.flush()

    async def _announce(self) -> None:
        """Print the address once the pages answer."""
        url = _url(self._config)
        await asyncio.to_thread(_wait_for, f"{url}/healthz", self._stopping)
        self._say("tweeter", f"is running: {url}/add_keyword")
        sys.stdout.write(f"{url}/add_keyword\n")
        sys.stdout.flush()

    async def _stop_tier(self, tier: int, limit_s: float) -> None:
        names = [r.name for r in self._roles if r.tier == tier and r.name in self._children]
        children = [self._children[name] for name in names]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(child.wait()) for child in children]
        if waits:
            _, late = await asyncio.wait(waits, timeout=limit_s)
            if late:
                self._say("tweeter", "a process did not end in time and is killed")
        for child in children:  # and what it may have left in its group
            _end_group(child)


def _end_group(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _wait_for(url: str, stopping: asyncio.Event) -> None:
    """Until the address answers, or we are stopped."""
    while not stopping.is_set():
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 (our own address)
                return
        except urllib.error.HTTPError:  # something is amiss, and the pages say what
            return
        except OSError:
            time.sleep(0.1)
