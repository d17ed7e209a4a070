"""X's API v2: rules, the filtered stream, connections, recent search, look-up; and its faults.

By hand: `python -m tests.simulators.x --port 8099 --token T --posts FILE --rate 5`, then start
tweeter with TWEETER_X_API_BASE=http://127.0.0.1:8099 and TWEETER_X_BEARER_TOKEN=T.

Posts go only to who is connected, and only those that a rule matches (deliver="rules") or all
of them (deliver="all"). Nothing is held back for an absent client. Wire facts: docs.x.com.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.simulators.hosted import Hosted
from tests.simulators.x_language import BadRule, compile_rule, seen_by_rules
from tests.simulators.x_reading import PROBLEM, XReading

RULE_PROBLEMS = {"DuplicateRule": "duplicate-rules", "InvalidRule": "invalid-rules"}
RULE_PROBLEMS["RulesCapExceeded"] = "rule-cap"


class XSimulator(Hosted):
    """`url` is there after `start`.

    heartbeat_s: pause between line breaks; stalled: neither posts nor heartbeats,
    with `recovers` until the next connection, which is served from its first moment;
    answers: (status, headers, body) for the next stream handshakes, before any other check;
    split: bytes a chunk (0: a chunk a line); tagged: whether matching_rules carry tags;
    mute: requests whose path ends so are taken and never answered;
    second: what a second connection meets, "429" or "kick"; clock_s: how far our Date is ahead.
    log has (monotonic, method, path, status), sent has (post id, microseconds) of
    what went out, published of all posts.
    """

    def __init__(self, token: str = "sim-token", *, port: int = 0, deliver: str = "rules") -> None:
        super().__init__(port=port)
        self.token = token
        self.deliver = deliver
        self.heartbeat_s = 20.0
        self.stalled = self.recovers = False
        self.mute = "-"
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.rule_answers: list[tuple[int, dict[str, str], Any]] = []  # of any kind
        self.change_answers: list[tuple[int, dict[str, str], Any]] = []
        self.split = 0
        self.tagged = True
        self.second = "429"
        self.clock_s = 0.0
        self.most_connected = 0  # at any one time
        self.refused_words: set[str] = set()
        self.whole_400 = ""  # a POST with an invalid rule is refused whole: "named", or "bare"
        self.max_rules, self.max_length, self.page = 1000, 1024, 1000
        self.rules: dict[str, dict[str, str]] = {}
        self.log: list[tuple[float, str, str, int]] = []
        self.sent: list[tuple[str, int]] = []
        self.published: list[tuple[str, int]] = []
        self.reading = XReading()  # recent search and look-up
        self.posts = self.reading.posts
        self._compiled: dict[str, Any] = {}
        self._next_rule = 1_700_000_000_000_000_000
        self._clients: dict[str, web.StreamResponse] = {}
        self._connections: list[dict[str, Any]] = []
        self._kicks: dict[str, asyncio.Event] = {}

    @property
    def connected(self) -> int:
        return len(self._clients)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._outer], client_max_size=10_000_000)
        stream = "/2/tweets/search/stream"
        app.router.add_get(stream, self._stream)
        app.router.add_get(f"{stream}/rules", self._list_rules)
        app.router.add_post(f"{stream}/rules", self._change_rules)
        app.router.add_get(f"{stream}/rules/counts", self._count_rules)
        app.router.add_get("/2/connections", self._list_connections)
        app.router.add_delete("/2/connections/{which}", self._end_connections)
        app.router.add_get("/2/tweets/search/recent", self.reading.search)
        app.router.add_get("/2/tweets", self.reading.look_up)
        return app

    async def stop(self) -> None:
        await self.close()
        await super().stop()

    # Control, for tests.

    async def publish(self, posts: Iterable[dict[str, Any] | bytes]) -> list[str]:
        """Send posts as lines {"data", "includes"}; returns the ids of those sent to somebody."""
        delivered = []
        for given in posts:
            post = json.loads(given) if isinstance(given, bytes) else given
            post_id = str(post["data"]["id"])
            self.posts[post_id] = post
            self.published.append((post_id, time.time_ns() // 1000))
            rules = self._matching(post)
            if (rules or self.deliver == "all") and self._clients and not self.stalled:
                line = {**post, "matching_rules": rules}
                delivered.append(post_id)
                self.sent.append((post_id, time.time_ns() // 1000))
                await self.send_line(json.dumps(line, ensure_ascii=False).encode())
        return delivered

    def _matching(self, post: dict[str, Any]) -> list[dict[str, str]]:
        seen = seen_by_rules(post)
        found = []
        for rule_id, rule in self.rules.items():
            if self._compiled[rule_id](seen):
                tag = {"tag": rule["tag"]} if self.tagged and "tag" in rule else {}
                found.append({"id": rule_id, **tag})
        return found

    async def send_line(self, line: bytes) -> None:
        """Any bytes as a line to everybody connected."""
        await self.send_bytes(line + b"\r\n")

    async def send_bytes(self, data: bytes) -> None:
        """Bytes in chunks of `split`, cut anywhere."""
        size = self.split or len(data)
        for response in list(self._clients.values()):
            with contextlib.suppress(ConnectionError):
                for start in range(0, len(data), size):
                    await response.write(data[start : start + size])

    async def close(self) -> None:
        """End every stream cleanly."""
        for kick in self._kicks.values():
            kick.set()

    async def disconnect(self) -> None:
        """Say in the stream that it ends for operational reasons, and end it."""
        problem = {
            "title": "operational-disconnect",
            "disconnect_type": "UpstreamOperationalDisconnect",
            "detail": "This stream has been disconnected upstream for operational reasons.",
            "type": "https://api.x.com/2/problems/operational-disconnect",
        }
        await self.send_line(json.dumps({"errors": [problem]}).encode())
        await self.close()

    async def reset(self) -> None:
        """RST on every stream."""
        for response in list(self._clients.values()):
            transport = response._req.transport  # type: ignore[union-attr]
            if transport is not None:
                transport.abort()

    def connects(self) -> list[tuple[float, int]]:
        """(monotonic, status) of each stream handshake."""
        return [(at, status) for at, _, path, status in self.log if path.endswith("/stream")]

    # The wire.

    @web.middleware
    async def _outer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        while request.path.endswith(self.mute):
            await asyncio.sleep(0.02)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            answer = _json(
                {"title": "Unauthorized", "type": "about:blank", "status": 401}
                | {"detail": "Unauthorized"},
                401,
            )
        else:
            answer = await handler(request)
        if not answer.prepared:  # a stream was logged when it began
            self.log.append((time.monotonic(), request.method, request.path, answer.status))
            answer.headers["Date"] = self._date()
        return answer  # type: ignore[no-any-return]

    def _date(self) -> str:
        return formatdate(time.time() + self.clock_s, usegmt=True)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.answers:
            status, headers, body = self.answers.pop(0)
            return _json(body, status, headers)
        if "backfill_minutes" in request.query:
            return _problem(403, "client-forbidden", "Backfill needs the Enterprise plan.")
        if not self.rules:
            return _json(
                {
                    "title": "ConnectionException",
                    "detail": "Your client has not set up any rules.",
                    "connection_issue": "RuleConfigurationIssue",
                    "type": f"{PROBLEM}streaming-connection",
                },
                409,
            )
        if self._clients and self.second == "429":
            return _json(TOO_MANY, 429)
        if self._clients:
            await self.close()
        return await self._flow(request)

    async def _flow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.headers["Date"] = self._date()
        response.enable_chunked_encoding()
        self.stalled &= not self.recovers
        await response.prepare(request)
        number = str(len(self._connections) + 1)
        kick = self._kicks[number] = asyncio.Event()
        self._clients[number] = response
        self.most_connected = max(self.most_connected, len(self._clients))
        since = {"id": number, "endpoint_name": "filtered_stream", "client_ip": request.remote}
        since |= {"connected_at": _iso()}
        self._connections.append(since)
        # Logged now: the stream may last.
        self.log.append((time.monotonic(), "GET", request.path, 200))
        try:
            while not kick.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(kick.wait(), self.heartbeat_s)
                if not self.stalled and not kick.is_set():
                    await response.write(b"\r\n")
            with contextlib.suppress(ConnectionError):
                await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            del self._clients[number], self._kicks[number]
            since["disconnected_at"] = _iso()
        return response

    async def _list_rules(self, request: web.Request) -> web.Response:
        if self.rule_answers:
            status, headers, body = self.rule_answers.pop(0)
            return _json(body, status, headers)
        found = [{"id": rule_id, **rule} for rule_id, rule in self.rules.items()]
        start = int(request.query.get("pagination_token", "0") or 0)
        size = min(int(request.query.get("max_results", "1000")), self.page)
        page = found[start : start + size]
        meta: dict[str, Any] = {"sent": "2026-11-24T05:00:00.000Z", "result_count": len(page)}
        if start + size < len(found):
            meta["next_token"] = str(start + size).zfill(16)
        return _json({"meta": meta} | ({"data": page} if page else {}))

    async def _count_rules(self, _: web.Request) -> web.Response:
        app = {"client_app_id": "1", "rule_count": len(self.rules)}
        counts = {"all_project_client_apps": [app], "client_app_rules_count": app}
        cap, count = str(self.max_rules), str(len(self.rules))
        counts |= {"cap_per_client_app": cap, "cap_per_project": cap, "project_rules_count": count}
        return _json({"data": counts})

    async def _change_rules(self, request: web.Request) -> web.Response:
        answers = self.change_answers or self.rule_answers
        if answers:
            status, headers, body = answers.pop(0)
            return _json(body, status, headers)
        dry = request.query.get("dry_run", "").lower() == "true"  # xdk writes True
        if request.query.get("delete_all") == "true":
            count = len(self.rules)
            self.rules.clear()
            return _json({"meta": {"summary": {"deleted": count, "not_deleted": 0}}})
        body = await request.json()
        if ("add" in body) == ("delete" in body):
            return _problem(400, "invalid-request", "One of add and delete is needed.")
        if "delete" in body:
            return self._delete_rules(body["delete"], dry)
        return self._add_rules(body["add"], dry)

    def _delete_rules(self, wanted: dict[str, list[str]], dry: bool) -> web.Response:
        values = set(wanted.get("values", []))
        ids = set(wanted.get("ids", [])) | {
            rule_id for rule_id, rule in self.rules.items() if rule["value"] in values
        }
        known = ids & set(self.rules)
        if not dry:
            for rule_id in known:
                del self.rules[rule_id]
        missing = len(ids) - len(known)
        return _json({"meta": {"summary": {"deleted": len(known), "not_deleted": missing}}})

    def _add_rules(self, wanted: list[dict[str, str]], dry: bool) -> web.Response:
        made, errors = [], []
        for rule in wanted:
            try:
                compiled = self._accept(rule["value"], len(made) if dry else 0)
            except BadRule as error:
                title, detail = error.args
                errors.append({"value": rule["value"], "title": title, "details": [detail]})
                errors[-1]["type"] = f"{PROBLEM}{RULE_PROBLEMS[title]}"
                continue
            rule_id = str(self._next_rule)
            self._next_rule += 1
            made.append(({"id": rule_id, **rule}, compiled))
        if self.whole_400 and any(error["title"] == "InvalidRule" for error in errors):
            said = {"errors": errors} if self.whole_400 == "named" else {}
            return _json({"title": "Invalid Request"} | said, 400)
        for rule, compiled in () if dry else made:
            self.rules[rule["id"]] = {key: value for key, value in rule.items() if key != "id"}
            self._compiled[rule["id"]] = compiled
        summary = {"created": len(made), "not_created": len(errors)}
        summary |= {"valid": len(made), "invalid": len(errors)}
        answer: dict[str, Any] = {"meta": {"summary": summary}}
        if made:
            answer["data"] = [rule for rule, _ in made]
        if errors:
            answer["errors"] = errors
        return _json(answer, 201 if made else 200)

    def _accept(self, value: str, planned: int) -> Any:
        if len(value) > self.max_length:
            raise BadRule("InvalidRule", f"Rule length {len(value)} exceeds {self.max_length}.")
        if any(word in value.split() for word in self.refused_words):
            raise BadRule("InvalidRule", "A word of it is not allowed.")
        if any(rule["value"] == value for rule in self.rules.values()):
            raise BadRule("DuplicateRule", "The rule is there already.")
        if len(self.rules) + planned >= self.max_rules:
            raise BadRule("RulesCapExceeded", f"At most {self.max_rules} rules.")
        try:
            return compile_rule(value)
        except BadRule as error:
            raise BadRule("InvalidRule", str(error)) from error

    async def _list_connections(self, request: web.Request) -> web.Response:
        active = request.query.get("status") == "active"
        found = [c for c in self._connections if not active or "disconnected_at" not in c]
        return _json({"data": found})

    async def _end_connections(self, request: web.Request) -> web.Response:
        """All of the app's, or those of one endpoint."""
        which = request.match_info["which"]
        ended = [
            one
            for one in self._connections
            if "disconnected_at" not in one and which in ("all", one["endpoint_name"])
        ]
        for one in ended:
            one["disconnected_at"] = _iso()
        if which in ("all", "filtered_stream"):
            await self.close()
        return _json({"data": {"successful_kills": len(ended)}})

    def open_elsewhere(self, endpoint: str) -> dict[str, Any]:
        """A connection of the app to another of X's streams."""
        found = {"id": "e1", "endpoint_name": endpoint, "connected_at": _iso()}
        self._connections.append(found)
        return found


