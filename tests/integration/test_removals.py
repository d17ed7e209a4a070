"""Removals that no event tells us: found after an outage, or when a person presses a button."""

import http.cookiejar
import json
import os
import re
import signal
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.running import Running, wait_for
from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.served import Served
from tests.simulators.x import XSimulator, post
from tests.simulators.x_reading import id_at
from tweeter.records import now_us


class Person:
    """Somebody with a browser: reads a page, presses a button on it."""

    def __init__(self, tweeter: Running) -> None:
        self.url = tweeter.url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def read(self, address: str) -> str:
        with self._opener.open(self.url + address, timeout=20) as answer:
            return str(answer.read().decode())

    def press(self, page: str, action: str) -> str:
        """Send the form of the page at `page` that goes to `action` (a pattern)."""
        form = re.search(
            rf'action="({action})".*?name="csrf_token".*?value="([^"]+)"', self.read(page), re.S
        )
        assert form is not None, f"no form to {action} on {page}"
        data = urllib.parse.urlencode({"csrf_token": form[2]}).encode()
        request = urllib.request.Request(
            self.url + form[1], data, {"Referer": self.url + page, "Origin": self.url}
        )
        with self._opener.open(request, timeout=20) as answer:
            return str(answer.read().decode())


class Feed:
    """A browser's live connection: what it is told, as (event, id of the post)."""

    def __init__(self, tweeter: Running) -> None:
        self.told: list[tuple[str, str]] = []
        self._url = f"{tweeter.url}/live/stream"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        event = ""
        try:
            with urllib.request.urlopen(self._url, timeout=60) as answer:
                for raw in answer:
                    name, _, value = raw.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        event = value
                    elif name == "data" and event in ("post", "edit", "remove"):
                        self.told.append((event, str(json.loads(value).get("id"))))
        except OSError:
            return


def shown(tweeter: Running) -> list[str]:
    rows = tweeter.sql("SELECT text FROM posts WHERE removed_at IS NULL")
    return sorted(row[0] for row in rows)


def test_a_post_deleted_at_x_is_gone_from_pages_api_and_feed_after_the_button(
    tmp_path: Path,
) -> None:
    with Served(XSimulator()) as sim:
        settings = {"X_API_BASE": sim.it.url, "X_BEARER_TOKEN": sim.it.token, "X_DAY_POSTS": "500"}
        with Running(tmp_path, **settings) as tweeter:
            keyword = tweeter.add("storm")
            wait_for(lambda: sim.it.connected and sim.it.rules, 30, "for X's stream")
            time.sleep(0.5)
            found = [post(id_at(now_us(), n), f"storm number {n}") for n in range(3)]
            sim.do(sim.it.publish(found))
            wait_for(lambda: len(shown(tweeter)) == 3, 20, "for the posts")
            person, feed = Person(tweeter), Feed(tweeter)
            page = person.read(f"/keywords/{keyword}")
            assert "storm number 1" in page
            assert "Deletions unknown" in page
            assert "X does not announce removals" in page
            sim.it.reading.removed[found[1]["data"]["id"]] = "deleted"
            source = person.read("/sources/x")
            assert "About 3 posts, 0.01 USD" in source
            assert "At most 497 posts" in source
            assert "Look up stored posts now" in source
            time.sleep(1)
            person.press("/sources/x", r"/sources/\d+/recheck")
            wait_for(lambda: len(shown(tweeter)) == 2, 30, "for the look-up")
            wait_for(lambda: [k for k, _ in feed.told] == ["remove"], 10, "for the feed")
            assert "storm number 1" not in person.read(f"/keywords/{keyword}")
            answer = json.loads(person.read(f"/api/v1/keywords/{keyword}"))
            (unknown,) = answer["deletions_unknown"]
            assert unknown["last"] == unknown["since"]
            listed = json.loads(person.read(f"/api/v1/keywords/{keyword}/posts"))["posts"]
            assert {p["removed_reason"] for p in listed} == {"", "not found"}
            wait_for(lambda: "1 was gone" in person.read("/sources/x"), 10, "for its words")
            assert tweeter.sql("SELECT posts FROM reads WHERE keyword_id = 0") == [(6,)]


