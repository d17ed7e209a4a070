"""From a network's socket to a thousand browsers' sockets: how late, and whether all arrives.

    python -m bench.fanout --readers 1000 --rate 50 --seconds 30

runs tweeter with a simulated Bluesky and readers of the live stream, first all with one filter,
then each with one of its own (which passes every post, so that the sockets carry the same). Some
readers take nothing for a while: they must be told how much they missed, or get it. Prints the
delay from the network's frame to the reader's socket, and exits with 1 if anything was lost,
doubled or out of order.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from tests.integration.running import Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served

WARM_S = 2.0
SLOW = 0.02  # of the readers: they stop reading in the middle
LONG = "lorem ipsum dolor sit amet " * 8


class Reader:
    """One browser's stream: the numbers of the posts it was given, and how late."""

    def __init__(self, filter_: str, slow: bool) -> None:
        self.filter = filter_
        self.slow = slow
        self.numbers: list[int] = []
        self.late_ms: list[float] = []
        self.missed = 0
        self.cut = 0
        self.last = ""

    async def follow(self, port: int, stall: asyncio.Event, resume: asyncio.Event) -> None:
        """Read, and come back with the last id when cut, until cancelled."""
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError):
                reader, writer = await self._connect(port)
                try:
                    words = f"GET /live/stream?{self.filter} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                    words += f"Last-Event-ID: {self.last}\r\n" if self.last else ""
                    writer.write(f"{words}\r\n".encode())
                    await self._read(reader, stall, resume)
                finally:
                    writer.close()
            self.cut += 1
            await asyncio.sleep(0.2)

    async def _connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Of a slow reader the buffers are small: the server must feel that it stops."""
        line = socket.socket()
        if self.slow:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
        return await asyncio.open_connection(sock=line, limit=1 << (13 if self.slow else 18))

    async def _read(
        self, reader: asyncio.StreamReader, stall: asyncio.Event, resume: asyncio.Event
    ) -> None:
        kind = ""
        while line := await reader.readline():
            if self.slow and stall.is_set() and not resume.is_set():
                await resume.wait()
            if line.startswith(b"id: "):
                self.last = line[4:].strip().decode()
            elif line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: ") and kind in ("post", "missed"):
                if kind == "missed":
                    self.missed += int(json.loads(line[6:])["posts"])
                    continue
                mark = line.partition(b'"text":"')[2].partition(b'"')[0].rpartition(b" ")[2]
                number, _, sent_us = mark.decode().partition("x")
                self.numbers.append(int(number))
                self.late_ms.append((time.time_ns() // 1000 - int(sent_us)) / 1000)


def filters(count: int, different: bool) -> list[str]:
    """Streams' queries; each of its own asks for a word of its own beside the common one."""
    expressions = [f"storm OR word{n}" if different else "storm" for n in range(count)]
    return [urlencode({"c1": "all", "c1.with": expression}) for expression in expressions]


async def play(
    tweeter: Running, served: Served, options: argparse.Namespace, different: bool
) -> list[Reader]:
    slow_ones = max(1, int(options.readers * SLOW))
    readers = [
        Reader(query, n < slow_ones) for n, query in enumerate(filters(options.readers, different))
    ]
    stall, resume = asyncio.Event(), asyncio.Event()
    tasks = []
    for reader in readers:
        tasks.append(asyncio.create_task(reader.follow(tweeter.port, stall, resume)))
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.05)
    while not all(reader.last or reader.numbers for reader in readers):
        await asyncio.to_thread(publish, served, -1)  # so that each knows where it is
        await asyncio.sleep(1.0)
    for reader in readers:
        reader.numbers.clear()
        reader.late_ms.clear()
    began_at = time.monotonic()
    total = int(options.rate * options.seconds)
    for number in range(total):
        if number == total // 10:
            stall.set()
        if number == 9 * total // 10:
            resume.set()
        await asyncio.to_thread(publish, served, number)
        ahead_s = began_at + (number + 1) / options.rate - time.monotonic()
        await asyncio.sleep(max(0.0, ahead_s))
    until = time.monotonic() + options.patience
    waits = lambda r: len(r.numbers) + r.missed < total  # noqa: E731
    while time.monotonic() < until and any(map(waits, readers)):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return readers


_event = iter(range(1, 1 << 40))


def publish(served: Served, number: int) -> None:
    """One post; its last word is its number and the moment of its frame."""
    text = f"storm {LONG}{number}x{time.time_ns() // 1000}"
    event = json.dumps(jetstream.post_event(text, number=next(_event))).encode()
    served.do(served.it.publish([event]))


def report(name: str, readers: list[Reader], total: int) -> int:
    """Print the figures of a run; returns the number of faults."""
    late = sorted(ms for reader in readers if not reader.slow for ms in reader.late_ms)
    lost = doubled = disordered = untold = 0
    for reader in readers:
        numbers = [n for n in reader.numbers if n >= 0]
        missing = total - len(set(numbers))
        doubled += len(numbers) - len(set(numbers))
        disordered += numbers != sorted(numbers)
        if reader.slow:
            untold += max(0, missing - reader.missed)
        else:
            lost += missing
    p50, p95, p99 = (
        late[min(len(late) - 1, int(len(late) * share))] for share in (0.5, 0.95, 0.99)
    )
    print(f"{name}: {len(readers):,} readers, {total:,} posts, {len(late):,} deliveries")
    print(
        f"  delay p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p99 {p99:,.0f} ms, max {late[-1]:,.0f} ms"
    )
    slow = [reader for reader in readers if reader.slow]
    print(
        f"  lost {lost}, doubled {doubled}, out of order {disordered};"
        f" {len(slow)} slow readers cut {sum(r.cut for r in slow)} times,"
        f" told of {sum(r.missed for r in slow)} missed posts, not told of {untold}"
    )
    return lost + doubled + disordered + untold


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50, help="posts a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--patience", type=float, default=30, help="seconds for the last ones")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    faults = 0
    for name, different in (("one filter", False), ("a filter each", True)):
        with (
            tempfile.TemporaryDirectory() as folder,
            Served(jetstream.JetstreamSimulator()) as served,
            Running(Path(folder), BLUESKY_URL=served.it.url) as tweeter,
        ):
            tweeter.add("storm")
            wait_for(lambda s=served: s.it.clients, 30, "for Jetstream")
            time.sleep(WARM_S)
            readers = asyncio.run(play(tweeter, served, options, different))
            faults += report(name, readers, int(options.rate * options.seconds))
            user, system = cpu_s(tweeter.pids("-m tweeter web")[0])
            print(f"  the web process took {user + system:.1f} s of a core")
    return 1 if faults else 0


def cpu_s(pid: int) -> tuple[float, float]:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / 100, int(fields[12]) / 100


if __name__ == "__main__":
    sys.exit(main())
