"""R12: SIGTERM to every process at once, under load: soon ended, nothing lost, nothing leased."""

import os
import signal
import time

from tests.integration.running import Running, alive, tree, wait_for
from tests.prove.crowd import Talk, audit, slot_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import World

ROUNDS = {True: 20, False: 3}
STOPPED_S = 10.0
HELD = (
    "SELECT 'stream', count(*) FROM streams WHERE owner <> '' OR lease_until > 0",
    "SELECT 'job', count(*) FROM jobs WHERE owner <> ''",
    "SELECT 'slot', count(*) FROM slots",
    "SELECT 'worker', count(*) FROM workers",
)


def run(run: Run) -> None:
    rounds = ROUNDS[run.full]
    with World() as world, run.tweeter(WORKERS="2", **world.settings()) as tweeter:
        wait_for(lambda: slot_pids(tweeter), 60, "for a slot")
        tweeter.add("storm")
        wait_until_connected(world)
        wait_for(lambda: world.x.rules, 20, "for X's rule")
        time.sleep(2)
        stopped: list[float] = []
        with Talk(world, {"bluesky": 200, "mastodon": 30, "x": 30}):
            for number in range(rounds):
                # A job is under way too: all that is stored is matched again.
                tweeter.add(f"storm keyword{number}")
                time.sleep(run.dice.uniform(0.5, 3))
                stopped.append(_stop(run, tweeter))
                if number + 1 < rounds:
                    tweeter.start()
                    wait_until_connected(world, 90)
        run.figures["stopped_s"] = [round(s, 1) for s in sorted(stopped)[:: max(1, rounds // 4)]]
        tweeter.start()
        wait_until_connected(world, 90)
        audit(run, tweeter, world)
        _jobs_end(run, tweeter)
    run.fired(terminated=rounds, was_writing=1)


def _stop(run: Run, tweeter: Running) -> float:
    """Terminate all processes, in no order; returns the seconds until the last has gone."""
    assert tweeter.process is not None
    pids = [tweeter.process.pid, *tree(tweeter.process.pid)]
    if tweeter.sql("SELECT count(*) FROM streams WHERE state = 'live'")[0][0] == 3:
        run.fault("was_writing")
    run.dice.shuffle(pids)
    began_s = time.monotonic()
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGTERM)
    tweeter.process.wait(timeout=30)
    wait_for(lambda: not any(alive(pid) for pid in pids), 10, "for all to end")
    took_s = time.monotonic() - began_s
    run.fault("terminated")
    run.figure("stopped_max_s", max(took_s, run.figures.get("stopped_max_s", 0)), most=STOPPED_S)
    held = {kind: count for query in HELD for kind, count in tweeter.sql(query)}
    run.figures["held"] = {kind: count for kind, count in held.items() if count}
    run.figure("left_leased", sum(held.values()), most=0)
    return took_s


def _jobs_end(run: Run, tweeter: Running) -> None:
    left = "SELECT count(*) FROM jobs WHERE state = 'waiting'"
    wait_for(lambda: tweeter.sql(left)[0][0] == 0, 60, "for the jobs to end")
    incomplete = "SELECT count(*) FROM keywords WHERE complete_at IS NULL"
    run.figure("keywords_incomplete", tweeter.sql(incomplete)[0][0], most=0)
