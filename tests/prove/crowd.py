"""Many streams, spoken on at a steady rate; who holds which; and the audit of what came of it."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import OperationalError

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.harness import Broken, Run
from tests.prove.world import Said, World, intervals, twice, wrong_counts

TICK_S = 0.1
EDGE_US = 100_000  # between a post's publication and our receiving it


class Talk(Beside):
    """`with Talk(world, {"bluesky": 50}) as talk`: so many posts a second, each in the ledger."""

    def __init__(self, world: World, rates: Mapping[str, float], words: str = "a storm") -> None:
        super().__init__()
        self._world, self._rates, self._words = world, dict(rates), words

    def work(self) -> None:
        began_s, made = time.monotonic(), dict.fromkeys(self._rates, 0)
        while not self.ended.wait(TICK_S):
            for network, rate in self._rates.items():
                due = int((time.monotonic() - began_s) * rate) - made[network]
                if due > 0:
                    made[network] += due
                    say_all(self._world, network, due, self._words)


def say_all(world: World, network: str, count: int, words: str = "a storm") -> list[Said]:
    """Publish so many posts at once."""
    first = len(world.said)
    posts = [world.prepare(network, f"{words} {first + n} on {network}") for n in range(count)]
    world.said.extend(posts)
    world.do(network, world.served[network].it.publish([post.event for post in posts]))
    return posts


# Who is who, by the rows in which processes say so.


def _pid(owner: str) -> int:
    return int(owner.split("|")[2])


def slot_pids(tweeter: Running) -> list[int]:
    """Pool processes that hold a slot."""
    return sorted(_pid(row[0]) for row in tweeter.sql("SELECT owner FROM slots"))


def worker_pids(tweeter: Running) -> list[int]:
    """Main processes of the workers."""
    return sorted(_pid(row[0]) for row in tweeter.sql("SELECT id FROM workers"))


def holders(tweeter: Running) -> dict[int, list[int]]:
    """Process -> ids of the streams that it holds."""
    found: dict[int, list[int]] = {}
    for stream_id, owner in tweeter.sql("SELECT id, owner FROM streams WHERE owner <> ''"):
        found.setdefault(_pid(owner), []).append(stream_id)
    return found


def holder(tweeter: Running, stream: str) -> int:
    """The process that holds a stream; 0 if none."""
    rows = tweeter.sql("SELECT owner FROM streams WHERE name = ? AND owner <> ''", stream)
    return _pid(rows[0][0]) if rows else 0


def deal(run: Run, tweeter: Running, hands: int) -> None:
    """Deal the streams out until so many processes hold some.

    Whoever came first may hold all: it is paused, its streams are freed two by two (as by
    another process that takes them over), and it finds them gone when it goes on.
    """
    until = time.monotonic() + 60
    while len(held := holders(tweeter)) < hands:
        assert time.monotonic() < until, f"the streams are not dealt out: {held}"
        rich = max(held, key=lambda pid: len(held[pid]), default=0)
        if not rich or len(held[rich]) < 2:
            time.sleep(0.2)
            continue
        keeps = max(1, len(held[rich]) // hands)
        if not pause(run, tweeter, rich):
            continue
        try:
            _free(tweeter, held[rich][keeps:], keeps)
        finally:
            os.kill(rich, signal.SIGCONT)
        run.fault("streams_dealt_out")
        time.sleep(4)  # until it has noticed


def pause(run: Run, tweeter: Running, pid: int) -> bool:
    """SIGSTOP; False, and it goes on, if that met it in the middle of a transaction.

    Then SQLite's one lock is held, and nobody can write at all until it goes on.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        tweeter.sql("UPDATE positions SET value = value WHERE name = 'feed'")
    except OperationalError:
        os.kill(pid, signal.SIGCONT)
        run.fault("paused_in_a_transaction")
        time.sleep(0.3)
        return False
    return True


def _free(tweeter: Running, stream_ids: list[int], together: int) -> None:
    stopped_s = time.monotonic()
    while stream_ids and time.monotonic() - stopped_s < 8:
        some, stream_ids = stream_ids[:together], stream_ids[together:]
        for stream_id in some:
            tweeter.sql(
                "UPDATE streams SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE id = ?",
                stream_id,
            )
        wait_for(lambda ids=some: _taken(tweeter, ids[-1]), 10, "for a taker")


def _taken(tweeter: Running, stream_id: int) -> bool:
    return bool(tweeter.sql("SELECT owner FROM streams WHERE id = ?", stream_id)[0][0])


# The auditor.


def expected(world: World) -> dict[str, tuple[str, str]]:
    """Key -> (network as the program names it, text) of all that was said."""
    return {said.key: (said.network.partition("-")[0], said.text) for said in world.said}


