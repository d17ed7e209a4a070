"""The worker as the README prints it: six streams, and jobs of other queues beside them."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.running import ROOT, Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served

LINES = 6_000  # of a file that is read at 20/s: longer than the test takes on a slow host
EXPORT = """
import os, time
from tweeter import queues, tasks
from tweeter.tasks import app

# What exports will be: a long part, in their own queue. It lasts until its mark is gone.
@app.task(name="tweeter.export_part", **queues.PART)
def export_part(mark):
    open(mark, "w").close()
    until = time.monotonic() + 90
    while os.path.exists(mark) and time.monotonic() < until:
        time.sleep(0.1)
    if os.path.exists(mark):
        os.remove(mark)  # its time is over: what comes now has its process
"""


@pytest.mark.timeout(600)
def test_six_streams_an_import_an_export_and_maintenance_side_by_side(tmp_path: Path) -> None:
    with Served(jetstream.JetstreamSimulator(ping_s=5)) as served:
        tweeter = Running(tmp_path, BLUESKY_URL=served.it.url, LOOK_BACK_HOURS="0")
        tweeter.env["PYTHONPATH"] = f"{tmp_path}:{ROOT}"
        (tmp_path / "with_export.py").write_text(EXPORT)
        tweeter.cli("init")
        first = tweeter.add("storm")
        for number in range(5):
            file = tmp_path / f"{number}.jsonl"
            ids = range(number * LINES + 1, (number + 1) * LINES + 1)
            lines = [json.dumps({"data": {"id": str(n), "text": f"storm {n}"}}) for n in ids]
            file.write_text("\n".join(lines))
        tweeter.cli("replay", "--speed", "20/s", *map(str, tmp_path.glob("?.jsonl")))
        # -I only makes the stand-in known.
        celery = ["-m", "celery", "-A", "tweeter.views.flask_tasks", "worker", "-I", "with_export"]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, *celery], cwd=tmp_path, env=tweeter.env, stdout=log, stderr=log
            )
            try:
                _watch(tweeter, served, tmp_path, first)
            finally:
                worker.terminate()
                worker.wait(60)


def _watch(tweeter: Running, served: Any, folder: Path, first: int) -> None:
    def one(statement: str) -> Any:
        return tweeter.sql(statement)[0][0]

    wait_for(lambda: one("SELECT count(*) FROM streams WHERE owner <> ''") == 6, 30, "for six")
    large = folder / "large.jsonl"
    with large.open("w") as out:
        for n in range(300_000):
            out.write(json.dumps({"data": {"id": str(10**9 + n), "text": f"calm {n}"}}) + "\n")
    mark = folder / "exporting"
    send = (
        "import with_export, sys\nfrom tweeter import tasks\n"
        "from tweeter.store.engine import make_engine\n"
        "tasks.join(make_engine(tasks.config.database_url))\n"
        "with_export.export_part.apply_async(args=[sys.argv[1]])\n"
    )
    words = [sys.executable, "-c", send, str(mark)]
    with subprocess.Popen(words, cwd=folder, env=tweeter.env) as sender:
        tweeter.cli("replay", str(large), str(folder / "0.jsonl"))
        assert sender.wait(30) == 0
    wait_for(mark.exists, 20, "for the export to begin")
    reading = "SELECT count(*) FROM jobs WHERE kind = 'import' AND state = 'waiting'"
    assert one(reading), "the import should be under way"
    # With an export in one process and an import in the other, maintenance still has its turn.
    number = tweeter.add("storm NOT calm")
    before = _counts(tweeter)
    served.do(served.it.publish([jetstream.post_event(f"storm {n}", n) for n in range(20)]))
    done = "SELECT count(*) FROM keywords WHERE complete_at IS NOT NULL AND id = ?"
    wait_for(lambda: tweeter.sql(done, number)[0][0], 60, "for maintenance")
    time.sleep(2)
    assert mark.exists()
    mark.unlink()
    grown = {name for name, count in _counts(tweeter).items() if count > before[name]}
    assert len(grown & set(before)) >= 6, "each of the six streams went on"
    assert first


def _counts(tweeter: Running) -> dict[str, int]:
    try:
        return {n: int(c) for n, c in tweeter.sql("SELECT name, events FROM streams WHERE wanted")}
    except sqlite3.OperationalError:
        return {}
