"""R6: the database server crashes ten times; writers of SQLite are killed in the middle, often."""

import contextlib
import os
import signal
import sqlite3
import time
from typing import Any

from tests.integration.running import Running, alive, wait_for
from tests.prove.flow import Flow, audit, audit_x, grows
from tests.prove.harness import Run
from tests.prove.postgres import OwnPostgres, programs
from tests.prove.world import World, stored

CRASHES, FULL_CRASHES = 4, 10
KILLS, FULL_KILLS = 10, 50
POSTS_A_S = 300
AWAY_S = 3.0  # of the server, at most
RESUMED_S = 30


def run(run: Run) -> None:
    _sqlite(run)
    if programs() is None:
        run.figures["postgresql"] = "left out: no PostgreSQL is installed here"
        return
    with OwnPostgres() as server:
        _postgresql(run, server)


def _count(tweeter: Running) -> int:
    return int(tweeter.sql("SELECT count(*) FROM posts")[0][0])


def _sqlite(run: Run) -> None:
    """The process that writes is killed at moments of the dice; another must go on."""
    kills = FULL_KILLS if run.full else KILLS
    waits = []
    with World(["bluesky"]) as world, run.tweeter("sqlite", **world.settings()) as tweeter:
        tweeter.add("storm")
        wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
        with Flow(world, POSTS_A_S) as flow:
            for _ in range(kills):
                time.sleep(run.dice.uniform(0.3, 2.0))
                _kill_writer(tweeter)
                run.fault("writer_killed")
                waits.append(grows(tweeter, _count(tweeter), RESUMED_S))
            flow.end()
            audit(run, tweeter, flow.keys, "sqlite")
        run.figure("sqlite_resumed_max_s", max(waits), most=RESUMED_S)
        run.figure("sqlite_resumed_median_s", sorted(waits)[len(waits) // 2])
        tweeter.stop()
        file = run.folder / "sqlite" / "data" / "tweeter.db"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            words = connection.execute("PRAGMA integrity_check").fetchone()[0]
        run.figure("integrity_check", words)
        assert words == "ok", words
    run.fired(writer_killed=kills)


def _kill_writer(tweeter: Running) -> None:
    def living() -> Any:
        rows = tweeter.sql("SELECT owner FROM streams WHERE owner <> ''")
        pids = [int(row[0].split("|")[2]) for row in rows]
        return [pid for pid in pids if alive(pid)]

    os.kill(wait_for(living, RESUMED_S, "for a process that follows")[0], signal.SIGKILL)


def _x_hangs_up_while_it_is_away(
    run: Run, world: World, tweeter: Running, server: OwnPostgres
) -> str:
    """The gap can be entered only later, and what came goes to the journal; returns a last post."""
    server.crash()
    time.sleep(2)
    for number in range(10):
        world.say("x", f"a storm for the journal {number}")
        run.fault("kept_in_the_journal")
    time.sleep(1)
    world.do("x", world.x.close())
    for number in range(3):  # nobody listens: a second is waited at least
        world.say("x", f"a storm unheard {number}")
        run.fault("unheard")
    wait_for(lambda: world.connected("x"), 60, "for X again")
    time.sleep(3)
    server.start()
    waits = grows(tweeter, _count(tweeter), RESUMED_S)
    run.figure("postgresql_long_resumed_s", waits, most=RESUMED_S)
    time.sleep(1)
    return world.say("x", "a storm at the end").key


def _postgresql(run: Run, server: OwnPostgres) -> None:
    crashes = FULL_CRASHES if run.full else CRASHES
    waits = []
    settings = {"DATABASE_URL": server.url}
    with (
        World(["bluesky", "x"]) as world,
        run.tweeter("pg", **settings, **world.settings()) as tweeter,
    ):
        tweeter.add("storm")
        for network in ("bluesky", "x"):
            wait_for(lambda n=network: world.connected(n), 60, f"for {network}")
        with Flow(world, POSTS_A_S) as flow:
            for _ in range(crashes):
                time.sleep(run.dice.uniform(2.0, 6.0))
                server.crash()
                run.fault("server_crashed")
                time.sleep(run.dice.uniform(0.0, AWAY_S))
                server.start()
                waits.append(grows(tweeter, _count(tweeter), RESUMED_S))
            last = _x_hangs_up_while_it_is_away(run, world, tweeter, server)
            flow.end()
            wait_for(lambda: last in stored(tweeter, "x"), RESUMED_S, "for the last post of X")
            audit(run, tweeter, flow.keys | set(stored(tweeter, "x")), "postgresql")
            audit_x(run, world, tweeter)
        run.figure("postgresql_resumed_max_s", max(waits), most=RESUMED_S)
        run.figure("postgresql_resumed_median_s", sorted(waits)[len(waits) // 2])
        assert "does not answer" in tweeter.log_text(), "the log does not name the cause"
    run.fired(server_crashed=crashes, unheard=3, kept_in_the_journal=10)
