"""A Jetstream v1 server: parameters, cursor replay, filters, compression, and its faults.

By hand: `python -m tests.simulators.jetstream --port 6008 --events FILE --rate 20`, then start
tweeter with TWEETER_BLUESKY_URL=ws://127.0.0.1:6008/subscribe. Without FILE it invents posts.

It is built on the `websockets` package, so that tweeter's own client is met by another
implementation. Wire facts: github.com/bluesky-social/jetstream, README and `pkg/server`.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import re
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zstandard
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

OUTBOX_EVENTS = 10_000  # a client that is further behind is dropped
LOOKBACK_US = 36 * 3_600_000_000
_NSID = re.compile(r"[a-z][a-zA-Z0-9-]*(\.[a-zA-Z0-9-]+)+(\.\*)?")


def now_us() -> int:
    return time.time_ns() // 1000


def post_event(text: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    """An invented post as Jetstream sends it; fields replace those of the envelope."""
    time_us = fields.pop("time_us", now_us())
    record = {
        "$type": "app.bsky.feed.post",
        "text": text,
        "createdAt": "2026-11-24T05:00:00.000Z",
        "langs": ["en"],
    } | fields.pop("record", {})
    commit = {
        "rev": f"3ltest{number:07d}"[:13],
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": tid(time_us, number),
        "record": record,
        "cid": "bafyreitest",
    } | fields.pop("commit", {})
    return {
        "did": f"did:plc:sim{number % 50:04d}",
        "time_us": time_us,
        "kind": "commit",
        "commit": commit,
    } | fields


def tid(time_us: int, number: int) -> str:
    """A record key, as atproto.com/specs/tid makes it."""
    value = time_us << 10 | number % 1024
    letters = "234567abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[value >> shift & 31] for shift in range(60, -1, -5))


class JetstreamSimulator:
    """Holds events, sends them to who asks; `url` is there after `start`.

    sent holds (time_us, moment of sending) for each event that went out. faults:
    refuse (a list of (status, text) for the next handshakes), stalled (sends nothing, answers
    no ping), and the methods reset, close and half_frame for connections that are open.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        ping_s: float = 30,
        lookback_us: int = LOOKBACK_US,
        dictionary: bytes | None = None,
    ) -> None:
        self.port = port
        self.refuse: list[tuple[int, str]] = []
        self.stalled = False
        self.events: list[tuple[int, bytes, dict[str, Any]]] = []
        self.sent: list[tuple[int, int]] = []
        self.connects: list[tuple[float, str]] = []  # (monotonic, path with query)
        self.clients: set[ServerConnection] = set()
        self._ping_s = ping_s
        self._lookback_us = lookback_us
        self._packer = None
        if dictionary is not None:
            self._packer = zstandard.ZstdCompressor(
                dict_data=zstandard.ZstdCompressionDict(dictionary)
            )
        self._more = asyncio.Event()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/subscribe"

    async def start(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            process_request=self._check,
            ping_interval=self._ping_s,
            max_size=10_000_000,
            compression=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close(close_connections=True)
            await self._server.wait_closed()

    async def __aenter__(self) -> "JetstreamSimulator":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def publish(self, events: Iterable[dict[str, Any] | bytes]) -> None:
        """Events in the order in which the relay gave them."""
        for event in events:
            body = event if isinstance(event, bytes) else json.dumps(event).encode()
            try:
                value = json.loads(body)
            except ValueError:
                value = {}
            self.events.append((int(value.get("time_us", 0)), body, value))
        self._more.set()
        self._more = asyncio.Event()

    async def reset(self) -> None:
        """RST on every connection."""
        for client in list(self.clients):
            client.transport.abort()

    async def close(self) -> None:
        """A clean close on every connection."""
        for client in list(self.clients):
            await client.close(1001)

    async def half_frame(self) -> None:
        """The beginning of a frame, then nothing more, ever."""
        for client in list(self.clients):
            client.transport.write(b"\x81\x7e\x10\x00{")
            client.transport.abort()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.connects.append((time.monotonic(), request.path))
        if self.refuse:
            status, text = self.refuse.pop(0)
            return connection.respond(HTTPStatus(status), text)
        try:
            Options(request.path)
        except ValueError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, str(error))
        return None

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        options = Options(client.request.path)
        self.clients.add(client)
        tasks = [
            asyncio.create_task(self._listen(client, options)),
            asyncio.create_task(self._send_all(client, options)),
            asyncio.create_task(client.wait_closed()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.clients.discard(client)

    async def _listen(self, client: ServerConnection, options: "Options") -> None:
        async for message in client:
            value = json.loads(message)
            if value.get("type") == "options_update":
                options.update(value.get("payload") or {})

    async def _send_all(self, client: ServerConnection, options: "Options") -> None:
        await options.greeted.wait()
        position = self._position(options.cursor)
        live = position == len(self.events)
        while True:
            if position >= len(self.events) or self.stalled:
                live = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), 0.1)
                continue
            if live and len(self.events) - position > OUTBOX_EVENTS:
                await client.close(1008, "too slow")
                return
            time_us, body, value = self.events[position]
            position += 1
            if options.wants(value) and options.fits(body):
                if options.compress and self._packer is not None:
                    await client.send(self._packer.compress(body))
                else:
                    await client.send(body, text=True)
                self.sent.append((time_us, now_us()))

    def _position(self, cursor: int | None) -> int:
        """Index of the first event to send: inclusive, clamped, live tail for none or future."""
        if cursor is None or cursor > now_us():
            return len(self.events)
        oldest = now_us() - self._lookback_us
        for index, (time_us, _, _) in enumerate(self.events):
            if time_us >= cursor and time_us >= oldest:
                return index
        return len(self.events)


