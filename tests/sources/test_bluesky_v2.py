"""Bluesky's source against Jetstream v2, and against several endpoints of which some fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
import zstandard
from atproto import AsyncJetstreamClient
from atproto.exceptions import JetstreamConsumerTooSlowError, JetstreamCursorTooOldError
from sqlalchemy import Engine

from tests.simulators.jetstream import JetstreamSimulator, account_event, now_us, post_event
from tests.simulators.jetstream_v2 import JetstreamV2Simulator, event_frame, sync_event
from tests.sources.sink import Kept, until
from tests.store.posts import take
from tweeter import decode
from tweeter.errors import SourceError
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import AccountChange, Event, Ignored, Post, RawEvent, Removal
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.inbox import Taken
from tweeter.store import keywords, posts

MINUTE_US = 60_000_000


@asynccontextmanager
async def streaming(
    urls: str | Sequence[str], sink: Kept, **more: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """One call of connect, which must get us connected."""
    source = BlueskySource(urls, **more)
    task = asyncio.create_task(source.connect(sink))
    await until(lambda: bool(sink.words) or task.done())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def failing(source: BlueskySource, sink: Kept | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(10):
            await source.connect(sink or Kept())
    return caught.value


def run(work: Any) -> None:
    asyncio.run(work)


def decoded(sink: Kept) -> list[Event]:
    return [event for raw in sink.events for event in decode.DECODERS["bluesky"](raw)]


def texts(sink: Kept) -> list[str]:
    return [event.text for event in decoded(sink) if isinstance(event, Post)]


def series(count: int, *, age_us: int, step_us: int = 1_000_000) -> list[dict[str, Any]]:
    """Posts one after the other, the first so old."""
    begun = now_us() - age_us
    return [post_event(f"post {n}", n, time_us=begun + n * step_us) for n in range(count)]


def test_every_kind_of_event_arrives_and_other_collections_do_not() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamV2Simulator(first_seq=35_610) as sim, streaming(sim.url, sink):
            await until(lambda: bool(sim.clients))
            gone = post_event("", 1, commit={"operation": "delete", "rkey": "3abc"})
            del gone["commit"]["record"], gone["commit"]["cid"]
            await sim.publish([post_event("storm 猫", 1)])
            await sim.publish([post_event("", commit={"collection": "app.bsky.feed.like"})])
            await sim.publish([gone, account_event("did:plc:a", "suspended"), sync_event("did:b")])
            await until(lambda: len(sink.events) == 4)
            path = sim.connects[0][1]
        assert path.endswith("subscribeEvents?collections=app.bsky.feed.post")
        post, removal, account, sync = decoded(sink)
        assert isinstance(post, Post)
        assert post.text == "storm 猫"
        assert isinstance(removal, Removal)
        assert removal.key == "at://did:plc:sim0001/app.bsky.feed.post/3abc"
        assert isinstance(account, AccountChange)
        assert account.status == "suspended"
        assert sync == Ignored("sync", cursor=sync.cursor)
        assert sync.cursor >= account.cursor > 0
        assert json.loads(sink.bodies[0])["payload"]["seq"] == 35_610

    run(work())


@pytest.mark.parametrize("speaks", ["v1 only", "v2 only", "both"])
def test_an_address_without_a_path_is_tried_as_v2_then_as_v1(speaks: str) -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamV2Simulator() as sim:
            sim.without_v1, sim.without_v2 = speaks == "v2 only", speaks == "v1 only"
            async with streaming(sim.origin, sink):
                await until(lambda: bool(sim.clients))
                await sim.publish([post_event("here")])
                await until(lambda: bool(sink.events))
            asked = [path.partition("?")[0].rpartition(".")[2] for _, path in sim.connects]
        assert asked == ["subscribeEvents", "/subscribe"][: 1 + (speaks == "v1 only")]
        assert texts(sink) == ["here"]
        assert sink.words == ["Live."]

    run(work())


def test_an_old_server_that_knows_only_v1_is_found_out_too() -> None:
    async def work() -> None:
        sink = Kept()
        async with (
            JetstreamSimulator() as sim,
            streaming(sim.url.removesuffix("/subscribe"), sink),
        ):
            await until(lambda: bool(sim.clients))
            await sim.publish([post_event("here")])
            await until(lambda: bool(sink.events))
        assert texts(sink) == ["here"]

    run(work())


def test_an_address_that_has_neither_wire_is_refused() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator() as sim:
            sim.without_v1 = sim.without_v2 = True
            error = await failing(BlueskySource(sim.origin))
        assert error.kind == "refused"
        assert "TWEETER_BLUESKY_URL" in error.state

    run(work())


def test_the_cursor_in_microseconds_brings_back_exactly_what_was_missed() -> None:
    async def work() -> None:
        events = series(40, age_us=MINUTE_US)
        sink = Kept(cursor=str(events[20]["time_us"]))
        async with JetstreamV2Simulator(first_seq=7_000_000) as sim:
            await sim.publish(events)
            async with streaming(sim.url, sink):
                await until(lambda: len(sink.events) == 25)
                await asyncio.sleep(0.1)
        assert texts(sink) == [f"post {n}" for n in range(15, 40)]  # 5 s are asked for again
        assert sink.gaps == []

    run(work())


def test_the_cursor_is_the_moment_that_the_server_reads_it_as() -> None:
    """An import of timestamps moves `time` into the past; a cursor made of it would go back."""

    async def work() -> None:
        events = series(30, age_us=MINUTE_US)
        async with JetstreamV2Simulator() as sim:
            sim.imported_us = 400 * 86_400_000_000
            await sim.publish(events)
            first = Kept(cursor=str(events[0]["time_us"]))
            async with streaming(sim.url, first):
                await until(lambda: len(first.events) == 30)
            cursors = [event.cursor for event in decoded(first)]
            assert cursors == [event["time_us"] for event in events]
            assert first.gaps == []
            again = Kept(cursor=str(cursors[-1]))
            async with streaming(sim.url, again):
                await until(lambda: len(again.events) == 6)
                await asyncio.sleep(0.1)
        assert texts(again) == [f"post {n}" for n in range(24, 30)]
        assert again.gaps == []

    run(work())


def test_fields_inside_a_record_are_not_taken_for_the_events_moment() -> None:
    wire = BlueskySource("ws://127.0.0.1:9/xrpc/x").wire
    event = post_event("a", record={"time": "2001-01-01T00:00:00Z", "witnessedAt": "2002-01-01"})
    assert wire.moment(event_frame(event, 5)) == event["time_us"]
    assert wire.moment(event_frame(account_event("did:a", time_us=77_000_000), 5)) == 77_000_000
    assert wire.moment(b"rubbish") == wire.moment(b'{"payload":{"time":5}}') == 0


@pytest.mark.parametrize("wire", ["v1", "v2"])
def test_a_cursor_older_than_the_window_is_noticed_and_the_rest_arrives(wire: str) -> None:
    async def work() -> None:
        events = series(8, age_us=3_600_000_000, step_us=10 * MINUTE_US)  # of an hour
        asked_us = events[0]["time_us"] + 1
        sink = Kept(cursor=str(asked_us))
        async with JetstreamV2Simulator(lookback_us=25 * MINUTE_US) as sim:
            await sim.publish(events[:6])
            url = sim.url if wire == "v2" else f"{sim.origin}/subscribe"
            async with streaming(url, sink):
                await until(lambda: bool(sink.events and sink.gaps))
                await sim.publish([post_event("live")])
                await until(lambda: "live" in texts(sink))
        assert texts(sink) == ["post 4", "post 5", "live"]
        ((since, to, words),) = sink.gaps
        assert (since, to) == (asked_us - 5_000_000, events[4]["time_us"])
        assert "no longer had the events" in words
        assert words in sink.words[-1]

    run(work())


def test_a_window_that_is_only_seconds_too_short_is_noticed_on_v2() -> None:
    """There the server says so; on v1 a hole of less than a minute cannot be told from quiet."""

    async def work() -> None:
        events = series(40, age_us=40_000_000)
        sink = Kept(cursor=str(events[0]["time_us"]))
        async with JetstreamV2Simulator(lookback_us=20_000_000) as sim:
            await sim.publish(events)
            async with streaming(sim.url, sink):
                await until(lambda: bool(sink.gaps))
        assert sink.gaps[0][1] in [event["time_us"] for event in events[18:24]]

    run(work())


def test_a_cursor_that_is_refused_as_too_old_becomes_a_gap_and_a_live_connection() -> None:
    async def work() -> None:
        sink = Kept(cursor=str(now_us() - 50 * 3_600_000_000))
        async with JetstreamV2Simulator() as sim:
            sim.refuse_old = True
            await sim.publish([post_event("before", time_us=now_us() - 1_000_000)])
            async with streaming(sim.url, sink) as task:
                await until(lambda: bool(sim.clients and sink.gaps))
                await sim.publish([post_event("live")])
                await until(lambda: bool(sink.events))
                assert not task.done()
            assert ["cursor=" in path for _, path in sim.connects] == [True, False]
        assert texts(sink) == ["live"]
        ((since, to, _),) = sink.gaps
        assert since == int(sink.cursor) - 5_000_000
        assert now_us() - 10_000_000 < to <= now_us()

    run(work())


def test_a_server_that_finds_us_too_slow_is_connected_to_again() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamV2Simulator() as sim:
            source = BlueskySource(sim.url)
            task = asyncio.create_task(source.connect(sink))
            await until(lambda: bool(sim.clients))
            await sim.publish([post_event("one")])
            await until(lambda: bool(sink.events))
            await sim.too_slow()
            with pytest.raises(SourceError) as caught:
                await task
            assert caught.value.kind == "closed"
            assert "ConsumerTooSlow" in caught.value.state
            assert source.wait_s("closed", 1) < 2
            sink.cursor = str(decoded(sink)[0].cursor)
            again = asyncio.create_task(source.connect(sink))
            await until(lambda: len(texts(sink)) == 2)  # replayed
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)
        assert texts(sink) == ["one", "one"]

    run(work())


def test_a_server_that_is_not_ready_is_tried_again() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator() as sim:
            sim.bootstrapping = True
            error = await failing(BlueskySource(sim.url))
        assert error.kind == "http"
        assert "bootstrap" in error.state

    run(work())


def test_malformed_frames_reach_the_quarantine_and_the_stream_goes_on() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamV2Simulator() as sim, streaming(sim.url, sink):
            await until(lambda: bool(sim.clients))
            for frame in (b"{", b'{"$type":"message","payload":3}', b'{"$type":"novelty"}'):
                await sim.send_to_all(frame)
            await sim.publish([post_event("fine")])
            await until(lambda: len(sink.events) == 4)
        assert texts(Kept_of(sink.events[-1])) == ["fine"]

    run(work())


def Kept_of(*events: RawEvent) -> Kept:
    sink = Kept()
    sink.events = list(events)
    return sink


# Several endpoints.


def test_an_endpoint_that_refuses_is_passed_over_at_once() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamSimulator() as refusing, JetstreamV2Simulator() as good:
            refusing.refuse = [(403, "not you")]
            async with streaming([refusing.url, good.url], sink):
                await until(lambda: bool(good.clients))
                await good.publish([post_event("here")])
                await until(lambda: bool(sink.events))
        assert sink.words == [f"Live, from 127.0.0.1:{good.port}."]

    run(work())


def test_only_if_every_endpoint_refuses_the_stream_needs_attention() -> None:
    async def work() -> None:
        async with JetstreamSimulator() as one, JetstreamV2Simulator() as two:
            one.refuse, two.refuse = [(403, "not you")], [(401, "nor you")]
            source = BlueskySource([one.url, two.url])
            error = await failing(source)
            assert error.kind == "refused"
            assert "not you" in error.state
            assert "nor you" in error.state
            assert source.wait_s("refused", 1) == 3600
            assert len(one.connects) == len(two.connects) == 1

    run(work())


def test_an_endpoint_that_fails_three_times_is_left_and_used_again_when_the_next_fails() -> None:
    async def work() -> None:
        sink = Kept()
        async with JetstreamSimulator() as one, JetstreamSimulator() as two:
            source = BlueskySource([one.url, two.url])
            one.refuse = [(503, "down")] * 3
            for _ in range(3):
                assert (await failing(source, sink)).kind == "http"
            assert [len(one.connects), len(two.connects)] == [3, 0]
            two.refuse = [(502, "down")] * 3
            for _ in range(3):
                assert (await failing(source, sink)).kind == "http"
            task = asyncio.create_task(source.connect(sink))
            await until(lambda: bool(sink.words))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert [len(one.connects), len(two.connects)] == [4, 3]
        assert sink.words == [f"Live, from 127.0.0.1:{one.port}."]

    run(work())


def test_another_host_is_asked_for_a_minute_more() -> None:
    """Each host notes when it saw an event; one that lags must not lose what lies between."""

    async def work() -> None:
        events = series(120, age_us=2 * MINUTE_US)
        sink = Kept()
        async with JetstreamSimulator() as one, JetstreamV2Simulator() as two:
            source = BlueskySource([one.url, two.url])
            task = asyncio.create_task(source.connect(sink))
            await until(lambda: bool(one.clients))
            await one.close()
            await task
            one.refuse = [(503, "down")] * 2
            for _ in range(2):
                await failing(source, sink)
            await two.publish(events)
            sink.cursor = str(events[100]["time_us"])
            task = asyncio.create_task(source.connect(sink))
            await until(lambda: len(sink.events) == 80)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert texts(sink)[0] == "post 40"
        assert sink.memory["host"] == f"127.0.0.1:{two.port}"

    run(work())


# With the store.


def test_account_events_of_v2_hide_and_show_again(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    book = KeywordBook(engine)
    book.refresh()
    pipeline = Pipeline(engine, lease, book)

    async def work() -> None:
        sink = Kept()

        async def after(*events: dict[str, Any]) -> list[str]:
            """The posts that are shown after these events."""
            seen = len(sink.events)
            await sim.publish(events)
            await until(lambda: len(sink.events) == seen + len(events))
            pipeline.store(Taken(events=sink.events[seen:], covered_until=now_us()))
            return sorted(found.text for found in posts.every(engine))

        async with JetstreamV2Simulator() as sim, streaming(sim.url, sink):
            await until(lambda: bool(sim.clients))
            first, second = post_event("storm 1", 1), post_event("storm 2", 2)
            hidden = first["did"]
            assert await after(first, second) == ["storm 1", "storm 2"]
            assert await after(account_event(hidden, "takendown")) == ["storm 2"]
            assert await after(account_event(hidden)) == ["storm 1", "storm 2"]
            without_reason = account_event(hidden)
            without_reason["account"]["active"] = False
            assert await after(without_reason) == ["storm 2"]
            assert await after(account_event(hidden)) == ["storm 1", "storm 2"]
            assert await after(account_event(hidden, "throttled")) == ["storm 1", "storm 2"]
            assert await after(account_event(hidden, "deleted")) == ["storm 2"]
            assert await after(account_event(hidden), post_event("storm 3", 1)) == ["storm 2"]

    run(work())


def test_recorded_frames_of_v2_are_understood(samples: Path) -> None:
    lines = (samples / "jetstream_v2_subscribeEvents_2026-08.jsonl").read_bytes().splitlines()
    wire = BlueskySource("ws://127.0.0.1:9/xrpc/x").wire
    for line in lines:
        raw = RawEvent(shape="bluesky", body=line, received_at=now_us())
        (event,) = decode.DECODERS["bluesky"](raw)
        assert event.cursor == wire.moment(line) > 1_780_000_000_000_000


# The simulator by itself.

DICTIONARY = zstandard.train_dictionary(
    4096, [event_frame(post_event(f"storm {n}", n), n) for n in range(600)], dict_id=20260811
).as_bytes()


class Official:
    """The `atproto` package's client, which speaks v2 only and shares nothing with ours."""

    def __init__(self, sim: JetstreamV2Simulator, **params: Any) -> None:
        self.heard: list[Any] = []
        compress = params.pop("zstd", False)
        self.client = AsyncJetstreamClient(
            params=params or None, base_uri=f"{sim.origin}/xrpc", compress=compress
        )

    async def __aenter__(self) -> "Official":
        async def hear(message: Any) -> None:
            self.heard.append(message)

        self.task = asyncio.create_task(self.client.start(hear))
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self.task.done():  # what it waits for may lose one: wait_for of 3.11 does
            self.task.cancel()
            await asyncio.wait([self.task], timeout=1)

    def said(self) -> list[str]:
        return [message.py_type.rpartition("#")[2] for message in self.heard]


