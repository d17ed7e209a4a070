"""X: the v2 filtered stream of one app, and its rules in step with the keywords.

X allows one connection an app; the stream's lease keeps us to one among all workers. There
is no replay: what is missed is missed, and the ledger says from when to when.
"""

import asyncio
from collections.abc import Sequence

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.backoff import constant, exponential, linear
from tweeter.sources.base import Sink
from tweeter.sources.x_answers import in_stream, waiting
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
    "waiting": constant(3600),
    "refused": constant(3600),
}


class XSource:
    """One app's filtered stream. silence_s may be shortened by tests."""

    network = "x"
    replayable = False

    def __init__(
        self, token: str, api_base: str, installation: str, *, silence_s: float = SILENCE_S
    ) -> None:
        self._token = token
        self._base = api_base
        self._rules = RuleKeeper(installation)
        self._silence_s = silence_s

    async def keywords_changed(self, keywords: Sequence[tuple[int, str]]) -> None:
        """The rules follow within a second or two, without a reconnect."""
        self._rules.set_keywords(keywords)

    def wait_s(self, kind: str, failures: int) -> float:
        """As X asks."""
        return WAITS.get(kind, WAITS["http"])(failures)

    async def connect(self, sink: Sink) -> None:
        """Rules first, then one connection until X closes it. Raises SourceError."""
        async with open_client(self._token, self._base) as client:
            client.silence_s = self._silence_s
            await self._rules.sync(client)
            if self._rules.rules == 0:
                raise waiting()
            await self._stream(client, sink)

    async def _stream(self, client: XClient, sink: Sink) -> None:
        def opened(clock: str) -> None:
            sink.connected(" ".join(["Live.", *self._rules.problems]) + clock)

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


async def _take(lines: list[bytes], sink: Sink) -> None:
    """Hand on a chunk's lines; raises the error that one of them announces."""
    at = now_us()
    sink.alive()
    events = [RawEvent(shape="x", body=line, received_at=at) for line in lines if line.strip()]
    if events:
        await sink.put(events)
    for event in events:
        error: SourceError | None = in_stream(event.body)
        if error is not None:
            raise error
