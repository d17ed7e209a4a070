"""A Jetstream v2 server (`subscribeEvents`), which speaks v1 on `/subscribe` too, as real ones do.

By hand: `python -m tests.simulators.jetstream_v2 --port 6009 --rate 20`, then start tweeter with
TWEETER_BLUESKY_URL=ws://127.0.0.1:6009 (without a path: it finds the wire out).

Wire facts: github.com/bluesky-social/jetstream, lexicons network.bsky.jetstream.subscribeEvents
and getZstdDictionary, and internal/subscribe.
"""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.typing import Subprotocol

from tests.simulators import jetstream
from tests.simulators.jetstream import Asked, JetstreamSimulator, now_us

XRPC = "/xrpc/network.bsky.jetstream."
EVENTS = f"{XRPC}subscribeEvents"
DICTIONARY = f"{XRPC}getZstdDictionary"
PROTOCOL = Subprotocol("xrpc.v1.json")
KINDS = ("commit", "identity", "account", "sync")
MICROSECONDS = 10**15  # a cursor from here on is a moment, below it a seq


class Rejected(ValueError):
    """A handshake that is answered with 400 and an XRPC error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class JetstreamV2Simulator(JetstreamSimulator):
    """Published events are those of v1; here they go out in v2's frames.

    first_seq is the number of the first event, of this server only. bootstrapping: 503 to
    everybody. refuse_old: a moment before the window is CursorTooOld, not only a seq.
    imported_us moves `time`, but not `witnessedAt`, as an operator's import of timestamps does.
    without_v1, without_v2: that path answers 404.
    """

    def __init__(self, *, first_seq: int = 1, dictionary_id: int = 20260811, **more: Any) -> None:
        super().__init__(**more)
        self.first_seq = first_seq
        self.bootstrapping = False
        self.refuse_old = False
        self.imported_us = 0
        self.without_v1 = self.without_v2 = False
        self.dictionary_id = dictionary_id
        self.dictionary: bytes = more.get("dictionary") or b""
        self._speaks: dict[ServerConnection, Asked] = {}

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{EVENTS}"

    @property
    def origin(self) -> str:
        """Without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def next_seq(self) -> int:
        return self.first_seq + len(self.events)

    async def too_slow(self) -> None:
        """ConsumerTooSlow, then the close, on every v2 connection."""
        for client in list(self.clients):
            await self._drop(client, self._speaks[client])

    async def send_to_all(self, frame: bytes) -> None:
        """Any frame to everybody."""
        for client in list(self.clients):
            await client.send(frame, text=True)

    def _subprotocol(self, client: ServerConnection, offered: Sequence[str]) -> Subprotocol | None:
        assert client.request is not None
        is_v2 = client.request.path.startswith(EVENTS)
        return PROTOCOL if is_v2 and PROTOCOL in offered else None

    def _answer(self, connection: ServerConnection, path: str) -> Response | None:
        where = urlsplit(path).path
        if self.bootstrapping:
            return _xrpc(503, "ServiceUnavailable", "service not ready: phase bootstrap")
        if where == DICTIONARY and self.dictionary:
            kind = Headers({"Content-Type": "application/octet-stream", "Connection": "close"})
            kind["Content-Length"] = str(len(self.dictionary))
            return Response(200, "OK", kind, self.dictionary)
        if where != EVENTS and not self.without_v1:
            return super()._answer(connection, path)
        if where != EVENTS or self.without_v2:
            return connection.respond(HTTPStatus.NOT_FOUND, "404 page not found")
        try:
            self._asked(path)
        except Rejected as error:
            return _xrpc(400, error.name, str(error))
        except ValueError as error:
            return _xrpc(400, "InvalidRequest", str(error))
        return None

    def _asked(self, path: str) -> Asked:
        return AskedV2(path, self) if urlsplit(path).path == EVENTS else Asked(path)

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        self._speaks[client] = self._asked(client.request.path)
        try:
            await super()._serve(client)
        finally:
            del self._speaks[client]

    async def _drop(self, client: ServerConnection, asked: Asked) -> None:
        if isinstance(asked, AskedV2):
            words = f"reading below the floor rate; reconnect with cursor={self.next_seq - 1}"
            with contextlib.suppress(ConnectionClosed):
                await self._send(client, asked, error_frame("ConsumerTooSlow", words))
        await super()._drop(client, asked)

    def _position(self, asked: Asked) -> int:
        if isinstance(asked, AskedV2) and asked.cursor is not None and asked.cursor < MICROSECONDS:
            return min(max(asked.cursor - self.first_seq, 0), len(self.events))
        return super()._position(asked)

    def seq_of(self, moment: int) -> int:
        """The first seq of a moment or later."""
        return self.first_seq + self._since(moment)


