"""What the product reads from a fast source is what it reads from the simulator of the tests."""

import asyncio
import json
from typing import Any

import pytest
from atproto import AsyncJetstreamClient

from bench.events import Plan, Stream
from bench.network import Network
from bench.reading import Counting, read, source_of
from bench.source import Sender, fast
from tests.simulators.jetstream import JetstreamSimulator
from tests.simulators.x import XSimulator
from tests.sources.sink import Kept, until
from tweeter.records import Keyword
from tweeter.sources.bluesky import REWIND_US

COUNT = 300
SIMULATORS: dict[str, Any] = {"x": lambda: XSimulator(deliver="all"), "bluesky": JetstreamSimulator}


class There:
    """A source that is in this process."""

    def __init__(self, network: str, url: str) -> None:
        self.plan, self.url = Plan(network, 0, 0, 0), url


async def connect(network: str, url: str, sink: Kept) -> "asyncio.Task[None]":
    source = source_of(There(network, url))  # type: ignore[arg-type]
    await source.keywords_changed([Keyword(id=1, expression="storm")])
    task = asyncio.create_task(source.connect(sink))
    await until(lambda: bool(sink.words))
    return task


async def end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def address(simulator: Any, network: str) -> str:
    return f"{simulator.origin}/subscribe" if network == "bluesky" else str(simulator.url)


@pytest.mark.parametrize("network", ["x", "bluesky"])
def test_reading_alone_is_measured(network: str) -> None:
    sink = Counting()
    with Network(Plan(network, 100, 10, 0.5)) as its:
        assert len(asyncio.run(read(its, COUNT, 2, sink))) == 2
    assert sink.events == 2 * COUNT


@pytest.mark.parametrize("network", ["x", "bluesky"])
def test_the_product_reads_the_same_from_it_as_from_the_simulator(network: str) -> None:
    stream = Stream(Plan(network, 100, 10, 0.5))

    async def work() -> None:
        fast_sink, sink = Kept(), Kept()
        async with fast(stream) as simulator:
            task = await connect(network, address(simulator, network), fast_sink)
            await until(lambda: bool(simulator.lines))
            answer = await Sender(simulator).do({"do": "go", "first": 0, "count": COUNT})
            assert answer["first_ns"] <= answer["sent_ns"]
            await until(lambda: len(fast_sink.events) >= COUNT)
            await end(task)
        async with SIMULATORS[network]() as simulator:
            task = await connect(network, simulator.url, sink)
            await until(lambda: bool(simulator.connects()) if network == "x" else True)
            await simulator.publish([stream.body(n) for n in range(COUNT)])
            await until(lambda: len(sink.events) >= COUNT)
            await end(task)
        if network == "x":  # there the simulator names the rules that match
            assert [_plain(body) for body in fast_sink.bodies] == [_plain(b) for b in sink.bodies]
        else:
            assert fast_sink.bodies == sink.bodies
        assert {event.shape for event in fast_sink.events} == {network}

    asyncio.run(work())


def _plain(body: bytes) -> Any:
    value = json.loads(body)
    value.pop("matching_rules", None)
    return value


@pytest.mark.parametrize("network", ["x", "bluesky"])
def test_two_connections_get_each_event_once(network: str) -> None:
    stream = Stream(Plan(network, 100, 10, 0.5))

    async def work() -> None:
        sinks = Kept(), Kept()
        async with fast(stream) as simulator:
            tasks = [await connect(network, address(simulator, network), sink) for sink in sinks]
            await until(lambda: len(simulator.lines) == 2)
            await Sender(simulator).do({"do": "go", "first": 0, "count": COUNT})
            await until(lambda: sum(len(sink.events) for sink in sinks) >= COUNT)
            await end(*tasks)
        bodies = [body for sink in sinks for body in sink.bodies]
        assert sorted(bodies) == sorted(stream.body(n) for n in range(COUNT))
        assert all(len(sink.events) == COUNT // 2 for sink in sinks)

    asyncio.run(work())


@pytest.mark.parametrize("network", ["x", "bluesky"])
def test_who_left_is_sent_nothing_and_the_next_gets_all(network: str) -> None:
    stream = Stream(Plan(network, 100, 10, 0.5))

    async def work() -> None:
        async with fast(stream) as simulator:
            sender = Sender(simulator)
            for _ in range(2):
                sink = Kept()
                task = await connect(network, address(simulator, network), sink)
                await until(lambda: bool(simulator.lines))
                assert (await sender.do({"do": "clients"}))["clients"] == 1
                await sender.do({"do": "go", "first": 0, "count": COUNT})
                await until(lambda sink=sink: len(sink.events) >= COUNT)
                await end(task)
                while (await sender.do({"do": "clients"}))["clients"]:
                    await asyncio.sleep(0.01)

    asyncio.run(work())


def test_the_official_client_reads_its_second_wire() -> None:
    stream = Stream(Plan("bluesky", 100, 10, 0.5))
    texts: list[str] = []

    async def hear(message: Any) -> None:
        texts.append(message.record.text)

    async def work() -> None:
        async with fast(stream) as simulator:
            client = AsyncJetstreamClient(base_uri=f"{simulator.origin}/xrpc")
            task = asyncio.create_task(client.start(hear))
            await until(lambda: bool(simulator.lines))
            await Sender(simulator).do({"do": "go", "first": 0, "count": COUNT})
            await until(lambda: len(texts) >= COUNT)
            await end(task)

    asyncio.run(work())
    assert texts == [stream.texts[n % 100].text for n in range(COUNT)]


def test_the_past_goes_to_who_asks_for_it_only() -> None:
    stream = Stream(Plan("bluesky", 100, 10, 0.5))

    async def work() -> None:
        moment = stream.at_us + REWIND_US + 100 * stream.step_us
        past, live = Kept(cursor=str(moment)), Kept()
        async with fast(stream, past_events=COUNT) as simulator:
            tasks = [
                await connect("bluesky", f"{simulator.origin}/subscribe", sink)
                for sink in (past, live)
            ]
            await until(lambda: len(past.events) > COUNT - 100)
            sender = Sender(simulator)
            said = {"do": "pace", "first": COUNT, "rate": 100, "seconds": 0.5, "posts": 0.2}
            assert (await sender.do(said))["posts"] == 10
            await until(lambda: len(live.events) >= 50)
            await end(*tasks)
        *posts, present = past.bodies
        assert posts == [stream.body(n) for n in range(100, COUNT)]
        assert b"account" in present  # after the past comes what is now
        assert sum(b"app.bsky.feed.like" in body for body in live.bodies) == 40

    asyncio.run(work())
