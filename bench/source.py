"""A network in a process of its own, which sends as fast as its client reads.

    python -m bench.source x --bodies 10000 --keywords 10000 --share 0.01

The simulators of the tests answer handshakes, rules, pings and filters; only how events go out is
different: frames are made before, and written to the socket many at a time. A client connects and
waits; lines of JSON on stdin say what to send, and a line on stdout answers each:

{"do": "go", "first": 0, "count": 1000}      sends events, in equal parts if several are there
{"do": "pace", "first": 0, "rate": 500, "seconds": 60, "posts": 0.1}    the others are likes
{"do": "clients"}    {"do": "forget"} (X's rules)
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bench.events import NETWORKS, Plan, Stream, chunk, sse_chunk, v2_frame, websocket_frame
from tests.simulators.jetstream import Asked, account_event
from tests.simulators.jetstream_v2 import EVENTS, JetstreamV2Simulator
from tests.simulators.mastodon import MastodonSimulator
from tests.simulators.x import XSimulator

BLOCK_BYTES = 128 * 1024
PACE_S = 0.02
MADE_AT_ONCE = 500
PAST_EVENTS_S = 50_000  # how fast a Jetstream sends what is past

Drain = Callable[[], Any]


class Line:
    """A client's connection, as the sender sees it."""

    def __init__(self, transport: asyncio.Transport, drain: Drain, frame: Any) -> None:
        self.transport = transport
        self.drain = drain
        self.frame = frame  # body -> bytes on the wire

    async def send(self, frames: Sequence[bytes]) -> None:
        """Write them, a block at a time, never further ahead than the socket."""
        block: list[bytes] = []
        size = 0
        for frame in frames:
            block.append(frame)
            size += len(frame)
            if size >= BLOCK_BYTES:
                await self._write(b"".join(block))
                block, size = [], 0
        await self._write(b"".join(block))

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, ConnectionClosed):  # who left is found missing
            self.transport.write(data)
            await self.drain()


class FastX(XSimulator):
    """X's stream; a second connection is allowed, as in the plan that has two."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(deliver="all")
        self.max_rules, self.max_length = 25_000, 2_048
        self.second = "both"
        self.made = stream
        self.lines: list[Line] = []

    async def close(self) -> None:
        """A second connection ends no other one."""

    async def _flow(self, request: web.Request) -> web.StreamResponse:
        beginning = asyncio.create_task(self._join(request, len(self._clients)))
        try:
            return await super()._flow(request)
        finally:
            beginning.cancel()

    async def _join(self, request: web.Request, before: int) -> None:
        while len(self._clients) == before:  # noqa: ASYNC110 (the handshake is under way)
            await asyncio.sleep(0.005)
        self.lines.append(_http_line(request, chunk))


class FastMastodon(MastodonSimulator):
    """Mastodon's server-sent events."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.made = stream
        self.lines: list[Line] = []

    async def _instance(self, request: web.Request) -> web.Response:
        """Their streaming address is ours by HTTP: Mastodon.py asks there for SSE."""
        answer = await super()._instance(request)
        value = json.loads(answer.text or "{}")
        value["configuration"]["urls"]["streaming"] = self.url
        return web.json_response(value)

    async def _sse(self, request: web.Request) -> web.StreamResponse:
        beginning = asyncio.create_task(self._join(request, len(self._outs)))
        try:
            return await super()._sse(request)
        finally:
            beginning.cancel()

    async def _join(self, request: web.Request, before: int) -> None:
        while len(self._outs) == before:  # noqa: ASYNC110 (the handshake is under way)
            await asyncio.sleep(0.005)
        self.lines.append(_http_line(request, sse_chunk))


def _http_line(request: web.Request, frame: Callable[[bytes], bytes]) -> Line:
    transport: Any = request.transport
    return Line(transport, request.protocol._drain_helper, frame)


class FastJetstream(JetstreamV2Simulator):
    """Jetstream's two wires. Who asks for the past gets it, at PAST_EVENTS_S at most."""

    def __init__(self, stream: Stream, past_events: int = 0) -> None:
        super().__init__(ping_s=1_000)
        self.made = stream
        self.past_events = past_events
        self.lines: list[Line] = []

    async def _send_all(self, client: ServerConnection, asked: Asked) -> None:
        assert client.request is not None
        is_v2 = client.request.path.startswith(EVENTS)
        transport: Any = client.transport
        line = Line(transport, client.drain, v2_frame if is_v2 else websocket_frame)
        if asked.cursor is not None and self.past_events:
            first = (asked.cursor - self.made.at_us) // self.made.step_us
            await self._send_past(line, max(first, 0))
        else:
            self.lines.append(line)
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(ValueError):
                self.lines.remove(line)

    async def _send_past(self, line: Line, begin: int) -> None:
        began_s, some = time.monotonic(), PAST_EVENTS_S // 50
        for first in range(begin, self.past_events, some):
            numbers = range(first, min(first + some, self.past_events))
            await line.send([line.frame(self.made.body(number)) for number in numbers])
            ahead_s = began_s + (first - begin) / PAST_EVENTS_S - time.monotonic()
            await asyncio.sleep(max(ahead_s, 0))
        now = json.dumps(account_event("did:plc:bench")).encode()  # no Jetstream is ever silent
        await line.send([line.frame(now)])