class AskedV2(Asked):
    """What a client of v2 asked for; raises Rejected or ValueError."""

    COLLECTIONS, DIDS = "collections", "dids"

    def __init__(self, path: str, server: JetstreamV2Simulator) -> None:
        query = parse_qs(urlsplit(path).query, keep_blank_values=True)
        for old, words in _OF_V1.items():
            if old in query:
                raise Rejected("InvalidRequest", words)
        super().__init__(path)
        self._server = server
        self.kinds = [kind for kind in query.get("kinds", []) if kind]
        for kind in self.kinds:
            if kind not in KINDS:
                raise Rejected("InvalidRequest", f'unknown kind "{kind}"')
        if self.kinds and "commit" not in self.kinds and self.collections:
            raise Rejected("InvalidRequest", "collections can never apply without kind commit")
        self.compress = self._dictionary(query.get("zstdDictionary", [""])[0])
        if self.cursor is not None:
            self._look_at_cursor(self.cursor)

    def _dictionary(self, wanted: str) -> bool:
        if not wanted:
            return False
        if not wanted.isdigit() or int(wanted) == 0:
            raise Rejected("InvalidRequest", "zstdDictionary must be a positive integer")
        current = self._server.dictionary_id
        if int(wanted) != current or not self._server.dictionary:
            words = f"unknown zstd dictionary id {wanted}; current dictionary id is {current}"
            raise Rejected("UnknownZstdDictionary", words)
        return True

    def _look_at_cursor(self, cursor: int) -> None:
        server = self._server
        floor_us = server.floor_us
        floor = server.seq_of(floor_us)
        words = f"cursor {cursor} is below the floor; floor seq is {floor}"
        if cursor < MICROSECONDS:
            if cursor < floor:
                raise Rejected("CursorTooOld", words)
            if cursor > server.next_seq:
                self.notices = [info_frame("FutureCursor", "starting at the live tip")]
        elif cursor < floor_us:
            if server.refuse_old:
                raise Rejected("CursorTooOld", words)
            self.notices = [info_frame("OutdatedCursor", f"resumed from seq {floor}")]

    def heard(self, message: str | bytes) -> None:
        """The server pushes only."""
        raise ValueError("this endpoint takes no messages")

    def wants(self, value: dict[str, Any]) -> bool:
        if self.kinds and value.get("kind") not in self.kinds:
            return False
        return self.filters(value)

    def frame(self, number: int, body: bytes, value: dict[str, Any]) -> bytes:
        """A published event in v2's frame; one that is no event at all goes out as it is."""
        if value.get("kind") not in KINDS:
            return body
        return event_frame(value, self._server.first_seq + number - 1, self._server.imported_us)


_OF_V1 = {
    "wantedCollections": "wantedCollections is of /subscribe; use collections",
    "wantedDids": "wantedDids is of /subscribe; use dids",
    "requireHello": "requireHello is of /subscribe; this endpoint is server-push only",
    "compress": "compress is of /subscribe; use zstdDictionary",
}


def event_frame(value: dict[str, Any], seq: int, imported_us: int = 0) -> bytes:
    """An event of v1 as v2 sends it: keys in order, the upstream event under its kind."""
    kind = value["kind"]
    payload: dict[str, Any] = {"$type": f"network.bsky.jetstream.subscribeEvents#{kind}"}
    payload |= {"did": value["did"], "seq": seq, "witnessedAt": _iso(value["time_us"])}
    payload["time"] = payload["witnessedAt"]
    if kind == "commit":
        payload |= value["commit"]
        if imported_us:
            payload["time"] = _iso(value["time_us"] - imported_us)
    else:
        payload[kind] = value.get(kind, {})
    frame = {"$type": "message", "payload": payload}
    return json.dumps(frame, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def info_frame(name: str, message: str) -> bytes:
    """An advisory without seq."""
    payload = {"$type": "network.bsky.jetstream.subscribeEvents#info", "name": name}
    return json.dumps({"$type": "message", "payload": payload | {"message": message}}).encode()


def error_frame(name: str, message: str) -> bytes:
    """The last frame before a close."""
    return json.dumps({"$type": "error", "error": name, "message": message}).encode()


def sync_event(did: str, **fields: Any) -> dict[str, Any]:
    """A repository that was reset; only v2 has these."""
    sync = {"did": did, "rev": "3ltest0000000", "seq": 1, "time": "2020-01-01T00:00:00.000Z"}
    sync["blocks"] = "AAAA"  # its form here is as the atproto package reads it
    return {"did": did, "time_us": now_us(), "kind": "sync", "sync": sync} | fields


def _iso(time_us: int) -> str:
    seconds, micros = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def _xrpc(status: int, name: str, message: str) -> Response:
    body = json.dumps({"error": name, "message": message}).encode()
    headers = Headers({"Content-Type": "application/json", "Connection": "close"})
    headers["Content-Length"] = str(len(body))
    return Response(status, HTTPStatus(status).phrase, headers, body)


async def by_hand() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6009)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--events", type=Path, nargs="*", default=[], help="recorded, of v1")
    chosen = parser.parse_args()
    async with JetstreamV2Simulator(port=chosen.port) as server:
        print(f"ready {server.url}", flush=True)
        found: Iterator[bytes] = (
            line for file in chosen.events for line in jetstream.lines_of(file)
        )
        for event in found if chosen.events else jetstream.invented():
            await server.publish([event])
            await asyncio.sleep(1 / chosen.rate)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(by_hand())
