"""More workers, here and elsewhere, on one database and one broker: streams spread and move."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.integration.brokers import broker
from tests.integration.running import ROOT, Running, tree, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served

FILES, POSTS, PER_S = 5, 3_400, 25
WORKER = ("-A", "tweeter.views.flask_tasks", "worker")


class Site:
    """A PostgreSQL database, looked at past our own code, and workers that use it."""

    def __init__(self, folder: Path, tweeter: Running, url: str) -> None:
        self.folder = folder
        self.tweeter = tweeter
        self.engine = create_engine(url)
        self.workers: list[subprocess.Popen[bytes]] = []

    def sql(self, statement: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement)).all())

    def spread(self) -> Counter[str]:
        """Streams that are followed, by the process that follows them."""
        rows = self.sql("SELECT owner FROM streams WHERE wanted AND owner <> ''")
        return Counter(row.owner for row in rows)

    def one_line(self, name: str, host: str) -> "subprocess.Popen[bytes]":
        """A worker, with a data directory of its own and the same two URLs."""
        data = self.folder / name
        env = self.tweeter.env | {"TWEETER_DATA_DIR": str(data)}
        here = [sys.executable, "-m", "celery", *WORKER]
        there = [sys.executable, "-m", "tests.integration.elsewhere", host, "celery", *WORKER]
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            there if host else here,
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.workers.append(process)
        return process

    def end(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.engine.dispose()


@pytest.fixture
def site(tmp_path: Path, pg_url: str) -> Iterator[Site]:
    with broker("redis") as its, Served(jetstream.JetstreamSimulator(ping_s=5)) as served:
        more = {"BROKER_URL": its.direct, "DATABASE_URL": pg_url, "LOOK_BACK_HOURS": "0"}
        with Running(tmp_path, **more, BLUESKY_URL=served.it.url) as tweeter:
            found = Site(tmp_path, tweeter, pg_url)
            yield found
            found.end()


def begin_files(site: Site) -> None:
    """Streams that both machines can follow: files that are read at a pace."""
    site.tweeter.add("storm")
    for number in range(FILES):
        file = site.folder / f"{number}.jsonl"
        ids = range(number * POSTS + 1, (number + 1) * POSTS + 1)
        lines = [json.dumps({"data": {"id": str(n), "text": f"storm {n}"}}) + "\n" for n in ids]
        file.write_text("".join(lines))
    site.tweeter.cli("replay", "--speed", f"{PER_S}/s", *map(str, site.folder.glob("*.jsonl")))
    wait_for(lambda: sum(site.spread().values()) == FILES + 1, 20, "for all streams")


def kill(process: "subprocess.Popen[bytes]") -> None:
    """A machine that loses its power: all of its processes at once."""
    for pid in [*tree(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.timeout(600)
def test_streams_spread_over_machines_and_a_dead_ones_move(site: Site) -> None:
    begin_files(site)
    there = site.one_line("there", "elsewhere")
    wait_for(lambda: sorted(site.spread().values()) == [3, 3], 60, "for equal shares")
    assert {owner.partition(".")[0] for owner in site.spread()} >= {"elsewhere"}
    time.sleep(3)
    assert sorted(site.spread().values()) == [3, 3], "they wander"
    kill(there)
    began_s = time.monotonic()

    def all_here() -> bool:
        held = site.sql(
            "SELECT count(*) AS n FROM streams WHERE wanted AND owner NOT LIKE 'elsewhere%'"
            " AND lease_until > EXTRACT(EPOCH FROM clock_timestamp()) * 1000000"
        )
        return bool(held[0].n == FILES + 1)

    wait_for(all_here, 30, "for the dead machine's streams")
    assert time.monotonic() - began_s < 20

    # A second worker of this machine, and its death.
    second = site.one_line("second", "")
    wait_for(lambda: sorted(site.spread().values()) == [3, 3], 60, "for equal shares again")
    kill(second)
    began_s = time.monotonic()
    wait_for(lambda: sorted(site.spread().values()) == [6], 10, "for the dead worker's streams")
    assert time.monotonic() - began_s < 5

    # A rolling restart.
    third = site.one_line("third", "")
    wait_for(lambda: len(site.spread()) == 2, 60, "for a share")
    third.send_signal(signal.SIGTERM)
    third.wait(20)
    wait_for(lambda: sorted(site.spread().values()) == [6], 5, "for what it gave back")

    wait_for(
        lambda: site.sql("SELECT count(*) AS n FROM streams WHERE state = 'done'")[0].n == FILES,
        120,
        "for the files",
    )
    assert site.sql("SELECT count(*) AS n FROM posts")[0].n == FILES * POSTS
    assert site.sql("SELECT posts FROM keywords")[0].posts == FILES * POSTS
    stored = site.sql("SELECT sum(stored) AS n, sum(duplicates) AS d FROM streams")
    assert (stored[0].n, stored[0].d) == (FILES * POSTS, 0)


def test_a_file_is_read_by_all_workers_and_a_kill_changes_nothing(site: Site) -> None:
    site.one_line("there", "elsewhere")
    wait_for(lambda: site.tweeter.health()["workers"] == 2, 30, "for both workers")
    keyword = site.tweeter.add("storm")
    file = site.folder / "large.jsonl"
    count, padding = 100_000, "x" * 2_500
    with file.open("w") as out:
        for n in range(1, count + 1):
            words = "storm" if n % 4 == 0 else "sunshine"
            post = {"data": {"id": str(n), "text": f"{words} {n}"}, "padding": padding}
            out.write(json.dumps(post) + "\n")
        out.write("rubbish\n\n")
    site.tweeter.cli("replay", str(file))

    def owners() -> set[str]:
        rows = site.sql("SELECT owner FROM jobs WHERE kind = 'import' AND owner <> ''")
        return {row.owner for row in rows}

    both = wait_for(lambda: len(owners()) >= 2 and owners(), 30, "for two readers")
    assert {name.startswith("elsewhere") for name in both} == {True, False}
    for name in both:
        os.kill(int(name.split("|")[2]), signal.SIGKILL)
    wait_for(
        lambda: site.sql("SELECT count(*) AS n FROM streams WHERE state = 'done'")[0].n == 1,
        90,
        "for the file",
    )
    found = site.sql("SELECT * FROM streams WHERE network = 'replay'")[0]
    assert (found.lines, found.events) == (count + 2, count + 2)
    assert (found.stored, found.unmatched) == (count // 4, count * 3 // 4)
    assert (found.ignored, found.quarantined, found.duplicates) == (1, 1, 0)
    assert site.sql("SELECT count(*) AS n FROM posts")[0].n == count // 4
    assert site.sql(f"SELECT posts FROM keywords WHERE id = {keyword}")[0].posts == count // 4
    epochs = site.sql("SELECT sum(epoch) AS n, count(*) AS parts FROM jobs WHERE kind = 'import'")
    assert epochs[0].n >= epochs[0].parts + 2, "the killed parts were taken again"
