"""The whole way: recorded posts through real sockets into the database, nothing lost or doubled."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.oracle import bluesky_texts, has_word, x_texts
from tests.integration.running import Running, alive, tree, wait_for
from tests.simulators import jetstream
from tests.simulators import x as x_sim
from tests.simulators.served import Served
from tweeter.keywords import compile_for_x, parse, pieces_of

# Keyword, and the same as a plain condition.
KEYWORDS = [
    ("covid OR coronavirus", lambda t: has_word(t, "covid") or has_word(t, "coronavirus")),
    ("love NOT hate", lambda t: has_word(t, "love") and not has_word(t, "hate")),
    ('"hong kong"', lambda t: has_word(t, "hong kong")),
    ("(data OR science) (r OR python)", lambda t: all(
        any(has_word(t, w) for w in group) for group in (("data", "science"), ("r", "python"))
    )),
    ("香港 OR 日本", lambda t: has_word(t, "香港") or has_word(t, "日本")),
]  # fmt: skip


def recorded_x(samples: Path) -> list[dict[str, Any]]:
    lines = x_sim.lines_of(samples / "x_v2.jsonl.gz")
    return list({(post := json.loads(line))["data"]["id"]: post for line in lines}.values())


def recorded_jetstream(samples: Path) -> list[dict[str, Any]]:
    """As if all of it were of the last minutes: the server keeps 36 h."""
    found = []
    for name in ("jetstream.jsonl", "jetstream_constructed.jsonl.gz"):
        found += [json.loads(line) for line in jetstream.lines_of(samples / name)]
    begun = jetstream.now_us() - 300_000_000
    return [event | {"time_us": begun + n * 1000} for n, event in enumerate(found)]


def expected_x(posts: list[dict[str, Any]]) -> dict[str, set[int]]:
    """Post id -> numbers of the keywords that are in it."""
    found = {}
    for post in posts:
        texts = x_texts(post)
        hits = {n for n, (_, holds) in enumerate(KEYWORDS) if holds(texts)}
        if hits:
            found[post["data"]["id"]] = hits
    return found


def expected_bluesky(events: list[dict[str, Any]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for event in events:
        commit = event.get("commit") or {}
        name = f"at://{event['did']}/app.bsky.feed.post/{commit.get('rkey')}"
        texts = bluesky_texts(event)
        hits = {n for n, (_, holds) in enumerate(KEYWORDS) if texts and holds(texts)}
        if hits:
            found[name] = hits
    return found


def stored(tweeter: Running, network: str, ids: list[int]) -> dict[str, set[int]]:
    rows = tweeter.sql(
        "SELECT p.key, m.keyword_id FROM posts p JOIN matches m ON m.post_id = p.id"
        " WHERE p.network = ?",
        network,
    )
    assert len(rows) == len(set(rows)), "a match is there twice"
    found: dict[str, set[int]] = {}
    for key, keyword_id in rows:
        found.setdefault(key, set()).add(ids.index(keyword_id))
    return found


def assert_same(found: dict[str, set[int]], expected: dict[str, set[int]]) -> None:
    """As ==, with a short account of what differs."""
    wrong = {k for k in found.keys() & expected.keys() if found[k] != expected[k]}
    missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
    few = [f"{k}: {found.get(k)} not {expected.get(k)}" for k in [*wrong, *missing, *surplus][:5]]
    assert not few, f"missing {len(missing)}, surplus {len(surplus)}, wrong {len(wrong)}: {few}"


def assert_counters_are_exact(tweeter: Running) -> None:
    counted = Counter(row[0] for row in tweeter.sql("SELECT keyword_id FROM matches"))
    for keyword_id, posts in tweeter.sql("SELECT id, posts FROM keywords"):
        assert posts == counted[keyword_id]


@pytest.fixture
def jetstream_sim() -> Any:
    with Served(jetstream.JetstreamSimulator(ping_s=5)) as served:
        yield served


@pytest.fixture
def x_served() -> Any:
    simulator = x_sim.XSimulator()
    simulator.heartbeat_s = 1
    with Served(simulator) as served:
        yield served


def settings(jetstream_sim: Any, x_served: Any) -> dict[str, str]:
    return {
        "BLUESKY_URL": jetstream_sim.it.url,
        "X_API_BASE": x_served.it.url,
        "X_BEARER_TOKEN": x_served.it.token,
    }


def start_following(tweeter: Running, jetstream_sim: Any, x_served: Any) -> list[int]:
    ids = tweeter.add_all(expression for expression, _ in KEYWORDS)
    wait_for(lambda: x_served.it.connected == 1, 30, "for X")
    wait_for(lambda: jetstream_sim.it.clients, 30, "for Jetstream")
    asked = {piece for e, _ in KEYWORDS for piece in compile_for_x(parse(e)).pieces}
    wait_for(lambda: asked_at(x_served) == asked, 10, "for the rules")
    return ids


def asked_at(x_served: Any) -> set[str]:
    rules = list(x_served.it.rules.values())
    return {piece for rule in rules for piece in pieces_of(rule["value"])}


def wait_until_quiet(tweeter: Running) -> None:
    """Until no stream has counted anything for two seconds."""
    last, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        now = tweeter.sql("SELECT sum(events) FROM streams")
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)


def test_exactly_the_posts_that_match_are_stored_once_each(
    tmp_path: Path, samples: Path, jetstream_sim: Any, x_served: Any
) -> None:
    x_posts, events = recorded_x(samples), recorded_jetstream(samples)
    with Running(tmp_path, **settings(jetstream_sim, x_served)) as tweeter:
        ids = start_following(tweeter, jetstream_sim, x_served)
        x_served.do(x_served.it.publish(x_posts), 120)
        jetstream_sim.do(jetstream_sim.it.publish(json.loads(json.dumps(events))))
        wait_until_quiet(tweeter)
        assert_same(stored(tweeter, "x", ids), expected_x(x_posts))
        assert_same(stored(tweeter, "bluesky", ids), expected_bluesky(events))
        assert_counters_are_exact(tweeter)
        assert len(expected_x(x_posts)) > 100
        assert len(expected_bluesky(events)) > 20
        assert tweeter.sql("SELECT count(*) FROM quarantine") == [(0,)]


async def slowly(publish: Any, items: list[Any], per_s: float) -> None:
    for start in range(0, len(items), 10):
        await publish(items[start : start + 10])
        await asyncio.sleep(10 / per_s)


def test_any_process_may_be_killed_and_the_rows_are_the_same(
    tmp_path: Path, samples: Path, jetstream_sim: Any, x_served: Any
) -> None:
    x_posts, events = recorded_x(samples)[:2500], recorded_jetstream(samples)
    with Running(tmp_path, **settings(jetstream_sim, x_served)) as tweeter:
        ids = start_following(tweeter, jetstream_sim, x_served)
        sending = [
            x_served.begin(slowly(x_served.it.publish, x_posts, len(x_posts) / 40)),
            jetstream_sim.begin(slowly(jetstream_sim.it.publish, events, len(events) / 40)),
        ]
        for victim in ("web", "broker", "server", "slot", "worker", "parent"):
            time.sleep(3)
            kill(tweeter, victim)
        for future in sending:
            future.result(120)
        wait_for(lambda: x_served.it.connected == 1, 30, "for X to be back")
        wait_until_quiet(tweeter)
        assert_same(stored(tweeter, "bluesky", ids), expected_bluesky(events))
        assert_only_recorded_gaps_are_missing(tweeter, x_served.it, ids, x_posts)
        assert_counters_are_exact(tweeter)


def kill(tweeter: Running, victim: str) -> None:
    """kill -9, and see that it is replaced."""
    assert tweeter.process is not None
    if victim == "parent":
        orphans = tree(tweeter.process.pid)
        tweeter.process.kill()
        tweeter.process.wait()
        wait_for(lambda: not any(map(alive, orphans)), 12, "for the orphans to end")
        tweeter.start()
        return
    patterns = {
        "web": r"tweeter web",
        "broker": r"tweeter broker",
        "server": r"valkey",
        "worker": r"celery .*worker1@",
    }
    pid = tweeter.slot_pid() if victim == "slot" else tweeter.pids(patterns[victim])[0]
    os.kill(pid, signal.SIGKILL)
    if victim != "slot":
        wait_for(lambda: [p for p in tweeter.pids(patterns[victim]) if p != pid], 15, victim)


def assert_only_recorded_gaps_are_missing(
    tweeter: Running, sim: Any, ids: list[int], posts: list[dict[str, Any]]
) -> None:
    expected, found = expected_x(posts), stored(tweeter, "x", ids)
    assert_same(found, {key: hits for key, hits in expected.items() if key in found})
    gaps = tweeter.sql(
        "SELECT i.started_at, i.ended_at, i.state FROM intervals i"
        " JOIN streams s ON s.id = i.stream_id WHERE s.name = 'x' AND i.state <> 'live'"
    )
    at = dict(sim.published)
    for key in set(expected) - set(found):
        assert any(start <= at[key] <= (end or at[key]) for start, end, _ in gaps), (
            f"post {key} is missing outside of every recorded gap"
        )


def test_stopping_is_orderly_and_quick_and_starting_twice_is_refused(tmp_path: Path) -> None:
    with Running(tmp_path) as tweeter:
        wait_for(lambda: tweeter.health()["workers"] == 1, 20, "for the worker")
        assert tweeter.process is not None
        children = tree(tweeter.process.pid)
        again = tweeter.cli("up", check=False)
        assert "tweeter already runs here" in again
        assert tweeter.url in again
        assert tweeter.stop(signal.SIGINT) < 10
        assert tweeter.process.returncode == 0
        assert not any(map(alive, children))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    import socket

    tweeter = Running(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", tweeter.port))
        other.listen()
        said = tweeter.cli("up", check=False)
    assert f"Port {tweeter.port} on 127.0.0.1 is taken by another program" in said


def test_keywords_take_effect_within_five_seconds_on_running_streams(
    tmp_path: Path, jetstream_sim: Any, x_served: Any
) -> None:
    numbers = iter(range(1, 10_000))

    def say(text: str) -> None:
        """The same words on both networks."""
        n = next(numbers)
        event = jetstream.post_event(f"{text} {n}", n)
        jetstream_sim.do(jetstream_sim.it.publish([event]))
        x_served.do(x_served.it.publish([x_sim.post(1_900_000_000_000_000_000 + n, f"{text} {n}")]))

    def count(keyword_id: int) -> int:
        rows = tweeter.sql("SELECT posts FROM keywords WHERE id = ?", keyword_id)
        return int(rows[0][0])

    with Running(tmp_path, **settings(jetstream_sim, x_served)) as tweeter:
        first = tweeter.add("storm")
        wait_for(lambda: x_served.it.connected == 1 and jetstream_sim.it.clients, 30, "to connect")
        second = tweeter.add("flood")
        time.sleep(5)
        say("storm and flood")
        wait_for(lambda: count(first) == 2 and count(second) == 2, 5, "for both")
        tweeter.cli("keyword", "pause", str(first))
        tweeter.cli("keyword", "edit", str(second), "fire")
        time.sleep(5)
        assert sorted(r["value"] for r in x_served.it.rules.values()) == ["fire"]
        say("storm")
        say("flood")
        say("fire")
        wait_for(lambda: count(second) == 2, 5, "for the edited one")  # flood's were matched again
        assert count(first) == 2
        tweeter.cli("keyword", "rm", str(second))
        tweeter.cli("keyword", "resume", str(first))
        time.sleep(5)
        say("storm fire")
        wait_for(lambda: count(first) == 4, 5, "for the resumed one")
        assert count(second) == 2
        live = [path for _, path in jetstream_sim.it.connects if "cursor=" not in path]
        assert len(live) == 1, "the live stream goes on; what has a cursor looks back"
        assert len(x_served.it.connects()) == 1


def test_a_database_that_is_away_stops_nothing_and_loses_nothing(
    tmp_path: Path, jetstream_sim: Any, x_served: Any
) -> None:
    with Running(tmp_path, **settings(jetstream_sim, x_served)) as tweeter:
        keyword = tweeter.add("storm")
        wait_for(lambda: x_served.it.connected == 1 and jetstream_sim.it.clients, 30, "to connect")
        time.sleep(2)
        other = sqlite3.connect(tmp_path / "data" / "tweeter.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # nobody else can write
        for n in range(100):
            event = jetstream.post_event(f"storm {n}", n)
            jetstream_sim.do(jetstream_sim.it.publish([event]))
            post = x_sim.post(1_900_000_000_000_000_000 + n, f"storm {n}")
            x_served.do(x_served.it.publish([post]))
            time.sleep(0.14)  # longer than SQLite waits for a lock (10 s)
        assert x_served.it.connected == 1, "X must be read on"
        assert tweeter.sql("SELECT count(*) FROM posts") == [(0,)]
        other.execute("ROLLBACK")
        other.close()
        wait_for(lambda: tweeter.sql("SELECT count(*) FROM posts") == [(200,)], 30, "for all")
        assert_counters_are_exact(tweeter)
        assert tweeter.sql("SELECT posts FROM keywords WHERE id = ?", keyword) == [(200,)]
        assert len(x_served.it.connects()) == 1


def test_the_first_keyword_reaches_x_and_a_file_while_other_streams_are_busy(
    tmp_path: Path, jetstream_sim: Any, x_served: Any
) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text("".join(json.dumps(x_sim.post(n, "a storm")) + "\n" for n in range(1, 11)))
    more = {"REPLAY": str(file)}
    with Running(tmp_path, **settings(jetstream_sim, x_served), **more) as tweeter:
        wait_for(lambda: jetstream_sim.it.clients, 30, "for Jetstream")
        busy = [jetstream.post_event(f"sunshine {n}", n) for n in range(1000)]
        sending = jetstream_sim.begin(slowly(jetstream_sim.it.publish, busy, 100))
        time.sleep(2)
        keyword = tweeter.add("storm")
        wait_for(lambda: x_served.it.connected == 1, 5, "for X")
        wait_for(
            lambda: tweeter.sql("SELECT posts FROM keywords WHERE id = ?", keyword) == [(10,)],
            5,
            "for the file",
        )
        sending.cancel()
