"""Look-back: a day and a half of Bluesky posts, while the live stream goes on."""

import threading
import time
from typing import Any

from bench import checks, databases
from bench.events import Plan
from bench.figures import Figure
from bench.network import Network
from bench.product import Product
from bench.setting import KEYWORDS, Bench
from tests.integration.running import wait_for

HOURS = 36
POSTS, QUICK_POSTS = 3_200_000, 20_000
LIVE_S, LIVE_SECONDS = 50, 900  # posts a second; the pace is left when the look-back is done
LOOK_S = 0.05
MARGIN_US = 300_000_000


def run(bench: Bench) -> None:
    """The product is started with 10,000 keywords and asks for their past by itself."""
    posts = QUICK_POSTS if bench.quick else POSTS
    figure = bench.figure("lookback/36h", f"look back over {HOURS} h, {posts:,} posts, SQLite", "s")
    figure.note = "the source sends 50,000/s; one run"
    delay = bench.figure("lookback/live_delay_p99", "its live stream meanwhile, 50/s: p99", "ms")
    delay.note = "from the frame to the commit, looked at every 50 ms"
    ready = bench.ready()
    bench.close()
    plan = Plan("bluesky", bench.sizes.bodies, KEYWORDS, 0.01)
    # The first is asked for also by a program that starts late, and the last is not in the future.
    span_us = HOURS * 3_600_000_000
    at_us, step_us = (
        time.time_ns() // 1000 - span_us + MARGIN_US,
        (span_us - 2 * MARGIN_US) // posts,
    )
    with (
        bench.guarded(figure, delay),
        databases.fresh("sqlite", bench.new_folder("past")) as url,
        Network(plan, at_us=at_us, step_us=step_us, past=posts) as network,
        Product(
            bench.new_folder("past-run"),
            network,
            url,
            ready=ready,
            more={"LOOK_BACK_HOURS": str(HOURS)},
        ) as product,
    ):
        _measure(product, posts, figure, delay)


def _measure(product: Product, posts: int, figure: Figure, delay: Figure) -> None:
    jobs = "SELECT count(*) FROM jobs WHERE kind = 'look_back'"
    wait_for(lambda: product.one(jobs), 60, "for the look-back")
    began_s = time.monotonic()
    pace = Pace(product.network, posts)
    pace.start()
    delays_ms = []
    done = f"{jobs} AND state <> 'waiting'"
    while not product.one(done):
        delays_ms.append(pace.delay_ms(product.committed()))
        if time.monotonic() - began_s > LIVE_SECONDS - 60:
            raise RuntimeError("the look-back did not end in time")
        time.sleep(LOOK_S)
    figure.values = [time.monotonic() - began_s]
    sent = pace.end()
    wait_for(lambda: product.committed() >= sent, 30, "for the live posts")
    delays_ms.sort()
    delay.values = [delays_ms[int(len(delays_ms) * 0.99)]]
    running = product.running
    wrong = checks.faults(
        running.sql,
        running.database_url(),
        product.network.stream,
        posts + sent,
        checks.Beside(counted=False),
    )
    figure.wrong = delay.wrong = wrong


class Pace(threading.Thread):
    """Live posts, a tenth of a second's worth at a time; first: the number of the first one."""

    def __init__(self, network: Network, first: int) -> None:
        super().__init__(daemon=True)
        self._network, self._first = network, first
        self._sent: list[tuple[int, float]] = []  # posts sent until then, and when
        self._ended = threading.Event()

    def run(self) -> None:
        count = 0
        while not self._ended.wait(0.1):
            answer: dict[str, Any] = self._network.ask(
                do="go", first=self._first + count, count=LIVE_S // 10
            )
            count += LIVE_S // 10
            self._sent.append((count, answer["first_ns"] / 1e9))

    def end(self) -> int:
        """Stop; returns how many were sent."""
        self._ended.set()
        self.join(timeout=20)
        return self._sent[-1][0] if self._sent else 0

    def delay_ms(self, committed: int) -> float:
        """How long the oldest post that is not committed has waited."""
        now_s = time.time()
        for count, at_s in self._sent:
            if count > committed:
                return (now_s - at_s) * 1000
        return 0.0
