"""Asking a network for its past: Bluesky by its cursor, Mastodon page by page.

Each reader yields pieces in the order in which the network gives them, with the position to go
on from; a part of a job takes as many as its time allows. The live stream is not touched: these
are connections of their own.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from tweeter.checks import MastodonServer
from tweeter.config import Config
from tweeter.decode import times
from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.mastodon_rest import open_rest

CAUGHT_UP_US = 3_000_000  # an event so young: the past has become the present
QUIET_S = 10.0  # nothing for so long: the end, a slow line, or a server that searches its log
# Likewise before the first event: the line is made, and the server goes back in time.
FIRST_S = 25.0


class Piece(msgspec.Struct, frozen=True):
    """Events to store together. position: where to go on, unix microseconds (see each reader)."""

    events: list[RawEvent]
    position: int


Clamped = Callable[[int], None]  # told the first moment that the network still had


class _Taker:
    """A sink that keeps what a source says until it is taken."""

    memory: dict[str, Any] = {}  # noqa: RUF012 (never changed)

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self.pieces: asyncio.Queue[list[RawEvent]] = asyncio.Queue(maxsize=8)
        self.began_us = 0

    async def put(self, events: Any) -> None:
        await self.pieces.put(list(events))

    def missed(self, since: int, until: int, words: str, *, read_until: int) -> None:
        self.began_us = until

    def rest_s(self) -> float:
        """Nothing: the past is read as fast as it comes."""
        return 0.0

    def alive(self) -> None:
        """Of no matter here."""

    def connected(self, words: str) -> None:
        """Of no matter here."""

    def notice(self, words: str) -> None:
        """Of no matter here."""

    def keywords(self, states: Any) -> None:
        """Of no matter here."""

    def remember(self, **values: Any) -> None:
        """Of no matter here."""


async def bluesky(
    config: Config, from_us: int, until_us: int, clamped: Clamped
) -> AsyncIterator[Piece]:
    """Events from a moment on, oldest first, until `until_us`. Raises SourceError.

    Silence alone is not the end. It is when the server, asked again from the event after which it
    fell silent, sends that one and nothing after it.
    """
    source = BlueskySource(config.bluesky_url, dictionary=config.bluesky_zstd_dictionary)
    began_us = 0

    def note(moment_us: int) -> None:
        nonlocal began_us
        began_us = moment_us
        clamped(moment_us)

    while True:
        reached_us = 0
        async with aclosing(_until_quiet(source, from_us, note)) as found:
            async for events in found:
                moments = (source.wire.moment(event.body) for event in reversed(events))
                reached_us = next(filter(None, moments), reached_us)
                yield Piece(events, reached_us or from_us)
                if reached_us >= until_us or reached_us > now_us() - CAUGHT_UP_US:
                    return
        if reached_us == from_us or began_us >= until_us:
            return
        if reached_us < from_us:
            words = f"{source.wire.host} fell silent before it had sent all that was asked for."
            raise SourceError("stalled", words)
        from_us = reached_us


async def _until_quiet(
    source: BlueskySource, from_us: int, clamped: Clamped
) -> AsyncGenerator[list[RawEvent], None]:
    """Events of one connection, until it is silent. Raises SourceError if it fails."""
    sink = _Taker(str(from_us))
    reading = asyncio.create_task(source.connect(sink))
    quiet_s = FIRST_S
    try:
        while events := await _next(sink, reading, quiet_s):
            if sink.began_us:
                clamped(sink.began_us)
                sink.began_us = 0
            yield events
            quiet_s = QUIET_S
        if sink.began_us:
            clamped(sink.began_us)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _next(sink: _Taker, reading: "asyncio.Task[None]", quiet_s: float) -> list[RawEvent]:
    """What came; [] when nothing came for quiet_s. Raises SourceError if the connection failed."""
    waiting = asyncio.create_task(sink.pieces.get())
    try:
        async with asyncio.timeout(quiet_s if not reading.done() else 0):
            await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        pass
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    if reading.done():
        reading.result()
        raise SourceError("closed", "The server closed the connection.")
    return []


async def mastodon(
    config: Config, stream: str, since_us: int, from_us: int, clamped: Clamped
) -> AsyncIterator[Piece]:
    """Posts from a moment back to since_us, newest first. Raises SourceError.

    An id begins with its milliseconds, so a moment is a place in a timeline (Mastodon's
    snowflake: ms << 16).
    """
    server = server_named(config, stream)
    at = dict.fromkeys(server.streams, from_us)
    before = dict.fromkeys(server.streams, str((from_us // 1000 + 1) << 16))
    async with open_rest(server.url, server.token) as rest:
        while at:
            # The one that is furthest behind first: all are read down to the same moment.
            name = max(at, key=lambda stream: at[stream])
            found = await rest.timeline(name, max_id=before[name])
            if not found:
                clamped(at.pop(name))
                continue
            before[name] = str(found[-1].get("id", ""))
            oldest = times.iso(str(found[-1].get("created_at", ""))) or since_us
            at[name] = min(oldest, at[name])
            position = max(at.values())
            if at[name] <= since_us:
                del at[name]
            yield Piece(
                [_event(item, server.host) for item in found if _in(item, since_us)], position
            )


def _in(item: dict[str, Any], since_us: int) -> bool:
    return (times.iso(str(item.get("created_at", ""))) or since_us) >= since_us


def _event(item: dict[str, Any], host: str) -> RawEvent:
    body = json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return RawEvent(shape="mastodon", body=body, received_at=now_us(), origin=host)


def server_named(config: Config, stream: str) -> MastodonServer:
    """The server of a stream. Raises SourceError if the settings do not name it."""
    for server in config.mastodon_servers:
        if server.stream == stream:
            return server
    raise SourceError("refused", f"The settings of this worker do not name {stream}.")
