"""Bluesky's source against a Jetstream built on another WebSocket implementation."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.simulators.jetstream import JetstreamSimulator, now_us, post_event
from tests.sources.sink import Kept, until
from tweeter.decode import DECODERS
from tweeter.errors import SourceError
from tweeter.records import Post
from tweeter.sources.bluesky import BlueskySource

pytestmark = pytest.mark.usefixtures("each_client")


@asynccontextmanager
async def streaming(
    sim: JetstreamSimulator, sink: Kept, **more: Any
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(BlueskySource(sim.url, **more).connect(sink))
    await until(lambda: bool(sink.words and sim.clients) or task.done())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(work: Any) -> None:
    asyncio.run(work)


def texts(sink: Kept) -> list[str]:
    return [json.loads(body)["commit"]["record"]["text"] for body in sink.bodies]


def test_posts_arrive_as_they_were_sent_and_other_collections_do_not() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamSimulator() as sim, streaming(sim, sink):
            like = post_event("", commit={"collection": "app.bsky.feed.like"})
            account = {"did": "did:plc:a", "time_us": now_us(), "kind": "account"}
            await sim.publish([post_event("one"), like, account, post_event("zwei 猫")])
            await until(lambda: len(sink.events) == 3)
            assert sim.connects[0][1] == "/subscribe?wantedCollections=app.bsky.feed.post"
        assert [json.loads(b)["kind"] for b in sink.bodies] == ["commit", "account", "commit"]
        assert sink.words == ["Live."]

    run(work())


def test_what_comes_during_a_rest_is_read_together() -> None:
    async def work() -> None:
        sink = Kept(rests_s=0.3)
        async with JetstreamSimulator() as sim, streaming(sim, sink) as task:
            began_s = time.monotonic()
            for n in range(30):
                await sim.publish([post_event(f"post {n}")])
                await asyncio.sleep(0.01)
            await until(lambda: len(sink.events) == 30)
            took_s = time.monotonic() - began_s
            await asyncio.sleep(0.1)  # into a rest
            await sim.close()
            await asyncio.wait_for(task, 10)
        assert texts(sink) == [f"post {n}" for n in range(30)]
        assert len(sink.sizes) < took_s / 0.3 + 3

    run(work())


def test_the_cursor_brings_back_exactly_what_was_missed() -> None:
    async def work() -> None:
        begun = now_us() - 60_000_000
        events = [post_event(f"post {n}", n, time_us=begun + n * 1_000_000) for n in range(40)]
        async with JetstreamSimulator() as sim:
            await sim.publish(events)
            sink = Kept(cursor=str(events[20]["time_us"]))
            async with streaming(sim, sink):
                await until(lambda: len(sink.events) == 25)
                await asyncio.sleep(0.1)
        assert texts(sink) == [f"post {n}" for n in range(15, 40)]  # 5 s are asked for again

    run(work())


def test_a_cursor_in_the_future_is_not_taken_for_now() -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim:
            sink = Kept(cursor=str(now_us() + 3_600_000_000))
            async with streaming(sim, sink):
                asked = int(sim.connects[0][1].rpartition("cursor=")[2])
        assert asked <= now_us()

    run(work())


@pytest.mark.parametrize("moment", [10**18, 2**62, -(2**62)])
def test_a_moment_that_cannot_be_does_not_end_the_stream(moment: int) -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim:
            sink = Kept(cursor=str(now_us() - 3_600_000_000))
            async with streaming(sim, sink):
                await sim.publish([post_event("odd", time_us=moment), post_event("good")])
                await until(lambda: len(sink.events) == 2)
        for event in sink.events:
            (found,) = DECODERS["bluesky"](event)
            assert isinstance(found, Post)
            assert 0 <= found.cursor <= now_us()
            assert abs(found.occurred_at - now_us()) < 60_000_000

    run(work())


def test_events_that_the_server_no_longer_has_are_named() -> None:
    async def work() -> None:
        async with JetstreamSimulator(lookback_us=60_000_000) as sim:
            await sim.publish([post_event("old", time_us=now_us() - 3_600_000_000)])
            await sim.publish([post_event("new")])
            sink = Kept(cursor=str(now_us() - 3_600_000_000))
            async with streaming(sim, sink):
                await until(lambda: len(sink.words) == 2)
        assert "no longer had the events" in sink.words[1]

    run(work())


def test_compressed_events_are_unpacked(tmp_path: Path) -> None:
    async def work() -> None:
        packed = [json.dumps(post_event(f"word {n} storm", n)).encode() for n in range(600)]
        dictionary = zstandard.train_dictionary(4096, packed).as_bytes()
        file = tmp_path / "dictionary"
        file.write_bytes(dictionary)
        sink = Kept()
        async with (
            JetstreamSimulator(dictionary=dictionary) as sim,
            streaming(sim, sink, dictionary=file, dictionary_sha256=""),
        ):
            assert "compress=true" in sim.connects[0][1]
            await sim.publish(packed[:50])
            await until(lambda: len(sink.events) == 50)
        assert sink.bodies == packed[:50]

    run(work())


def test_a_wrong_dictionary_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dictionary"
    file.write_bytes(b"not it")
    source = BlueskySource("ws://127.0.0.1:9/subscribe", dictionary=file)
    with pytest.raises(SourceError) as caught:
        run(source.connect(Kept()))
    assert caught.value.kind == "refused"
    assert "SHA-256" in caught.value.state


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "refused"), (404, "refused"), (429, "limited"), (503, "http")]
)
def test_refused_handshakes_are_told_apart(status: int, kind: str) -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim:
            sim.refuse = [(status, "because so")]
            with pytest.raises(SourceError) as caught:
                await BlueskySource(sim.url).connect(Kept())
        assert caught.value.kind == kind
        assert "because so" in caught.value.state

    run(work())


def test_no_server_is_a_network_error() -> None:
    with pytest.raises(SourceError) as caught:
        run(BlueskySource("ws://127.0.0.1:9/subscribe").connect(Kept()))
    assert caught.value.kind == "network"


def test_a_name_that_is_none_is_said_so_in_words() -> None:
    with pytest.raises(SourceError) as caught:
        run(BlueskySource("wss://nowhere.invalid/subscribe").connect(Kept()))
    assert caught.value.kind == "network"
    assert caught.value.state == "The name nowhere.invalid was not found."


def test_silence_that_answers_no_ping_is_stalled() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Shakes hands, then neither sends nor answers."""
        import base64
        import hashlib

        head = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1] for line in head.split(b"\r\n") if b"websocket-key" in line.lower()
        )
        magic = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key + magic).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        await asyncio.sleep(30)

    async def work() -> None:
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        source = BlueskySource(f"ws://127.0.0.1:{port}/subscribe", idle_s=0.2)
        with pytest.raises(SourceError) as caught:
            async with asyncio.timeout(5):
                await source.connect(Kept())
        assert caught.value.kind == "stalled"
        server.close()

    run(work())


