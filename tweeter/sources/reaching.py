"""What keeps a host from being reached, as SourceError in words; one way for every HTTP client."""

from collections.abc import Iterator
from contextlib import contextmanager

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
