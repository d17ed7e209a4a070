"""R23: minutes at a steady rate: memory, files, threads and the database's log stay as they are."""

import contextlib
import time
from pathlib import Path

from tests.integration.running import Running, tree, wait_for
from tests.prove.disk_full import fetch
from tests.prove.flow import Flow, audit
from tests.prove.harness import Run
from tests.prove.readers import Readers
from tests.prove.slow_client import MB, rss_bytes
from tests.prove.world import World

SHORT = (50.0, 300, 40.0)  # seconds measured, posts a second, seconds of warm-up before
FULL = (480.0, 1_000, 90.0)
LOOK_S = 1.0
SLOPE_MB = 1.0  # a minute
WAL_MB = 64
# A short run cannot tell a slope from the noise of an allocator: it may be this much more.
NOISE_MB = 3.0
BROWSERS = 5


def run(run: Run) -> None:
    lasts_s, posts_a_s, warm_s = FULL if run.full else SHORT
    with World(["bluesky"]) as world, run.tweeter(**world.settings()) as tweeter:
        tweeter.add("storm")
        wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
        tweeter.slot_pid()
        with Readers(tweeter, BROWSERS) as readers, Flow(world, posts_a_s) as flow:
            time.sleep(warm_s)
            looks = _watch(tweeter, lasts_s)
            flow.end()
            run.figure("script_late_s", flow.late_s, most=5)
            audit(run, tweeter, flow.keys)
            run.figure("reloads", readers.reloads, most=0)
        run.figure("posts_a_s", len(flow.keys) / (lasts_s + warm_s), least=0.9 * posts_a_s)
        _judge(run, looks, lasts_s)
        for _ in looks:
            run.fault("look")
    run.fired(look=int(lasts_s / LOOK_S / 2))


class Look:
    """One look at every process of tweeter."""

    def __init__(self, tweeter: Running) -> None:
        self.at_s = time.monotonic()
        self.rss: dict[int, int] = {}
        self.fds: dict[int, int] = {}
        self.threads: dict[int, int] = {}
        self.names: dict[int, str] = {}
        assert tweeter.process is not None
        for pid, words in tree(tweeter.process.pid).items():
            self.names[pid] = _role(words)
            with contextlib.suppress(OSError):
                self.threads[pid] = len(list(Path(f"/proc/{pid}/task").iterdir()))
                self.fds[pid] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                self.rss[pid] = rss_bytes(pid)
        began_s = time.perf_counter()
        self.health, _ = fetch(f"{tweeter.url}/healthz")
        self.health_ms = 1000 * (time.perf_counter() - began_s)
        self.wal = 0
        with contextlib.suppress(OSError):
            self.wal = (tweeter.folder / "data" / "tweeter.db-wal").stat().st_size


def _role(words: str) -> str:
    """A process in a word, from its command line."""
    return next((r for r in ("web", "scheduler", "broker") if f"tweeter {r}" in words), "worker")


def _watch(tweeter: Running, lasts_s: float) -> list[Look]:
    until = time.monotonic() + lasts_s
    looks = []
    while time.monotonic() < until:
        looks.append(Look(tweeter))
        time.sleep(LOOK_S)
    return looks


def _judge(run: Run, looks: list[Look], lasts_s: float) -> None:
    pids = set(looks[0].rss)
    run.figure("processes_replaced", len(pids ^ set(looks[-1].rss)), most=0)
    slopes = {pid: _slope_mb(looks, pid) for pid in pids}
    run.figures["mb_first_last_slope"] = {
        f"{looks[0].names[pid]} {pid}": [
            round(looks[0].rss[pid] / MB, 1),
            round(looks[-1].rss[pid] / MB, 1),
            round(slope, 2),
        ]
        for pid, slope in slopes.items()
        if pid in looks[-1].rss
    }
    allowed = SLOPE_MB + (0 if run.full else NOISE_MB * 60 / lasts_s)
    run.figure("rss_slope_mb_a_minute", max(slopes.values()), most=allowed)
    run.figure("rss_sum_mb", sum(looks[-1].rss.values()) / MB)
    for name in ("fds", "threads"):
        run.figure(f"{name}_growth", _growth(looks, name, pids), most=0)
    took = sorted(look.health_ms for look in looks)
    run.figure("healthz_p95_ms", took[int(len(took) * 0.95)], most=100)
    run.figure("healthz_not_200", sum(look.health != 200 for look in looks), most=0)
    run.figure("wal_max_mb", max(look.wal for look in looks) / MB, most=WAL_MB)


def _slope_mb(looks: list[Look], pid: int) -> float:
    """MB a minute, by least squares."""
    points = [(look.at_s / 60, look.rss[pid] / MB) for look in looks if pid in look.rss]
    mid_x = sum(x for x, _ in points) / len(points)
    mid_y = sum(y for _, y in points) / len(points)
    below = sum((x - mid_x) ** 2 for x, _ in points)
    return sum((x - mid_x) * (y - mid_y) for x, y in points) / below


def _growth(looks: list[Look], name: str, pids: set[int]) -> int:
    """By how many the least number of the last third exceeds the most of the first third.

    Connections and threads of pools come and go; what leaks only comes.
    """
    third = max(len(looks) // 3, 1)
    growth = 0
    for pid in pids:
        counts = [getattr(look, name).get(pid, 0) for look in looks]
        growth = max(growth, min(counts[-third:]) - max(counts[:third]))
    return growth
