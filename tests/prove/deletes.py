"""R15: what a network removes is gone here within seconds: database, API, pages, open browsers."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from tests.integration.running import Running, wait_for
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.world import Said, World, stored
from tests.simulators.jetstream import now_us

SOON_S = 5
ACCOUNT_S = 60
ACCOUNT_POSTS = 50


def run(run: Run) -> None:
    with (
        World(["bluesky", "mastodon"]) as world,
        run.tweeter(**world.settings()) as tweeter,
        browser(tweeter) as page,
    ):
        keyword = tweeter.add("storm")
        wait_until_connected(world)
        time.sleep(1)
        look = Look(tweeter, page, keyword)
        _single_posts(run, world, look)
        _overtaken(run, world, tweeter)
        _accounts(run, world, tweeter, look)
        _nothing_returns(run, world, tweeter)
    run.fired(delete=2, delete_first=2, takedown=1, deactivated=1, reactivated=1, sent_again=3)


@contextmanager
def browser(tweeter: Running) -> Iterator[Any]:
    """A page on /live."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page()
        page.goto(f"{tweeter.url}/live")
        yield page
        chromium.close()


class Look:
    """The four places where a text can be seen."""

    def __init__(self, tweeter: Running, page: Any, keyword: int) -> None:
        self._tweeter, self._page, self._keyword = tweeter, page, keyword

    def places(self, text: str) -> set[str]:
        """Where the text is seen now."""
        pages = {
            "api": f"/api/v1/keywords/{self._keyword}/posts?limit=500",
            "keyword page": f"/keywords/{self._keyword}",
            "live page": "/live",
        }
        found = {name for name, path in pages.items() if text in _get(self._tweeter, path)}
        if self._tweeter.sql("SELECT 1 FROM posts WHERE text = ? AND hidden = ''", text):
            found.add("database")
        if self._page.get_by_text(text, exact=True).count():
            found.add("browser")
        return found


EVERYWHERE = {"database", "api", "keyword page", "live page", "browser"}


def _get(tweeter: Running, path: str) -> str:
    with urllib.request.urlopen(f"{tweeter.url}{path}", timeout=10) as answer:
        return answer.read().decode()  # type: ignore[no-any-return]


def _commit(said: Said, operation: str) -> dict[str, Any]:
    commit = {k: said.event["commit"][k] for k in ("collection", "rkey")}
    commit |= {"operation": operation, "rev": "3lzzzzzzzzzzz"}
    return {"did": said.event["did"], "time_us": now_us(), "kind": "commit", "commit": commit}


def _delete(world: World, said: Said) -> None:
    if said.network == "mastodon":
        world.do("mastodon", world.mastodon.delete(said.event))
    else:
        world.do("bluesky", world.bluesky.publish([_commit(said, "delete")]))


def _gone_after(run: Run, name: str, gone: Callable[[], bool], most_s: float) -> None:
    began_s = time.monotonic()
    while not gone() and time.monotonic() - began_s < most_s + 1:
        time.sleep(0.1)
    run.figure(name, time.monotonic() - began_s, most=most_s)


def _single_posts(run: Run, world: World, look: Look) -> None:
    for network in ("bluesky", "mastodon"):
        said = world.say(network, f"a storm to be deleted on {network}")
        wait_for(lambda s=said: look.places(s.text) == EVERYWHERE, 10, f"for it: {said.text}")
        _delete(world, said)
        run.fault("delete")
        name = f"{network}_delete_s"
        _gone_after(run, name, lambda s=said: not look.places(s.text), SOON_S)


def _overtaken(run: Run, world: World, tweeter: Running) -> None:
    """The removal comes before its post."""
    for network in ("bluesky", "mastodon"):
        said = world.prepare(network, f"a storm deleted before it came on {network}")
        _delete(world, said)
        run.fault("delete_first")
        time.sleep(1)  # so that it is stored in a batch of its own
        world.publish(said)
        later = world.say(network, f"a storm after it on {network}")
        wait_for(lambda s=later: s.key in stored(tweeter), 10, "for the next post")
        run.figure(f"{network}_overtaken_shown", int(said.key in stored(tweeter)), most=0)


def _accounts(run: Run, world: World, tweeter: Running, look: Look) -> None:
    did = "did:plc:takendown"
    said = [world.say("bluesky", f"a storm of one {n}", did=did) for n in range(ACCOUNT_POSTS)]
    other = world.say("bluesky", "a storm of a resting one", did="did:plc:resting")
    keys = {s.key for s in (*said, other)}
    wait_for(lambda: keys <= set(stored(tweeter)), 20, "for the account's posts")
    _account(world, did, "takendown")
    run.fault("takedown")
    last = said[-1].text
    gone = lambda: not look.places(last) and not look.places(said[0].text)  # noqa: E731
    _gone_after(run, "takedown_s", gone, ACCOUNT_S)
    shown = "SELECT count(*) FROM posts WHERE author_id = ? AND hidden = ''"
    run.figure("takendown_shown", tweeter.sql(shown, did)[0][0], most=0)
    _account(world, "did:plc:resting", "deactivated")
    run.fault("deactivated")
    _gone_after(run, "deactivated_s", lambda: not look.places(other.text), ACCOUNT_S)
    _account(world, "did:plc:resting", "")
    run.fault("reactivated")
    back = lambda: "keyword page" in look.places(other.text)  # noqa: E731
    _gone_after(run, "reactivated_s", back, ACCOUNT_S)


def _account(world: World, did: str, status: str) -> None:
    account = {"active": not status, "did": did, "seq": 1, "time": "2026-11-24T05:00:00.000Z"}
    account |= {"status": status} if status else {}
    event = {"did": did, "time_us": now_us(), "kind": "account", "account": account}
    world.do("bluesky", world.bluesky.publish([json.dumps(event).encode()]))


def _nothing_returns(run: Run, world: World, tweeter: Running) -> None:
    """Everything is sent once more, by a restart and again by hand."""
    before = stored(tweeter)
    hidden = tweeter.sql("SELECT key FROM posts WHERE hidden <> '' ORDER BY key")
    tweeter.stop()
    tweeter.start()
    run.fault("sent_again")
    wait_until_connected(world)
    for said in list(world.said):
        world.do(said.network, world.served[said.network].it.publish([said.event]))
        run.fault("sent_again")
    mark = world.say("bluesky", "a storm at the very end")
    wait_for(lambda: mark.key in stored(tweeter), 20, "for the end")
    time.sleep(2)
    run.figure("came_back", len(set(stored(tweeter)) - set(before) - {mark.key}), most=0)
    assert tweeter.sql("SELECT key FROM posts WHERE hidden <> '' ORDER BY key") == hidden
