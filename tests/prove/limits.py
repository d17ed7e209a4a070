"""R8: ten workers, one connection; 429 is waited out, also over restarts; then it goes on."""

import time

from tests.integration.running import Running, wait_for
from tests.prove.harness import Broken, Run
from tests.prove.world import World, state, stored

WORKERS = 10
LIMITED = (429, {}, {"title": "Too Many Requests", "detail": "Too Many Requests", "status": 429})
CAPPED = (
    429,
    {},
    {
        "title": "UsageCapExceeded",
        "detail": "Usage cap exceeded: Monthly product cap",
        "type": "https://api.twitter.com/2/problems/usage-capped",
        "period": "Monthly",
        "scope": "Product",
    },
)


def run(run: Run) -> None:
    with World(["x"]) as world, run.tweeter(WORKERS=str(WORKERS), **world.settings()) as tweeter:
        _ten_start_at_once(run, world, tweeter)
        _another_installation_waits(run, world)
        _a_storm_is_waited_out(run, world, tweeter)
        _a_cap_is_told_apart(run, world, tweeter)


def _ten_start_at_once(run: Run, world: World, tweeter: Running) -> None:
    tweeter.add("storm")
    wait_for(lambda: world.connected("x"), 90, "for X")
    workers = "SELECT count(*) FROM workers"
    wait_for(lambda: tweeter.sql(workers)[0][0] >= WORKERS, 120, "for the workers")
    time.sleep(5)
    run.figure("workers", tweeter.sql(workers)[0][0], least=WORKERS)
    run.figure("connects_at_start", len(world.x.connects()), most=1)
    wait_for(lambda: state(tweeter, "x")[0] == "live", 10, "for the state")
    post = world.say("x", "a storm at the start")
    wait_for(lambda: post.key in stored(tweeter), 10, "for a post")


def _another_installation_waits(run: Run, world: World) -> None:
    """A second installation with the same token: recognised, said, and it keeps away."""
    with run.tweeter("other", **world.settings()) as other:
        other.add("flood")
        words = "Another program holds the only connection"
        wait_for(lambda: words in state(other, "x")[1], 60, "for the words")
        run.fault("second_installation")
        before = len(world.x.connects())
        time.sleep(15)
        run.figure("second_installation_connects", len(world.x.connects()) - before, most=0)
    run.figure("connections", world.x.connected, least=1, most=1)


def _a_storm_is_waited_out(run: Run, world: World, tweeter: Running) -> None:
    """429, 420, 429: waits of 60, 120, 240 s; a restart in the middle does not shorten one."""
    world.x.answers = [LIMITED, (420, {}, {"title": "Enhance Your Calm"}), LIMITED]
    asked = len(world.x.connects())
    world.do("x", world.x.close())
    waits, last = [], time.monotonic()
    for number, expected_s in enumerate((0, 60, 120, 240)):
        wait_for(lambda n=number: len(world.x.connects()) > asked + n, expected_s * 1.2 + 40, "")
        at = world.x.connects()[asked + number][0]
        if number:
            waits.append(round(at - last, 1))
            run.figures["waits_s"] = waits
            run.fault("429")
            if not 0.9 * expected_s <= waits[-1] <= 1.1 * expected_s + 5:
                raise Broken(f"wait {number} was {waits[-1]} s, X asks for {expected_s}")
        last = at
        if number == 1:
            time.sleep(5)
            tweeter.stop()
            tweeter.start()
            run.fault("restart")
    wait_for(lambda: state(tweeter, "x")[0] == "live", 20, "for it to be live again")
    post = world.say("x", "a storm after the storm")
    wait_for(lambda: post.key in stored(tweeter), 10, "for a post after it")
    run.figure("most_connections", world.x.most_connected, most=1)


def _a_cap_is_told_apart(run: Run, world: World, tweeter: Running) -> None:
    world.x.answers = [CAPPED]
    asked = len(world.x.connects())
    world.do("x", world.x.close())
    wait_for(lambda: "monthly cap" in state(tweeter, "x")[1], 30, "for the words of the cap")
    run.fault("usage_cap")
    time.sleep(20)
    run.figure("connects_after_cap", len(world.x.connects()) - asked, most=1)
    run.fired(second_installation=1, restart=1, usage_cap=1, **{"429": 3})
