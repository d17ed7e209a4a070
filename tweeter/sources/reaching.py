"""What keeps a host from being reached, as SourceError in words; one way for every HTTP client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from tweeter.errors import SourceError


@contextmanager
def reaching(host: str) -> Iterator[None]:
    """Around a request: aiohttp's failures become SourceError "network"."""
    try:
        yield
    except aiohttp.ClientConnectorDNSError as error:
        raise SourceError("network", f"The name {host} was not found.") from error
    except aiohttp.ClientSSLError as error:
        raise SourceError("network", f"No safe connection to {host}: {error}.") from error
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        words = str(error) or type(error).__name__
        raise SourceError("network", f"No connection to {host}: {words}.") from error


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
