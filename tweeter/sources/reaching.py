"""What all HTTP clients share: who we are, and failures as SourceError, in words."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp

from tweeter.errors import SourceError

USER_AGENT = "tweeter (self-hosted keyword tracker)"
ANSWER_BYTES = 8 * 1024 * 1024  # 40 posts of Mastodon, the most that is asked for: about 400 kB


def kind_of(status: int) -> str:
    """The kind of a SourceError for an answer's status that is no success."""
    if status in (420, 429):
        return "limited"
    return "refused" if 400 <= status < 500 and status != 408 else "http"


def unreached(host: str, error: Exception) -> SourceError:
    """What a failure to connect means, in words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return SourceError("network", f"The name {host} was not found.")
    return SourceError("network", f"No connection to {host}: {str(error) or type(error).__name__}.")


@contextmanager
def reaching(host: str) -> Iterator[None]:
    """Around a request: aiohttp's failures become SourceError "network"."""
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise SourceError("network", f"No safe connection to {host}: {error}.") from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise unreached(host, error) from error


@asynccontextmanager
async def answering(host: str, within_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Around a request: one that lasts longer becomes SourceError "stalled".

    For a stream: reschedule(None) once it has begun, from then on its own silence is watched.
    """
    try:
        async with asyncio.timeout(within_s) as limit:
            yield limit
    except TimeoutError as error:
        words = f"{host} took the connection, but did not answer for {within_s:g} s."
        raise SourceError("stalled", words) from error


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked; raises ValueError if it is too large."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise ValueError(f"its answer is larger than {ANSWER_BYTES:,} bytes")
    return bytes(body)


def parsed(body: bytes) -> Any:
    """The JSON value; raises ValueError, also for what is nested too deep."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


async def next_chunk(content: aiohttp.StreamReader, silence_s: float) -> bytes:
    """What comes next of a stream; b"" at its end. Raises TimeoutError after silence_s of nothing.

    What came while this process stood still, and nobody read it, is no silence: the loop takes it
    from the socket before it looks whose time is over.
    """
    try:
        async with asyncio.timeout(silence_s):
            return await content.readany()
    except TimeoutError:
        came = content.read_nowait()
        if came or content.at_eof():
            return came
        raise
