"""Bluesky's app view: app.bsky.feed.getPosts, app.bsky.actor.getProfiles, and one of each.

Wire facts: lexicons of bluesky-social/atproto: at most 25 names a call; what is not there, or is
of an account that is not shown, is left out of the answer. Asked for alone (getPostThread,
getProfile) it is a 400 with an error.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.simulators.hosted import Hosted


class BlueskyPostsSimulator(Hosted):
    """`url` is there after `start`. Publish Jetstream's events (as JSON) of posts.

    deleted: at-uris; hidden: accounts that are not shown; resting: deactivated accounts, of which
    only the question for one profile says so; answers: (status, headers, body) for the next
    requests; forgetful: several posts asked for together are all left out.
    """

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.records: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.hidden: set[str] = set()
        self.resting: set[str] = set()
        self.profile_instead: Any = ...
        self.profiles: list[str] = []  # asked for alone
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.forgetful = False
        self.asked: list[list[str]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/xrpc/app.bsky.feed.getPosts", self._posts)
        app.router.add_get("/xrpc/app.bsky.feed.getPostThread", self._thread)
        app.router.add_get("/xrpc/app.bsky.actor.getProfiles", self._profiles)
        app.router.add_get("/xrpc/app.bsky.actor.getProfile", self._one_profile)
        return app

    def keep(self, event: dict[str, Any] | bytes) -> str:
        """Know the post of a Jetstream event; returns its at-uri."""
        value = json.loads(event) if isinstance(event, bytes | str) else event
        commit = value["commit"]
        uri = f"at://{value['did']}/{commit['collection']}/{commit['rkey']}"
        self.records[uri] = dict(commit["record"])
        return uri

    async def _posts(self, request: web.Request) -> web.Response:
        view = (lambda uri: None) if self.forgetful else self._view
        return self._answer(request, "uris", "posts", view)

    async def _thread(self, request: web.Request) -> web.Response:
        view = self._view(request.query["uri"])
        if view is None:
            words = f"Post not found: {request.query['uri']}"
            return web.json_response({"error": "NotFound", "message": words}, status=400)
        post = {"$type": "app.bsky.feed.defs#threadViewPost", "post": view, "replies": []}
        return web.json_response({"thread": post})

    async def _one_profile(self, request: web.Request) -> web.Response:
        self.profiles.append(request.query["actor"])
        if self.profile_instead is not ...:
            return web.json_response(self.profile_instead)
        if request.query["actor"] in self.resting:
            body = {"error": "AccountDeactivated", "message": "Account is deactivated"}
            return web.json_response(body, status=400)
        profile = self._profile(request.query["actor"])
        if profile is None:
            body = {"error": "AccountTakedown", "message": "Account has been suspended"}
            return web.json_response(body, status=400)
        return web.json_response(profile)

    async def _profiles(self, request: web.Request) -> web.Response:
        return self._answer(request, "actors", "profiles", self._profile)

    def _answer(self, request: web.Request, given: str, name: str, view: Any) -> web.Response:
        if self.answers:
            status, headers, body = self.answers.pop(0)
            return web.json_response(body, status=status, headers=headers)
        asked = request.query.getall(given, [])
        if not 1 <= len(asked) <= 25:
            words = f"Error: {given} must have at most 25 elements"
            return web.json_response({"error": "InvalidRequest", "message": words}, status=400)
        self.asked.append(asked)
        return web.json_response({name: [v for v in map(view, asked) if v is not None]})

    def _view(self, uri: str) -> dict[str, Any] | None:
        did = uri.removeprefix("at://").partition("/")[0]
        if uri in self.deleted or did in self.hidden or uri not in self.records:
            return None
        return {
            "uri": uri,
            "cid": "bafyreisim",
            "author": self._profile(did),
            "record": self.records[uri],
            "indexedAt": datetime.fromtimestamp(time.time(), UTC).isoformat(),
            "likeCount": 0,
            "labels": [],
        }

    def _profile(self, did: str) -> dict[str, Any] | None:
        if did in self.hidden or not did.startswith("did:"):
            return None
        return {"did": did, "handle": "sim.example", "labels": []}
