"""From a network's socket to a thousand browsers' sockets: how late, and whether all arrives.

    python -m bench.fanout --readers 1000 --rate 50 --seconds 30

runs tweeter with a simulated Bluesky and readers of the live stream, first all with one filter,
then each with one of its own (which passes every post, so that the sockets carry the same). Some
readers take nothing for a while: they must be told how much they missed, or get it. Prints the
delay from the network's frame to the reader's socket, and exits with 1 if anything was lost,
doubled or out of order.

    python -m bench.fanout --browsers 20 --rate 200

opens the live deck in real browsers instead, and prints when the posts that they showed were drawn.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from bench.browsers import Browsers
from bench.readers import MARK, Crowd, Figures
from tests.integration.running import Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served

WARM_S = 2.0
SETTLE_S = 5.0  # pages that were opened just now still load: that is not asked here
TICK_S = 0.01  # posts that are due in it are sent together
SLOW = 0.02  # of the readers: they stop reading in the middle
LONG = "lorem ipsum dolor sit amet " * 4


def filters(count: int, different: bool) -> list[str]:
    """Streams' queries; each of its own asks for a word of its own beside the common one."""
    expressions = [f"storm OR word{n}" if different else "storm" for n in range(count)]
    return [urlencode({"c1": "all", "c1.with": expression}) for expression in expressions]


def play(tweeter: Running, served: Served, options: argparse.Namespace, different: bool) -> Figures:
    """Readers come, posts are published, some readers pause; what all of them were given."""
    slow_ones = max(1, int(options.readers * SLOW))
    queries = filters(options.readers, different)
    total = int(options.rate * options.seconds)
    with Crowd(tweeter.port, [(query, n < slow_ones) for n, query in enumerate(queries)]) as crowd:
        while crowd.ask("joined") < options.readers:
            publish(served, [-1])  # so that each knows where it is
            time.sleep(0.5)
        crowd.ask("begin")
        time.sleep(1.0)
        turns = {total // 10: "pause", 9 * total // 10: "go_on"}
        publish_all(served, options.rate, total, lambda n: n in turns and crowd.ask(turns[n]))
        until = time.monotonic() + options.patience
        while time.monotonic() < until and crowd.ask("waits", total):
            time.sleep(0.5)
        found: Figures = crowd.ask("figures", total)
        print(f"  reading them took {cpu_s(crowd.pid):.1f} s of a core")
        return found


def play_browsers(tweeter: Running, served: Served, options: argparse.Namespace) -> int:
    """Browsers show the deck while posts are published; prints when those were in their pages."""
    query = "?every=1" if options.every else ""
    with Browsers(f"{tweeter.url}/live{query}", options.browsers) as browsers:
        wait_for(lambda: all(browsers.evaluate("lamp.className === 'state state-live'")), 60)
        time.sleep(SETTLE_S)
        publish_all(served, options.rate, int(options.rate * options.seconds), lambda n: None)
        time.sleep(3.0)
        shown = browsers.late()
    late: Counter[int] = sum(shown, Counter())
    print(
        f"{options.browsers} browsers, {options.rate:g} posts/s: each showed"
        f" {min(map(Counter.total, shown)):,} to {max(map(Counter.total, shown)):,} posts"
        f" of {int(options.rate * options.seconds):,}"
    )
    print(f"  from the network's frame to the page's {delays(late)}")
    return 0 if all(shown) else 1


_event = iter(range(1, 1 << 40))


def publish_all(served: Served, rate: float, total: int, turn: Callable[[int], object]) -> None:
    """So many posts, evenly; turn is called before each, with its number."""
    began_at, number = time.monotonic(), 0
    while number < total:
        due = min(total, int((time.monotonic() - began_at) * rate) + 1)
        for one in range(number, due):
            turn(one)
        publish(served, range(number, due))
        number = due
        time.sleep(TICK_S)


def publish(served: Served, numbers: Iterable[int]) -> None:
    """Posts; the last word of each is its number and the moment of its frame."""
    events = []
    for number in numbers:
        text = f"storm {LONG}{MARK}{number}x{time.time_ns() // 1000}"
        events.append(json.dumps(jetstream.post_event(text, number=next(_event))).encode())
    if events:
        served.do(served.it.publish(events))


def share(late: Counter[int], part: float) -> int:
    """The delay in ms that so many do not exceed."""
    left = part * late.total()
    for ms, count in sorted(late.items()):
        left -= count
        if left <= 0:
            return ms
    return max(late, default=0)


def delays(late: Counter[int]) -> str:
    """In words."""
    p50, p95, p99 = (share(late, part) for part in (0.5, 0.95, 0.99))
    return f"p50 {p50:,} ms, p95 {p95:,} ms, p99 {p99:,} ms, max {max(late, default=0):,} ms"


def report(name: str, found: Figures, options: argparse.Namespace) -> int:
    """Print the figures of a run; returns the number of faults."""
    print(
        f"{name}: {options.readers:,} readers, {options.rate:g} posts/s,"
        f" {found.late.total():,} deliveries"
    )
    print(f"  from the network's frame to the socket {delays(found.late)}")
    print(
        f"  lost {found.lost}, doubled {found.doubled}, out of order {found.disordered};"
        f" slow readers cut {found.cut} times,"
        f" told of {found.told} missed posts, not told of {found.untold}"
    )
    return found.lost + found.doubled + found.disordered + found.untold


@contextmanager
def started() -> Iterator[tuple[Running, Served]]:
    """tweeter, which follows a simulated Bluesky; prints at the end what it cost."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(jetstream.JetstreamSimulator()) as served,
        Running(Path(folder), BLUESKY_URL=served.it.url) as tweeter,
    ):
        tweeter.add("storm")
        wait_for(lambda: served.it.clients, 30, "for Jetstream")
        time.sleep(WARM_S)
        yield tweeter, served
        web, slot = cpu_s(tweeter.pids("-m tweeter web")[0]), cpu_s(tweeter.slot_pid())
        print(f"  the web took {web:.1f} s of a core, following and storing {slot:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50, help="posts a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--patience", type=float, default=30, help="seconds for the last ones")
    parser.add_argument("--filters", choices=("one", "each", "both"), default="both")
    parser.add_argument("--browsers", type=int, default=0, help="real ones, in place of readers")
    parser.add_argument("--every", action="store_true", help="they show all posts, not one in n")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.browsers:
        with started() as (tweeter, served):
            return play_browsers(tweeter, served, options)
    faults = 0
    for name, different in (("one filter", False), ("a filter each", True)):
        if options.filters in ("both", "each" if different else "one"):
            with started() as (tweeter, served):
                faults += report(name, play(tweeter, served, options, different), options)
    return 1 if faults else 0


def cpu_s(pid: int) -> float:
    """What a process has used of a core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    sys.exit(main())
