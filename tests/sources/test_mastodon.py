"""Mastodon's source against a server that speaks its wire, with its faults."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import mastodon
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.served import Served
from tests.sources.sink import Kept, stand_still, until
from tweeter import decode
from tweeter.errors import SourceError
from tweeter.records import Post, Removal
from tweeter.sources.mastodon import MastodonSource
from tweeter.sources.mastodon_rest import streaming_base
from tweeter.sources.mastodon_sse import Blocks
from tweeter.sources.reaching import ANSWER_BYTES

pytestmark = pytest.mark.usefixtures("each_client")


def source_for(sim: MastodonSimulator, **more: Any) -> MastodonSource:
    return MastodonSource(sim.url, **({"token": sim.token} | more))


@asynccontextmanager
async def streaming(
    sim: MastodonSimulator, sink: Kept, count: int = 1, **more: Any
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(source_for(sim, **more).connect(sink))
    await until(lambda: bool(sink.words and sim.connected == count) or task.done())
    await asyncio.sleep(0.05)  # until subscriptions are heard
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refused(sim: MastodonSimulator, **more: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(10):
            await source_for(sim, **more).connect(Kept())
    return caught.value


def run(work: Any) -> None:
    asyncio.run(work)


def events(sink: Kept) -> list[Any]:
    return [event for raw in sink.events for event in decode.DECODERS["mastodon"](raw)]


@pytest.mark.parametrize("sockets", [True, False])
def test_posts_edits_and_deletes_arrive_by_socket_and_by_sse(sockets: bool) -> None:
    async def work() -> None:
        sink = Kept()
        async with MastodonSimulator() as sim:
            sim.sockets, sim.split = sockets, 3
            async with streaming(sim, sink):
                early, late = status(1, "deleted first 猫"), status(2, "a &amp; storm<br>at sea")
                await sim.delete(early)  # overtakes its post
                await sim.publish([early, late, status(3, "far", server="other.example")])
                await sim.edit(late, "calm")
                await until(lambda: len(sink.events) == 5)
        gone, first, second, far, edited = events(sink)
        assert isinstance(gone, Removal)
        assert isinstance(first, Post)
        assert gone.alias == first.alias
        assert first.alias.startswith("127.0.0.1")
        assert second.text == "a & storm\nat sea"
        assert far.author_handle == "ann@other.example"
        assert (edited.key, edited.operation, edited.text) == (second.key, "update", "calm")

    run(work())


@pytest.mark.parametrize("sockets", [True, False])
def test_hashtag_and_local_streams_are_followed_together(sockets: bool) -> None:
    async def work() -> None:
        sink = Kept()
        async with MastodonSimulator() as sim:
            sim.sockets = sockets
            streams = ("public:local", "hashtag:cats")
            count = 1 if sockets else 2
            async with streaming(sim, sink, count, streams=streams):
                await sim.publish([status(1, "far", server="other.example")])
                await sim.publish([status(2, "here")])
                tagged = status(3, "tagged", server="other.example", tags=[{"name": "Cats"}])
                await sim.publish([tagged])
                await until(lambda: len(sink.events) == 2)
        assert sorted(post.text for post in events(sink)) == ["here", "tagged"]

    run(work())


@pytest.mark.parametrize("sockets", [True, False])
def test_heartbeats_cover_quiet_times_and_silence_is_a_stall(sockets: bool) -> None:
    async def work() -> None:
        sink = Kept()
        async with MastodonSimulator() as sim:
            sim.sockets, sim.heartbeat_s = sockets, 0.05
            async with streaming(sim, sink, idle_s=0.2, quiet_s=0.1) as task:
                await until(lambda: sink.alives >= 3)
                await until(lambda: any("has sent nothing" in words for words in sink.words))
                sim.stalled = True
                with pytest.raises(SourceError) as caught:
                    await task
        assert caught.value.kind == "stalled"

    run(work())


@pytest.mark.parametrize("sockets", [True, False])
def test_what_came_while_the_process_stood_still_is_no_silence(sockets: bool) -> None:
    with Served(MastodonSimulator()) as served:
        served.it.sockets, served.it.heartbeat_s = sockets, 0.1

        async def work() -> None:
            sink = Kept()
            async with streaming(served.it, sink, idle_s=0.4) as task:
                await stand_still(sink, task)

        run(work())


@pytest.mark.parametrize("sockets", [True, False])
def test_a_wrong_token_is_refused_in_words(sockets: bool) -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.sockets = sockets
            for token, words in (("", "Missing access token"), ("x", "Invalid access token")):
                error = await refused(sim, token=token)
                assert error.kind == "refused"
                assert words in error.state
                assert "TWEETER_MASTODON_TOKEN" in error.state

    run(work())


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (403, "refused", "read:statuses"),
        (429, "limited", "limits our rate until"),
        (503, "http", "answered 503"),
        (418, "refused", "answered 418"),
    ],
)
def test_each_refusal_is_told_apart(code: int, kind: str, words: str) -> None:
    async def work() -> None:
        reset = datetime.fromtimestamp(time.time() + 90, UTC).isoformat()
        async with MastodonSimulator() as sim:
            sim.answers = [(code, {"X-RateLimit-Reset": reset}, {"error": "no"})]
            error = await refused(sim)
        assert error.kind == kind
        assert words in error.state
        if code == 429:
            assert error.retry_at is not None
            assert 80 < error.retry_at / 1e6 - time.time() < 100

    run(work())


def said(streaming: str) -> tuple[int, dict[str, str], Any]:
    """What a server says of itself."""
    value = {"version": "4.5.0", "configuration": {"urls": {"streaming": streaming}}}
    return 200, {}, value


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize("place", ["server", "socket", "sse"])
def test_a_token_goes_nowhere_else(place: str, scheme: str) -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim, MastodonSimulator() as other:
            sent_on = 302, {"Location": f"{scheme}://127.0.0.1:{other.port}/api/v1/streaming"}, {}
            known = [] if place == "server" else [said(sim.url.replace("http", "ws"))]
            no_socket = [(404, {}, {})] if place == "sse" else []
            sim.answers = [*known, *no_socket, sent_on]
            error = await refused(sim)
            assert error.kind == "refused"
            assert f"127.0.0.1:{other.port}" in error.state
            assert other.requests == []

    run(work())


@pytest.mark.parametrize("told", ["ws://other.example", "http://other.example", "x", ""])
def test_no_server_makes_us_send_its_token_unprotected(told: str) -> None:
    assert streaming_base("https://a.example", told) == "wss://a.example"
    assert streaming_base("https://a.example", "wss://b.example/") == "wss://b.example"
    assert streaming_base("http://127.0.0.1:3000", "ws://localhost:4000") == "ws://localhost:4000"


@pytest.mark.parametrize(
    ("body", "words"),
    [("[" * 100_000, "sent no JSON"), (" " * (ANSWER_BYTES + 1), "larger than 8,388,608 bytes")],
)
def test_answers_too_deep_or_too_large_are_said_in_words(body: str, words: str) -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.instead = 200, "application/json", body
            assert words in (await refused(sim)).state

    run(work())


def test_feeds_that_the_server_switched_off_are_named() -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.disabled = ("live_feeds",)
            error = await refused(sim)
            assert "switched off" in error.state
            sink = Kept()
            async with streaming(sim, sink, streams=("public", "hashtag:cats")):
                (words,) = sink.words  # one of two is still there
                assert re.fullmatch(r"Live\. 127\.0\.0\.1:\d+ has switched off public\.", words)

    run(work())


@pytest.mark.parametrize(
    ("off", "stream", "words"),
    [
        ("live_feeds.remote", "public:local", ""),
        ("live_feeds.local", "public:remote", ""),
        ("live_feeds.remote", "public", " has switched off public (posts of other servers)."),
        ("live_feeds.local", "public", " has switched off public (its own posts)."),
        ("hashtag_feeds.remote", "hashtag:local:cats", ""),
        ("hashtag_feeds.remote", "hashtag:cats", " hashtag:cats (posts of other servers)."),
        ("hashtag_feeds", "public", ""),
    ],
)
def test_of_a_feed_that_is_switched_off_by_half_the_other_half_is_followed(
    off: str, stream: str, words: str
) -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.disabled = (off,)
            sink = Kept()
            async with streaming(sim, sink, streams=(stream,)):
                cats = [{"name": "cats"}]
                here, far = status(1, "here", tags=cats), status(2, "far", tags=cats)
                far["account"]["acct"] = "ann@other.example"
                await sim.publish([here, far])
                await until(lambda: bool(sink.events))
            assert sink.words[0].endswith(words or "Live.")

    run(work())


@pytest.mark.parametrize("stream", ["public:local", "hashtag:local:cats"])
def test_a_stream_of_the_half_that_is_switched_off_is_refused(stream: str) -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            sim.disabled = ("live_feeds.local", "hashtag_feeds.local")
            error = await refused(sim, streams=(stream,))
            assert f"({stream})" in error.state

    run(work())


def test_streams_that_do_not_exist_are_refused() -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            for streams in (("publik",), ("public", "publik")):
                error = await refused(sim, streams=streams)
                assert error.kind == "refused"
                assert "Unknown stream type" in error.state
                assert "publik" in error.state

    run(work())


def test_malformed_frames_do_not_end_the_stream() -> None:
    async def work() -> None:
        sink = Kept()
        async with MastodonSimulator() as sim, streaming(sim, sink):
            await sim.send_text("not json")
            await sim.send_text('{"stream":["public"],"event":"update","payload":"{broken"}')
            await sim.publish([status(1, "fine")])
            await until(lambda: len(sink.events) == 3)
        assert json.loads(json.loads(sink.bodies[-1])["payload"])["content"] == "<p>fine</p>"

    run(work())


def test_a_token_that_is_revoked_ends_the_stream_and_is_refused_at_the_next_connect() -> None:
    async def work() -> None:
        async with MastodonSimulator() as sim:
            source = source_for(sim)
            task = asyncio.create_task(source.connect(Kept()))
            await until(lambda: sim.connected == 1)
            sim.token = "another"
            await sim.drop()
            await task  # a clean close: nothing is known yet
            with pytest.raises(SourceError, match="refused our token"):
                await source.connect(Kept())

    run(work())


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    async def work() -> None:
        with pytest.raises(SourceError) as caught:
            await MastodonSource("http://127.0.0.1:9", token="x").connect(Kept())
        assert caught.value.kind == "network"

    run(work())


@given(st.lists(st.integers(1, 7)), st.sampled_from(["\n", "\r\n"]))
def test_blocks_are_put_together_wherever_they_are_cut(cuts: list[int], end: str) -> None:
    wire = (
        f":){end}event: update{end}data: {{'a': '猫'}}{end}{end}:thump{end}{end}event:delete{end}"
    )
    data = (wire + f"data:7{end}{end}").encode()
    blocks, found = Blocks(), []
    for size in [*cuts, len(data)]:
        found += blocks.feed(data[:size])
        data = data[size:]
    assert found == ["event: update\ndata: {'a': '猫'}".encode(), b"event:delete\ndata:7"]


def test_a_block_without_an_end_is_looked_at_once() -> None:
    blocks, chunk = Blocks(), b"data: x\n" * 181
    began = time.process_time()
    found = [one for _ in range(4_000) for one in blocks.feed(chunk)]
    assert time.process_time() - began < 2
    assert len(found) == 1


def test_an_independent_client_agrees_with_the_simulator() -> None:
    heard: list[str] = []

    class Listener(mastodon.StreamListener):  # type: ignore[misc]
        def on_update(self, found: Any) -> None:
            heard.append(found["content"])

        def on_status_update(self, found: Any) -> None:
            heard.append(f"edited {found['content']} {found['edited_at'] is not None}")

        def on_delete(self, found: Any) -> None:
            heard.append(f"gone {found}")

    with Served(MastodonSimulator()) as sim:
        sim.it.heartbeat_s = 0.2  # the client notices only between two of them that it is to close
        client = mastodon.Mastodon(access_token=sim.it.token, api_base_url=sim.it.url)
        handle = client.stream_public(Listener(), run_async=True)
        wait_for(lambda: sim.it.connected == 1)
        posts = [status(n, f"post {n}", at_s=time.time() + n) for n in range(45)]
        sim.do(sim.it.publish(posts))
        sim.do(sim.it.edit(posts[1], "mended"))
        sim.do(sim.it.delete(posts[0]))
        wait_for(lambda: len(heard) == 47)
        assert heard[:45] == [f"<p>post {n}</p>" for n in range(45)]
        assert heard[45:] == ["edited <p>mended</p> True", f"gone {posts[0]['id']}"]
        page = client.timeline_public(limit=40)
        older = client.fetch_next(page)
        assert [int(s["id"]) for s in [*page, *older]] == [int(s["id"]) for s in posts[:0:-1]]
        handle.close()


def test_an_independent_client_follows_hashtags_and_hears_refusals() -> None:
    heard: list[str] = []

    class Listener(mastodon.StreamListener):  # type: ignore[misc]
        def on_update(self, found: Any) -> None:
            heard.append(found["content"])

    with Served(MastodonSimulator()) as sim:
        sim.it.heartbeat_s = 0.2  # the client notices only between two of them that it is to close
        client = mastodon.Mastodon(access_token=sim.it.token, api_base_url=sim.it.url)
        handle = client.stream_hashtag("cats", Listener(), run_async=True)
        wait_for(lambda: sim.it.connected == 1)
        sim.do(
            sim.it.publish([status(1, "untagged"), status(2, "tagged", tags=[{"name": "Cats"}])])
        )
        wait_for(lambda: bool(heard))
        assert heard == ["<p>tagged</p>"]
        handle.close()
        stranger = mastodon.Mastodon(access_token="wrong", api_base_url=sim.it.url)
        with pytest.raises(mastodon.MastodonUnauthorizedError):
            stranger.timeline_public()


def wait_for(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