def test_a_deletion_that_mastodon_told_during_an_outage_is_found_after_it(
    tmp_path: Path,
) -> None:
    with Served(MastodonSimulator()) as sim:
        settings = {"MASTODON_URL": sim.it.url, "MASTODON_TOKEN": sim.it.token}
        with Running(tmp_path, **settings) as tweeter:
            keyword = tweeter.add("storm")
            wait_for(lambda: sim.it.connected, 30, "for the server")
            time.sleep(0.5)
            found = [status(n, f"storm number {n}") for n in range(3)]
            sim.do(sim.it.publish(found))
            wait_for(lambda: len(shown(tweeter)) == 3, 20, "for the posts")
            names = tweeter.sql("SELECT alias FROM post_aliases")  # what its deletions name
            host = sim.it.url.partition("//")[2]
            assert [name.rpartition(":")[0] for (name,) in names] == [host] * 3
            person, feed = Person(tweeter), Feed(tweeter)
            assert "Deletions unknown" not in person.read(f"/keywords/{keyword}")
            time.sleep(4)  # until the minutes are entered as covered
            sim.it.answers = [(503, {}, {"error": "maintenance"})]
            sim.do(sim.it.drop())
            wait_for(lambda: not sim.it.connected, 5, "for the end")
            sim.do(sim.it.delete(found[0]))  # to nobody
            sim.do(sim.it.publish([status(9, "storm missed")]))
            texts = ["storm missed", "storm number 1", "storm number 2"]
            wait_for(lambda: shown(tweeter) == texts, 60, "for the repair and the look-up")
            told = wait_for(lambda: gone(feed), 10, "for the feed")
            assert len(told) == 1
            assert "storm number 0" not in person.read(f"/keywords/{keyword}")
            wait_for(lambda: done(tweeter), 20, "for its end")
            assert "Deletions unknown" not in person.read(f"/keywords/{keyword}")
            rows = tweeter.sql("SELECT removed_reason FROM posts WHERE removed_at IS NOT NULL")
            assert rows == [("not found",)]


def gone(feed: Feed) -> list[Any]:
    return [entry for entry in feed.told if entry[0] == "remove"]


def done(tweeter: Running) -> bool:
    found = tweeter.sql("SELECT state FROM jobs WHERE kind = 'recheck'")
    return bool(found) and all(row[0] == "done" for row in found)


def test_a_gap_of_x_is_searched_for_only_when_a_person_asks_and_a_killed_one_goes_on(
    tmp_path: Path,
) -> None:
    with Served(XSimulator()) as sim:
        sim.it.reading.thin, sim.it.reading.delay_s = 10, 0.3
        settings = {"X_API_BASE": sim.it.url, "X_BEARER_TOKEN": sim.it.token}
        with Running(tmp_path, **settings) as tweeter:
            tweeter.add("storm")
            wait_for(lambda: sim.it.connected and sim.it.rules, 30, "for X's stream")
            time.sleep(4)
            sim.it.answers = [(503, {}, {"title": "Service Unavailable"})]
            sim.do(sim.it.close())
            wait_for(lambda: not sim.it.connected, 5, "for the end")
            time.sleep(0.3)
            missed = [post(id_at(now_us(), n), f"storm missed {n}") for n in range(200)]
            sim.do(sim.it.publish(missed))
            wait_for(lambda: sim.it.connected, 30, "for the next connection")
            lost = [("lost", 0)] * 2  # a closed connection, then a server's fault
            wait_for(lambda: gaps(tweeter) == lost, 10, "for the ledger")
            ((closed,),) = tweeter.sql("SELECT id FROM intervals WHERE kind = 'closed'")
            person = Person(tweeter)
            assert "Search X for it" in person.read("/sources/x")
            person.press("/sources/x", rf"/gaps/{closed}/search")
            assert "X is being searched for it" in person.read("/sources/x")
            wait_for(lambda: 20 < len(shown(tweeter)) < 200, 60, "for the first pages")
            ((owner,),) = tweeter.sql("SELECT owner FROM jobs WHERE kind = 'repair'")
            os.kill(int(owner.split("|")[2]), signal.SIGKILL)
            wait_for(lambda: gaps_done(tweeter), 60, "for the repair")
            assert len(shown(tweeter)) == 200
            assert sim.it.reading.read <= 200 + 10  # one page twice


def gaps(tweeter: Running) -> list[tuple[Any, ...]]:
    return tweeter.sql(
        "SELECT outcome, repaired_posts FROM intervals WHERE state <> 'live' AND outcome <> ''"
    )


def gaps_done(tweeter: Running) -> bool:
    return ("repaired", 200) in gaps(tweeter)