def found(tweeter: Running) -> dict[str, tuple[str, str]]:
    """The same, as it is stored."""
    rows = tweeter.sql("SELECT p.key, p.network, p.text FROM posts p")
    return {key: (network, text) for key, network, text in rows}


def audit(
    run: Run,
    tweeter: Running,
    world: World,
    *,
    more: Mapping[str, tuple[str, str]] | None = None,
    name: str = "",
    wait_s: float = 60,
) -> None:
    """Rows, counters, API and page against the ledger; `more` is what files said.

    What X cannot send again may be missing, but only inside of a recorded interval.
    """
    wanted = expected(world) | dict(more or {})
    began_s = time.monotonic()
    while missing := wanted.keys() - (there := found(tweeter)).keys():
        if not _to_come(tweeter, world, missing) or time.monotonic() - began_s > wait_s:
            break
        time.sleep(0.5)
    prefix = f"{name}_" if name else ""
    run.figures[f"{prefix}settled_after_s"] = round(time.monotonic() - began_s, 1)
    run.figure(f"{prefix}posts", len(wanted), least=1)
    lost = missing - _in_gaps_of_x(tweeter, world, missing)
    run.figures[f"{prefix}x_missing_in_gaps"] = len(missing) - len(lost)
    run.figures[f"{prefix}lost_keys"] = sorted(lost)[:3]
    run.figure(f"{prefix}lost", len(lost), most=0)
    del run.figures[f"{prefix}lost_keys"]
    run.figure(f"{prefix}invented", len(there.keys() - wanted.keys()), most=0)
    wrong = sum(there[key] != wanted[key] for key in there)
    run.figure(f"{prefix}wrong_rows", wrong, most=0)
    run.figure(f"{prefix}twice", twice(tweeter), most=0)
    run.figure(f"{prefix}wrong_counts", wrong_counts(tweeter), most=0)
    run.figure(f"{prefix}unmatched_rows", _unmatched(tweeter), most=0)
    run.figure(f"{prefix}api_errors", _api_errors(tweeter), most=0)


def _to_come(tweeter: Running, world: World, missing: set[str]) -> bool:
    """True while something is missing that a network can send again."""
    return bool(missing - _in_gaps_of_x(tweeter, world, missing))


def _in_gaps_of_x(tweeter: Running, world: World, missing: set[str]) -> set[str]:
    if "x" not in world.networks or not missing:
        return set()
    now_us = time.time_ns() // 1000
    gaps = [
        (began - EDGE_US, now_us if ended is None else ended)
        for state, _, began, ended, _ in intervals(tweeter, "x")
        if state != "live"
    ]
    return {
        said.key
        for said in world.said
        if said.network == "x"
        and said.key in missing
        and any(began <= said.at_us <= ended for began, ended in gaps)
    }


def _unmatched(tweeter: Running) -> int:
    """Posts without the match that they were stored for (every post has the one keyword)."""
    return int(
        tweeter.sql(
            "SELECT count(*) FROM posts p LEFT JOIN matches m ON m.post_id = p.id"
            " WHERE m.post_id IS NULL"
        )[0][0]
    )


def _api_errors(tweeter: Running) -> int:
    """Keywords whose newest posts differ between API and rows, or whose page has not the count."""
    wrong = 0
    for keyword_id, posts in tweeter.sql("SELECT id, posts FROM keywords WHERE state = 'active'"):
        shown = json.loads(get(tweeter, f"/api/v1/keywords/{keyword_id}/posts?limit=100"))["posts"]
        rows = tweeter.sql(
            "SELECT p.key FROM posts p JOIN matches m ON m.post_id = p.id WHERE m.keyword_id = ?"
            " ORDER BY p.occurred_at DESC, p.id DESC LIMIT 100",
            keyword_id,
        )
        wrong += {post["key"] for post in shown} != {row[0] for row in rows}
        wrong += f"{posts:,}" not in get(tweeter, f"/keywords/{keyword_id}")
    return wrong


def get(tweeter: Running, path: str) -> str:
    """A page or an answer of the API; waits for a web process that is just started again."""
    until = time.monotonic() + 40
    while True:
        try:
            with urllib.request.urlopen(f"{tweeter.url}{path}", timeout=10) as answer:
                return answer.read().decode()  # type: ignore[no-any-return]
        except OSError as error:
            if time.monotonic() > until:
                raise Broken(f"{path} does not answer: {error}") from error
            time.sleep(0.5)


def counts(tweeter: Running) -> dict[str, tuple[Any, ...]]:
    """Of each stream: (epoch, cursor, events, stored)."""
    rows = tweeter.sql("SELECT s.name, s.epoch, s.cursor, s.events, s.stored FROM streams s")
    return {row[0]: tuple(row[1:]) for row in rows}
