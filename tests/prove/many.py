"""R2, the bug of 2016: many streams in many worker processes, and the rows of every one grow."""

import re
import time
from urllib.parse import urlsplit

from tests.integration.running import ROOT, Running, wait_for
from tests.prove.crowd import Talk, audit, deal, holders, slot_pids
from tests.prove.harness import Broken, Run
from tests.prove.pairs import PAIRS, pair
from tests.prove.world import World

NETWORKS = ("x", "bluesky", "mastodon", *(f"mastodon-{n}" for n in range(2, 7)))
PROCESSES = 4
GROWS_S = 5.0
POSTS_A_S = 10


def run(run: Run) -> None:
    for name in run.pairs or (PAIRS if run.full else _short(run)):
        with pair(name) as settings:
            _on(run, name, settings, rounds=12 if run.full else 2)


def _short(run: Run) -> tuple[str, ...]:
    """SQLite; the control takes PostgreSQL.

    Two processes on one connection to a server mix up its answers, which shows at once. SQLite's
    file, inherited while nobody uses it, hides the bug.
    """
    return PAIRS[:1] if run.root == ROOT else PAIRS[1:2]


def _on(run: Run, name: str, pair_settings: dict[str, str], rounds: int) -> None:
    with World(NETWORKS) as world:
        settings = world.settings() | pair_settings | {"WORKERS": "2", "SLOTS": "2"}
        with run.tweeter(name, **settings) as tweeter:
            _set_up(run, name, world, tweeter)
            with Talk(world, dict.fromkeys(NETWORKS, POSTS_A_S)):
                for _ in range(rounds):
                    _all_grow(run, name, tweeter, world)
            run.figure(f"{name}_processes", len(holders(tweeter)), least=PROCESSES)
            audit(run, tweeter, world, name=name, wait_s=20)
            _streams_counted(run, name, tweeter, world)
            # Nothing was broken here on purpose, so no process may have met an error. (A shared
            # engine mends itself once a process has dropped the connection: this is its trace.)
            run.figure(f"{name}_errors", errors(tweeter), most=0)


def errors(tweeter: Running) -> int:
    """Lines of the log in which a process speaks of an error."""
    return len(re.findall(r"\b(?:ERROR|CRITICAL)/", tweeter.log_text()))


def _set_up(run: Run, name: str, world: World, tweeter: Running) -> None:
    """Four processes that hold two streams each, all connected."""
    slots = lambda: len(slot_pids(tweeter)) == PROCESSES  # noqa: E731
    wait_for(slots, 45, "for four processes that hold slots")
    wanted = "SELECT count(*) FROM streams WHERE wanted"
    wait_for(lambda: tweeter.sql(wanted)[0][0] == len(NETWORKS), 20, "for eight streams")
    wait_for(lambda: sum(map(len, holders(tweeter).values())) == len(NETWORKS), 20, "for holders")
    deal(run, tweeter, PROCESSES)
    run.figure(f"{name}_streams", len(NETWORKS))
    tweeter.add("storm")
    for network in NETWORKS:
        wait_for(lambda n=network: world.connected(n), 45, f"for {network}")
    wait_for(lambda: world.x.rules, 20, "for X's rule")
    time.sleep(1)


def _stored(tweeter: Running, world: World) -> dict[str, int]:
    """Network of the script -> what its stream says it stored."""
    rows = dict(tweeter.sql("SELECT name, stored FROM streams WHERE wanted"))
    return {n: rows.get(_name(world, n), 0) for n in world.networks}


def _name(world: World, network: str) -> str:
    if not network.startswith("mastodon"):
        return network
    return f"mastodon:{urlsplit(world.served[network].it.url).netloc}"


def _all_grow(run: Run, name: str, tweeter: Running, world: World) -> None:
    before = _stored(tweeter, world)
    time.sleep(GROWS_S)
    after = _stored(tweeter, world)
    grew = [n for n in world.networks if after[n] > before[n]]
    run.figures[f"{name}_growing"] = len(grew)
    if len(grew) < len(NETWORKS):
        still = sorted(set(NETWORKS) - set(grew))
        raise Broken(f"in {GROWS_S} s nothing was stored of {', '.join(still)}")


def _streams_counted(run: Run, name: str, tweeter: Running, world: World) -> None:
    """Each stream counted just its own posts: no row went to a wrong one."""
    rows = _stored(tweeter, world)
    said = {n: sum(post.network == n for post in world.said) for n in world.networks}
    wrong = {n: rows[n] - said[n] for n in said if rows[n] != said[n]}
    run.figures[f"{name}_differ"] = wrong
    run.figure(f"{name}_wrong_stream", len(wrong), most=0)
    del run.figures[f"{name}_differ"]