@pytest.mark.parametrize("zstd", [False, True])
def test_the_official_client_agrees_with_the_simulator(zstd: bool) -> None:
    async def work() -> None:
        async with (
            JetstreamV2Simulator(first_seq=500, dictionary=DICTIONARY) as sim,
            Official(sim, zstd=zstd) as official,
        ):
            await until(lambda: bool(sim.clients))
            assert official.client.compressed == zstd
            identity = {"did": "did:plc:sim0001", "time_us": now_us(), "kind": "identity"}
            identity["identity"] = {
                "did": "did:plc:sim0001",
                "seq": 9,
                "time": "2026-11-24T05:00:00Z",
            }
            gone = post_event("", 3, commit={"operation": "delete"})
            del gone["commit"]["record"], gone["commit"]["cid"]
            await sim.publish([post_event("storm 猫", 1), gone, identity])
            await sim.publish([account_event("did:plc:sim0001", "deleted")])
            await sim.publish([sync_event("did:plc:sim0001", time_us=now_us())])
            await until(lambda: len(official.heard) == 5)
        assert official.said() == ["commit", "commit", "identity", "account", "sync"]
        assert [message.seq for message in official.heard] == [500, 501, 502, 503, 504]
        post = official.heard[0]
        assert post.record["text"] == "storm 猫"
        assert post.witnessed_at == post.time
        assert official.heard[3].account.status == "deleted"

    run(work())