def fast(stream: Stream, past_events: int = 0) -> Any:
    """The simulator that sends a stream."""
    if stream.network == "x":
        return FastX(stream)
    if stream.network == "mastodon":
        return FastMastodon(stream)
    return FastJetstream(stream, past_events)


class Sender:
    """Does what stdin says. Frames of the last stretch are kept: peers are sent the same again."""

    def __init__(self, simulator: Any) -> None:
        self._it = simulator
        self._frames: tuple[tuple[Any, int, int], list[bytes]] | None = None

    async def _made(self, line: Line, first: int, count: int) -> list[bytes]:
        key = line.frame, first, count
        if self._frames is None or self._frames[0] != key:
            frames: list[bytes] = []
            for number in range(first, first + count):
                frames.append(line.frame(self._it.made.body(number)))
                if number % MADE_AT_ONCE == 0:  # heartbeats go on: who hears none hangs up
                    await asyncio.sleep(0)
            self._frames = key, frames
        return self._frames[1]

    async def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to a line; the moments are unix nanoseconds."""
        # Who left is seen here at once, by the simulator only when it writes the next time.
        self._it.lines = [one for one in self._it.lines if not one.transport.is_closing()]
        if asked["do"] == "clients":
            return {"clients": len(self._it.lines)}
        if asked["do"] == "forget":
            if isinstance(self._it, XSimulator):
                self._it.rules.clear()
            return {}
        if asked["do"] == "pace":
            return await self._pace(asked)
        first, count = asked["first"], asked["count"]
        lines: list[Line] = list(self._it.lines)
        if not lines:
            return {"error": "nobody is connected"}
        frames = await self._made(lines[0], first, count)
        part = -(-count // len(lines))
        began_ns = time.time_ns()
        await asyncio.gather(
            *(line.send(frames[n * part : (n + 1) * part]) for n, line in enumerate(lines))
        )
        return {"first_ns": began_ns, "sent_ns": time.time_ns(), "lines": len(lines)}

    async def _pace(self, asked: dict[str, Any]) -> dict[str, Any]:
        rate, number, posts = asked["rate"], asked["first"], asked.get("posts", 1.0)
        until = int(rate * asked["seconds"])
        began_s, began_ns, sent, likes = time.monotonic(), time.time_ns(), 0, 0
        while sent < until:
            due = min(int((time.monotonic() - began_s) * rate), until)
            for line in self._it.lines:
                bodies = []
                for n in range(sent, due):
                    if int((n + 1) * posts) > int(n * posts):
                        bodies.append(self._it.made.body(number))
                        number += 1
                    else:
                        likes += 1
                        bodies.append(like(n))
                await line.send([line.frame(body) for body in bodies])
            sent = due
            await asyncio.sleep(PACE_S)
        answer = {"first_ns": began_ns, "sent_ns": time.time_ns()}
        return answer | {"posts": number - asked["first"], "likes": likes}


def like(number: int) -> bytes:
    """What most of Bluesky's events are."""
    moment = time.time_ns() // 1000
    subject = {"cid": "bafyreitest", "uri": f"at://did:plc:sim{number % 50:04d}/app.bsky.feed.post"}
    record = {"$type": "app.bsky.feed.like", "createdAt": "2026-11-24T05:00:00.000Z"}
    commit = {"rev": "3ltest0000001", "operation": "create", "collection": "app.bsky.feed.like"}
    commit |= {"rkey": f"3l{number:011d}", "cid": "bafyreitest"}
    event = {"did": f"did:plc:sim{number % 50:04d}", "time_us": moment, "kind": "commit"}
    return json.dumps(
        event | {"commit": commit | {"record": record | {"subject": subject}}}
    ).encode()


async def serve(options: argparse.Namespace) -> None:
    """Until stdin ends."""
    plan = Plan(options.network, options.bodies, options.keywords, options.share)
    stream = Stream(plan, at_us=options.at_us, step_us=options.step_us)
    simulator = fast(stream, options.past)
    async with simulator:
        answer = {"url": simulator.url, "at_us": stream.at_us}
        if options.network == "bluesky":
            answer["url"] = f"{simulator.origin}/subscribe"
            answer["v2"] = f"{simulator.origin}/xrpc"
        print(json.dumps(answer), flush=True)
        sender = Sender(simulator)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                answer = await sender.do(json.loads(line))
            except Exception as error:  # noqa: BLE001 (who asked says it, and goes on)
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--keywords", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.01, help="of posts with a keyword")
    parser.add_argument("--at-us", type=int, default=0, help="moment of the first event")
    parser.add_argument("--step-us", type=int, default=20, help="between two events")
    parser.add_argument("--past", type=int, default=0, help="events for who asks for the past")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
