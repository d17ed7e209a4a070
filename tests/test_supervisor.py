"""The parent stops in time, whatever its children do."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.running import alive
from tweeter import config, supervisor
from tweeter.supervisor import Role, Supervisor

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
STOP_S = 8.0


def stopped(folder: Path, role: Role, when: Callable[[], Any]) -> tuple[float, int]:
    """Seconds from SIGTERM, sent once this holds, until the supervisor returned; its exit code."""

    async def run() -> tuple[float, int]:
        settings = config.load({"TWEETER_DATA_DIR": str(folder)})
        running = asyncio.create_task(Supervisor(settings, [role]).run())
        async with asyncio.timeout(30):
            while not when():
                await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        began_s = time.monotonic()
        code = await asyncio.wait_for(running, 30)
        return time.monotonic() - began_s, code

    return asyncio.run(run())


def test_a_process_that_left_its_group_does_not_hold_the_stop(tmp_path: Path) -> None:
    """It has the child's output open, which so never ends."""
    pid = tmp_path / "pid"
    leaves = (
        "import pathlib, subprocess, sys, time\n"
        "its = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        f"pathlib.Path({str(pid)!r} + '.new').write_text(str(its.pid))\n"
        f"pathlib.Path({str(pid)!r} + '.new').rename({str(pid)!r})\n"
        "time.sleep(60)\n"
    )
    try:
        took_s, code = stopped(tmp_path, Role("one", [sys.executable, "-c", leaves], 0), pid.exists)
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert code == 0
    assert took_s < STOP_S


def test_a_child_that_begins_while_all_is_stopped_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    real = asyncio.create_subprocess_exec

    async def slow(*argv: str, **options: Any) -> Any:
        begun.append(await real(*argv, **options))
        await asyncio.sleep(1.5)  # a machine with much to do
        return begun[-1]

    monkeypatch.setattr(supervisor.asyncio, "create_subprocess_exec", slow)
    took_s, _ = stopped(tmp_path, Role("one", SLEEPS, 0), lambda: begun)
    assert took_s < STOP_S
    assert not alive(begun[0].pid)


def test_a_child_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tries: list[str] = []
    real = asyncio.create_subprocess_exec

    async def no_process_left(*argv: str, **options: Any) -> Any:
        tries.append(argv[0])
        if len(tries) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await real(*argv, **options)

    monkeypatch.setattr(supervisor.asyncio, "create_subprocess_exec", no_process_left)
    monkeypatch.setattr(supervisor, "FIRST_WAIT_S", 0.1)
    stopped(tmp_path, Role("one", SLEEPS, 0), lambda: len(tries) == 2)
    assert len(tries) == 2
    assert "cannot be started: [Errno 11]" in capfd.readouterr().err


def test_what_a_child_prints_does_nothing_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    says = [sys.executable, "-uc", "print('a\\x1b[31mb'); import time; time.sleep(60)"]
    said: list[str] = []

    def anything() -> bool:
        said.append(capfd.readouterr().err)
        return "one |" in "".join(said)

    stopped(tmp_path, Role("one", says, 0), anything)
    assert "one | a\ufffd[31mb\n" in "".join(said)
