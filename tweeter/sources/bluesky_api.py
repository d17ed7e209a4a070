"""Bluesky's public API: which account has a handle, and what accounts are called.

Wire facts: lexicons com.atproto.identity.resolveHandle and app.bsky.actor.getProfiles
(github.com/bluesky-social/atproto); errors are {"error", "message"}, limits are told in
`ratelimit-reset` (unix seconds; docs.bsky.app, "Rate limits").
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tweeter import moments
from tweeter.errors import SourceError
from tweeter.sources.clock import pause_until
from tweeter.sources.reaching import USER_AGENT, kind_of, parsed, reaching, whole

TIMEOUT_S = 15.0
PROFILES = 25  # asked for at once, at most
NO_HANDLE = "handle.invalid"  # of an account whose handle does not lead back to it

_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{1,170}")
_HANDLE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_NAME_CHARACTERS = 200


class Profile(msgspec.Struct, frozen=True):
    """What an account is called: its handle ("" if it has none), and the name it shows."""

    handle: str
    name: str = ""


class BlueskyApi:
    """One API. Use within `open_bluesky_api`."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base.rstrip("/")
        self.host = urlsplit(base).hostname or base
        self._session = session

    async def account_of(self, handle: str) -> str:
        """The DID of a handle, "" if no account has it. Raises SourceError."""
        path = "/xrpc/com.atproto.identity.resolveHandle"
        status, value, headers = await self._get(path, [("handle", handle)])
        if status == 400:  # "Unable to resolve handle", or it is none by its letters
            return ""
        did = value.get("did") if status == 200 else None
        if not isinstance(did, str) or not _DID.fullmatch(did):
            raise self._refusal(status, value, headers)
        return did

    async def profiles(self, dids: Sequence[str]) -> dict[str, Profile]:
        """What those of at most PROFILES accounts are called that exist. Raises SourceError."""
        asked = [did for did in dids if _DID.fullmatch(did)]
        if not asked:
            return {}
        params = [("actors", did) for did in asked]
        status, value, headers = await self._get("/xrpc/app.bsky.actor.getProfiles", params)
        if status == 400:  # one of them is at fault: find it, and let the others through
            if len(asked) == 1:
                return {}
            half = len(asked) // 2
            return await self.profiles(asked[:half]) | await self.profiles(asked[half:])
        found = value.get("profiles")
        if status != 200 or not isinstance(found, list):
            raise self._refusal(status, value, headers)
        return {
            did: _profile(item)
            for item in found
            if isinstance(item, dict) and isinstance(did := item.get("did"), str) and did in asked
        }

    async def _get(
        self, path: str, params: list[tuple[str, str]]
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Status, JSON object ({} if it is none) and headers. Raises SourceError "network"."""
        headers = {"User-Agent": USER_AGENT}
        with reaching(self.host):
            try:
                async with self._session.get(
                    self.base + path, params=params, headers=headers, allow_redirects=False
                ) as response:
                    body = await whole(response)
                    return response.status, _object(body), response.headers
            except TimeoutError as error:
                raise SourceError("network", f"{self.host} does not answer.") from error

    def _refusal(
        self, status: int, value: dict[str, Any], headers: Mapping[str, str]
    ) -> SourceError:
        said = str(value.get("message") or value.get("error") or "")[:200]
        said = f" ({said})" if said else ""
        if status == 429:
            reset = headers.get("ratelimit-reset", "")
            seconds = int(reset) if reset.isascii() and reset.isdigit() and len(reset) < 12 else 0
            retry_at = pause_until(headers, seconds * 1_000_000)
            until = f" until {moments.clock(retry_at)}" if retry_at else ""
            words = f"{self.host} limits our rate{until}."
            return SourceError("limited", words, retry_at=retry_at)
        if status == 200:
            return SourceError("http", f"{self.host} sent an answer that is not understood.")
        words = f"{self.host} answered {status}{said}."
        return SourceError(kind_of(status), words, retry_at=pause_until(headers))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = parsed(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _profile(item: dict[str, Any]) -> Profile:
    handle, name = str(item.get("handle") or "").lower(), str(item.get("displayName") or "")
    good = bool(_HANDLE.fullmatch(handle)) and len(handle) <= 190 and handle != NO_HANDLE
    # What databases refuse: NUL, and halves of characters.
    name = name.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return Profile(handle if good else "", name[:_NAME_CHARACTERS])


@asynccontextmanager
async def open_bluesky_api(base: str, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[BlueskyApi]:
    """A client whose sockets are closed at the end."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(trust_env=True, timeout=timeout) as session:
        yield BlueskyApi(base, session)
