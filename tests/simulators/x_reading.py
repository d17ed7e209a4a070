"""X's recent search and post look-up, with their limits, refusals and partial errors.

Wire facts: docs.x.com, "recent search", "post lookup", "rate limits", "response codes and
errors". Ids are snowflakes: a post's moment is in its id.
"""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from aiohttp import web

from tests.simulators.x_language import BadRule, compile_rule, seen_by_rules

PROBLEM = "https://api.x.com/2/problems/"
X_EPOCH_MS = 1_288_834_974_657
WEEK_MS = 7 * 86_400_000
WINDOW_S = 900
MUST_NOT_MEET = (
    ("start_time", "since_id"),
    ("end_time", "until_id"),
    ("next_token", "pagination_token"),
)


def id_at(moment_us: int, number: int = 0) -> int:
    """The id of a post of that moment."""
    return (moment_us // 1000 - X_EPOCH_MS) << 22 | number % (1 << 22)


def ms_of(post_id: str | int) -> int:
    return (int(post_id) >> 22) + X_EPOCH_MS


class XReading:
    """removed: post id -> "deleted", "suspended" or "protected" (not given: the post is there).

    limits and left: requests in a window of 15 minutes by route; reset_s: when it ends, from now.
    behind_s: how long after a post the search has it; thin: posts a page, at most (X may give
    fewer than were asked for); delay_s: of a search's answer; answers: for the next requests,
    before any other check.
    read: how many posts were given out; queries: those of the searches.
    """

    def __init__(self) -> None:
        self.posts: dict[str, dict[str, Any]] = {}
        self.removed: dict[str, str] = {}
        self.limits = {"search": 450, "look_up": 3500}
        self.left = dict(self.limits)
        self.reset_s = float(WINDOW_S)
        self.clock_s = 0.0
        self.behind_s = 10.0
        self.thin = 100
        self.delay_s = 0.0
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.read = 0
        self.queries: list[str] = []
        self.asked: list[list[str]] = []
        self._reset_at = 0.0

    async def search(self, request: web.Request) -> web.Response:
        """GET /2/tweets/search/recent."""
        await asyncio.sleep(self.delay_s)
        refused = self._limit("search")
        if refused is not None:
            return refused
        given = dict(request.query)
        try:
            chosen = self._chosen(given)
        except ValueError as error:
            return self._answer("search", _invalid(str(error)), 400)
        token = given.get("next_token") or given.get("pagination_token") or "b0"
        start = int(token[1:])
        page = chosen[start : start + min(int(given.get("max_results", "10")), self.thin)]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": page[0]["data"]["id"], "oldest_id": page[-1]["data"]["id"]}
        if start + len(page) < len(chosen):
            meta["next_token"] = f"b{start + len(page)}"
        self.queries.append(given["query"])
        body = self._with_includes(request, page) | {"meta": meta}
        return self._answer("search", body)

    def _chosen(self, given: dict[str, str]) -> list[dict[str, Any]]:
        """All posts that a search means, newest first. Raises ValueError with what is wrong."""
        query = given.get("query", "")
        if not 1 <= len(query) <= 512:
            raise ValueError(f"query has {len(query)} characters: expected 1 to 512")
        if not 10 <= int(given.get("max_results", "10")) <= 100:
            raise ValueError("max_results must be between 10 and 100")
        for one, other in MUST_NOT_MEET:
            if one in given and other in given:
                raise ValueError(f"at most one of {one} and {other}")
        now_ms = int((time.time() + self.clock_s) * 1000)
        newest_ms = now_ms - int(self.behind_s * 1000)
        if "end_time" in given and _ms(given["end_time"]) > now_ms - 10_000:
            raise ValueError("end_time must be at least 10 seconds ago")
        begins = [ms_of(given[name]) for name in ("since_id",) if name in given]
        begins += [_ms(given[name]) for name in ("start_time",) if name in given]
        if any(at < now_ms - WEEK_MS for at in begins):
            raise ValueError("since_id and start_time must be within the last 7 days")
        since = int(given.get("since_id", "0"))
        until = int(given.get("until_id", 1 << 63))
        first_ms = _ms(given["start_time"]) if "start_time" in given else now_ms - WEEK_MS
        last_ms = _ms(given["end_time"]) if "end_time" in given else newest_ms
        try:
            rule = compile_rule(query)
        except BadRule as error:
            raise ValueError(str(error)) from error
        found = [
            post
            for post_id, post in self.posts.items()
            if since < int(post_id) < until
            and first_ms <= ms_of(post_id) <= min(last_ms, newest_ms)
            and post_id not in self.removed
            and rule(seen_by_rules(_without_quoted(post)))
        ]
        return sorted(found, key=lambda post: -int(post["data"]["id"]))

    async def look_up(self, request: web.Request) -> web.Response:
        """GET /2/tweets?ids=."""
        refused = self._limit("look_up")
        if refused is not None:
            return refused
        ids = [part for part in request.query.get("ids", "").split(",") if part]
        if not 1 <= len(ids) <= 100 or not all(part.isdigit() for part in ids):
            return self._answer("look_up", _invalid("ids: expected 1 to 100 numbers"), 400)
        self.asked.append(ids)
        there = [self.posts[i] for i in ids if i in self.posts and i not in self.removed]
        errors = [
            _error(i, self.removed.get(i, "deleted"))
            for i in ids
            if i not in self.posts or i in self.removed
        ]
        body = self._with_includes(request, there)
        return self._answer("look_up", body | ({"errors": errors} if errors else {}))

    def _with_includes(self, request: web.Request, page: list[dict[str, Any]]) -> dict[str, Any]:
        """A page's `data`, and its `includes` if expansions were asked for."""
        self.read += len(page)
        body: dict[str, Any] = {"data": [post["data"] for post in page]} if page else {}
        if page and request.query.get("expansions"):
            beside: dict[str, list[Any]] = {}
            for post in page:
                for name, items in (post.get("includes") or {}).items():
                    new = [item for item in items if item not in beside.get(name, [])]
                    beside.setdefault(name, []).extend(new)
            body["includes"] = beside
        return body

    def _limit(self, route: str) -> web.Response | None:
        if self.answers:
            status, headers, body = self.answers.pop(0)
            return web.json_response(body, status=status, headers=headers)
        now = time.time() + self.clock_s
        if now >= self._reset_at:
            if self._reset_at:
                self.left = dict(self.limits)
            self._reset_at = now + self.reset_s
        self.left[route] -= 1
        if self.left[route] >= 0:
            return None
        body = {"title": "Too Many Requests", "detail": "Too Many Requests", "status": 429}
        return self._answer(route, body | {"type": "about:blank"}, 429)

    def _answer(self, route: str, body: Any, status: int = 200) -> web.Response:
        headers = {
            "x-rate-limit-limit": str(self.limits[route]),
            "x-rate-limit-remaining": str(max(self.left[route], 0)),
            "x-rate-limit-reset": str(int(self._reset_at)),
            "Date": formatdate(time.time() + self.clock_s, usegmt=True),
        }
        return web.json_response(body, status=status, headers=headers)


def _ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).astimezone(UTC).timestamp() * 1000)


