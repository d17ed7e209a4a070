"""Bluesky: Jetstream over a WebSocket; no account needed.

Two wires: v1 (`/subscribe`) and v2 (`subscribeEvents`); the address says which, or it is found
out. The cursor is the moment of the last event that is stored, minus a few seconds: the server
sends again from there, and what is stored already is not stored twice. Moments mean nearly the
same on every host (each notes when it saw an event itself), so another endpoint takes over where
one fails, from a little earlier on. Wire facts: github.com/bluesky-social/jetstream, README and
lexicons.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import zstandard

from tweeter import moments
from tweeter.checks import DICTIONARY_SHA256
from tweeter.errors import SourceError
from tweeter.records import Keyword, RawEvent, now_us
from tweeter.sources.backoff import constant, exponential
from tweeter.sources.base import Sink
from tweeter.sources.bluesky_wire import Wire, wire_of
from tweeter.sources.websocket import FRAME_BYTES, Listener, Refused, open_socket, stalled

REWIND_US = 5_000_000
REWIND_ELSEWHERE_US = 60_000_000  # on another host, which may have seen the events later
GAP_US = 60_000_000  # a first event so much later than asked for: the server had no more
IDLE_S = 15.0  # without a frame for so long a ping is sent; without its pong for as long: stalled
FAILURES_A_HOST = 3  # in a row, then the next endpoint is used


class BlueskySource:
    """Endpoints of which one is used. dictionary: Jetstream's zstd dictionary (v1)."""

    network = "bluesky"
    replayable = True
    repairable = False
    settles_s = 0.0

    def __init__(
        self,
        urls: Sequence[str] | str,
        *,
        dictionary: Path | None = None,
        dictionary_sha256: str = DICTIONARY_SHA256,
        idle_s: float = IDLE_S,
    ) -> None:
        self._wires = [wire_of(url) for url in ([urls] if isinstance(urls, str) else urls)]
        self._at = 0  # which of them
        self._failures = 0  # in a row, at this one
        self._dictionary = dictionary
        self._sha256 = dictionary_sha256
        self._idle_s = idle_s
        self._waits = {"refused": constant(3600)}
        self._wait = exponential(1, 60, jitter=0.2)
        self._host = ""  # the last that accepted us

    @property
    def wire(self) -> Wire:
        """The endpoint in use."""
        return self._wires[self._at]

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """Nothing to do: all posts come, and are matched here."""

    def wait_s(self, kind: str, failures: int) -> float:
        """1 s doubled to 60 s, spread a little; an hour if every endpoint refuses us."""
        return self._waits.get(kind, self._wait)(failures)

    async def connect(self, sink: Sink) -> None:
        """One connection until the server closes it. Raises SourceError.

        An endpoint that refuses us is passed over at once; one that limits us, or fails several
        times in a row, is left for the next.
        """
        refusals: list[str] = []
        while len(refusals) < len(self._wires):
            began_us = now_us()
            try:
                await self._connect(sink)
            except SourceError as error:
                if error.kind == "refused":
                    refusals.append(error.state)
                    self._next()
                    continue
                if error.kind == "limited" and len(self._wires) > 1:
                    self._next()
                    error.retry_at = None  # it is that host's
                    raise
                self._failed(lasted_us=now_us() - began_us)
                raise
            self._failed(lasted_us=now_us() - began_us)
            return
        raise SourceError("refused", " ".join(refusals))

    def _failed(self, *, lasted_us: int) -> None:
        """Count failures and early closes at this endpoint; go to the next after a few."""
        self._failures = 1 if lasted_us > GAP_US else self._failures + 1
        if self._failures >= FAILURES_A_HOST:
            self._next()

    def _next(self) -> None:
        self._at = (self._at + 1) % len(self._wires)
        self._failures = 0

    async def _connect(self, sink: Sink) -> None:
        """A connection to the endpoint in use; its wire and its window are found out."""
        asked_us, too_old_us = self._rewound(sink), 0
        while True:
            try:
                await self._stream(sink, asked_us, too_old_us)
            except Refused as error:
                if self.wire.guessed and error.status == 404:
                    self._wires[self._at] = self.wire.other()
                elif asked_us and b"CursorTooOld" in error.body:
                    asked_us, too_old_us = 0, asked_us
                else:
                    words = " Check TWEETER_BLUESKY_URL." if error.kind == "refused" else ""
                    at = error.retry_at
                    raise SourceError(error.kind, error.state + words, retry_at=at) from error
            else:
                return

    async def _stream(self, sink: Sink, asked_us: int, too_old_us: int) -> None:
        """Connect and read to the end. Raises Refused, and SourceError.

        too_old_us: what the server has just said to be older than all it has; 0: nothing.
        """
        wire = self.wire
        unpack = self._unpacker() if wire.can_compress else None
        listener = Listener("bluesky")
        url = wire.address(asked_us, compress=unpack is not None)
        async with open_socket(url, listener, idle_s=self._idle_s, headers=wire.headers):
            sink.connected("Live." if len(self._wires) == 1 else f"Live, from {wire.host}.")
            self._accepted(sink)
            if too_old_us:
                self._say_missed(sink, too_old_us, now_us())
            await self._take(listener, sink, unpack, asked_us)
        ended = stalled(wire.host, listener, self._idle_s)
        if ended is not None:
            raise ended

    def _accepted(self, sink: Sink) -> None:
        """Note the host: the next cursor is by its clock."""
        self._host = self.wire.host
        if sink.memory.get("host") != self._host:
            sink.remember(host=self._host)

    def _rewound(self, sink: Sink) -> int:
        """The moment to ask for, somewhat before the stored one; 0: live."""
        if not re.fullmatch(r"\d{1,18}", sink.cursor):
            return 0
        last = self._host or sink.memory.get("host") or self.wire.host
        rewind_us = REWIND_US if last == self.wire.host else REWIND_ELSEWHERE_US
        return max(min(int(sink.cursor) - rewind_us, now_us()), 1)

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

    async def _take(
        self,
        listener: Listener,
        sink: Sink,
        unpack: zstandard.ZstdDecompressor | None,
        asked_us: int,
    ) -> None:
        """Hand events on until the connection ends."""
        clamped = False
        while True:
            found = await listener.next(sink.rest_s())
            if not found:
                return
            if unpack is not None:
                found = [_unpacked(event, unpack) for event in found]
            if asked_us:
                clamped = clamped or any(self.wire.is_clamped(event.body) for event in found[:2])
                seen_us = next(filter(None, (self.wire.moment(e.body) for e in found)), 0)
                if seen_us and (clamped or seen_us - asked_us > GAP_US):
                    # v1 moves a cursor that is older than its window up without a word.
                    self._say_missed(sink, asked_us, max(seen_us, asked_us))
                asked_us = 0 if seen_us else asked_us
            await sink.put(found)
            words = self.wire.problem(found[-1].body)
            if words:
                raise SourceError("closed", f"{self.wire.host}: {words}.")

    def _say_missed(self, sink: Sink, since_us: int, until_us: int) -> None:
        words = (
            f"{self.wire.host} no longer had the events from {_clock(since_us)}"
            f" to {_clock(until_us)}."
        )
        sink.notice(f"Live. {words}")
        sink.missed(since_us, until_us, words, read_until=int(sink.cursor))


def _unpacked(event: RawEvent, unpack: zstandard.ZstdDecompressor) -> RawEvent:
    """The event with its JSON; one that does not unpack is left as it is, for quarantine."""
    try:
        body = unpack.decompress(event.body, max_output_size=FRAME_BYTES)
    except zstandard.ZstdError:
        return event
    return RawEvent(shape=event.shape, body=body, received_at=event.received_at)


def _clock(moment: int) -> str:
    return moments.clock(moment, "%d %b %H:%M:%S UTC")
