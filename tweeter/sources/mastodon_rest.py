"""Mastodon's REST: what a server says of itself, and its timelines page by page.

Wire facts: docs.joinmastodon.org (entities/Instance, methods/timelines, api/rate-limits).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tweeter import moments
from tweeter.decode import times
from tweeter.errors import SourceError
from tweeter.sources.clock import clock_words, pause_until
from tweeter.sources.reaching import USER_AGENT, kind_of, parsed, reaching, whole

TIMEOUT_S = 15.0
PAGE_POSTS = 40
ACCOUNT_CHARACTERS = 190  # as long as a key of the store

Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Instance(msgspec.Struct, frozen=True):
    """What a server says: where it streams, its version, and feeds that it has switched off."""

    streaming: str
    version: str = ""
    disabled: tuple[str, ...] = ()  # halves of feeds: "live_feeds.local", "hashtag_feeds.remote", …


def refusal(host: str, status: int, headers: Mapping[str, str], body: bytes) -> SourceError:
    """The error for an answer that is not 200, also of a handshake."""
    said = headers.get("X-Error-Message") or error_of(body)
    said = f" ({said[:200]})" if said else ""
    if status == 401:
        return SourceError(
            "refused",
            f"{host} refused our token{said}. Check TWEETER_MASTODON_TOKEN: a user's token with"
            f" the scope read:statuses, of this server.{clock_words(headers)}",
        )
    if status == 403:
        return SourceError(
            "refused",
            f"{host} does not allow this token to read its feeds{said}: it needs the scope"
            " read:statuses, and the account may have to be approved.",
        )
    if status in (420, 429):
        reset = pause_until(headers, times.iso(headers.get("X-RateLimit-Reset", "")) or 0)
        words = f"{host} limits our rate{f' until {moments.clock(reset)}' if reset else ''}."
        return SourceError("limited", words, retry_at=reset)
    if 300 <= status < 400:
        there = headers.get("Location", "")[:200]
        return SourceError(
            "refused",
            f"{host} sends us on to {there!r}, where our token does not go. If that is the same"
            " server, give its address in TWEETER_MASTODON_URL.",
        )
    if status == 404:
        return SourceError("refused", f"{host} is no Mastodon server: it answered 404{said}.")
    words = f"{host} answered {status}{said}."
    return SourceError(kind_of(status), words, retry_at=pause_until(headers))


def error_of(body: bytes) -> str:
    """What a JSON answer says under "error"; "" if it is no such answer."""
    try:
        value = parsed(body)
    except ValueError:
        return ""
    return str(value.get("error", "")) if isinstance(value, dict) else ""


def streaming_base(url: str, told: str) -> str:
    """Where a server at this address streams: as it says, or there itself, so that our token is
    never sent in the clear.
    """
    here = url.replace("http", "ws", 1)
    return told.rstrip("/") if told.startswith(("wss://", f"{urlsplit(here).scheme}://")) else here


class Rest:
    """One server's REST API. Use within `open_rest`."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.base = url.rstrip("/")
        self.host = urlsplit(url).hostname or url
        self.host_and_port = urlsplit(url).netloc
        self.headers = {"User-Agent": USER_AGENT}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.session = session
        self._used_up: SourceError | None = None  # the server's limit of pages

    async def get(self, path: str, **params: str) -> tuple[Any, Mapping[str, str]]:
        """A JSON answer and its headers. Raises SourceError for all but 200."""
        async with self.open(path, params) as response:
            body = await whole(response)
            if response.status != 200:
                raise refusal(self.host, response.status, response.headers, body)
            try:
                return parsed(body), response.headers
            except ValueError as error:
                raise SourceError("http", f"{self.host} sent no JSON for {path}.") from error

    @asynccontextmanager
    async def open(
        self, path: str, params: Query, *, base: str = "", total_s: float = TIMEOUT_S
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request; total_s=0 for one that lasts: its caller limits the wait for the answer.

        Raises SourceError "network".
        """
        timeout = aiohttp.ClientTimeout(total=total_s or None, sock_connect=TIMEOUT_S)
        with reaching(self.host):
            async with self.session.get(
                (base or self.base) + path,
                params=params,
                headers=self.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                yield response

    async def instance(self) -> Instance:
        """What the server says of itself: /api/v2/instance, or v1 of older ones."""
        try:
            value, _ = await self.get("/api/v2/instance")
        except SourceError as error:
            if "it answered 404" not in error.state:
                raise
            value, _ = await self.get("/api/v1/instance")
        value = value if isinstance(value, dict) else {}
        configuration = _inner(value, "configuration")
        streaming = _inner(configuration, "urls").get("streaming") or _inner(value, "urls").get(
            "streaming_api"
        )
        access = _inner(configuration, "timelines_access")
        off = [
            f"{feed}.{half}"
            for feed in ("live_feeds", "hashtag_feeds")
            for half in ("local", "remote")
            if _inner(access, feed).get(half) == "disabled"
        ]
        where = streaming_base(self.base, str(streaming))
        return Instance(where, str(value.get("version", "")), tuple(off))

    async def timeline(self, stream: str, *, max_id: str = "") -> list[dict[str, Any]]:
        """A page of a stream's posts, newest first, those before max_id ("": from now on).

        Raises SourceError "limited", instead of asking, where the page before said that the
        server's limit of pages is used up.
        """
        if self._used_up is not None:
            error, self._used_up = self._used_up, None
            raise error
        name, _, rest = stream.partition(":")
        params = {"limit": str(PAGE_POSTS)} | ({"max_id": max_id} if max_id else {})
        if name == "hashtag":
            path = f"/api/v1/timelines/tag/{rest.removeprefix('local:')}"
            params |= {"local": "true"} if rest.startswith("local:") else {}
        else:
            path = "/api/v1/timelines/public"
            params |= {rest: "true"} if rest else {}
        found, headers = await self.get(path, **params)
        if str(headers.get("X-RateLimit-Remaining", "")) == "0":
            self._used_up = refusal(self.host, 429, headers, b"")
        return [item for item in found if isinstance(item, dict)]

    async def account_url(self, acct: str) -> str | None:
        """The address of an account the server knows, which is our author_id; else "".

        None: it does not say without a token, or with this one (it wants read:accounts then).
        Raises SourceError. It looks only into its own database
        (mastodon, api/v1/accounts/lookup_controller.rb: skip_webfinger).
        """
        async with self.open("/api/v1/accounts/lookup", {"acct": acct}) as response:
            body = await whole(response)
            if response.status in (401, 403):
                return None
            if response.status == 404 and error_of(body):
                return ""
            if response.status != 200:
                raise refusal(self.host, response.status, response.headers, body)
        try:
            value = parsed(body)
        except ValueError:
            value = None
        url = value.get("url") if isinstance(value, dict) else None
        if not isinstance(url, str) or not 0 < len(url) <= ACCOUNT_CHARACTERS or "\x00" in url:
            raise SourceError("http", f"{self.host} sent no account for {acct}.")
        return url


def _inner(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


@asynccontextmanager
async def open_rest(url: str, token: str) -> AsyncIterator[Rest]:
    """A client whose sockets are closed at the end."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        yield Rest(url, token, session)
