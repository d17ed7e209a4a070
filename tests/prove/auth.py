"""R10: what waiting cannot mend is not tried again and again, and is named for what it is."""

import time
import urllib.request

from tests.integration.running import Running, wait_for
from tests.prove.flap import connects, wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import World, state, stored

WATCH_S = 12
TRIES = 2
FORBIDDEN = {
    "title": "Client Forbidden",
    "type": "https://api.twitter.com/2/problems/client-forbidden",
    "reason": "client-not-enrolled",
    "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys",
}


def run(run: Run) -> None:
    _wrong_tokens(run)
    _a_wrong_clock(run)
    _a_wrong_plan_and_a_revoked_token(run)
    run.fired(wrong_token=2, wrong_clock=2, forbidden=1, revoked=1)


def page(tweeter: Running, path: str) -> str:
    with urllib.request.urlopen(f"{tweeter.url}{path}", timeout=10) as answer:
        return answer.read().decode()  # type: ignore[no-any-return]


def _named(run: Run, tweeter: Running, stream: str, *words: str) -> None:
    """The cause stands in the row and on the page of the source."""
    said = lambda: all(word in state(tweeter, stream)[1] for word in words)  # noqa: E731
    wait_for(said, 60, f"for {words} of {stream}: {state(tweeter, stream)}")
    shown = page(tweeter, f"/sources/{stream}")
    missing = [word for word in words if word.replace("'", "&#39;") not in shown]
    run.figure("words_missing_on_pages", len(missing), most=0)


def _asked(world: World, network: str) -> int:
    """Requests of any kind that reached a network."""
    if network == "x":
        return len(world.x.log)
    return len([r for r in world.mastodon.requests if "/streaming" in r])


def _quiet(run: Run, world: World, name: str, network: str, most: int) -> None:
    before = _asked(world, network)
    time.sleep(WATCH_S)
    run.figure(f"{name}_tries", _asked(world, network) - before, most=most)


def _wrong_tokens(run: Run) -> None:
    with World(["x", "mastodon"]) as world:
        settings = world.settings() | {"X_BEARER_TOKEN": "wrong" * 20, "MASTODON_TOKEN": "wrong"}
        with run.tweeter("tokens", **settings) as tweeter:
            tweeter.add("storm")
            host = world.mastodon.url.removeprefix("http://")
            _named(run, tweeter, "x", "X refused our credentials (401)", "bearer token")
            _named(run, tweeter, f"mastodon:{host}", "refused our token", "TWEETER_MASTODON_TOKEN")
            for network in ("x", "mastodon"):
                run.fault("wrong_token")
                _quiet(run, world, f"{network}_wrong_token", network, TRIES)
            assert "wrong" * 20 not in page(tweeter, "/sources/x"), "the token is shown"


def _a_wrong_clock(run: Run) -> None:
    """Ten minutes slow, then ahead: a 401 is explained by the clock, not by the token alone."""
    for way, off_s in (("slow", 615.0), ("ahead", -615.0)):
        with World(["x"]) as world:
            world.x.clock_s = off_s
            settings = world.settings() | {"X_BEARER_TOKEN": "wrong" * 20}
            with run.tweeter(f"clock-{way}", **settings) as tweeter:
                tweeter.add("storm")
                _named(run, tweeter, "x", "This machine's clock is 10 min", f" s {way}")
                run.fault("wrong_clock")
                _quiet(run, world, f"clock_{way}", "x", TRIES)


def _a_wrong_plan_and_a_revoked_token(run: Run) -> None:
    with World(["x"]) as world:
        world.x.answers = [(403, {}, FORBIDDEN)] * 100
        with run.tweeter("plan", **world.settings()) as tweeter:
            tweeter.add("storm")
            _named(run, tweeter, "x", "The token is right", "client-not-enrolled", "plan")
            run.fault("forbidden")
            _quiet(run, world, "forbidden", "x", TRIES)
            world.x.answers.clear()
            tweeter.stop()
            tweeter.start()  # what a person does who mended it
            wait_until_connected(world)
            world.x.token = "another"  # revoked: the stream ends, and the token is refused
            world.do("x", world.x.close())
            _named(run, tweeter, "x", "X refused our credentials (401)")
            run.fault("revoked")
            _quiet(run, world, "revoked", "x", TRIES)
            world.x.token = tweeter.env["TWEETER_X_BEARER_TOKEN"]
            before = len(connects(world, "x"))
            tweeter.stop()
            tweeter.start()
            wait_for(lambda: len(connects(world, "x")) > before, 30, "for it to go on")
            wait_until_connected(world)
            time.sleep(0.5)
            post = world.say("x", "a storm again")
            wait_for(lambda: post.key in stored(tweeter), 10, "for a post")