def test_the_official_client_resumes_and_hears_what_the_server_says_of_its_cursor() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator(first_seq=500, lookback_us=10 * MINUTE_US) as sim:
            await sim.publish(series(20, age_us=19 * MINUTE_US, step_us=MINUTE_US))
            async with Official(sim, cursor=515) as official:
                await until(lambda: len(official.heard) == 5)
                assert [message.seq for message in official.heard] == [515, 516, 517, 518, 519]
            async with Official(sim, cursor=now_us() - 15 * MINUTE_US) as official:
                await until(lambda: len(official.heard) >= 2)
                assert official.heard[0].name == "OutdatedCursor"
                assert official.heard[1].seq == 510
            async with Official(sim, cursor=9_000) as official:
                await until(lambda: len(official.heard) == 1)
                assert official.heard[0].name == "FutureCursor"
            async with Official(sim, cursor=501) as official:
                with pytest.raises(JetstreamCursorTooOldError, match="floor seq is 510"):
                    await official.task

    run(work())


def test_the_official_client_meets_too_slow_as_an_error_that_can_be_retried() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator() as sim, Official(sim) as official:
            await until(lambda: bool(sim.clients))
            seen: list[BaseException] = []
            handle = official.client._handle_websocket_error_or_stop

            def noted(error: Exception) -> bool:
                seen.append(error)
                return handle(error)

            official.client._handle_websocket_error_or_stop = noted
            await sim.too_slow()
            await until(lambda: bool(seen))
            assert isinstance(seen[0], JetstreamConsumerTooSlowError)
            await until(lambda: len(sim.connects) == 2)  # connected again by itself

    run(work())


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("wantedCollections=app.bsky.feed.post", "InvalidRequest", "use collections"),
        ("wantedDids=did:plc:a", "InvalidRequest", "use dids"),
        ("kinds=likes", "InvalidRequest", "unknown kind"),
        ("kinds=identity&collections=app.bsky.feed.post", "InvalidRequest", "can never apply"),
        ("requireHello=true", "InvalidRequest", "server-push only"),
        ("compress=true", "InvalidRequest", "zstdDictionary"),
        ("zstdDictionary=12345", "UnknownZstdDictionary", "current dictionary id is 20260811"),
        ("zstdDictionary=banana", "InvalidRequest", "positive integer"),
        ("cursor=x", "InvalidRequest", "invalid cursor"),
        ("cursor=3", "CursorTooOld", "floor seq is 500"),
    ],
)
def test_a_request_that_v2_does_not_take_is_refused_in_json(
    query: str, name: str, words: str
) -> None:
    async def work() -> None:
        async with JetstreamV2Simulator(first_seq=500) as sim:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await websockets.connect(f"{sim.url}?{query}")
        assert caught.value.response.status_code == 400
        found = json.loads(caught.value.response.body or b"")
        assert found["error"] == name
        assert words in found["message"]

    run(work())


