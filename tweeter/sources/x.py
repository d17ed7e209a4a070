"""X: the v2 filtered stream of one app, and its rules in step with the keywords.

X allows one connection an app; the stream's lease keeps us to one among all workers. There
is no replay: what is missed is missed, and the ledger says from when to when.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tweeter.decode import times
from tweeter.errors import SourceError
from tweeter.keywords.x_limits import PLANS, XPlan
from tweeter.records import Keyword, RawEvent, now_us
from tweeter.sources.backoff import constant, exponential, linear
from tweeter.sources.base import Sink
from tweeter.sources.clock import clock_words, skew_s
from tweeter.sources.x_answers import OCCUPIED, in_stream
from tweeter.sources.x_client import SILENCE_S, XClient, open_client
from tweeter.sources.x_rules_sync import RuleKeeper

# docs.x.com, "handling disconnections". A clean close asks for no wait; at least a second
# keeps a server that closes at once from using up our 50 connections in 15 minutes.
WAITS = {
    "network": linear(0.25, 16),
    "closed": exponential(1, 320),
    "stalled": exponential(1, 320),
    "http": exponential(5, 320),
    "limited": exponential(60, 3600),
    "occupied": exponential(60, 3600),
    "waiting": constant(3600),
    "refused": constant(3600),
}
CONNECTS = 40  # in CONNECTS_US; X allows 50
CONNECTS_US = 900 * 1_000_000
OURS_US = 10_000_000  # a connection that X saw begin so near to ours is ours


class XSource:
    """One app's filtered stream. silence_s may be shortened by tests."""

    network = "x"
    replayable = False
    repairable = False
    settles_s = 0.0

    def __init__(
        self,
        token: str,
        api_base: str,
        installation: str,
        *,
        plan: XPlan = PLANS["pay-per-use"],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._token = token
        self._base = api_base
        self._rules = RuleKeeper(installation, plan)
        self._silence_s = silence_s

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """The rules follow within a second or two, without a reconnect."""
        self._rules.set_keywords(keywords)

    def wait_s(self, kind: str, failures: int) -> float:
        """As X asks."""
        return WAITS.get(kind, WAITS["http"])(failures)

    async def connect(self, sink: Sink) -> None:
        """Rules first, then one connection until X closes it. Raises SourceError."""
        self._rules.tell = sink.keywords
        async with open_client(self._token, self._base) as client:
            client.silence_s = self._silence_s
            await self._rules.begin(client)
            sink.remember(foreign_rules=list(self._rules.foreign)[:100])
            if (idle := self._rules.idle()) is not None:
                raise idle
            _spend_connect(sink)
            try:
                await self._stream(client, sink)
            except SourceError as error:
                if error.kind == "waiting" and self._rules.idle() is None:
                    raise SourceError("http", "X does not know our rules yet.") from error
                if error.kind != "occupied":
                    raise
                raise await _who_holds_it(client, sink) from error

    async def _stream(self, client: XClient, sink: Sink) -> None:
        def opened(headers: Mapping[str, str]) -> None:
            by_their_clock = now_us() - int((skew_s(headers) or 0) * 1e6)
            sink.remember(connected_at=by_their_clock)
            sink.connected(self._rules.words() + clock_words(headers))

        async def lines(found: list[bytes]) -> None:
            await _take(found, sink)

        keeping = asyncio.create_task(self._rules.keep(client, sink.notice))
        reading = asyncio.create_task(client.stream(opened, lines))
        try:
            done, _ = await asyncio.wait({keeping, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (keeping, reading):
                task.cancel()
            await asyncio.gather(keeping, reading, return_exceptions=True)


def _spend_connect(sink: Sink) -> None:
    """Count this connection; raise if X's limit is near, also by processes that were killed."""
    now = now_us()
    recent = [at for at in sink.memory.get("connects", ()) if now - CONNECTS_US < at <= now]
    if len(recent) >= CONNECTS:
        raise SourceError(
            "limited",
            f"We connected {CONNECTS} times in 15 minutes, and X allows 50: waiting.",
            retry_at=recent[0] + CONNECTS_US,
        )
    sink.remember(connects=[*recent, now])


async def _who_holds_it(client: XClient, sink: Sink) -> SourceError:
    """Whose the connection is that keeps us out. Our own, left over by a kill, is closed."""
    try:
        found = await client.connections()
        began = [times.iso(str(c.get("connected_at", ""))) or 0 for c in found]
        ours_at = int(sink.memory.get("connected_at", 0))
        if began and all(abs(at - ours_at) < OURS_US for at in began):
            await client.end_connections()
            return SourceError("closed", "X still held our own earlier connection: it is closed.")
    except SourceError:
        return SourceError("occupied", OCCUPIED)
    return SourceError("occupied", OCCUPIED + (_whose(found[0], began[0]) if found else ""))


def _whose(connection: Mapping[str, Any], began: int) -> str:
    words = ""
    if began:
        words = f" It is open since {datetime.fromtimestamp(began / 1e6, UTC):%H:%M:%S} UTC"
        address = str(connection.get("client_ip") or "")[:45]
        words += f", from {address}." if address else "."
    return words


async def _take(lines: list[bytes], sink: Sink) -> None:
    """Hand on a chunk's lines; raises the error that one of them announces."""
    at = now_us()
    events = [RawEvent(shape="x", body=line, received_at=at) for line in lines if line.strip()]
    if events:
        await sink.put(events)
    else:
        sink.alive()
    for event in events:
        error: SourceError | None = in_stream(event.body)
        if error is not None:
            raise error