def _without_quoted(post: dict[str, Any]) -> dict[str, Any]:
    """A search does not look into quoted posts."""
    kinds = {r.get("type") for r in post["data"].get("referenced_tweets") or []}
    return post if "retweeted" in kinds else {"data": post["data"]}


def _invalid(words: str) -> dict[str, Any]:
    return {
        "errors": [{"message": words}],
        "title": "Invalid Request",
        "detail": words,
        "type": f"{PROBLEM}invalid-request",
    }


def _error(post_id: str, why: str) -> dict[str, str]:
    """A partial error, beside the posts that are there."""
    beside = {"resource_id": post_id, "value": post_id, "resource_type": "tweet"}
    beside |= {"parameter": "ids"}
    if why == "protected":
        detail = f"Sorry, you are not authorized to see the Tweet with ids: [{post_id}]."
        kind = f"{PROBLEM}not-authorized-for-resource"
        return beside | {"title": "Authorization Error", "detail": detail, "type": kind}
    if why == "suspended":
        detail = f"User has been suspended: [{post_id}]."
        kind = f"{PROBLEM}resource-not-found"  # title and words are from memory
        return beside | {"title": "Forbidden", "detail": detail, "type": kind}
    if why == "broken":
        kind = f"{PROBLEM}service-unavailable"
        return beside | {"title": "Service Unavailable", "detail": "Later.", "type": kind}
    detail = f"Could not find tweet with ids: [{post_id}]."
    return beside | {
        "title": "Not Found Error",
        "detail": detail,
        "type": f"{PROBLEM}resource-not-found",
    }
