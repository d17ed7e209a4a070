"""R1: kill -9 of any process at any moment, again and again: nothing lost, nothing twice.

The bulk comes from a file (its lines can be counted to one), beside it all three networks.
There is no writer process here: the writer is a thread of the process that holds the streams.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.crowd import Talk, audit, holder, slot_pids, worker_pids
from tests.prove.flap import wait_until_connected
from tests.prove.harness import Run
from tests.prove.pairs import PAIRS, cut_rabbitmq, pair
from tests.prove.world import World
from tests.simulators.jetstream import post_event

ROLES = ("stream", "worker", "stream", "web", "broker")
MATCH_EVERY = 10  # a line of the file
WRITES_AGAIN_S, WRITES_AGAIN_MAX_S, BACKLOG_S = 5.0, 20.0, 60.0


class Size(NamedTuple):
    """How long, how much, and how often somebody dies."""

    lasts_s: float
    every_s: float
    lines_a_s: int
    posts_a_s: float  # on each network


QUICK, FULL = Size(36, 3.6, 1_500, 20), Size(480, 5, 4_850, 50)


def run(run: Run) -> None:
    for name in run.pairs or (PAIRS if run.full else PAIRS[:1]):
        with pair(name) as settings:
            _on(run, name, settings, FULL if run.full else QUICK)


def _on(run: Run, name: str, pair_settings: dict[str, str], size: Size) -> None:
    file = run.folder / f"{name}.jsonl"
    said = _write_file(file, int(size.lines_a_s * size.lasts_s))
    with World() as world:
        settings = world.settings() | pair_settings
        settings |= {"WORKERS": "2", "REPLAY": str(file), "REPLAY_SPEED": f"{size.lines_a_s}/s"}
        with run.tweeter(name, **settings) as tweeter:
            wait_for(lambda: len(slot_pids(tweeter)) == 2, 60, "for two slots")
            tweeter.add("storm")
            wait_until_connected(world)
            time.sleep(3)  # until X has the rule
            with Talk(world, dict.fromkeys(world.networks, size.posts_a_s)), Watch(tweeter) as seen:
                kills = _kill(run, tweeter, pair_settings, size)
            _writes_again(run, name, seen, kills)
            began_s = time.monotonic()
            _file_ends(tweeter, file, size)
            audit(run, tweeter, world, more=said, name=name, wait_s=BACKLOG_S)
            run.figure(f"{name}_backlog_s", time.monotonic() - began_s)
            _file_counted(run, name, tweeter, file)
            _cursor_is_no_further(run, name, tweeter, world)
    file.unlink()
    least = {f"killed_{role}": 1 for role in ROLES}
    run.fired(killed=90 if run.full else 8, **least)


def _write_file(file: Path, lines: int) -> dict[str, tuple[str, str]]:
    """Lines of a Jetstream; returns what of it must be stored."""
    said: dict[str, tuple[str, str]] = {}
    at_us = time.time_ns() // 1000 - lines * 1_000
    with file.open("w") as out:
        for number in range(lines):
            hit = number % MATCH_EVERY == 0
            text = f"{'a storm' if hit else 'calm'} in a file, line {number}"
            event = post_event(text, number, time_us=at_us + number * 1_000)
            if hit:
                key = f"at://{event['did']}/app.bsky.feed.post/{event['commit']['rkey']}"
                said[key] = "bluesky", text
            out.write(json.dumps(event) + "\n")
    return said


class Watch(Beside):
    """Notes each change of the Jetstream's epoch and cursor, by the monotonic clock."""

    def __init__(self, tweeter: Running) -> None:
        super().__init__()
        self._tweeter = tweeter
        self.seen: list[tuple[float, int, str]] = []

    def work(self) -> None:
        last: tuple[int, str] | None = None
        while not self.ended.wait(0.1):
            rows = self._tweeter.sql(
                "SELECT s.epoch, s.cursor FROM streams s WHERE name = 'bluesky'"
            )
            if rows and tuple(rows[0]) != last:
                last = int(rows[0][0]), str(rows[0][1])
                self.seen.append((time.monotonic(), *last))

    def after(self, killed_s: float, epoch: int) -> float:
        """Seconds from a kill until another holder stored something."""
        taken = ""
        for at, its, cursor in self.seen:
            if at <= killed_s or its <= epoch:
                taken = cursor
            elif cursor != taken:
                return at - killed_s
        return float("inf")


def _victims(run: Run) -> Iterator[str]:
    while True:
        roles = [*ROLES, "helper"]  # which is there in a flood only
        run.dice.shuffle(roles)
        yield from roles


