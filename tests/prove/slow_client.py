"""R17: readers of the live stream that take nothing cost neither memory nor anybody's time."""

import time
from pathlib import Path

from tests.integration.running import Running, wait_for
from tests.prove.flow import Flow, audit
from tests.prove.harness import Run
from tests.prove.readers import Readers, Stalled
from tests.prove.world import World

STALLED = LIVE = 50
SHORT_S, FULL_S = 45, 300
POSTS_A_S = 60  # so that what a stalled reader misses is more than any buffer on its way
LONG = "lorem ipsum dolor sit amet " * 40
MB = 1024 * 1024
CATCH_UP = 5_000  # changes that a browser that comes back is sent


def rss_bytes(pid: int) -> int:
    """Memory of a process that is really there."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def run(run: Run) -> None:
    lasts_s = FULL_S if run.full else SHORT_S
    with World(["bluesky"]) as world, run.tweeter(**world.settings()) as tweeter:
        tweeter.add("storm")
        wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
        words = f"{LONG} storm warm"
        with Readers(tweeter, LIVE), Flow(world, 10 * POSTS_A_S, words=words) as warm:
            time.sleep(6)  # the log in memory has its full length of long posts before we measure
            warm.end()
            audit(run, tweeter, warm.keys, "warm")
        keys = set(warm.keys)
        web = tweeter.pids("tweeter web")[0]
        before = rss_bytes(web)
        stalled = [Stalled(tweeter) for _ in range(STALLED)]
        most = 0
        with (
            Readers(tweeter, LIVE) as readers,
            Flow(world, POSTS_A_S, words=f"a storm {LONG}") as flow,
        ):
            until = time.monotonic() + lasts_s
            while time.monotonic() < until:
                most = max(most, rss_bytes(web))
                time.sleep(0.5)
            flow.end()
            keys |= flow.keys
            audit(run, tweeter, keys)
            time.sleep(2)
            _told(run, world, readers, flow.keys)
        run.figure("rss_growth_mb", (most - before) / MB, most=50)
        _stalled_are_cut(run, tweeter, stalled)
        markers = [s.text.rpartition(" ")[2] for s in world.said if s.key in flow.keys]
        told = stalled[0].comes_back(tweeter.port, markers[-1], 30)
        run.figures["told_to_reload"] = told == {"reload"}
        missed = set() if told == {"reload"} else set(markers) - told
        run.figure("not_told_on_return", len(missed), most=0)
        assert told != {"reload"} or len(markers) > CATCH_UP / 2, "told to reload for little"
        run.fired(stalled=STALLED)


def _told(run: Run, world: World, readers: Readers, keys: set[str]) -> None:
    """Every live reader got every post once, and soon."""
    said = {s.text.rpartition(" ")[2]: s.at_us / 1e6 for s in world.said if s.key in keys}
    waits = sorted(
        seen[marker] - at for seen in readers.seen for marker, at in said.items() if marker in seen
    )
    run.figure("deliveries", len(waits), least=len(said))
    run.figure(
        "missed", sum(marker not in seen for seen in readers.seen for marker in said), most=0
    )
    run.figure("doubled", readers.doubled, most=0)
    run.figure("live_p50_ms", 1000 * waits[len(waits) // 2])
    run.figure("live_p95_ms", 1000 * waits[int(len(waits) * 0.95)], most=500)
    run.figure("live_max_ms", 1000 * waits[-1])


def _stalled_are_cut(run: Run, tweeter: Running, stalled: list[Stalled]) -> None:
    cut = 0
    for reader in stalled:
        if not reader.was_cut():
            break
        cut += 1
        run.fault("stalled")
        reader.close()
    run.figure("stalled_cut", cut, least=len(stalled))
    run.figure("cuts_in_log", tweeter.log_text().count("reader_cut"), least=len(stalled))
