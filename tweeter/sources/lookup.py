"""Asking a network about posts that are stored: what they say now, and which are gone.

Wire facts: docs.x.com, "post lookup" (100 ids; what is missing comes in `errors`);
docs.joinmastodon.org, methods/statuses (`id[]` since 4.3, which leaves out what is gone);
docs.bsky.app, app.bsky.feed.getPosts and app.bsky.actor.getProfiles (25, likewise; both give
accounts that are deactivated, which only getProfile tells).

That an answer leaves something out proves nothing: a proxy, or a server in trouble, may have sent
it. What is left out is asked for by itself, and is gone when the network's own error says so.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import msgspec

from tweeter.config import Config
from tweeter.decode import times
from tweeter.errors import SourceError
from tweeter.keywords.x_limits import LOOK_UP_POSTS
from tweeter.records import RawEvent, now_us
from tweeter.sources.clock import pause_until
from tweeter.sources.mastodon_rest import Rest, error_of, open_rest, refusal
from tweeter.sources.past import server_named
from tweeter.sources.reaching import kind_of, parsed, whole
from tweeter.sources.x_answers import listed
from tweeter.sources.x_client import FIELDS, XClient, open_client

TIMEOUT_S = 15.0
ONE_BY_ONE_S = 5.0  # then the rest of a page is told another time: below the lease of a job
NOT_FOUND = "not found"
REASONS = (NOT_FOUND, "suspended", "protected")  # why a looked-up post is gone
NO_POST = ("NotFound",)
NO_PROFILE = ("InvalidRequest", "AccountTakedown", "AccountDeactivated")
DENIED: Any = object()
UNAVAILABLE = "unavailable"  # status of an account that its network does not show


class Answered(msgspec.Struct, kw_only=True):
    """What came of a page. Posts are named as they were asked for.

    events   the posts that are there, as they are now
    gone     name -> why, one of REASONS; what is in neither could not be told
    newer    X: ids of newer versions of what was asked for
    hidden   accounts whose posts are not shown now, though they may come back
    shown    accounts that are shown, of those that were said to be hidden
    at       our moment before accounts were asked for
    told     how many of the names these are about, the first ones; 0: all
    wait_us  the network wants no request before this moment; 0: none such
    """

    events: list[RawEvent] = msgspec.field(default_factory=list)
    gone: dict[str, str] = msgspec.field(default_factory=dict)
    newer: list[str] = msgspec.field(default_factory=list)
    hidden: list[str] = msgspec.field(default_factory=list)
    shown: list[str] = msgspec.field(default_factory=list)
    at: int = msgspec.field(default_factory=now_us)
    told: int = 0
    wait_us: int = 0


class Looker(Protocol):
    """One network's look-up. page: how many posts in one call."""

    page: int

    async def look_up(self, authors: Mapping[str, str], hidden: Collection[str] = ()) -> Answered:
        """Ask about posts, name -> id of its author, and about authors that are hidden here.

        Raises SourceError.
        """


@asynccontextmanager
async def open_looker(config: Config, network: str, stream: str) -> AsyncIterator[Looker]:
    """The look-up of a stream's network. Raises SourceError if the settings have none."""
    if network == "x" and config.x_bearer_token:
        async with open_client(config.x_bearer_token, config.x_api_base) as client:
            yield XLooker(client)
    elif network == "bluesky" and config.bluesky_api:
        async with open_rest(config.bluesky_api, "") as rest:
            yield BlueskyLooker(rest)
    elif network == "mastodon":
        server = server_named(config, stream)
        async with open_rest(server.url, server.token) as rest:
            yield MastodonLooker(rest)
    else:
        raise SourceError("refused", f"The settings of this worker cannot look up {network} posts.")


class XLooker:
    """`GET /2/tweets`. Each post asked for is a read that costs."""

    page = LOOK_UP_POSTS

    def __init__(self, client: XClient) -> None:
        self._client = client

    async def look_up(self, authors: Mapping[str, str], hidden: Collection[str] = ()) -> Answered:
        """The posts; an error that does not say that a post is gone removes nothing."""
        answer, wait_us = await ask_x(self._client, "/2/tweets", {"ids": ",".join(authors)})
        found = Answered(events=x_events(answer), wait_us=wait_us)
        for post in answer.get("data") or []:
            history = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids") or []
            newest = max((str(i) for i in history if str(i).isdigit()), key=int, default="")
            if newest and newest not in authors and int(newest) > int(post["id"]):
                found.newer.append(newest)
        for error in listed(answer):
            why = _why_gone(error)
            name = str(error.get("resource_id") or error.get("value") or "")
            if why and name in authors:
                found.gone[name] = why
        return found


def _why_gone(error: Mapping[str, Any]) -> str:
    """docs.x.com, "response codes and errors"; the words of suspension are from memory."""
    kind, detail = str(error.get("type", "")), str(error.get("detail", "")).lower()
    if "suspended" in detail:
        return "suspended"
    if kind.endswith("/resource-not-found"):
        return NOT_FOUND
    return "protected" if kind.endswith("/not-authorized-for-resource") else ""


