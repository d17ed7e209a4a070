"""Posts at a steady rate, in a thread of their own, each of them in the world's ledger."""

import time

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.harness import Run
from tests.prove.world import Said, World, intervals, stored, twice, wrong_counts
from tests.simulators.jetstream import now_us, post_event

BURST_S = 0.1
SLACK_US = 1_500_000  # between the script's clock and the ledger's moments


class Flow(Beside):
    """`with Flow(world, 300) as flow`: 300 posts a second on Bluesky until the end.

    keys holds what was said; late_s how far the script itself fell behind at most.
    """

    def __init__(self, world: World, posts_a_s: int, *, words: str = "a storm") -> None:
        super().__init__()
        self._world = world
        self._rate = posts_a_s
        self._words = words
        self.keys: set[str] = set()
        self.late_s = 0.0

    def work(self) -> None:
        began_s, made = time.monotonic(), 0
        while not self.ended.wait(BURST_S):
            due = int((time.monotonic() - began_s) * self._rate)
            while made < due:
                burst = [self._post(made + n) for n in range(min(due - made, 1_000))]
                made += len(burst)
                self._world.said.extend(burst)
                self._world.do(
                    "bluesky", self._world.bluesky.publish([said.event for said in burst])
                )
            behind_s = time.monotonic() - began_s - made / self._rate
            self.late_s = max(self.late_s, behind_s)

    def _post(self, number: int) -> Said:
        text = f"{self._words} {number}"
        event = post_event(text, number)
        key = f"at://{event['did']}/app.bsky.feed.post/{event['commit']['rkey']}"
        self.keys.add(key)
        return Said("bluesky", key, text, now_us(), event)


def audit(run: Run, tweeter: Running, keys: set[str], name: str = "", wait_s: float = 60) -> None:
    """The database against the ledger: nothing lost, nothing twice, every counter a recount."""
    prefix = f"{name}_" if name else ""
    count = "SELECT count(*) FROM posts"
    until = time.monotonic() + wait_s
    while time.monotonic() < until and tweeter.sql(count)[0][0] < len(keys):
        time.sleep(0.3)
    there = set(stored(tweeter))
    run.figure(f"{prefix}posts", len(keys), least=1)
    run.figure(f"{prefix}lost", len(keys - there), most=0)
    run.figure(f"{prefix}invented", len(there - keys), most=0)
    run.figure(f"{prefix}twice", twice(tweeter), most=0)
    run.figure(f"{prefix}wrong_counts", wrong_counts(tweeter), most=0)


def grows(tweeter: Running, since: int, timeout_s: float) -> float:
    """Seconds until the database has more posts than `since`."""
    began_s = time.monotonic()
    wait_for(
        lambda: tweeter.sql("SELECT count(*) FROM posts")[0][0] > since, timeout_s, "for new posts"
    )
    return time.monotonic() - began_s


def gaps_of_x(tweeter: Running) -> list[tuple[int, int]]:
    """Times of X that the ledger calls lost, and a little around them."""
    return [
        (i[2] - SLACK_US, (i[3] or 1 << 62) + SLACK_US)
        for i in intervals(tweeter, "x")
        if i[0] != "live" and i[4] == "lost"
    ]


def audit_x(run: Run, world: World, tweeter: Running) -> None:
    """Every post of X is stored, or lies in a gap that the ledger calls lost."""
    there, gaps = set(stored(tweeter, "x")), gaps_of_x(tweeter)
    missing = [s for s in world.said if s.network == "x" and s.key not in there]
    silent = [s for s in missing if not any(a <= s.at_us <= b for a, b in gaps)]
    run.figure("x_posts", sum(s.network == "x" for s in world.said), least=1)
    run.figure("x_in_a_gap_of_the_ledger", len(missing) - len(silent))
    run.figure("x_gaps", len(gaps))
    run.figure("x_lost_in_silence", len(silent), most=0)
    missed_s = sum(b - a - 2 * SLACK_US for a, b in gaps) / 1e6
    run.figure("x_missed_s", missed_s)
