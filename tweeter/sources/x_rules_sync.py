"""X's rules kept in step with the keywords, while the stream stays open.

Rules are live at X: a change needs no reconnect. Ours carry the tag "tweeter:<installation>";
rules that other programs of the same app made are left alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tweeter.errors import KeywordSyntaxError, SourceError
from tweeter.keywords import NotForX, compile_for_x, parse
from tweeter.sources.backoff import exponential
from tweeter.sources.x_client import StreamRule, XClient

CHANGES = 90  # POSTs in WINDOW_S; X allows 100
WINDOW_S = 900.0
GATHER_S = 0.5  # changes made together are sent together
RULES_A_POST = 100

_retry_s = exponential(5, 320)


class RuleKeeper:
    """Holds what the rules should be, and makes them so."""

    def __init__(self, installation: str) -> None:
        self._tag = f"tweeter:{installation}"
        self._keywords: Sequence[tuple[int, str]] = ()
        self._changed = asyncio.Event()
        self._posted_at: deque[float] = deque()
        self.problems: list[str] = []  # sentences for the page
        self.rules = 0  # on the account after the last sync, ours and foreign

    def set_keywords(self, keywords: Sequence[tuple[int, str]]) -> None:
        """The active (id, expression) pairs; the next sync brings them to X."""
        self._keywords = tuple(keywords)
        self._changed.set()

    async def keep(self, client: XClient, notice: Callable[[str], None]) -> None:
        """Sync at each change until cancelled. Raises SourceError only if we are refused."""
        failures = 0
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER_S)
            wait_s = self._wait_s()
            if wait_s > 0:
                until = datetime.fromtimestamp(time.time() + wait_s, UTC).strftime("%H:%M:%S UTC")
                notice(f"Live. Changes of keywords are pending at X until {until}.")
                await asyncio.sleep(wait_s)
            try:
                await self.sync(client)
            except SourceError as error:
                if error.kind == "refused":
                    raise
                failures += 1
                self._changed.set()
                notice(f"Live. Changes of keywords are pending at X: {error.state}")
                await asyncio.sleep(_retry_s(failures))
                continue
            failures = 0
            notice(" ".join(["Live.", *self.problems]))

    def _wait_s(self) -> float:
        """Seconds until X's limit of changes leaves room for a sync (two POSTs)."""
        now_s = time.monotonic()
        while self._posted_at and now_s - self._posted_at[0] > WINDOW_S:
            self._posted_at.popleft()
        if len(self._posted_at) + 2 <= CHANGES:
            return 0.0
        return self._posted_at[0] + WINDOW_S - now_s

    async def sync(self, client: XClient) -> None:
        """Make the rules right once. Raises SourceError."""
        self._changed.clear()
        wanted = self._wanted()
        ours, foreign = await self._list(client)
        missing = [value for value in wanted if value not in ours and value not in foreign]
        stale = [rule_id for value, rule_id in ours.items() if value not in wanted]
        kept = len(ours) - len(stale) + len(foreign)
        failed = await self._add(client, missing)
        if stale:
            self._posted_at.append(time.monotonic())
            await client.delete_rules(stale)
        if failed and stale:  # there may be room now
            failed = await self._add(client, failed)
        for value, reason in failed.items():
            self.problems.append(f"Keyword {wanted[value]} is not followed on X: {reason}.")
        self.rules = kept + len(missing) - len(failed)

    def _wanted(self) -> dict[str, int]:
        """Rule value -> the keyword that asks for it first."""
        self.problems = []
        values: dict[str, int] = {}
        for keyword_id, expression in self._keywords:
            try:
                for value in compile_for_x(parse(expression)).values:
                    values.setdefault(value, keyword_id)
            except NotForX as error:
                self.problems.append(f"Keyword {keyword_id}: {error}")
            except KeywordSyntaxError:
                continue  # the page says so
        return values

    async def _list(self, client: XClient) -> tuple[dict[str, str], set[str]]:
        """Our rules as value -> id, and the values of the others."""
        ours: dict[str, str] = {}
        foreign: set[str] = set()
        page: dict[str, str] = {}
        while True:
            answer = await client.list_rules(page)
            for rule in answer.get("data") or []:
                if str(rule.get("tag", "")).split(":")[:2] == self._tag.split(":"):
                    ours[rule["value"]] = str(rule["id"])
                else:
                    foreign.add(rule["value"])
            token = (answer.get("meta") or {}).get("next_token")
            if not token:
                return ours, foreign
            page = {"pagination_token": token}

    async def _add(self, client: XClient, values: Sequence[str] | dict[str, str]) -> dict[str, str]:
        """Add rules; returns those that X refused, with its reason. A duplicate is no refusal."""
        failed: dict[str, str] = {}
        wanted = list(values)
        for start in range(0, len(wanted), RULES_A_POST):
            rules = [StreamRule(value=v, tag=self._tag) for v in wanted[start:][:RULES_A_POST]]
            self._posted_at.append(time.monotonic())
            answer = await client.add_rules(rules)
            for error in answer.get("errors") or []:  # also in an answer of 200
                if "duplicate" not in str(error.get("title", "")).lower():
                    failed[str(error.get("value", ""))] = _reason(error)
        return {value: reason for value, reason in failed.items() if value in wanted}


def _reason(error: dict[str, object]) -> str:
    details = error.get("details")
    first = details[0] if isinstance(details, list) and details else None
    return str(first or error.get("detail") or error.get("title") or "refused")[:200].rstrip(".")