async def ask_x(
    client: XClient, route: str, params: Mapping[str, str]
) -> tuple[dict[str, Any], int]:
    """An answer of X with our fields, and the moment before which X wants no other request (0:
    none). Raises SourceError."""
    fields = {name.replace("_", "."): ",".join(value) for name, value in FIELDS.items()}
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await client.request("GET", route, params={**fields, **params})
    except TimeoutError as error:
        raise SourceError("network", f"X did not answer within {TIMEOUT_S:g} s.") from error
    value = await answer.json()
    if not isinstance(value, dict):
        raise SourceError("http", "X answered with something that is no object.")
    return value, _pause_of(answer.headers)


def _pause_of(headers: Mapping[str, str]) -> int:
    """Our moment of the limit's reset, if this request used the limit up."""
    reset = headers.get("x-rate-limit-reset", "")
    if headers.get("x-rate-limit-remaining", "") != "0" or not reset.isdigit():
        return 0
    return pause_until(headers, int(reset[:12]) * 1_000_000) or 0


def x_events(answer: Mapping[str, Any]) -> list[RawEvent]:
    """An event a post, so that a bad one costs no other; each with what came beside it."""
    at, beside = now_us(), answer.get("includes") or {}
    return [
        RawEvent(
            shape="x",
            body=json.dumps({"data": post, "includes": beside}).encode(),
            received_at=at,
        )
        for post in answer.get("data") or []
    ]


class MastodonLooker:
    """`GET /api/v1/statuses`; one by one on servers older than 4.3."""

    page = 20

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._one_by_one = False

    async def look_up(self, authors: Mapping[str, str], hidden: Collection[str] = ()) -> Answered:
        """The posts, named by this server's ids."""
        found, until_s = Answered(), time.monotonic() + ONE_BY_ONE_S
        there = await self._several(authors, found)
        for name in authors:
            found.told += 1
            if name in there:
                continue
            item = await self._one(name, found)
            if item is None:
                found.gone[name] = NOT_FOUND
            else:
                self._take(found, [item])
            if found.wait_us or time.monotonic() > until_s:
                break
        if found.gone and not found.events:
            await self._must_be_itself()
        return found

    async def _several(self, authors: Mapping[str, str], found: Answered) -> set[str]:
        """Ask for all together, if the server can; returns which are there."""
        if self._one_by_one:
            return set()
        params = [("id[]", name) for name in authors]
        status, body = await self._get("/api/v1/statuses", params, found)
        value = _json(body, self._rest.host) if status == 200 else None
        self._one_by_one = not isinstance(value, list)
        items = [item for item in value or [] if isinstance(item, dict)]
        self._take(found, items)
        return {str(item.get("id")) for item in items}

    async def _one(self, name: str, found: Answered) -> dict[str, Any] | None:
        """A post; None if the server itself says that it has none of this id."""
        status, body = await self._get(f"/api/v1/statuses/{name}", [], found)
        if status == 404:
            if not error_of(body):
                raise SourceError(
                    "http", f"{self._rest.host} answered 404 with no word of its own."
                )
            return None
        value = _json(body, self._rest.host)
        if not isinstance(value, dict) or str(value.get("id")) != name:
            raise SourceError("http", f"{self._rest.host} sent another thing than the post.")
        return value

    async def _must_be_itself(self) -> None:
        """When nothing is there: whether a Mastodon server answers at all. Raises SourceError."""
        if not (await self._rest.instance()).version:
            raise SourceError("http", f"{self._rest.host} does not say that it is a server.")

    def _take(self, found: Answered, items: list[dict[str, Any]]) -> None:
        at, host = now_us(), self._rest.host_and_port
        for item in items:
            body = json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")
            found.events.append(RawEvent(shape="mastodon", body=body, received_at=at, origin=host))

    async def _get(
        self, path: str, params: Sequence[tuple[str, str]], found: Answered
    ) -> tuple[int, bytes]:
        """Status 200 or 404, and what came. Raises SourceError for all others."""
        async with self._rest.open(path, params) as response:
            body = await whole(response)
            found.wait_us = max(found.wait_us, _server_pause(response.headers))
            if response.status not in (200, 404):
                raise refusal(self._rest.host, response.status, response.headers, body)
            return response.status, body


def _server_pause(headers: Mapping[str, str]) -> int:
    """A fifth of the server's limit is left to the repair of gaps and to people."""
    most, left = headers.get("X-RateLimit-Limit", ""), headers.get("X-RateLimit-Remaining", "")
    if not (most.isdigit() and left.isdigit()) or int(left) * 5 > int(most):
        return 0
    return pause_until(headers, times.iso(headers.get("X-RateLimit-Reset", "")) or 0) or 0


def _json(body: bytes, host: str) -> Any:
    try:
        return parsed(body)
    except ValueError as error:
        raise SourceError("http", f"{host} sent no JSON.") from error


