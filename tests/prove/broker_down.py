"""R3: the broker is gone for minutes, then again and again: streams go on, work resumes.

The broker is one of the check's own, without anything on disk: what was in it is lost each time.
"""

import os
import signal
import subprocess
import time
from typing import Self

from tests.integration.running import Running, free_port, wait_for
from tests.prove.crowd import Talk, audit, counts, holder, slot_pids, worker_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import World
from tweeter.broker import server_path

DOWN_S = {True: 300.0, False: 60.0}
RESTARTS = {True: 20, False: 2}
RESTART_DOWN_S, UP_S = 9.0, 12.0
WORKS_AGAIN_S, SILENT_S, TAKEN_OVER_S = 30.0, 60.0, 20.0
WORKERS = 2


class OwnBroker:
    """A server on a port of its own, to be killed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, empty."""
        words = [server_path(), "--port", str(self.port), "--bind", "127.0.0.1"]
        words += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


def run(run: Run) -> None:
    with OwnBroker() as broker, World() as world:
        settings = world.settings() | {"BROKER_URL": broker.url, "WORKERS": str(WORKERS)}
        with run.tweeter(**settings) as tweeter:
            wait_for(lambda: len(slot_pids(tweeter)) == WORKERS, 60, "for two slots")
            tweeter.add("storm")
            wait_until_connected(world)
            wait_for(lambda: world.x.rules, 20, "for X's rule")
            time.sleep(1)
            with Talk(world, {"x": 10, "bluesky": 50, "mastodon": 10}):
                _long_outage(run, broker, tweeter)
                for number in range(RESTARTS[run.full]):
                    _restart(run, broker, tweeter, number)
            audit(run, tweeter, world)
    run.fired(broker_killed=1 + RESTARTS[run.full], holder_killed=1)


def _long_outage(run: Run, broker: OwnBroker, tweeter: Running) -> None:
    broker.kill()
    run.fault("broker_killed")
    down_s = time.monotonic()
    time.sleep(5)
    pid = holder(tweeter, "bluesky")
    os.kill(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    run.fault("holder_killed")
    wait_for(lambda: holder(tweeter, "bluesky") not in (0, pid), TAKEN_OVER_S, "for a new holder")
    run.figure("taken_over_s", time.monotonic() - killed_s, most=TAKEN_OVER_S)
    tweeter.add("storm outage")
    while time.monotonic() - down_s < DOWN_S[run.full]:
        _streams_store(run, tweeter)
    broker.start()
    _works_again(run, tweeter, "outage")


def _restart(run: Run, broker: OwnBroker, tweeter: Running, number: int) -> None:
    broker.kill()
    run.fault("broker_killed")
    tweeter.add(f"storm restart{number}")
    time.sleep(RESTART_DOWN_S / 2)
    _streams_store(run, tweeter)
    broker.start()
    _works_again(run, tweeter, "restarts")
    time.sleep(UP_S * run.dice.random())


def _streams_store(run: Run, tweeter: Running) -> None:
    """In 5 s each stream stores something, and every worker's row beats."""
    before = counts(tweeter)
    time.sleep(5)
    after = counts(tweeter)
    live = [name for name, (_, _, events, _) in before.items() if events]
    still = [name for name in live if after[name][2] <= before[name][2]]
    run.figure("streams_standing_still", len(still), most=0)
    beaten = "SELECT min(heartbeat_at) FROM workers"
    silent_s = time.time() - int(tweeter.sql(beaten)[0][0]) / 1e6
    most_s = max(silent_s, run.figures.get("worker_silent_max_s", 0))
    run.figure("worker_silent_max_s", most_s, most=SILENT_S)
    run.figure("workers", len(worker_pids(tweeter)), least=WORKERS)


def _works_again(run: Run, tweeter: Running, name: str) -> None:
    """Jobs are done, and each worker, asked over its own queue, holds its slot again."""
    back_s = time.monotonic()
    left = "SELECT count(*) FROM jobs WHERE state = 'waiting'"
    wait_for(lambda: tweeter.sql(left)[0][0] == 0, WORKS_AGAIN_S + 5, "for work to go on")
    took_s = time.monotonic() - back_s
    most_s = max(took_s, run.figures.get(f"{name}_works_again_s", 0))
    run.figure(f"{name}_works_again_s", most_s, most=WORKS_AGAIN_S)
    living = lambda: [pid for pid in slot_pids(tweeter) if os.path.exists(f"/proc/{pid}")]  # noqa: E731
    wait_for(lambda: len(living()) == WORKERS, SILENT_S, "for each worker to hold its slot")
    most_s = max(time.monotonic() - back_s, run.figures.get(f"{name}_slots_again_s", 0))
    run.figure(f"{name}_slots_again_s", most_s, most=SILENT_S)