def test_a_dictionary_that_was_exchanged_is_fetched_again_by_the_official_client() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator(dictionary=DICTIONARY) as sim:
            sim.dictionary_id = 7  # what is handed out is not what is taken
            async with Official(sim, zstd=True) as official:
                await until(lambda: bool(sim.clients), 15)
                assert not official.client.compressed
                assert any("zstdDictionary=20260811" in path for _, path in sim.connects)

    run(work())


def test_filters_of_v2_and_a_client_that_speaks() -> None:
    async def work() -> None:
        async with JetstreamV2Simulator() as sim:
            url = (
                f"{sim.url}?kinds=account&kinds=commit&dids=did:plc:sim0001&maxMessageSizeBytes=900"
            )
            async with websockets.connect(url, subprotocols=["xrpc.v1.json"]) as client:  # type: ignore[list-item]
                assert client.subprotocol == "xrpc.v1.json"
                await sim.publish([post_event("other", 2), post_event("large" * 200, 1)])
                await sim.publish([sync_event("did:plc:sim0001"), post_event("mine", 1)])
                frame = json.loads(await asyncio.wait_for(client.recv(), 5))
                assert frame["payload"]["record"]["text"] == "mine"
                await client.send("anything")
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    await asyncio.wait_for(client.recv(), 5)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1008

    run(work())
