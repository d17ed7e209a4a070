"""R9: servers that close at once, fall silent or send byte by byte: never a storm of connects."""

import itertools
import time

from tests.integration.running import Running, wait_for
from tests.prove.harness import Broken, Run
from tests.prove.world import World, intervals, stored

FLAPS = 1_000  # the servers are willing to close so often
FLAPPING_S = 60
NEAREST_S = 0.9  # between two connects
X_BUDGET = 50  # connects in 15 minutes
STALLS_S = {"x": 25, "bluesky": 45, "mastodon": 45}
NETWORKS = ("x", "bluesky", "mastodon")


def run(run: Run) -> None:
    with World() as world, run.tweeter(**world.settings()) as tweeter:
        tweeter.add("storm")
        wait_until_connected(world)
        _closes_at_once(run, world, tweeter)
        _falls_silent(run, world, tweeter)
        _sends_byte_by_byte(run, world, tweeter)
        run.figure("x_connects", len(connects(world, "x")), most=X_BUDGET)
        run.fired(closed_at_once=10, stall=3, half_frame=1)


def wait_until_connected(world: World, timeout_s: float = 60) -> None:
    for network in world.networks:
        wait_for(lambda n=network: world.connected(n), timeout_s, f"for {network}")


def connects(world: World, network: str) -> list[float]:
    """Monotonic moments at which a stream was opened."""
    if network == "x":
        return [at for at, _ in world.x.connects()]
    return [at for at, _ in world.served[network].it.connects]


def _closes_at_once(run: Run, world: World, tweeter: Running) -> None:
    before = {network: len(connects(world, network)) for network in NETWORKS}
    world.x.answers = [(200, {}, {})] * FLAPS
    world.bluesky.flaps = world.mastodon.flaps = FLAPS
    for network, close in (("x", world.x.close), ("bluesky", world.bluesky.close)):
        world.do(network, close())
    world.do("mastodon", world.mastodon.drop())
    until = time.monotonic() + FLAPPING_S
    while time.monotonic() < until:
        time.sleep(2)
        for network in NETWORKS:
            _look(run, network, connects(world, network)[before[network] :])
    for network in NETWORKS:
        for _ in connects(world, network)[before[network] :]:
            run.fault("closed_at_once")
    world.x.answers.clear()
    world.bluesky.flaps = world.mastodon.flaps = 0
    _recovers(run, world, tweeter, "after flapping")


def _look(run: Run, network: str, found: list[float]) -> None:
    run.figure(f"{network}_connects_a_minute", len(found), most=FLAPPING_S)
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    if gaps:
        run.figure(f"{network}_nearest_s", min(gaps), least=NEAREST_S)


def _recovers(run: Run, world: World, tweeter: Running, words: str) -> None:
    """Within the last wait that a storm can have led to, all is followed and stored again."""
    wait_until_connected(world, 110)
    time.sleep(0.5)
    posts = [world.say(network, f"a storm {words}") for network in NETWORKS]
    wait_for(lambda: {p.key for p in posts} <= set(stored(tweeter)), 30, f"for posts {words}")


def _falls_silent(run: Run, world: World, tweeter: Running) -> None:
    """Not a byte, and the connection stays open."""
    began_us = time.time_ns() // 1000
    world.x.stalled = world.mastodon.stalled = True
    world.do("bluesky", world.bluesky.mute())
    for network in NETWORKS:
        name = stream_of(tweeter, network)
        took_s = _seen_after(tweeter, name, began_us, STALLS_S[network] + 10)
        run.fault("stall")
        run.figure(f"{network}_stall_seen_s", took_s, most=STALLS_S[network])
    world.x.stalled = world.mastodon.stalled = world.bluesky.stalled = False
    _recovers(run, world, tweeter, "after silence")


def stream_of(tweeter: Running, network: str) -> str:
    rows = tweeter.sql("SELECT name FROM streams WHERE network = ? AND wanted", network)
    return str(rows[0][0])


def _seen_after(tweeter: Running, name: str, since_us: int, limit_s: float) -> float:
    """Seconds until the ledger says that the stream stalled."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        seen = [i for i in intervals(tweeter, name) if i[1] == "stalled" and i[2] >= since_us - 2e6]
        if seen:
            return time.time() - since_us / 1e6
        time.sleep(0.1)
    raise Broken(f"the silence of {name} was not seen in {limit_s} s")


def _sends_byte_by_byte(run: Run, world: World, tweeter: Running) -> None:
    world.x.split = 1
    run.fault("one_byte_chunks")
    _recovers(run, world, tweeter, "byte by byte")
    world.do("bluesky", world.bluesky.half_frame())
    run.fault("half_frame")
    _recovers(run, world, tweeter, "after half a frame")
