"""The rules that an app's account has at X: listed, tried, added and deleted.

Ours carry a tag; those that other programs of the same app made are left alone. A rule that X does
not take is said for itself, in an answer of 200 (docs.x.com, "response codes and errors"). Where
all of a request is refused for it (400), the rule is looked for.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from tweeter.errors import SourceError
from tweeter.sources.x_answers import WINDOW_S, NotUnderstood, listed, rule_refusal
from tweeter.sources.x_client import StreamRule, XClient

CHANGES = 90  # POSTs in WINDOW_S; X allows 100
POSTS_A_SYNC = 4  # try, add, delete, and once again
RULES_A_POST = 100
PLAIN = ("tweeter",)  # a rule that X takes, and which is only tried
POSTS_A_SEARCH = 30  # for the rules that X refuses a request for: two among a hundred


class Rules(msgspec.Struct, frozen=True):
    """What is on the account: ours and the others', as value -> id."""

    ours: dict[str, str]
    foreign: dict[str, str]

    @property
    def ids(self) -> set[str]:
        """Of all of them."""
        return {*self.ours.values(), *self.foreign.values()}


class Account:
    """One app's rules. Each call raises SourceError; "refused" if no call will be answered."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._posted_at: deque[float] = deque()

    def wait_s(self) -> float:
        """Seconds until X's limit of changes leaves room for a sync."""
        now_s = time.monotonic()
        while self._posted_at and now_s - self._posted_at[0] > WINDOW_S:
            self._posted_at.popleft()
        if len(self._posted_at) + POSTS_A_SYNC <= CHANGES:
            return 0.0
        return self._posted_at[0] + WINDOW_S - now_s

    async def rules(self, client: XClient) -> Rules:
        """All that are there, page by page."""
        ours: dict[str, str] = {}
        foreign: dict[str, str] = {}
        page: dict[str, str] = {}
        while True:
            with _for_later():
                answer = await client.list_rules(page)
            for rule in answer.get("data") or []:
                is_ours = str(rule.get("tag", "")).split(":")[:2] == self._tag.split(":")
                (ours if is_ours else foreign)[rule["value"]] = str(rule["id"])
            token = (answer.get("meta") or {}).get("next_token")
            if not token:
                return Rules(ours, foreign)
            page = {"pagination_token": token}

    async def tried(self, client: XClient, values: Sequence[str]) -> dict[str, str]:
        """Which rules X would not take, and why. A duplicate is no refusal."""
        refused: dict[str, str] = {}
        waiting = _pieces(values)
        left = len(waiting) + POSTS_A_SEARCH
        while waiting:
            some = waiting.pop()
            left -= 1
            try:
                refused |= _refused(some, listed(await self._post(client, some, dry_run=True)))
            except NotUnderstood as error:
                named = _refused(some, error.errors)
                if not named and len(some) == 1:
                    with _for_later():  # is it the rule, or would X take none?
                        await self._post(client, PLAIN, dry_run=True)
                    named = {some[0]: error.state.rstrip(".")}
                refused |= named
                rest = [value for value in some if value not in named]
                waiting += _pieces(rest, len(some) if named else len(some) // 2)
                if left <= len(waiting):
                    if refused:
                        return refused  # the rest is looked for without them
                    raise SourceError("http", error.state) from error
        return refused

    async def add(self, client: XClient, values: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """Add rules: those that X refused, with its reason, and the ids of those it made."""
        refused: dict[str, str] = {}
        made: set[str] = set()
        for some in _pieces(values):
            with _for_later():
                answer = await self._post(client, some, dry_run=False)
            made |= {str(rule["id"]) for rule in answer.get("data") or []}
            refused |= _refused(some, listed(answer))
        return refused, made

    async def delete(self, client: XClient, rule_ids: Sequence[str]) -> None:
        """Remove rules by their ids."""
        for some in _pieces(rule_ids):
            self._posted_at.append(time.monotonic())
            with _for_later():
                await client.delete_rules(some)

    async def _post(
        self, client: XClient, values: Sequence[str], *, dry_run: bool
    ) -> dict[str, Any]:
        self._posted_at.append(time.monotonic())
        rules = [StreamRule(value=value, tag=self._tag) for value in values]
        answer: dict[str, Any] = await client.add_rules(rules, dry_run=dry_run)
        return answer


@contextmanager
def _for_later() -> Iterator[None]:
    """X not understanding a request about rules is no reason not to read: it is tried again."""
    try:
        yield
    except NotUnderstood as error:
        raise SourceError("http", error.state) from error


def _pieces(values: Sequence[str], size: int = RULES_A_POST) -> list[list[str]]:
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def _refused(values: Sequence[str], errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the errors say of these rules."""
    found = {
        str(error.get("value", "")): rule_refusal(error)
        for error in errors
        if "duplicate" not in str(error.get("title", "")).lower()
    }
    return {value: reason for value, reason in found.items() if value in values}
