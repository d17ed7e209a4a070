"""Bluesky's public API: handles and profiles, and its faults.

By hand: `python -m tests.simulators.bluesky_api --port 8097 ann.example=did:plc:ann …`, then
start tweeter with TWEETER_BLUESKY_API=http://127.0.0.1:8097. Wire facts: lexicons
com.atproto.identity.resolveHandle and app.bsky.actor.getProfiles.
"""

import argparse
import asyncio
import contextlib
import re
import time
from typing import Any

from aiohttp import web

from tests.simulators.hosted import Hosted

_DID = re.compile(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]")
_HANDLE = re.compile(r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]*)")


def invalid(message: str) -> web.Response:
    return web.json_response({"error": "InvalidRequest", "message": message}, status=400)


class BlueskyApiSimulator(Hosted):
    """`url` is there after `start`.

    handles: handle -> DID, changed at will; names: DID -> the name it shows. answers: (status,
    headers, body) for the next requests; silent: requests are taken and never answered.
    requests holds (path, parameters) of each.
    """

    def __init__(self, *, port: int = 0, handles: dict[str, str] | None = None) -> None:
        super().__init__(port=port)
        self.handles = dict(handles or {})
        self.names: dict[str, str] = {}
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.silent = False
        self.requests: list[tuple[str, list[str]]] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._outer])
        app.router.add_get("/xrpc/com.atproto.identity.resolveHandle", self._resolve)
        app.router.add_get("/xrpc/app.bsky.actor.getProfiles", self._profiles)
        return app

    # Control, for tests.

    def limit(self, seconds: int = 60) -> None:
        """The next request is one too many."""
        headers = {
            "ratelimit-limit": "3000",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(int(time.time()) + seconds),
            "ratelimit-policy": "3000;w=300",
        }
        body = {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
        self.answers.append((429, headers, body))

    def asked(self, name: str) -> list[list[str]]:
        """The parameters of each request of this method."""
        return [values for path, values in self.requests if path.endswith(name)]

    # The wire.

    @web.middleware
    async def _outer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.path, list(request.query.values())))
        if self.silent:
            await asyncio.sleep(3600)
        if self.answers:
            code, headers, body = self.answers.pop(0)
            return web.json_response(body, status=code, headers=headers)
        return await handler(request)  # type: ignore[no-any-return]

    async def _resolve(self, request: web.Request) -> web.Response:
        handle = request.query.get("handle", "")
        if not _HANDLE.fullmatch(handle):
            return invalid("Error: handle must be a valid handle")
        did = self.handles.get(handle.lower())
        return web.json_response({"did": did}) if did else invalid("Unable to resolve handle")

    async def _profiles(self, request: web.Request) -> web.Response:
        actors = request.query.getall("actors", [])
        if not 1 <= len(actors) <= 25:
            return invalid("Error: actors must not have more than 25 elements")
        if any(not _DID.fullmatch(actor) for actor in actors):
            return invalid("Error: actors/0 must be a valid did or a handle")
        called = {did: handle for handle, did in self.handles.items()}
        profiles = [
            {"did": did, "handle": called[did], "displayName": self.names.get(did, "")}
            for did in actors
            if did in called
        ]
        return web.json_response({"profiles": profiles})


async def by_hand() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8097)
    parser.add_argument("accounts", nargs="*", help="HANDLE=DID")
    chosen = parser.parse_args()
    handles = dict(account.split("=", 1) for account in chosen.accounts)
    async with BlueskyApiSimulator(port=chosen.port, handles=handles) as api:
        print(f"ready {api.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(by_hand())
