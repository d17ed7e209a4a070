"""Processes forked beside a thread that writes: each must be able to write afterwards."""

import subprocess
import sys

import pytest

from tweeter.store import migrate
from tweeter.store.engine import make_engine

PROGRAM = """
import os, signal, sys, threading, time
from tweeter.store import engine as engines
from tweeter.store import workers

url, will_fork = sys.argv[1], sys.argv[2] == "yes"
ours = engines.make_engine(url, will_fork=will_fork)

def write():
    while True:
        with engines.writing(ours) as connection:
            time.sleep(0.02)
        time.sleep(0.005)

threading.Thread(target=write, daemon=True).start()
time.sleep(0.1)
stuck = 0
for number in range(10):
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a copied lock that nobody holds any more is never given back
        engines.BUSY_TIMEOUT_MS = 2_000
        try:
            workers.beat(engines.make_engine(url), f"child{number}", "x")
        except Exception:
            os._exit(1)
        os._exit(0)
    stuck += os.waitpid(child, 0)[1] != 0
    if stuck:
        break
    time.sleep(0.01)
print(stuck, flush=True)
os._exit(0)
"""


def stuck(url: str, *, will_fork: bool) -> int:
    """Of ten forked processes, 1 if one could not write (the first that cannot is the last)."""
    words = [sys.executable, "-c", PROGRAM, url, "yes" if will_fork else "no"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, check=True)
    return int(done.stdout)


@pytest.fixture
def url(sqlite_url: str) -> str:
    engine = make_engine(sqlite_url)
    migrate.upgrade(engine)
    engine.dispose()
    return sqlite_url


def test_a_process_forked_beside_a_writing_thread_can_write(url: str) -> None:
    assert stuck(url, will_fork=True) == 0


def test_without_care_such_processes_find_the_database_locked_for_ever(url: str) -> None:
    assert stuck(url, will_fork=False) > 0
