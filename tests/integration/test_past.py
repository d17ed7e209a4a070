"""What was said before a keyword, and while a server was away: asked for and stored once."""

import json
import time
from pathlib import Path
from typing import Any

from tests.integration.running import Running, wait_for
from tests.simulators.jetstream import JetstreamSimulator, now_us, post_event
from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.served import Served

MINUTE_US = 60_000_000


def texts(tweeter: Running) -> list[str]:
    return sorted(row[0] for row in tweeter.sql("SELECT text FROM posts"))


def test_a_new_keyword_gets_its_past_and_the_live_stream_goes_on(tmp_path: Path) -> None:
    begun = now_us() - 60 * MINUTE_US
    past = [post_event(f"storm {n}", n, time_us=begun + n * 1000) for n in range(3000)]
    late = {"lookback_us": 50 * MINUTE_US}  # a window shorter than what is asked for
    with (
        Served(JetstreamSimulator(**late)) as sim,
        Running(tmp_path, BLUESKY_URL=sim.it.url) as tweeter,
    ):
        recent = [
            post_event(f"storm late {n}", n, time_us=begun + 20 * MINUTE_US + n) for n in range(50)
        ]
        sim.do(sim.it.publish([*past, *recent]))
        tweeter.add("unrelated")
        wait_for(lambda: sim.it.clients, 20, "for the stream")
        sim.do(sim.it.publish([post_event("unrelated", 1)]))
        wait_for(lambda: texts(tweeter) == ["unrelated"], 20, "for the live post")
        keyword = tweeter.add("storm")
        expected = sorted(["unrelated", *(f"storm late {n}" for n in range(50))])
        wait_for(lambda: texts(tweeter) == expected, 40, "for the past")
        live = time.monotonic()
        sim.do(sim.it.publish([post_event("a storm now", 2)]))
        wait_for(lambda: "a storm now" in texts(tweeter), 5, "for the next live post")
        assert time.monotonic() - live < 5
        options = wait_for(lambda: looked_back(tweeter, keyword), 20, "for its end")
        assert options["began_us"] > options["since_us"]  # the server no longer had all of it


def looked_back(tweeter: Running, keyword: int) -> dict[str, Any] | None:
    """The options of the keyword's look-back once it is done."""
    done = tweeter.sql("SELECT options FROM jobs WHERE kind = 'look_back' AND state = 'done'")
    found: list[dict[str, Any]] = [json.loads(row[0]) for row in done]
    return next((options for options in found if keyword in options["keywords"]), None)


def test_mastodon_two_servers_one_post_and_a_gap_that_is_repaired(tmp_path: Path) -> None:
    with Served(MastodonSimulator()) as one, Served(MastodonSimulator()) as two:
        settings = {
            "MASTODON_URL": one.it.url,
            "MASTODON_TOKEN": one.it.token,
            "MASTODON_SERVERS": f"{two.it.url} {two.it.token}",
        }
        with Running(tmp_path, **settings) as tweeter:
            tweeter.add("storm")
            wait_for(lambda: one.it.connected and two.it.connected, 20, "for both servers")
            time.sleep(0.3)
            shared = status(1, "storm on both", server="third.example")
            for server in (one, two):
                server.do(server.it.publish([dict(shared)]))
            gone = status(2, "storm deleted early")
            one.do(one.it.delete(gone))
            one.do(one.it.publish([gone]))
            wait_for(lambda: texts(tweeter) == ["storm on both"], 10, "for the post")
            time.sleep(4)  # until the minutes are entered as covered
            one.it.answers = [(503, {}, {"error": "maintenance"})] * 2
            one.do(one.it.drop())
            wait_for(lambda: not one.it.connected, 5, "for the end")
            missed = [status(n, f"storm missed {n}") for n in range(10, 60)]
            one.do(one.it.publish(missed))
            expected = sorted(["storm on both", *(f"storm missed {n}" for n in range(10, 60))])
            wait_for(lambda: texts(tweeter) == expected, 60, "for the repair")
            wait_for(lambda: not gaps(tweeter, "repairing"), 20, "for the ledger")
            repaired = gaps(tweeter, "repaired")  # the end of the connection, then the refusals
            assert sum(row[1] for row in repaired) == 50
            assert any("50 posts found" in row[2] for row in repaired)
            assert not gaps(tweeter, "lost")


def test_what_mastodon_says_before_its_subscription_works_is_not_lost(tmp_path: Path) -> None:
    with Served(MastodonSimulator()) as sim:
        settings = {"MASTODON_URL": sim.it.url, "MASTODON_TOKEN": sim.it.token}
        with Running(tmp_path, **settings) as tweeter:
            tweeter.add("storm")
            wait_for(lambda: sim.it.connected, 20, "for the stream")
            live = "SELECT count(*) FROM intervals WHERE state = 'live' AND ended_at IS NULL"
            wait_for(lambda: tweeter.sql(live)[0][0], 20, "for the first claim to be covered")
            sim.it.subscribes_s = 1.0
            sim.do(sim.it.drop())
            wait_for(lambda: len(sim.it.connects) == 2, 20, "for the next connection")
            sim.do(sim.it.publish([status(1, "storm too early")]))
            time.sleep(1.5)
            sim.do(sim.it.publish([status(2, "storm in time")]))
            wait_for(lambda: "storm in time" in texts(tweeter), 10, "for the live post")
            expected = ["storm in time", "storm too early"]
            wait_for(lambda: texts(tweeter) == expected, 20, "for the repair")


def gaps(tweeter: Running, outcome: str) -> list[tuple[Any, ...]]:
    return tweeter.sql(
        "SELECT state, repaired_posts, repair FROM intervals WHERE outcome = ?", outcome
    )
