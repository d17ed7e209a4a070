"""Mastodon: one server's public streams, over a WebSocket or, where that fails, as SSE.

There is no replay; what was missed is asked for by paging the timelines (`past`). A post that
two servers send is stored once, by its `uri`. Wire facts: docs.joinmastodon.org
(methods/streaming) and mastodon/streaming/index.js.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from tweeter.errors import SourceError
from tweeter.records import Keyword, RawEvent
from tweeter.sources.backoff import constant, exponential
from tweeter.sources.base import Sink
from tweeter.sources.mastodon_rest import Instance, Rest, open_rest, refusal
from tweeter.sources.mastodon_sse import SseWire
from tweeter.sources.reaching import parsed
from tweeter.sources.websocket import Listener, Refused, open_socket, stalled

IDLE_S = 21.0  # twice that without a byte: stalled
NO_SOCKET_S = 3600.0  # after a handshake that no WebSocket came of, SSE is used for so long
SETTLES_S = 3.0  # no server says when a subscription has begun to work
QUIET_S = 600.0  # a public feed without a post for so long is worth a word

_NO_SOCKET = (400, 404, 405, 426, 501, 502)  # of proxies that do not know WebSockets


class MastodonSource:
    """Streams of one server: "public", "public:local", "hashtag:NAME", …"""

    network = "mastodon"
    replayable = False
    repairable = True
    settles_s = SETTLES_S

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        streaming_url: str = "",
        streams: Sequence[str] = ("public",),
        idle_s: float = IDLE_S,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        self._token = token
        self._streaming_url = streaming_url
        self._streams = tuple(streams)
        self._idle_s = idle_s
        self._quiet_s = quiet_s
        self._no_socket_until = 0.0
        self._lacking = ""  # words for feeds that do not come
        self._heard_s = 0.0  # monotonic moment of the last post
        self._waits = {"refused": constant(3600), "limited": exponential(60, 3600)}
        self._wait = exponential(5, 300, jitter=0.2)

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """Nothing to do: all posts of the streams come, and are matched here."""

    def wait_s(self, kind: str, failures: int) -> float:
        """5 s doubled to 300 s, spread a little."""
        return self._waits.get(kind, self._wait)(failures)

    async def connect(self, sink: Sink) -> None:
        """One connection until the server closes it. Raises SourceError."""
        async with open_rest(self._url, self._token) as rest:
            instance = await rest.instance()
            self._lacking = self._switched_off(instance)
            self._heard_s = time.monotonic()
            watch = asyncio.create_task(self._watch_silence(sink))
            try:
                await self._follow(rest, instance, sink)
            finally:
                watch.cancel()

    def _switched_off(self, instance: Instance) -> str:
        """Words for feeds that the server has switched off, as it says since 4.5: they are silent.

        Raises SourceError if nothing is left.
        """
        off: list[str] = []
        heard = 0
        for stream in self._streams:
            halves = _halves(stream)
            silent = [half for half in halves if half in instance.disabled]
            heard += len(halves) - len(silent)
            if len(silent) == len(halves):
                off.append(stream)
            elif silent:
                whose = "its own posts" if "local" in silent[0] else "posts of other servers"
                off.append(f"{stream} ({whose})")
        if not heard:
            raise SourceError(
                "refused",
                f"{self._host} has switched off the feeds that we follow ({', '.join(off)})."
                " Choose another server, or other streams.",
            )
        return f" {self._host} has switched off {', '.join(off)}." if off else ""

    async def _follow(self, rest: Rest, instance: Instance, sink: Sink) -> None:
        base = self._streaming_url or instance.streaming
        if time.monotonic() >= self._no_socket_until:
            try:
                await self._by_socket(base, rest, sink)
                return
            except Refused as error:
                if error.status not in _NO_SOCKET:
                    raise refusal(self._host, error.status, error.headers, error.body) from error
                self._no_socket_until = time.monotonic() + NO_SOCKET_S
        await self._by_sse(base, rest, sink)

    async def _by_socket(self, base: str, rest: Rest, sink: Sink) -> None:
        listener = Listener("mastodon", self._host, alive=sink.alive)
        url = f"{base}/api/v1/streaming"
        async with open_socket(url, listener, idle_s=self._idle_s, headers=rest.headers):
            for stream in self._streams:
                listener.send(json.dumps(subscription(stream)))
            sink.connected(f"Live.{self._lacking}")
            while found := await listener.next(sink.rest_s()):
                refusals = {event.body: said for event in found if (said := _refusal(event))}
                await self._put(sink, [event for event in found if event.body not in refusals])
                if refusals:
                    raise self._refused(refusals.values())
        ended = stalled(self._host, listener, self._idle_s)
        if ended is not None:
            raise ended

    def _refused(self, said: Iterable[str]) -> SourceError:
        """One of several ends all, as by SSE: which one it is about no answer says."""
        streams = ", ".join(self._streams)
        words = f"{self._host} refuses a stream that we follow ({streams}): {', '.join(said)}."
        return SourceError("refused", words)

    async def _by_sse(self, base: str, rest: Rest, sink: Sink) -> None:
        """Each stream is a connection of its own; one that ends, ends all."""
        base = base.replace("ws", "http", 1)

        async def put(events: Sequence[RawEvent]) -> None:
            await self._put(sink, events)

        wire = SseWire(rest, base, 2 * self._idle_s, sink.alive, put)
        reads = [asyncio.create_task(wire.read(stream)) for stream in self._streams]
        try:
            if await wire.opened(len(self._streams), reads):
                sink.connected(f"Live, by server-sent events.{self._lacking}")
            done, _ = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in reads:
                task.cancel()
            await asyncio.gather(*reads, return_exceptions=True)

    async def _put(self, sink: Sink, events: Sequence[RawEvent]) -> None:
        self._heard_s = time.monotonic()
        if events:
            await sink.put(events)

    async def _watch_silence(self, sink: Sink) -> None:
        left = self._quiet_s
        while left > 0:  # it begins anew with each post
            await asyncio.sleep(left)
            left = self._heard_s + self._quiet_s - time.monotonic()
        sink.notice(
            f"Live, but {self._host} has sent nothing for {self._quiet_s / 60:.0f} min: it may"
            f" silence its feeds for this account, or federate with few servers.{self._lacking}"
        )


def _halves(stream: str) -> list[str]:
    """What a stream is made of, as a server says what is switched off (entities/Instance)."""
    feed = "hashtag_feeds" if stream.startswith("hashtag") else "live_feeds"
    for half in ("local", "remote"):
        if stream == f"public:{half}" or stream.startswith(f"hashtag:{half}:"):
            return [f"{feed}.{half}"]
    return [f"{feed}.local", f"{feed}.remote"]


def _refusal(event: RawEvent) -> str:
    """What an answer to a subscription that failed says: {"error": …, "status": 400}."""
    if b'"error"' not in event.body or b'"event"' in event.body:
        return ""
    try:
        value = parsed(event.body)
    except ValueError:
        return ""
    return str(value["error"])[:200] if isinstance(value, dict) and "error" in value else ""


def subscription(stream: str) -> dict[str, str]:
    """What to send over the socket: "hashtag:local:cats" -> stream hashtag:local, tag cats."""
    if not stream.startswith("hashtag"):
        return {"type": "subscribe", "stream": stream}
    name, _, tag = stream.rpartition(":")
    return {"type": "subscribe", "stream": name, "tag": tag}
