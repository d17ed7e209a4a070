"""R4: every task message comes three times; each thing is done once, by one connection."""

import time

from tests.integration.running import Running, wait_for
from tests.prove.crowd import Talk, audit, holders, slot_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import World

# Loaded by every process of the program at its start (Python's own hook): what is put into the
# broker's queue is put there three times, each copy with a tag of its own.
THREE_TIMES = """
import copy, uuid
from kombu.transport import redis

_put = redis.Channel._put

def _put_three_times(self, queue, message, **more):
    _put(self, queue, message, **more)
    if not str((message.get("headers") or {}).get("task", "")).startswith("tweeter."):
        return
    for _ in range(2):
        again = copy.deepcopy(message)
        again["properties"]["delivery_tag"] = str(uuid.uuid4())
        _put(self, queue, again, **more)
    with open(COPIES, "a") as out:
        out.write(message["headers"]["task"] + "\\n")

redis.Channel._put = _put_three_times
"""
PLAYS_S = {True: 300, False: 25}
JOB_S = 30.0


def run(run: Run) -> None:
    copies = run.folder / "copies"
    copies.touch()
    hook = run.folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(THREE_TIMES.replace("COPIES", repr(str(copies))))
    with World() as world:
        tweeter = run.tweeter(WORKERS="2", **world.settings() | {"LOOK_BACK_HOURS": "1"})
        tweeter.env["PYTHONPATH"] = str(hook)
        with tweeter:
            wait_for(lambda: len(slot_pids(tweeter)) == 2, 60, "for two slots")
            tweeter.add("storm")
            wait_until_connected(world)
            wait_for(lambda: world.x.rules, 20, "for X's rule")
            time.sleep(1)
            with Talk(world, {"x": 20, "bluesky": 100, "mastodon": 20}):
                _play(run, tweeter, world)
            audit(run, tweeter, world)
            _once(run, tweeter, world)
    for name in copies.read_text().split():
        run.fault(f"three_times_{name.rpartition('.')[2]}")
    run.fired(three_times_stream_slot=2, three_times_job_part=2, three_times_past_part=1)


def _play(run: Run, tweeter: Running, world: World) -> None:
    """Jobs come up; at every moment a network has one connection and a worker one slot."""
    until = time.monotonic() + PLAYS_S[run.full]
    most, number, next_s = 0, 0, 0.0
    while time.monotonic() < until:
        if time.monotonic() > next_s:
            number, next_s = number + 1, time.monotonic() + 6
            tweeter.add(f"storm other{number}")
        live = len(world.bluesky.clients) - _looking_back(tweeter)
        most = max(most, live, world.mastodon.connected)
        run.figure("most_connections", most, most=1)
        run.figure("most_slots", max(len(slot_pids(tweeter)), 2), most=2)
        time.sleep(0.1)
    run.figure("x_most_connections", world.x.most_connected, least=1, most=1)
    run.figure("holders", len(holders(tweeter)), most=2)
    began_s = time.monotonic()
    left = "SELECT count(*) FROM jobs WHERE state = 'waiting'"
    wait_for(lambda: tweeter.sql(left)[0][0] == 0, JOB_S, "for the jobs to be done")
    run.figures["jobs_done_after_s"] = round(time.monotonic() - began_s, 1)


def _looking_back(tweeter: Running) -> int:
    """A look-back has a connection of its own beside the live one."""
    return int(
        tweeter.sql(
            "SELECT count(*) FROM jobs j JOIN streams s ON s.id = j.subject"
            " WHERE j.kind = 'look_back' AND j.state = 'waiting' AND s.network = 'bluesky'"
        )[0][0]
    )


def _once(run: Run, tweeter: Running, world: World) -> None:
    kinds = tweeter.sql("SELECT kind, subject, options, count(*) FROM jobs GROUP BY 1, 2, 3")
    run.figure("jobs_twice", sum(count > 1 for *_, count in kinds), most=0)
    failed = "SELECT count(*) FROM jobs WHERE state <> 'done'"
    run.figure("jobs_failed", tweeter.sql(failed)[0][0], most=0)
    incomplete = "SELECT count(*) FROM keywords WHERE complete_at IS NULL"
    run.figure("keywords_incomplete", tweeter.sql(incomplete)[0][0], most=0)
    run.figures["x_connects"] = len(world.x.connects())
