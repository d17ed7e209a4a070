"""The threads of a worker's main process outlive what fails in them."""

import threading
import time
from pathlib import Path

import msgspec
import pytest

from tweeter import keeper
from tweeter.keeper import Keeper


@pytest.mark.parametrize("loop", ["_run", "_reconcile"])
def test_a_thread_goes_on_after_a_failure_that_is_not_the_databases(
    loop: str, sqlite_copy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def few_files(*_: object) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise OSError(24, "Too many open files")

    its = {"database_url": sqlite_copy, "data_dir": tmp_path, "slots": 0}
    monkeypatch.setattr(keeper.tasks, "config", msgspec.structs.replace(keeper.tasks.config, **its))
    for name, seconds in (("KEEP_S", 0.02), ("LOOK_S", 0.02), ("BEAT_S", 0.05)):
        monkeypatch.setattr(keeper, name, seconds)
    monkeypatch.setattr(keeper, "_look", few_files)
    monkeypatch.setattr(keeper.Scheduler, "turn", few_files)
    step = Keeper.__new__(Keeper)  # without Celery's worker, whose hook it is
    step._hostname, step._stop, step._held, step._seen_at = "w", threading.Event(), [], 0.0
    thread = threading.Thread(target=getattr(step, loop), daemon=True)
    thread.start()
    until_s = time.monotonic() + 10
    while len(tries) < 3 and thread.is_alive() and time.monotonic() < until_s:
        time.sleep(0.02)
    step._stop.set()
    thread.join(10)
    assert len(tries) >= 3
