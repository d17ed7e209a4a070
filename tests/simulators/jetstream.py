"""A Jetstream v1 server: parameters, cursor replay, filters, compression, and its faults.

v2, which is another wire over the same events, is in jetstream_v2.

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
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zstandard
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

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


def account_event(did: str, status: str = "", **fields: Any) -> dict[str, Any]:
    """An account that is hidden ("deleted", "takendown", …) or, without status, shown again."""
    account = {"active": not status, "did": did, "seq": 1, "time": "2020-01-01T00:00:00.000Z"}
    account |= {"status": status} if status else {}
    return {"did": did, "time_us": now_us(), "kind": "account", "account": account} | fields


def tid(time_us: int, number: int) -> str:
    """A record key, as atproto.com/specs/tid makes it."""
    value = time_us << 10 | number % 1024
    letters = "234567abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[value >> shift & 31] for shift in range(60, -1, -5))


class JetstreamSimulator:
    """Holds events, sends them to who asks; `url` is there after `start`.

    sent holds (time_us, moment of sending) for each event that went out. faults:
    refuse (a list of (status, text) for the next handshakes, with refuse_headers), flaps (so many
    connections are closed as soon as they are open), stalled (sends nothing), falls_silent (after
    how many events the next connections send no more), and the methods reset, close, half_frame
    and mute for connections that are open.
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
        self.refuse_headers: dict[str, str] = {}
        self.flaps = 0
        self.stalled = False
        self.falls_silent: list[int] = []
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
            select_subprotocol=self._subprotocol,
            ping_interval=self._ping_s,
            max_size=10_000_000,
            compression=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _subprotocol(self, client: ServerConnection, offered: Sequence[str]) -> Subprotocol | None:
        return None

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

    async def mute(self) -> None:
        """Nothing is sent or read any more, so that no ping is answered."""
        self.stalled = True
        for client in list(self.clients):
            client.transport.pause_reading()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.connects.append((time.monotonic(), request.path))
        if self.refuse:
            status, text = self.refuse.pop(0)
            response = connection.respond(HTTPStatus(status), text)
            response.headers.update(self.refuse_headers)
            return response
        return self._answer(connection, request.path)

    def _answer(self, connection: ServerConnection, path: str) -> Response | None:
        """The refusal of a handshake, else None."""
        if urlsplit(path).path != "/subscribe":
            return connection.respond(HTTPStatus.NOT_FOUND, "404 page not found")
        try:
            self._asked(path)
        except ValueError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, str(error))
        return None

    def _asked(self, path: str) -> "Asked":
        """What the client of a path asks for; raises ValueError with the text of the 400."""
        return Asked(path)

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        asked = self._asked(client.request.path)
        if self.flaps:
            self.flaps -= 1
            return
        self.clients.add(client)
        tasks = [
            asyncio.create_task(self._listen(client, asked)),
            asyncio.create_task(self._send_all(client, asked)),
            asyncio.create_task(client.wait_closed()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.clients.discard(client)

    async def _listen(self, client: ServerConnection, asked: "Asked") -> None:
        async for message in client:
            try:
                asked.heard(message)
            except ValueError as error:
                await client.close(1008, str(error))

    async def _send_all(self, client: ServerConnection, asked: "Asked") -> None:
        await asked.greeted.wait()
        position = self._position(asked)
        live = position == len(self.events)
        most = self.falls_silent.pop(0) if self.falls_silent else None
        for notice in asked.notices:
            await self._send(client, asked, notice)
        while True:
            if position >= len(self.events) or self.stalled or most == 0:
                live = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), 0.1)
                continue
            if live and len(self.events) - position > OUTBOX_EVENTS:
                await self._drop(client, asked)
                return
            time_us, body, value = self.events[position]
            position += 1
            frame = asked.frame(position, body, value)
            if asked.wants(value) and asked.fits(frame):
                most = None if most is None else most - 1
                await self._send(client, asked, frame)
                self.sent.append((time_us, now_us()))

    async def _send(self, client: ServerConnection, asked: "Asked", frame: bytes) -> None:
        if asked.compress and self._packer is not None:
            await client.send(self._packer.compress(frame))
        else:
            await client.send(frame, text=True)

    async def _drop(self, client: ServerConnection, asked: "Asked") -> None:
        """End a connection that is too far behind."""
        with contextlib.suppress(ConnectionClosed):
            await client.close(1008, "too slow")

    def _position(self, asked: "Asked") -> int:
        """Index of the first event to send: inclusive, clamped, live tail for none or future."""
        if asked.cursor is None or asked.cursor > now_us():
            return len(self.events)
        return self._since(max(asked.cursor, self.floor_us))

    @property
    def floor_us(self) -> int:
        """The window's beginning."""
        return now_us() - self._lookback_us

    def _since(self, moment: int) -> int:
        """Index of the first event of a moment or later."""
        for index, (time_us, _, _) in enumerate(self.events):
            if time_us >= moment:
                return index
        return len(self.events)


class Asked:
    """What a client asked for; raises ValueError with the text of the 400."""

    COLLECTIONS, DIDS = "wantedCollections", "wantedDids"

    def __init__(self, path: str) -> None:
        query = parse_qs(urlsplit(path).query, keep_blank_values=True)
        self.collections = query.get(self.COLLECTIONS, [])
        self.dids = query.get(self.DIDS, [])
        self.max_bytes = 0
        size = query.get("maxMessageSizeBytes", ["0"])[0]
        if size.isdigit():
            self.max_bytes = int(size)
        self.compress = query.get("compress", [""])[0] == "true"
        cursor = query.get("cursor", [""])[0]
        if cursor and not re.fullmatch(r"\d+", cursor):
            raise ValueError(f"invalid cursor: {cursor}")
        self.cursor = int(cursor) if cursor else None
        self.greeted = asyncio.Event()
        if query.get("requireHello", [""])[0] != "true":
            self.greeted.set()
        self.notices: list[bytes] = []  # sent before any event
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

    def heard(self, message: str | bytes) -> None:
        """A message of the client; raises ValueError if it ends the connection."""
        value = json.loads(message)
        if value.get("type") != "options_update":
            return
        payload = value.get("payload") or {}
        self.collections = payload.get("wantedCollections") or []
        self.dids = payload.get("wantedDids") or []
        self.max_bytes = payload.get("maxMessageSizeBytes") or 0
        self._validate()
        self.greeted.set()

    def frame(self, number: int, body: bytes, value: dict[str, Any]) -> bytes:
        """An event, the number-th of the server, as this wire says it."""
        return body

    def wants(self, value: dict[str, Any]) -> bool:
        """Identity and account events pass the collection filter; v1 has no sync events."""
        if value.get("kind") == "sync":
            return False
        return self.filters(value)

    def filters(self, value: dict[str, Any]) -> bool:
        """The filters of both wires."""
        if self.dids and value.get("did") not in self.dids:
            return False
        if value.get("kind") != "commit" or not self.collections:
            return True
        name = value["commit"].get("collection", "")
        return any(
            name == wanted or (wanted.endswith(".*") and name.startswith(wanted[:-1]))
            for wanted in self.collections
        )

    def fits(self, frame: bytes) -> bool:
        return not self.max_bytes or len(frame) <= self.max_bytes


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
