"""Bluesky: Jetstream v1 over a WebSocket; no account needed.

The cursor is the `time_us` of the last event that is stored, minus a few seconds: the server
sends again from there, and what is stored already is not stored twice. Wire facts:
github.com/bluesky-social/jetstream, README.
"""

import asyncio
import hashlib
import re
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import picows
import zstandard

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.backoff import constant, exponential
from tweeter.sources.base import Sink

COLLECTION = "app.bsky.feed.post"
REWIND_US = 5_000_000
GAP_US = 60_000_000  # a first event so much later than asked for: the server had no more
FRAME_BYTES = 4 * 1024 * 1024
PAUSE_EVENTS = 5_000  # waiting here: reading stops until they are taken
IDLE_S = 15.0  # without a frame for so long a ping is sent; without its pong for as long: stalled
DICTIONARY_SHA256 = "b8d77b46"  # beginning; of Jetstream's v1 dictionary, id 1612007021

_TIME_US = re.compile(rb'"time_us":\s*(\d{1,18})')


class BlueskySource:
    """One endpoint. dictionary: Jetstream's zstd dictionary, to halve the traffic."""

    network = "bluesky"
    replayable = True

    def __init__(
        self,
        url: str,
        *,
        dictionary: Path | None = None,
        dictionary_sha256: str = DICTIONARY_SHA256,
        idle_s: float = IDLE_S,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).hostname
        self._dictionary = dictionary
        self._sha256 = dictionary_sha256
        self._idle_s = idle_s
        self._waits = {"refused": constant(3600)}
        self._wait = exponential(1, 60, jitter=0.2)

    async def keywords_changed(self, keywords: Sequence[tuple[int, str]]) -> None:
        """Nothing to do: all posts come, and are matched here."""

    def wait_s(self, kind: str, failures: int) -> float:
        """1 s doubled to 60 s, spread a little."""
        return self._waits.get(kind, self._wait)(failures)

    async def connect(self, sink: Sink) -> None:
        """One connection until the server closes it. Raises SourceError."""
        unpack = self._unpacker()
        asked_us = min(int(sink.cursor or 0) - REWIND_US, now_us()) if sink.cursor else 0
        listener = _Listener()
        transport = await self._open(listener, asked_us, compress=unpack is not None)
        try:
            sink.connected("Live.")
            await self._take(listener, sink, unpack, asked_us)
        finally:
            transport.disconnect()
            await asyncio.wait_for(_quietly(transport.wait_disconnected()), 2)
        if listener.silent_s() > 1.5 * self._idle_s:
            raise SourceError(
                "stalled", f"{self._host} was silent for {2 * self._idle_s:g} s, even when asked."
            )

    def _unpacker(self) -> zstandard.ZstdDecompressor | None:
        if self._dictionary is None:
            return None
        blob = self._dictionary.read_bytes()
        found = hashlib.sha256(blob).hexdigest()
        if not found.startswith(self._sha256):
            raise SourceError(
                "refused",
                f"TWEETER_BLUESKY_ZSTD_DICTIONARY ({self._dictionary}) is not Jetstream's v1"
                f" dictionary: its SHA-256 begins {found[:8]}, expected {self._sha256}.",
            )
        return zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(blob))

    def _address(self, cursor_us: int, *, compress: bool) -> str:
        parts = urlsplit(self._url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        query.append(("wantedCollections", COLLECTION))
        if cursor_us:
            query.append(("cursor", str(cursor_us)))
        if compress:
            query.append(("compress", "true"))
        return urlunsplit(parts._replace(query=urlencode(query)))

    async def _open(
        self, listener: "_Listener", cursor_us: int, *, compress: bool
    ) -> picows.WSTransport:
        try:
            transport, _ = await picows.ws_connect(
                lambda: listener,
                self._address(cursor_us, compress=compress),
                websocket_handshake_timeout=10,
                max_frame_size=FRAME_BYTES,
                enable_auto_ping=True,
                auto_ping_idle_timeout=self._idle_s,
                auto_ping_reply_timeout=self._idle_s,
                use_aiofastnet=False,
            )
        except picows.WSHandshakeError as error:
            raise self._refused(error) from error
        except (OSError, TimeoutError, picows.WSError) as error:
            words = str(error) or type(error).__name__
            raise SourceError("network", f"No connection to {self._host}: {words}.") from error
        return transport

    def _refused(self, error: picows.WSHandshakeError) -> SourceError:
        if error.response is None:
            return SourceError("network", f"{self._host} does not speak WebSocket: {error}.")
        status = int(error.response.status)
        words = (error.raw_body or b"").decode("utf-8", "replace").strip()[:300]
        said = f"{self._host} answered {status}{': ' + words if words else ''}."
        if status in (420, 429):
            return SourceError("limited", said)
        if 400 <= status < 500 and status != 408:
            return SourceError("refused", f"{said} Check TWEETER_BLUESKY_URL.")
        return SourceError("http", said)

    async def _take(
        self,
        listener: "_Listener",
        sink: Sink,
        unpack: zstandard.ZstdDecompressor | None,
        asked_us: int,
    ) -> None:
        """Hand events on until the connection ends."""
        while True:
            found = await listener.next()
            if not found:
                return
            if unpack is not None:
                found = [_unpacked(event, unpack) for event in found]
            if asked_us:
                self._look_for_gap(found[0], asked_us, sink)
                asked_us = 0
            await sink.put(found)

    def _look_for_gap(self, first: RawEvent, asked_us: int, sink: Sink) -> None:
        """A cursor older than the server's window is moved up by it without a word: say so."""
        seen = _TIME_US.search(first.body)
        if seen and int(seen[1]) - asked_us > GAP_US:
            sink.notice(
                f"Live. {self._host} no longer had the events from {_clock(asked_us)}"
                f" to {_clock(int(seen[1]))}."
            )


class _Listener(picows.WSListener):  # type: ignore[misc]
    """Gathers frames on the loop; stops the reading while too many wait."""

    def __init__(self) -> None:
        self._events: deque[RawEvent] = deque()
        self._some = asyncio.Event()
        self._begun = bytearray()  # of a message in several frames
        self._transport: picows.WSTransport | None = None
        self._paused = False
        self._closed = False
        self._last_at = time.monotonic()
        self._ended_at = self._last_at
        self._said_goodbye = False

    def silent_s(self) -> float:
        """How long it was silent before it ended; 0 for an orderly close."""
        return 0.0 if self._said_goodbye else self._ended_at - self._last_at

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._last_at = time.monotonic()
        if frame.msg_type == picows.WSMsgType.CLOSE:
            self._said_goodbye = True
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type not in (
            picows.WSMsgType.TEXT,
            picows.WSMsgType.BINARY,
            picows.WSMsgType.CONTINUATION,
        ):
            return
        body = frame.get_payload_as_bytes()
        if not frame.fin or self._begun:
            self._begun += body
            if len(self._begun) > FRAME_BYTES:
                transport.disconnect()
            if not frame.fin:
                return
            body, self._begun = bytes(self._begun), bytearray()
        self._events.append(RawEvent(shape="bluesky", body=body, received_at=now_us()))
        if len(self._events) >= PAUSE_EVENTS and not self._paused:
            self._paused = True
            transport.underlying_transport.pause_reading()
        self._some.set()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._closed = True
        self._ended_at = time.monotonic()
        self._some.set()

    async def next(self) -> list[RawEvent]:
        """What has come, at least one event; [] when the connection has ended."""
        while not self._events:
            if self._closed:
                return []
            self._some.clear()
            await self._some.wait()
        found = list(self._events)
        self._events.clear()
        if self._paused and self._transport is not None and not self._closed:
            self._paused = False
            self._transport.underlying_transport.resume_reading()
        return found


def _unpacked(event: RawEvent, unpack: zstandard.ZstdDecompressor) -> RawEvent:
    """The event with its JSON; one that does not unpack is left as it is, for quarantine."""
    try:
        body = unpack.decompress(event.body, max_output_size=FRAME_BYTES)
    except zstandard.ZstdError:
        return event
    return RawEvent(shape=event.shape, body=body, received_at=event.received_at)


async def _quietly(waiting: object) -> None:
    try:
        await waiting  # type: ignore[misc]
    except (picows.WSError, OSError):
        return


def _clock(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).strftime("%d %b %H:%M:%S UTC")
