"""Faults of the machine that have no check of their own in tests/prove: each with its behaviour."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.integration.running import ROOT, Running, alive, wait_for
from tests.prove.flow import Flow
from tests.prove.readers import Stalled
from tests.prove.world import World, intervals, stored
from tests.simulators.jetstream import post_event

FAKETIME = [
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1"),
]


def all_stored(tweeter: Running, keys: set[str]) -> None:
    wait_for(lambda: keys <= set(stored(tweeter)), 30, "for every post")


def test_a_process_over_the_memory_cap_ends_in_order_and_another_goes_on(tmp_path: Path) -> None:
    """With a cap below what Python needs, and a copy that looks after 6 s, not 60."""
    program = tmp_path / "program"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tweeter", program / "tweeter", ignore=ignore)
    file = program / "tweeter" / "memory.py"
    file.write_text(file.read_text().replace("LEAST_S = 60.0", "LEAST_S = 6.0"))
    with (
        World(["bluesky"]) as world,
        Running(tmp_path, root=program, SLOT_MEMORY_MB="20", **world.settings()) as tweeter,
    ):
        tweeter.add("storm")
        wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
        with Flow(world, 50) as flow:
            first = tweeter.slot_pid()
            wait_for(lambda: not alive(first), 30, "for the process over the cap to end")
            wait_for(lambda: tweeter.slot_pid() != first, 30, "for another")
            wait_for(lambda: world.connected("bluesky"), 30, "for Bluesky again")
            flow.end()
            all_stored(tweeter, flow.keys)
        assert "slot_memory_cap" in tweeter.log_text()
        assert "stream_broke" not in tweeter.log_text()


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_a_clock_that_jumps_loses_nothing_and_moves_no_stream(tmp_path: Path, jump_s: int) -> None:
    if not FAKETIME:
        lacking("no libfaketime: apt-get install faketime")
    followed = "SELECT name, owner, epoch FROM streams WHERE wanted ORDER BY id"
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    with World(["bluesky"]) as world:
        tweeter = Running(tmp_path, LOOK_BACK_HOURS="0", **world.settings())
        tweeter.env |= {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with tweeter:
            tweeter.add("storm")
            wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
            with Flow(world, 50) as flow:
                all_stored(tweeter, set(flow.keys))
                before = tweeter.sql(followed)
                (now,) = tweeter.sql("SELECT heartbeat_at FROM streams WHERE name = 'bluesky'")[0]
                clock.write_text(f"{jump_s:+d}\n")
                time.sleep(8)
                (later,) = tweeter.sql("SELECT heartbeat_at FROM streams WHERE name = 'bluesky'")[0]
                assert abs((later - now) / 1e6 - jump_s - 8) < 10, "the clock did not jump"
                flow.end()
                all_stored(tweeter, flow.keys)
            assert tweeter.sql(followed) == before
            assert len(world.bluesky.connects) == 1, "the line was not held"
            assert tweeter.health()["workers"] == 1


def test_a_journal_that_fills_while_the_database_is_away_is_in_the_ledger(tmp_path: Path) -> None:
    with (
        World(["x"]) as world,
        Running(tmp_path, JOURNAL_LIMIT_MB="1", **world.settings()) as tweeter,
    ):
        tweeter.add("storm")
        wait_for(lambda: world.connected("x"), 60, "for X")
        time.sleep(1)
        lock = sqlite3.connect(tmp_path / "data" / "tweeter.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        long = "a storm " + "of words " * 2_000
        for _ in range(120):  # 2 MB
            world.say("x", long)
            time.sleep(0.05)
        time.sleep(6)
        lock.execute("ROLLBACK")
        lock.close()
        lost = lambda: [i for i in intervals(tweeter, "x") if i[4] == "lost"]  # noqa: E731
        wait_for(lost, 60, "for the end of the gap")
        last = world.say("x", "a storm at the end")
        wait_for(lambda: last.key in stored(tweeter), 60, "for the last post")
        there = set(stored(tweeter))
        missing = [s for s in world.said if s.key not in there]
        assert missing, "the journal did not fill"
        near = [(i[2] - 5e5, (i[3] or 0) + 5e5) for i in intervals(tweeter, "x") if i[0] != "live"]
        for said in missing:
            assert any(a <= said.at_us <= b for a, b in near), "lost in silence"


def test_a_thousand_messages_about_a_removed_keyword_are_gone_in_seconds(tmp_path: Path) -> None:
    with Running(tmp_path) as tweeter:
        keyword = tweeter.add("storm")
        tweeter.cli("keyword", "rm", str(keyword))
        send = "from tweeter import tasks\nfor _ in range(1000): tasks.send_job('job', 1)"
        subprocess.run(
            [sys.executable, "-c", send], cwd=ROOT, env=tweeter.env, check=True, timeout=120
        )
        jobs = tweeter.sql("SELECT * FROM jobs")
        began = time.monotonic()
        other = tweeter.add("flood")  # its job comes after the thousand
        complete = "SELECT complete_at FROM keywords WHERE id = ? AND complete_at IS NOT NULL"
        wait_for(lambda: tweeter.sql(complete, other), 20, "for the job behind them")
        assert time.monotonic() - began < 15
        assert [row for row in tweeter.sql("SELECT * FROM jobs") if row in jobs] == jobs
        assert "Traceback" not in tweeter.log_text()


def test_pages_that_nobody_takes_do_not_hold_up_the_others_for_long(tmp_path: Path) -> None:
    """More of them than there are threads for pages, each more than the line's buffers hold."""
    file = tmp_path / "long.jsonl"
    text = "a storm " + "x" * 60_000
    lines = (json.dumps(post_event(f"{text} {number}", number)) for number in range(400))
    file.write_text("\n".join(lines) + "\n")
    with Running(tmp_path, LOOK_BACK_HOURS="0") as tweeter:
        keyword = tweeter.add("storm")
        tweeter.cli("replay", str(file), "--wait")
        path = f"/api/v1/keywords/{keyword}/posts?limit=400"
        stalled = [Stalled(tweeter, path) for _ in range(12)]
        time.sleep(1)
        with urllib.request.urlopen(f"{tweeter.url}/healthz", timeout=75) as answer:
            assert answer.status == 200
        assert any(reader.was_cut() for reader in stalled)
        for reader in stalled:
            reader.close()