class BlueskyLooker:
    """An app view: `getPosts`, and for what it leaves out `getPostThread` or `getProfile`.

    Their errors: bluesky-social/atproto, packages/bsky/src/api/app/bsky (400 and a name).
    """

    page = 25

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._away: set[str] = set()  # accounts that are still hidden: asked for once

    async def look_up(self, authors: Mapping[str, str], hidden: Collection[str] = ()) -> Answered:
        """The posts, named by at-uri; those of an account that is not shown are only hidden."""
        value = await self._get("app.bsky.feed.getPosts", [("uris", uri) for uri in authors])
        found, there = Answered(), set()
        for view in _list(value, "posts"):
            there.add(str(view.get("uri")))
            event = _as_commit(view)
            if event is not None:
                found.events.append(event)
        missing = [uri for uri in authors if uri not in there]
        if missing or hidden:
            await self._confirm(missing, authors, hidden, found)
        return found

    async def _confirm(
        self,
        missing: Sequence[str],
        authors: Mapping[str, str],
        hidden: Collection[str],
        found: Answered,
    ) -> None:
        """Ask for what was left out, or is hidden, by itself, as far as the time allows."""
        until_s = time.monotonic() + ONE_BY_ONE_S
        shown = await self._with_profiles({authors[uri] for uri in missing}.difference(hidden))
        asked = set(hidden)
        for place, uri in enumerate(authors):
            did = authors[uri]
            if did in hidden and did not in shown and await self._came_back(did):
                shown.add(did)
                found.shown.append(did)
            if uri in missing and did in shown:
                thread = [("uri", uri), ("depth", "0"), ("parentHeight", "0")]
                if await self._denies("app.bsky.feed.getPostThread", thread, NO_POST):
                    found.gone[uri] = NOT_FOUND
            elif uri in missing and did not in asked:
                asked.add(did)
                if await self._denies("app.bsky.actor.getProfile", [("actor", did)], NO_PROFILE):
                    found.hidden.append(did)
            if time.monotonic() > until_s:
                found.told = place + 1
                return

    async def _with_profiles(self, dids: Collection[str]) -> set[str]:
        """Those of the accounts that the app view has; deactivated ones are among them."""
        if not dids:
            return set()
        named = [("actors", did) for did in sorted(dids)]
        value = await self._get("app.bsky.actor.getProfiles", named)
        return {str(profile.get("did")) for profile in _list(value, "profiles")}

    async def _came_back(self, did: str) -> bool:
        """Whether an account that was hidden is shown: its own profile says that, nothing else."""
        if did in self._away:
            return False
        value = await self._one("app.bsky.actor.getProfile", [("actor", did)], NO_PROFILE)
        if isinstance(value, dict) and value.get("did") == did:
            return True
        self._away.add(did)
        return False

    async def _denies(
        self, name: str, params: Sequence[tuple[str, str]], errors: Sequence[str]
    ) -> bool:
        """Whether the app view answers with one of its errors. Raises SourceError for others."""
        return await self._one(name, params, errors) is DENIED

    async def _one(
        self, name: str, params: Sequence[tuple[str, str]], errors: Sequence[str]
    ) -> Any:
        """What the app view says, DENIED if it is one of its errors. Raises SourceError."""
        async with self._rest.open(f"/xrpc/{name}", params) as response:
            body = await whole(response)
            if response.status == 400 and error_of(body) in errors:
                return DENIED
            if response.status != 200:
                raise _refused(self._rest.host, response, body)
            return _json(body, self._rest.host)

    async def _get(self, name: str, params: Sequence[tuple[str, str]]) -> Any:
        return await self._one(name, params, ())


def _refused(host: str, response: aiohttp.ClientResponse, body: bytes) -> SourceError:
    reset = response.headers.get("ratelimit-reset", "")
    if response.status == 429:
        own_us = int(reset[:12]) * 1_000_000 if reset.isdigit() else 0
        retry_at = pause_until(response.headers, own_us)
        return SourceError("limited", f"{host} limits our rate.", retry_at=retry_at)
    said = body[:200].decode("utf-8", "replace")
    return SourceError(kind_of(response.status), f"{host} answered {response.status}: {said}")


def _list(value: Any, name: str) -> list[dict[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise SourceError("http", f"Bluesky's API answered without “{name}”.")
    return [item for item in found if isinstance(item, dict)]


def _as_commit(view: Mapping[str, Any]) -> RawEvent | None:
    """A post of the app view as the event that Jetstream would send for an edit of it."""
    did, _, path = str(view.get("uri", "")).removeprefix("at://").partition("/")
    collection, _, rkey = path.partition("/")
    if not isinstance(view.get("record"), dict):
        return None
    commit = {"operation": "update", "collection": collection, "rkey": rkey}
    value = {"did": did, "kind": "commit", "commit": commit | {"record": view["record"]}}
    at = now_us()
    return RawEvent(
        shape="bluesky", body=json.dumps(value | {"time_us": at}).encode(), received_at=at
    )
