"""What the README and the 2016 program print works as printed, from a fresh copy of the project."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.running import alive, free_port, tree, wait_for

FILES = ("tweeter", "database_init.py", "run_application.py", "requirements.txt")
FILES += ("requirements-dev.txt", "pyproject.toml", "Makefile", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "tweeter"
    folder.mkdir()
    for name in FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def environment(**more: str) -> dict[str, str]:
    found = {k: v for k, v in os.environ.items() if not k.startswith(("TWEETER_", "VIRTUAL_ENV"))}
    return found | {"TWEETER_BLUESKY_URL": ""} | more


def fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


class Terminal:
    """Commands left running in a folder, as in several terminals; ended with the test."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        self.log = Path(env["TWEETER_DATA_DIR"]).with_name("terminal.log")
        self.log.touch()
        self.running: list[subprocess.Popen[bytes]] = []

    def leave_running(self, *argv: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            process = subprocess.Popen(argv, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def end(self) -> None:
        """Stop all; what they said becomes part of a test's report if it fails."""
        children = [pid for process in self.running for pid in tree(process.pid)]
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            process.wait(timeout=20)
        sys.stderr.write(self.log.read_text(errors="replace"))
        wait_for(lambda: not any(map(alive, children)), 10, "for all to end")


@pytest.fixture
def terminal(copy: Path, tmp_path: Path) -> Iterator[Terminal]:
    bin_folder = str(Path(sys.executable).parent)
    env = environment(TWEETER_PORT=str(free_port()), TWEETER_DATA_DIR=str(tmp_path / "data"))
    made = Terminal(copy, env | {"PATH": f"{bin_folder}:{env['PATH']}"})
    yield made
    made.end()


def has_worker(page: str) -> bool:
    return "Keywords" in page and "No worker is running, so nothing" not in page


@pytest.mark.parametrize("first", ["application", "worker"])
def test_the_five_original_steps(terminal: Terminal, first: str) -> None:
    """Step one, installing, is `make run`'s below; here the others, in both orders."""
    page = f"http://127.0.0.1:{terminal.env['TWEETER_PORT']}/add_keyword"
    init = ["python", "database_init.py"]
    for _ in range(2):  # safe to run twice
        subprocess.run(init, cwd=terminal.folder, env=terminal.env, check=True, timeout=60)
    application = ["python", "run_application.py"]
    worker = ["celery", "-A", "tweeter.views.flask_tasks", "worker"]
    if first == "application":
        serving = terminal.leave_running(*application)
        text = wait_for(lambda: fetch(page), 20)
        assert "No worker is running" in text
        assert "celery -A tweeter.views.flask_tasks worker" in text
        terminal.leave_running(*worker)
    else:
        terminal.leave_running(*worker)
        time.sleep(2)
        serving = terminal.leave_running(*application)
    wait_for(lambda: has_worker(fetch(page)), 30, "for the worker to be seen")
    demo = [sys.executable, "-m", "tweeter", "demo"]
    subprocess.run(demo, cwd=terminal.folder, env=terminal.env, check=True, timeout=60)
    status = [sys.executable, "-m", "tweeter", "posts"]

    def posts() -> bytes:
        return subprocess.run(
            status,
            cwd=terminal.folder,
            env=terminal.env,
            check=True,
            stdout=subprocess.PIPE,
            timeout=60,
        ).stdout

    wait_for(posts, 30, "for a post of the demo")
    # Whoever holds the broker may go: the other takes it over, and the stream goes on.
    serving.kill()
    serving.wait()
    terminal.running.remove(serving)
    count = posts().count(b"\n")
    wait_for(lambda: posts().count(b"\n") > count, 30, "for the stream to go on")


@pytest.mark.timeout(600)
def test_make_run_starts_everything_from_nothing(copy: Path, tmp_path: Path) -> None:
    """The README's first command: makes the environment, installs, starts, prints the address."""
    port = str(free_port())
    env = environment(TWEETER_PORT=port, TWEETER_DATA_DIR=str(tmp_path / "data"))
    log = (tmp_path / "make.log").open("wb")
    making = subprocess.Popen(
        ["make", "run", f"PYTHON={sys.executable}"],
        cwd=copy,
        env=env,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        page = f"http://127.0.0.1:{port}/add_keyword"
        wait_for(lambda: has_worker(fetch(page)) or making.poll() is not None, 300, "for make run")
        said = (tmp_path / "make.log").read_text()
        assert making.poll() is None, said
        assert page in said
    finally:
        children = tree(making.pid)
        os.killpg(making.pid, signal.SIGINT)
        making.wait(timeout=20)
    wait_for(lambda: not any(map(alive, children)), 10, "for all to end")