class Options:
    """What a client asked for; raises ValueError with the text of the 400."""

    def __init__(self, path: str) -> None:
        parts = urlsplit(path)
        if parts.path != "/subscribe":
            raise ValueError("not found")
        query = parse_qs(parts.query, keep_blank_values=True)
        self.collections = query.get("wantedCollections", [])
        self.dids = query.get("wantedDids", [])
        self.max_bytes = 0
        size = query.get("maxMessageSizeBytes", ["0"])[0]
        if size.isdigit():
            self.max_bytes = int(size)
        self.compress = query.get("compress", [""])[0] == "true"
        cursor = query.get("cursor", [""])[0]
        if cursor and not re.fullmatch(r"-?\d+", cursor):
            raise ValueError(f"invalid cursor: {cursor}")
        self.cursor = int(cursor) if cursor else None
        self.greeted = asyncio.Event()
        if query.get("requireHello", [""])[0] != "true":
            self.greeted.set()
        self._validate()

    def _validate(self) -> None:
        if len(self.collections) > 100:
            raise ValueError("too many wanted collections")
        if len(self.dids) > 10_000:
            raise ValueError("too many wanted DIDs")
        for name in self.collections:
            if not _NSID.fullmatch(name):
                raise ValueError(f"invalid collection: {name}")
        for did in self.dids:
            if not did.startswith("did:"):
                raise ValueError(f"invalid DID: {did}")

    def update(self, payload: dict[str, Any]) -> None:
        self.collections = payload.get("wantedCollections") or []
        self.dids = payload.get("wantedDids") or []
        self.max_bytes = payload.get("maxMessageSizeBytes") or 0
        self._validate()
        self.greeted.set()

    def wants(self, value: dict[str, Any]) -> bool:
        """Identity and account events pass the collection filter."""
        if self.dids and value.get("did") not in self.dids:
            return False
        if value.get("kind") != "commit" or not self.collections:
            return True
        name = value["commit"].get("collection", "")
        return any(
            name == wanted or (wanted.endswith(".*") and name.startswith(wanted[:-1]))
            for wanted in self.collections
        )

    def fits(self, body: bytes) -> bool:
        return not self.max_bytes or len(body) <= self.max_bytes


def lines_of(path: Path) -> list[bytes]:
    """Lines of a recorded file."""
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()


def invented() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield json.dumps(post_event(f"Invented post {number} about the harbour", number)).encode()


async def by_hand() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6008)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--events", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    async with JetstreamSimulator(port=chosen.port) as server:
        print(f"ready {server.url}", flush=True)
        events = (line for path in chosen.events for line in lines_of(path))
        for event in events if chosen.events else invented():
            await server.publish([event])
            await asyncio.sleep(1 / chosen.rate)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(by_hand())