def test_a_quiet_server_that_answers_pings_stays_connected() -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim, streaming(sim, Kept(), idle_s=0.1) as task:
            await asyncio.sleep(0.8)
            assert not task.done()
            assert len(sim.connects) == 1

    run(work())


def test_a_clean_close_a_reset_and_half_a_frame_end_the_connection() -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim:
            for fault in (sim.close, sim.reset, sim.half_frame):
                async with streaming(sim, Kept()) as task:
                    await fault()
                    await asyncio.wait({task}, timeout=5)
                    assert task.done()

    run(work())


def test_a_slow_store_slows_the_reading_and_loses_nothing() -> None:
    async def work() -> None:
        sink = Kept(slow_s=0.05)
        async with JetstreamSimulator() as sim, streaming(sim, sink):
            for start in range(0, 30_000, 1_000):
                await sim.publish([post_event(f"post {n}", n) for n in range(start, start + 1_000)])
                await until(lambda s=start: len(sink.events) >= s - 4_000)  # type: ignore[misc]
            await until(lambda: len(sink.events) == 30_000, 30)
        assert texts(sink) == [f"post {n}" for n in range(30_000)]

    run(work())


def test_a_cancelled_connection_is_closed_at_once() -> None:
    async def work() -> None:
        async with JetstreamSimulator() as sim, streaming(sim, Kept()) as task:
            began_at = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: not sim.clients, 2)
            assert time.monotonic() - began_at < 2

    run(work())
