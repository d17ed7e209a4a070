"""Servers that take a connection and never answer, as a proxy does whose back end hangs."""

import asyncio
from typing import Any

import pytest

from tests.simulators.mastodon import MastodonSimulator
from tests.simulators.served import Served
from tests.simulators.x import XSimulator, post
from tests.sources.sink import Kept, until
from tests.sources.test_x import STORM, kw, source_for, streaming, values
from tweeter.errors import SourceError
from tweeter.sources import (
    mastodon_sse,
    websocket_aiohttp,
    websocket_picows,
    x_client,
    x_rules_sync,
)
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.mastodon import MastodonSource

LITTLE_S = 0.3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x_client, "ANSWER_S", LITTLE_S)
    monkeypatch.setattr(mastodon_sse, "TIMEOUT_S", LITTLE_S)
    for client in (websocket_picows, websocket_aiohttp):
        monkeypatch.setattr(client, "HANDSHAKE_S", LITTLE_S)


async def failed(source: Any) -> SourceError:
    sink = Kept()
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(10):
            await source.connect(sink)
    assert sink.words == []
    return caught.value


@pytest.mark.parametrize("mute", ["/rules", "/stream"])
def test_x_is_not_waited_for_without_end(mute: str) -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sim.mute = mute
            error = await failed(await source_for(sim))
        assert error.kind == "stalled"
        assert "127.0.0.1 took the connection, but did not answer for 0.3 s." in error.state

    asyncio.run(work())


def test_once_x_has_answered_its_stream_may_be_quiet() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink) as (_, task):
            await asyncio.sleep(3 * LITTLE_S)
            assert not task.done()
            await sim.publish([post(1, "storm")])
            await until(lambda: len(sink.events) == 1)

    asyncio.run(work())


def test_a_change_of_rules_that_x_does_not_answer_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(x_rules_sync, "_retry_s", lambda _: 0.1)

    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink) as (source, _):
            sim.mute = "/rules"
            await source.keywords_changed([STORM, kw(2, "cat")])
            await until(lambda: "did not answer" in " ".join(sink.words[-1:]))
            sim.mute = "-"
            await until(lambda: values(sim) == ["storm OR cat"])
            assert len(sim.connects()) == 1

    asyncio.run(work())


def test_server_sent_events_are_not_waited_for_without_end() -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.sockets, sim.mute = False, "/public"
            error = await failed(MastodonSource(sim.url, token=sim.token))
        assert error.kind == "stalled"
        assert "127.0.0.1 took the connection, but did not answer for 0.3 s." in error.state

    asyncio.run(work())


def test_once_server_sent_events_have_begun_they_may_be_quiet() -> None:
    async def work() -> None:
        sink = Kept()
        async with MastodonSimulator() as sim:
            sim.sockets = False
            source = MastodonSource(sim.url, token=sim.token)
            task = asyncio.create_task(source.connect(sink))
            await until(lambda: bool(sink.words))
            await asyncio.sleep(3 * LITTLE_S)
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())


def test_a_stop_while_server_sent_events_open_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mastodon_sse, "TIMEOUT_S", 60.0)

    async def work(sim: MastodonSimulator) -> None:
        source = MastodonSource(sim.url, token=sim.token)
        task = asyncio.create_task(source.connect(Kept()))
        await until(lambda: any("SseWire.read" in repr(found) for found in asyncio.all_tasks()))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)  # what was cancelled last ends
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with Served(MastodonSimulator()) as sim:
        sim.it.sockets, sim.it.mute = False, "/public"
        asyncio.run(work(sim.it))


@pytest.mark.usefixtures("each_client")
@pytest.mark.parametrize("path", ["/subscribe", "/xrpc/network.bsky.jetstream.subscribeEvents", ""])
def test_bluesky_is_not_waited_for_without_end(path: str) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work() -> None:
        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            error = await failed(BlueskySource(f"ws://127.0.0.1:{port}{path}"))
        assert error.kind == "network", error.state

    asyncio.run(work())
