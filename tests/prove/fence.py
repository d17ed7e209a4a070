"""R5: a holder that is paused for longer than its lease wakes up late, and writes nothing.

While it is paused it alone is sent posts that nobody else ever gets. They lie in its sockets when
it goes on; if one of them is ever stored, a write with an old epoch was accepted.
"""

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.integration.running import Running, wait_for
from tests.prove.crowd import Talk, audit, holder, pause, slot_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import World
from tests.simulators.jetstream import post_event

TAKEN_OVER_S = 20.0
PAUSED_S = {True: 60.0, False: 17.0}  # full or not; the lease is 15 s
ROUNDS = {True: 10, False: 2}
GHOSTS = 20  # posts for the paused process alone, each round


def run(run: Run) -> None:
    with (
        World(["bluesky", "mastodon"]) as world,
        run.tweeter(WORKERS="2", **world.settings()) as tweeter,
    ):
        wait_for(lambda: len(slot_pids(tweeter)) == 2, 60, "for two slots")
        tweeter.add("storm")
        wait_until_connected(world)
        tweeter.sql(JOURNAL)
        tweeter.sql(TRIGGER)
        took: list[float] = []
        with Talk(world, {"bluesky": 40, "mastodon": 10}):
            time.sleep(3)
            for number in range(ROUNDS[run.full]):
                took.append(_pause(run, world, tweeter, number))
                run.figure("taken_over_max_s", max(took), most=TAKEN_OVER_S)
        run.figures["taken_over_s"] = [round(s, 1) for s in took]
        _old_writes(run, tweeter)
        audit(run, tweeter, world)
    rounds = ROUNDS[run.full]
    run.fired(paused=rounds, ghosts_sent=rounds * GHOSTS, cursors_seen=rounds)


# Every move of a cursor, noted by the database itself.
JOURNAL = "CREATE TABLE audit_cursors (epoch BIGINT, before TEXT, after TEXT)"
TRIGGER = (
    "CREATE TRIGGER audit_cursor AFTER UPDATE OF cursor ON streams"
    " WHEN NEW.network = 'bluesky' AND OLD.cursor <> '' BEGIN"
    " INSERT INTO audit_cursors VALUES (NEW.epoch, OLD.cursor, NEW.cursor); END"
)


def _pause(run: Run, world: World, tweeter: Running, number: int) -> float:
    """Pause the Jetstream's holder, let another take over, wake it; seconds to the take-over."""
    while True:  # one that was met in a transaction may have lost its lease meanwhile
        pid = wait_for(lambda: holder(tweeter, "bluesky"), 20, "for who holds the Jetstream")
        epoch = _epoch(tweeter)
        lines = list(world.bluesky.clients)
        time.sleep(run.dice.uniform(0, 0.4))  # any moment of its cycle
        if pause(run, tweeter, pid):
            break
    paused_s = time.monotonic()
    try:
        run.fault("paused")
        sent = world.do("bluesky", _send_ghosts(lines, number))
        wait_for(lambda: _epoch(tweeter) > epoch, TAKEN_OVER_S + 5, "for another holder")
        took_s = time.monotonic() - paused_s
        assert holder(tweeter, "bluesky") != pid, "the paused process has it again"
        for _ in range(sent):
            run.fault("ghosts_sent")
        time.sleep(max(0, PAUSED_S[run.full] - (time.monotonic() - paused_s)))
    finally:
        os.kill(pid, signal.SIGCONT)
    time.sleep(4)  # it reads what lies in its sockets, and finds its lease gone
    return took_s


def _epoch(tweeter: Running) -> int:
    return int(tweeter.sql("SELECT epoch FROM streams WHERE name = 'bluesky'")[0][0])


async def _send_ghosts(lines: list[Any], number: int) -> int:
    """Send them over the lines that were open; returns how many went out over one."""
    sent = 0
    for n in range(GHOSTS):
        event = post_event(f"a storm of ghosts {number}", n, did=f"did:plc:ghost{number}x{n}")
        for line in lines:
            with suppress(ConnectionClosed):  # an earlier holder's, which just went
                await line.send(json.dumps(event), text=True)
                sent += 1
    return min(sent, GHOSTS)


def _old_writes(run: Run, tweeter: Running) -> None:
    ghosts = "SELECT count(*) FROM posts WHERE author_id LIKE 'did:plc:ghost%'"
    run.figure("old_epoch_posts", tweeter.sql(ghosts)[0][0], most=0)
    moves = tweeter.sql("SELECT before, after FROM audit_cursors")
    back = sum(int(after) < int(before) for before, after in moves)
    run.figure("cursor_moved_back", back, most=0)
    for _ in moves:
        run.fault("cursors_seen")
