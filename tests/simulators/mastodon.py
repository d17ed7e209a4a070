"""A Mastodon server: what it says of itself, streaming by WebSocket and SSE, timelines; and its
faults.

By hand: `python -m tests.simulators.mastodon --port 8098 --rate 2`, then start tweeter with
TWEETER_MASTODON_URL=http://127.0.0.1:8098 and TWEETER_MASTODON_TOKEN=sim-token. Wire facts:
docs.joinmastodon.org, mastodon/streaming/index.js.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSMsgType, web

from tests.simulators.hosted import Hosted


def iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def status(number: int, text: str, **fields: Any) -> dict[str, Any]:
    """An invented post of a local account; `server=` makes it one of another server."""
    at_s = fields.pop("at_s", None) or time.time()
    server = fields.pop("server", "sim.example")
    account = {
        "id": "7",
        "username": "ann",
        "acct": "ann" if server == "sim.example" else f"ann@{server}",
        "display_name": "Ann",
        "url": f"https://{server}/@ann",
        "bot": False,
    }
    return {
        "id": str((int(at_s * 1000) << 16) + number % 65536),
        "created_at": iso(at_s),
        "edited_at": None,
        "uri": f"https://{server}/users/ann/statuses/{number}",
        "url": f"https://{server}/@ann/{number}",
        "content": f"<p>{text}</p>",
        "spoiler_text": "",
        "sensitive": False,
        "language": "en",
        "visibility": "public",
        "in_reply_to_id": None,
        "reblog": None,
        "account": account,
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "card": None,
        "poll": None,
    } | fields


class MastodonSimulator(Hosted):
    """`url` is there after `start`.

    mute: requests whose path ends so are taken and never answered;
    heartbeat_s: between thumps (SSE) and pings (WebSocket); stalled: not a byte goes out and no
    pong either; silent: heartbeats but no posts; flaps: so many streams are closed as soon as they
    are open; sockets=False: WebSocket handshakes get 502; subscribes_s: so long after it is asked
    for, a subscription works (by WebSocket; nothing says when);
    split: bytes a chunk of SSE; answers: (status, headers, body) for the next requests of any
    kind; instead: (status, content type, text) for every request, as of a proxy before a server
    that is away; disabled: feeds that the server says it has switched off, and keeps silent, as
    "live_feeds" or, of one half, "live_feeds.remote"; many=False: a server older than 4.3, which
    gives statuses one by one only; calls_left of calls: of the general limit.
    connects holds (monotonic, path) of what streamed.
    """

    def __init__(self, token: str = "sim-token", *, port: int = 0) -> None:
        super().__init__(port=port)
        self.token = token
        self.heartbeat_s = 15.0
        self.stalled = False
        self.mute = "-"
        self.silent = False
        self.flaps = 0
        self.subscribes_s = 0.0
        self.sockets = True
        self.split = 0
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.instead: tuple[int, str, str] | None = None
        self.disabled: tuple[str, ...] = ()
        self.statuses: list[dict[str, Any]] = []
        self.deleted: set[str] = set()
        self.accounts: dict[str, str] = {}  # acct, as it is asked for -> address
        self.connects: list[tuple[float, str]] = []
        self.requests: list[str] = []
        self.pages_left = 300
        self.many = True
        self.calls = self.calls_left = 300
        self._calls_until = 0.0
        self.refusals = 0  # for too many calls
        self._outs: dict[int, tuple[Any, set[str], bool]] = {}  # (response, streams, is socket)
        self._kick = asyncio.Event()

    @property
    def connected(self) -> int:
        return len(self._outs)

    @property
    def subscribed(self) -> int:
        """Connections that follow something."""
        return sum(bool(wanted) for _, wanted, _ in self._outs.values())

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._outer])
        app.router.add_get("/api/v2/instance", self._instance)
        app.router.add_get("/api/v1/streaming/health", self._health)
        app.router.add_get("/api/v1/streaming", self._socket)
        app.router.add_get("/api/v1/streaming/{stream:.+}", self._sse)
        app.router.add_get("/api/v1/accounts/lookup", self._lookup)
        app.router.add_get("/api/v1/timelines/public", self._timeline)
        app.router.add_get("/api/v1/timelines/tag/{tag}", self._timeline)
        app.router.add_get("/api/v1/statuses", self._statuses)
        app.router.add_get("/api/v1/statuses/{id}", self._status)
        return app

    async def stop(self) -> None:
        await self.drop()
        await super().stop()

    # Control, for tests.

    async def publish(self, statuses: Iterable[dict[str, Any]]) -> None:
        """New posts, to whoever streams now; the timelines keep them."""
        for found in statuses:
            self.statuses.append(found)
            await self.send("update", json.dumps(found, ensure_ascii=False), self._shown(found))

    async def edit(self, found: dict[str, Any], text: str) -> None:
        """status.update: the same id with another text."""
        found |= {"content": f"<p>{text}</p>", "edited_at": iso(time.time())}
        await self.send("status.update", json.dumps(found), self._shown(found))

    def _shown(self, found: dict[str, Any]) -> list[str]:
        """The streams that a post comes in: streaming/index.js filters these two events only."""
        half = "remote" if "@" in found["account"]["acct"] else "local"
        return [name for name in _streams_of(found) if not self._is_off(_feed_of(name), half)]

    def _is_off(self, feed: str, half: str) -> bool:
        return feed in self.disabled or f"{feed}.{half}" in self.disabled

    async def delete(self, found: dict[str, Any]) -> None:
        """The bare id of a post; before its update, if the test says so."""
        self.deleted.add(found["id"])
        await self.send("delete", found["id"], _streams_of(found))

    async def send(self, event: str, payload: str, streams: Iterable[str]) -> None:
        """An event to all that follow one of the streams."""
        if self.stalled or self.silent:
            return
        for response, wanted, is_socket in list(self._outs.values()):
            hit = [stream for stream in streams if stream in wanted]
            if not hit:
                continue
            with contextlib.suppress(ConnectionError):
                if is_socket:
                    tagged = hit[0].startswith("hashtag")
                    stream = hit[0].rsplit(":", 1) if tagged else [hit[0]]
                    frame = {"stream": stream, "event": event}
                    await response.send_str(json.dumps(frame | {"payload": payload}))
                else:
                    await self.send_bytes(f"event: {event}\ndata: {payload}\n\n".encode(), response)

    async def send_bytes(self, data: bytes, only: Any = None) -> None:
        """Any bytes on the SSE connections, in chunks of `split`."""
        size = self.split or len(data)
        for response, _, is_socket in list(self._outs.values()):
            if is_socket or only not in (None, response):
                continue
            for start in range(0, len(data), size):
                await response.write(data[start : start + size])

    async def send_text(self, text: str) -> None:
        """Any text as a frame on the WebSockets."""
        for response, _, is_socket in list(self._outs.values()):
            if is_socket:
                await response.send_str(text)

    async def drop(self) -> None:
        """End every stream."""
        self._kick.set()
        self._kick = asyncio.Event()
        for response, _, is_socket in list(self._outs.values()):
            if is_socket:
                await response.close()

    # The wire.

    @web.middleware
    async def _outer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        while request.path.endswith(self.mute):
            await asyncio.sleep(0.02)
        self.requests.append(request.path_qs)
        if self.instead:
            code, kind, text = self.instead
            return web.Response(status=code, content_type=kind, text=text)
        if self.answers:
            code, headers, body = self.answers.pop(0)
            return web.json_response(body, status=code, headers=headers)
        return await handler(request)  # type: ignore[no-any-return]

    def _given(self, request: web.Request) -> str:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return bearer or request.query.get("access_token", "")

    def _denied(self, request: web.Request) -> str:
        given = self._given(request)
        if given == self.token:
            return ""
        return "Invalid access token" if given else "Missing access token"

    async def _instance(self, _: web.Request) -> web.Response:
        access = {
            feed: {
                half: "disabled" if self._is_off(feed, half) else mode
                for half, mode in (("local", "public"), ("remote", "authenticated"))
            }
            for feed in ("live_feeds", "hashtag_feeds")
        }
        streaming = f"ws://127.0.0.1:{self.port}"
        value = {
            "domain": "sim.example",
            "version": "4.5.0",
            "configuration": {"urls": {"streaming": streaming}, "timelines_access": access},
        }
        return web.json_response(value)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self.sockets:
            return web.Response(status=502, text="Bad Gateway")
        denied = self._denied(request)
        if denied:
            return web.Response(status=401, headers={"X-Error-Message": denied})
        socket = web.WebSocketResponse(heartbeat=None, autoping=False)
        await socket.prepare(request)
        wanted: set[str] = set()
        if request.query.get("stream"):
            wanted.add(_name(dict(request.query)))
        self.connects.append((time.monotonic(), request.path_qs))
        if self.flaps:
            self.flaps -= 1
            await socket.close()
            return socket
        self._outs[id(socket)] = socket, wanted, True
        pinging = asyncio.create_task(self._ping(socket))
        try:
            async for message in socket:
                await self._heard(socket, message, wanted)
        finally:
            pinging.cancel()
            self._outs.pop(id(socket), None)
        return socket

    async def _ping(self, socket: web.WebSocketResponse) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_s)
            if not self.stalled:
                await socket.ping()

    async def _heard(self, socket: web.WebSocketResponse, message: Any, wanted: set[str]) -> None:
        if message.type == WSMsgType.PING and not self.stalled:
            await socket.pong(message.data)
        if message.type == WSMsgType.BINARY:
            await socket.close(code=1003)
        if message.type != WSMsgType.TEXT:
            return
        asked = json.loads(message.data)
        known = ("public", "public:local", "public:remote", "hashtag", "hashtag:local")
        if asked.get("stream") not in known:
            await socket.send_str(json.dumps({"error": "Unknown stream type", "status": 400}))
        elif asked["stream"].startswith("hashtag") and not asked.get("tag"):
            error = {"error": "Missing tag name parameter", "status": 400}
            await socket.send_str(json.dumps(error))
        elif asked["type"] == "subscribe":
            await asyncio.sleep(self.subscribes_s)
            wanted.add(_name(asked))
        else:
            wanted.discard(_name(asked))

    async def _sse(self, request: web.Request) -> web.StreamResponse:
        denied = self._denied(request)
        if denied:
            return web.json_response({"error": denied}, status=401)
        stream = request.match_info["stream"].replace("/", ":")
        wanted = {_name({"stream": stream, **request.query})}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b":)\n")
        self._outs[id(response)] = response, wanted, False
        self.connects.append((time.monotonic(), request.path_qs))
        kick = self._kick
        try:
            while not kick.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(kick.wait(), self.heartbeat_s)
                if not self.stalled and not kick.is_set():
                    await response.write(b":thump\n\n")
        except ConnectionError:
            pass
        finally:
            self._outs.pop(id(response), None)
        return response

    async def _lookup(self, request: web.Request) -> web.Response:
        """An account that the server knows; tokens must have read:accounts, if there is one."""
        if self._given(request):
            words = "This action is outside the authorized scopes"
            return web.json_response({"error": words}, status=403)
        url = self.accounts.get(request.query.get("acct", ""))
        if url is None:
            return web.json_response({"error": "Record not found"}, status=404)
        return web.json_response({"id": "7", "acct": request.query["acct"], "url": url})

    async def _timeline(self, request: web.Request) -> web.Response:
        denied = self._denied(request)
        if denied:
            return web.json_response({"error": denied}, status=401)
        tag = request.match_info.get("tag")
        found = [s for s in self.statuses if s["id"] not in self.deleted]
        if tag:
            found = [s for s in found if tag.lower() in (t["name"].lower() for t in s["tags"])]
        if request.query.get("local"):
            found = [s for s in found if "@" not in s["account"]["acct"]]
        newest = int(request.query.get("max_id", 1 << 80))
        oldest = int(request.query.get("min_id", request.query.get("since_id", 0)))
        found = [s for s in found if oldest < int(s["id"]) < newest]
        found.sort(key=lambda s: int(s["id"]), reverse="min_id" not in request.query)
        page = found[: min(int(request.query.get("limit", 20)), 40)]
        page.sort(key=lambda s: -int(s["id"]))
        self.pages_left -= 1
        headers = {
            "X-RateLimit-Limit": "300",
            "X-RateLimit-Remaining": str(max(self.pages_left, 0)),
            "X-RateLimit-Reset": iso(time.time() + 1),
        }
        if self.pages_left < 0:
            self.pages_left = 300
            return web.json_response({"error": "Too many requests"}, status=429, headers=headers)
        if page:
            here = f"{self.url}{request.path}"
            headers["Link"] = (
                f'<{here}?max_id={page[-1]["id"]}>; rel="next",'
                f' <{here}?min_id={page[0]["id"]}>; rel="prev"'
            )
        return web.json_response(page, headers=headers)

    async def _statuses(self, request: web.Request) -> web.Response:
        """Several by id, since 4.3: what is gone is left out."""
        if not self.many:
            return self._counted({"error": "Not found"}, 404)
        ids = request.query.getall("id[]", [])
        if self._denied(request) or not 1 <= len(ids) <= 20:
            status = 401 if self._denied(request) else 422
            return self._counted({"error": self._denied(request) or "Too many"}, status)
        there = {s["id"]: s for s in self.statuses if s["id"] not in self.deleted}
        return self._counted([there[i] for i in ids if i in there])

    async def _status(self, request: web.Request) -> web.Response:
        for found in self.statuses:
            if found["id"] == request.match_info["id"] and found["id"] not in self.deleted:
                return self._counted(found)
        return self._counted({"error": "Record not found"}, 404)

    def _counted(self, value: Any, status: int = 200) -> web.Response:
        """An answer under the general limit of calls; a new window begins a second later."""
        if time.time() >= self._calls_until:
            self.calls_left, self._calls_until = self.calls, time.time() + 1
        self.calls_left -= 1
        headers = {
            "X-RateLimit-Limit": str(self.calls),
            "X-RateLimit-Remaining": str(max(self.calls_left, 0)),
            "X-RateLimit-Reset": iso(self._calls_until),
        }
        if self.calls_left < 0:
            self.refusals += 1
            return web.json_response({"error": "Too many requests"}, status=429, headers=headers)
        return web.json_response(value, status=status, headers=headers)


def _name(asked: dict[str, str]) -> str:
    """A stream's name as in the settings: "hashtag:local:cats"."""
    tag = f":{asked['tag'].lower()}" if asked.get("tag") else ""
    return f"{asked['stream']}{tag}"


def _feed_of(stream: str) -> str:
    return "hashtag_feeds" if stream.startswith("hashtag") else "live_feeds"


def _streams_of(found: dict[str, Any]) -> list[str]:
    local = "@" not in found["account"]["acct"]
    names = ["public", "public:local" if local else "public:remote"]
    for tag in found["tags"]:
        names += [f"hashtag:{tag['name'].lower()}"]
        names += [f"hashtag:local:{tag['name'].lower()}"] if local else []
    return names


async def by_hand() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8098)
    parser.add_argument("--token", default="sim-token")
    parser.add_argument("--rate", type=float, default=2.0, help="posts a second")
    chosen = parser.parse_args()
    async with MastodonSimulator(chosen.token, port=chosen.port) as server:
        print(f"ready {server.url}", flush=True)
        for number in range(1, 1 << 40):
            await server.publish([status(number, f"Invented post {number} about the harbour")])
            await asyncio.sleep(1 / chosen.rate)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(by_hand())