def _iso() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


TOO_MANY = {
    "title": "ConnectionException",
    "detail": "This stream is currently at the maximum allowed connection limit.",
    "connection_issue": "TooManyConnections",
    "type": f"{PROBLEM}streaming-connection",
}


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


def _problem(status: int, kind: str, detail: str) -> web.Response:
    return _json({"title": kind, "detail": detail, "type": f"{PROBLEM}{kind}"}, status)


def post(post_id: int, text: str, **data: Any) -> dict[str, Any]:
    """An invented post as the stream sends it."""
    return {
        "data": {
            "id": str(post_id),
            "text": text,
            "author_id": "42",
            "created_at": "2026-11-24T05:00:00.000Z",
            "edit_history_tweet_ids": [str(post_id)],
        }
        | data,
        "includes": {"users": [{"id": "42", "username": "sim_user", "name": "Sim User"}]},
    }


def lines_of(path: Path) -> list[bytes]:
    """Lines of a recorded file."""
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()


async def by_hand() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--token", default="sim-token")
    parser.add_argument("--rate", type=float, default=2.0, help="posts a second")
    parser.add_argument("--posts", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    async with XSimulator(chosen.token, port=chosen.port) as server:
        print(f"ready {server.url}", flush=True)
        lines = [line for path in chosen.posts for line in lines_of(path)]
        number = 1_900_000_000_000_000_000
        while True:
            number += 1_000_000
            text = f"Invented post {number} about the harbour"
            await server.publish([lines.pop(0) if lines else post(number, text)])
            await asyncio.sleep(1 / chosen.rate)


if __name__ == "__main__":
    asyncio.run(by_hand())
