"""R21: three schedulers and three workers, each of which ticks too: what is due is done once."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.running import Running, wait_for
from tests.prove.crowd import slot_pids, worker_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.pairs import pair
from tests.prove.world import World, stored, wrong_counts
from tests.simulators.jetstream import now_us, post_event

SCHEDULERS, WORKERS = 3, 3
PAST_EVENTS = 12_000  # in the Jetstream: a rewind takes seconds, so that two would meet
ROUNDS = {True: 8, False: 2}


def run(run: Run) -> None:
    for name in ("sqlite", "postgresql"):
        with pair(name) as settings:
            _on(run, name, settings)
    run.fired(look_back_due=2, repair_due=2, purge_due=2, rematch_due=2)


def _on(run: Run, name: str, pair_settings: dict[str, str]) -> None:
    with World(["bluesky", "mastodon"]) as world:
        settings = world.settings() | pair_settings
        settings |= {"WORKERS": str(WORKERS), "LOOK_BACK_HOURS": "1"}
        with run.tweeter(name, **settings) as tweeter, _more_schedulers(tweeter):
            wait_for(lambda: len(worker_pids(tweeter)) == WORKERS, 90, "for the workers")
            wait_for(lambda: slot_pids(tweeter), 60, "for a slot")
            began_us = now_us() - 1_800_000_000
            past = [post_event(f"calm {n}", n, time_us=began_us + n) for n in range(PAST_EVENTS)]
            world.do("bluesky", world.bluesky.publish(past))
            with _bluesky_talks(world):
                tweeter.add("storm")
                wait_until_connected(world)
                time.sleep(2)
                for number in range(ROUNDS[run.full]):
                    _round(run, world, tweeter, number)
            _acted_once(run, name, world, tweeter)


@contextmanager
def _bluesky_talks(world: World) -> Iterator[None]:
    """As the real one always does: a silent server is asked twice for its past."""
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(0.5):
            world.do("bluesky", world.bluesky.publish([post_event("calm")]))

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)


@contextmanager
def _more_schedulers(tweeter: Running) -> Iterator[None]:
    """As somebody may start them beside the workers."""
    more = [
        subprocess.Popen(
            [sys.executable, "-m", "tweeter", "scheduler"],
            cwd=tweeter.root,
            env=tweeter.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(SCHEDULERS)
    ]
    try:
        yield
        assert all(process.poll() is None for process in more), "a scheduler ended"
    finally:
        for process in more:
            process.terminate()
        for process in more:
            process.wait(timeout=15)


def _round(run: Run, world: World, tweeter: Running, number: int) -> None:
    """One of each becomes due: a look-back and a match of what is stored, a repair, a purge."""
    said = world.say("mastodon", f"a storm other{number}")
    wait_for(lambda: said.key in stored(tweeter), 20, "for a post")
    keyword_id = tweeter.add(f"storm other{number}")
    run.fault("rematch_due")
    run.fault("look_back_due")
    world.do("mastodon", world.mastodon.drop())
    wait_for(lambda: not world.connected("mastodon"), 10, "for the break")
    run.fault("repair_due")
    wait_for(lambda: world.connected("mastodon"), 60, "for Mastodon")
    _wait_for_jobs(tweeter)
    tweeter.cli("keyword", "rm", str(keyword_id), "--purge")
    tweeter.sql("UPDATE keywords SET purge_at = 1 WHERE id = ?", keyword_id)  # due at once
    run.fault("purge_due")
    due = "SELECT count(*) FROM keywords WHERE purge_at IS NOT NULL"
    wait_for(lambda: tweeter.sql(due)[0][0] == 0, 20, "for the purge to begin")
    _wait_for_jobs(tweeter)


def _wait_for_jobs(tweeter: Running) -> None:
    """Until nothing has waited for five seconds."""
    quiet_s = time.monotonic()
    until = quiet_s + 90
    while time.monotonic() - quiet_s < 5:
        assert time.monotonic() < until, "the jobs do not end"
        if tweeter.sql("SELECT count(*) FROM jobs WHERE state = 'waiting'")[0][0]:
            quiet_s = time.monotonic()
        time.sleep(0.2)


def _is_first_page(path: str) -> bool:
    """True where a job over Mastodon's past begins: at a moment, not at a post's id."""
    _, found, before = path.partition("max_id=")
    return bool(found) and int(before) % 65_536 == 0


def _acted_once(run: Run, name: str, world: World, tweeter: Running) -> None:
    """Rows of jobs, and what the networks were really asked."""
    jobs = tweeter.sql(
        "SELECT j.kind, j.subject, j.options, s.network FROM jobs j"
        " LEFT JOIN streams s ON s.id = j.subject AND j.kind IN ('look_back', 'repair')"
    )
    same = [(kind, subject, str(options)) for kind, subject, options, _ in jobs]
    run.figures[f"{name}_jobs"] = {kind: sum(j[0] == kind for j in jobs) for kind, *_ in jobs}
    run.figure(f"{name}_jobs_twice", len(same) - len(set(same)), most=0)
    keywords = tweeter.sql("SELECT count(*) FROM keywords")[0][0]
    for network in ("bluesky", "mastodon"):
        backs = sum(kind == "look_back" and its == network for kind, _, _, its in jobs)
        run.figure(f"{name}_{network}_look_backs", backs, least=1, most=keywords)
    purges = sum(kind == "purge" for kind, *_ in jobs)
    run.figure(f"{name}_purges", purges, least=keywords - 1, most=keywords - 1)
    # The live stream goes on from its own position when it moves to another slot.
    resumed = tweeter.sql(
        "SELECT count(*) FROM intervals i JOIN streams s ON s.id = i.stream_id"
        " WHERE s.network = 'bluesky' AND i.outcome = 'replayed'"
    )[0][0]
    rewinds = sum("cursor=" in path for _, path in world.bluesky.connects) - resumed
    backs = sum(kind == "look_back" and its == "bluesky" for kind, _, _, its in jobs)
    run.figure(f"{name}_rewinds_too_many", rewinds - backs, most=0)
    asked = [path for path in world.mastodon.requests if _is_first_page(path)]
    run.figure(f"{name}_times_begun_twice", len(asked) - len(set(asked)), most=0)
    run.figure(f"{name}_wrong_counts", wrong_counts(tweeter), most=0)
    run.figure(f"{name}_lost", len({s.key for s in world.said} - stored(tweeter).keys()), most=0)