def _kill(
    run: Run, tweeter: Running, settings: dict[str, str], size: Size
) -> list[tuple[float, int]]:
    """Kill somebody every few seconds; returns (moment, epoch) of kills that hit the Jetstream."""
    hits: list[tuple[float, int]] = []
    victims, until = _victims(run), time.monotonic() + size.lasts_s
    while time.monotonic() < until:
        time.sleep(size.every_s * run.dice.uniform(0.7, 1.3))
        role = next(victims)
        pid = _choose(run, tweeter, role, settings)
        if not pid:
            continue
        epoch = tweeter.sql("SELECT epoch FROM streams WHERE name = 'bluesky'")[0][0]
        hit = _follows(tweeter, role, pid)
        if role == "broker" and "amqp" in settings.get("BROKER_URL", ""):
            cut_rabbitmq(settings)
        elif role == "broker" and settings:
            _cut_redis(settings)
        else:
            os.kill(pid, signal.SIGKILL)
        if hit:
            hits.append((time.monotonic(), epoch))
        run.fault("killed")
        run.fault(f"killed_{role}")
    time.sleep(8)  # what was killed last comes back while posts still come
    return hits


def _choose(run: Run, tweeter: Running, role: str, settings: dict[str, str]) -> int:
    """A living process of the role; 0 if there is none at the moment."""
    if role == "stream":
        held = holder(tweeter, "bluesky")
        found = [held] if held else slot_pids(tweeter)
    elif role == "worker":
        found = worker_pids(tweeter)
    elif role == "broker":
        found = tweeter.pids("valkey-server") if not settings else [1]
    else:
        found = tweeter.pids(f"-m tweeter[ .]{role}")
    alive = [pid for pid in found if Path(f"/proc/{pid}").exists()]
    return run.dice.choice(alive) if alive else 0


def _follows(tweeter: Running, role: str, pid: int) -> bool:
    """True if the process's end is that of the Jetstream's holder."""
    held = holder(tweeter, "bluesky")
    if role == "worker" and held:
        fields = Path(f"/proc/{held}/stat")
        parent = int(fields.read_text().rpartition(")")[2].split()[1]) if fields.exists() else 0
        return parent == pid
    return bool(held) and held == pid


def _cut_redis(settings: dict[str, str]) -> None:
    """The server is the machine's: it lives on, every connection to our database ends."""
    import redis

    number = settings["BROKER_URL"].rpartition("/")[2]
    with redis.Redis.from_url(settings["BROKER_URL"]) as client:
        for one in client.client_list():
            if one["db"] == number:
                client.client_kill_filter(_id=one["id"], skipme=True)


def _writes_again(run: Run, name: str, seen: Watch, kills: list[tuple[float, int]]) -> None:
    took = sorted(seen.after(at, epoch) for at, epoch in kills)
    run.figure(f"{name}_holder_kills", len(took), least=2)
    p95 = took[max(0, -(-len(took) * 95 // 100) - 1)] if len(took) >= 20 else took[-1]
    run.figures[f"{name}_writes_again_s"] = [round(s, 1) for s in (took[len(took) // 2], took[-1])]
    run.figure(f"{name}_writes_again_max_s", took[-1], most=WRITES_AGAIN_MAX_S)
    if run.full:
        run.figure(f"{name}_writes_again_p95_s", p95, most=WRITES_AGAIN_S)


def _file_ends(tweeter: Running, file: Path, size: Size) -> None:
    """The file's pace lets it lag behind by the time that its reader was dead."""
    ended = "SELECT count(*) FROM streams WHERE name = ? AND state = 'done'"
    limit_s = BACKLOG_S + size.lasts_s / 2
    wait_for(lambda: tweeter.sql(ended, f"replay:{file}")[0][0], limit_s, "for the file's end")


def _file_counted(run: Run, name: str, tweeter: Running, file: Path) -> None:
    """A counter moves with the cursor: each line counted once, whatever died."""
    counted = tweeter.sql("SELECT s.lines FROM streams s WHERE name = ?", f"replay:{file}")[0][0]
    lines = sum(1 for _ in file.open("rb"))
    run.figures[f"{name}_lines"] = lines
    run.figure(f"{name}_lines_miscounted", abs(counted - lines), most=0)


def _cursor_is_no_further(run: Run, name: str, tweeter: Running, world: World) -> None:
    cursor = int(tweeter.sql("SELECT s.cursor FROM streams s WHERE name = 'bluesky'")[0][0])
    last = max(said.event["time_us"] for said in world.said if said.network == "bluesky")
    run.figure(f"{name}_cursor_ahead_us", max(0, cursor - last), most=0)
