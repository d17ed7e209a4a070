"""Mastodon's server-sent events: one connection a stream, blocks of lines, a thump each 15 s."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.mastodon_rest import TIMEOUT_S, Rest, refusal
from tweeter.sources.reaching import answering, next_chunk, whole

BLOCK_BYTES = 4 * 1024 * 1024


class SseWire:
    """Reads streams of one server. silence_s without a byte: stalled."""

    def __init__(
        self,
        rest: Rest,
        base: str,
        silence_s: float,
        alive: Callable[[], None],
        put: Callable[[Sequence[RawEvent]], Awaitable[None]],
    ) -> None:
        self._rest = rest
        self._base = base
        self._silence_s = silence_s
        self._alive = alive
        self._put = put
        self._open = 0
        self._changed = asyncio.Event()

    async def opened(self, count: int, reads: "Sequence[asyncio.Task[None]]") -> bool:
        """Wait until so many streams are open (True), or one of them ended."""
        while self._open < count and not any(task.done() for task in reads):
            self._changed.clear()
            waiting = asyncio.create_task(self._changed.wait())
            try:
                await asyncio.wait({waiting, *reads}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
        return self._open >= count

    async def read(self, stream: str) -> None:
        """One connection until the server closes it. Raises SourceError."""
        path, params = _place(stream)
        opened = self._rest.open(path, params, base=self._base, total_s=0)
        async with answering(self._rest.host, TIMEOUT_S) as limit, opened as response:
            if response.status != 200:
                body = await whole(response)
                raise refusal(self._rest.host, response.status, response.headers, body)
            limit.reschedule(None)
            self._open += 1
            self._changed.set()
            blocks = Blocks()
            while True:
                try:
                    chunk = await next_chunk(response.content, self._silence_s)
                except TimeoutError as error:
                    words = f"{self._rest.host} was silent for {self._silence_s:g} s."
                    raise SourceError("stalled", words) from error
                if not chunk:
                    return
                await self._hand_on(blocks.feed(chunk))

    async def _hand_on(self, found: list[bytes]) -> None:
        at, host = now_us(), self._rest.host_and_port
        events = [
            RawEvent(shape="mastodon", body=body, received_at=at, origin=host) for body in found
        ]
        if events:
            await self._put(events)
        else:
            self._alive()


class Blocks:
    """Whole blocks out of chunks that are cut anywhere; heartbeats are left out."""

    def __init__(self) -> None:
        self._rest = bytearray()  # has no blank line
        self._held = b""  # a CR that may be the half of a CRLF whose other half is still to come

    def feed(self, chunk: bytes) -> list[bytes]:
        """The blocks that end in this chunk."""
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        seen = max(len(self._rest) - 1, 0)  # the rest of it was looked at
        self._rest += data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        blocks: list[bytes] = []
        if self._rest.find(b"\n\n", seen) >= 0:
            *blocks, rest = bytes(self._rest).split(b"\n\n")
            self._rest = bytearray(rest)
        if len(self._rest) > BLOCK_BYTES:
            blocks.append(bytes(self._rest[:BLOCK_BYTES]))
            self._rest.clear()
        found = (_without_comments(block) for block in blocks)
        return [block for block in found if block]


def _without_comments(block: bytes) -> bytes:
    lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
    return b"\n".join(lines)


def _place(stream: str) -> tuple[str, dict[str, str]]:
    """Path and parameters of a stream: "hashtag:local:cats" -> /hashtag/local?tag=cats."""
    root = "/api/v1/streaming"
    if stream.startswith("hashtag"):
        name, _, tag = stream.rpartition(":")
        return f"{root}/{name.replace(':', '/')}", {"tag": tag}
    return f"{root}/{stream.replace(':', '/')}", {}
