"""Reading alone: the product's own sources, from a source in another process, into nothing."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from bench.network import Network
from bench.setting import Bench
from tweeter.keywords.x_limits import PLANS
from tweeter.records import Keyword, RawEvent
from tweeter.sources.base import Source
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.x import XSource

PATIENCE_S = 120.0


class Counting:
    """A sink that counts."""

    cursor = ""
    memory: dict[str, Any] = {}  # noqa: RUF012 (never changed)

    def __init__(self) -> None:
        self.events = 0
        self.bodies: list[bytes] | None = None  # kept only where they are looked at

    async def put(self, events: Sequence[RawEvent]) -> None:
        self.events += len(events)
        if self.bodies is not None:
            self.bodies += [event.body for event in events]

    def rest_s(self) -> float:
        """It never rests."""
        return 0.0

    def alive(self) -> None:
        """Of no matter here."""

    def connected(self, words: str) -> None:
        """Of no matter here."""

    def notice(self, words: str) -> None:
        """Of no matter here."""

    def missed(self, since: int, until: int, words: str) -> None:
        """Of no matter here."""

    def keywords(self, states: Any) -> None:
        """Of no matter here."""

    def remember(self, **values: Any) -> None:
        """Of no matter here."""


def source_of(network: Network) -> Source:
    """The product's source, as its settings make it."""
    if network.plan.network == "x":
        return XSource("sim-token", network.url, "bench", plan=PLANS["enterprise"])
    return BlueskySource(network.url)


async def read(network: Network, count: int, repeats: int, sink: Counting) -> list[float]:
    """Events a second, several times over one connection."""
    source = source_of(network)
    await source.keywords_changed([Keyword(id=1, expression="keyword")])
    connection = asyncio.create_task(source.connect(sink))
    try:
        await asyncio.to_thread(network.connected, 1)
        found = []
        for _ in range(repeats):
            before = sink.events
            network.say(do="go", first=before, count=count)
            until_s = time.monotonic() + PATIENCE_S
            while sink.events < before + count:
                await asyncio.sleep(0.002)
                if connection.done() or time.monotonic() > until_s:
                    raise RuntimeError(f"{sink.events - before:,} of {count:,} events came")
            done_ns = time.time_ns()
            answer = await asyncio.to_thread(network.answer)
            found.append(count / ((done_ns - answer["first_ns"]) / 1e9))
        return found
    finally:
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)


def run(bench: Bench) -> None:
    """The WebSocket of Jetstream, and X's chunked HTTP."""
    for name, words in (("bluesky", "Jetstream's WebSocket"), ("x", "X's chunked HTTP")):
        figure = bench.figure(f"read/{name}", f"read {words}")
        with bench.guarded(figure):
            network = bench.network(name, "p1")
            network.ask(do="forget")
            count, repeats = bench.sizes.stage, bench.sizes.repeats
            figure.values = asyncio.run(read(network, count, repeats + 1, Counting()))[1:]
