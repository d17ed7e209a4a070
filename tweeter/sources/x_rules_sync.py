"""X's rules kept in step with the keywords, while the stream stays open.

Rules are live at X: a change needs no reconnect. Ours carry the tag "tweeter:<installation>";
rules that other programs of the same app made are left alone, and shown. New rules are tried
first (`dry_run`), so a clause that X refuses costs its keyword and no other. If the plan has too
few rules for all keywords, the oldest get in and each of the others is told so. Another program
of the app may remove any rule, of which X says nothing: every few minutes they are listed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tweeter import moments
from tweeter.errors import KeywordSyntaxError, SourceError
from tweeter.keywords import NotForX, compile_for_x, pieces_of, tree
from tweeter.keywords.x_fit import fitting
from tweeter.keywords.x_limits import XPlan
from tweeter.keywords.x_pack import TooManyRules, delivered, difference, pack
from tweeter.records import PENDING_AT_X, Keyword, KeywordState, now_us
from tweeter.sources.backoff import exponential
from tweeter.sources.x_answers import limit_s, waiting
from tweeter.sources.x_client import XClient
from tweeter.sources.x_rules import Account, Rules

LOOK_S = 240.0  # between looks whether the rules are still there; X allows 450 pages in WINDOW_S
GATHER_S = 0.5  # changes made together are sent together
NAMED = 3  # keywords without a rule that are named in the stream's words

ACCEPTED = ("active", "")
GONE = ("pending", "Another program of the app removed its rule at X; it is added again.")

log = logging.getLogger("tweeter.x")

_retry_s = exponential(5, 320)

Meaning = tuple[str, tuple[tuple[str, str], ...]]  # a keyword's expression and its accounts
States = dict[int, KeywordState]  # by the keyword's id


class Wanted(msgspec.Struct, frozen=True):
    """What the account should have: rules, the pieces in them -> keywords that want each.

    states: of every keyword for X. left_out: those for which the plan has no rule left.
    """

    rules: tuple[str, ...]
    pieces: dict[str, set[int]]
    states: States
    left_out: tuple[Keyword, ...]


class RuleKeeper:
    """Holds what the rules should be, and makes them so.

    tell is given each keyword's state after every sync.
    """

    def __init__(self, installation: str, plan: XPlan) -> None:
        self._account = Account(f"tweeter:{installation}")
        self._plan = plan
        self._keywords: Sequence[Keyword] = ()
        self._changed = asyncio.Event()
        self._accepted: dict[str, set[int]] = {}  # piece -> keywords, of the last sync
        self._relied: set[str] = set()  # ids of the rules that deliver them, also others' ones
        self._there_at = 0  # when they were last seen there (us)
        self._gone = ""  # words, once some were removed
        self._refused: dict[str, str] = {}  # piece -> X's reason
        self._compiled: dict[Meaning, tuple[str, ...] | str] = {}  # pieces, or why not
        self._fit = ""  # words, if not all keywords fit
        self._said: tuple[States, Sequence[Keyword]] = ({}, ())  # by the last sync, of these
        self.tell: Callable[[States], None] = lambda _: None
        self.foreign: tuple[str, ...] = ()
        self.ours = 0  # rules on the account that keywords want

    def set_keywords(self, keywords: Sequence[Keyword]) -> None:
        """The active keywords; the next sync brings those for X to it."""
        ours = tuple(k for k in keywords if not k.networks or "x" in k.networks)
        if ours != self._keywords:
            self._keywords = ours
            self._changed.set()

    def idle(self) -> SourceError | None:
        """Why nothing is to be read: what others' rules alone find is theirs, and costs money."""
        if self._keywords and all(keyword.held for keyword in self._keywords):
            return SourceError("waiting", "Every keyword for X is over its budget.")
        if self._keywords and not self.ours:
            return SourceError("waiting", f"X follows none of the keywords.{self._fit}")
        return None if self._keywords else waiting()

    async def begin(self, client: XClient) -> None:
        """The first sync of a connection. Raises SourceError.

        Where rules of ours are there, only a refusal keeps the stream away: `keep` tries again.
        """
        try:
            await self.sync(client)
        except SourceError as error:
            if error.kind == "refused" or not self.ours:
                raise
            self._changed.set()

    async def keep(self, client: XClient, notice: Callable[[str], None]) -> None:
        """Sync at each change until cancelled.

        Raises SourceError only if we are refused, or the stream brings what others ask for alone.
        """
        failures = 0
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                if not await self._look(client):
                    continue
            await asyncio.sleep(GATHER_S)
            wait_s = self._account.wait_s()
            if wait_s > 0:
                until = moments.clock(now_us() + int(wait_s * 1e6))
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
                await asyncio.sleep(limit_s(error, failures) or _retry_s(failures))
                continue
            failures = 0
            if self.foreign and (idle := self.idle()) is not None:
                raise idle
            notice(self.words())

    def words(self) -> str:
        """For the page, while connected."""
        rules, others = self.ours + len(self.foreign), len(self.foreign)
        words = f"Live, with {rules} {'rule' if rules == 1 else 'rules'} at X."
        if others == 1:
            words += " 1 of them belongs to another program and is left alone."
        elif others:
            words += f" {others} of them belong to other programs and are left alone."
        return words + self._fit + self._gone

    async def _look(self, client: XClient) -> bool:
        """Whether somebody else changed the account's rules; what cannot be seen now waits."""
        try:
            found = await self._account.rules(client)
        except SourceError as error:
            log.info("rules_not_seen kind=%s", error.kind)
            return False
        if await self._miss(found) or tuple(found.foreign) != self.foreign:
            return True
        self._say(*self._said)  # the ledger may have been away
        return False

    def _say(self, states: States, keywords: Sequence[Keyword]) -> None:
        """Tell what holds for these keywords; one that changed since waits for the next sync."""
        if keywords is not self._keywords:
            now = {keyword.id: keyword for keyword in self._keywords}
            same = {keyword.id for keyword in keywords if now.get(keyword.id) == keyword}
            states = {n: state for n, state in states.items() if n in same}
        self.tell(states)

    async def _miss(self, found: Rules) -> bool:
        """True if rules are gone we rely on: their keywords are pending since the last look."""
        count = len(self._relied - found.ids)
        if not count:
            self._there_at = now_us()
            return False
        self._relied &= found.ids
        rules = [value for value, rule_id in found.ours.items() if rule_id in self._relied]
        rules += [value for value, rule_id in found.foreign.items() if rule_id in self._relied]
        there = {piece for value in rules for piece in pieces_of(value)}
        left = await asyncio.to_thread(delivered, tuple(self._accepted), there)
        gone = {n for piece, ids in self._accepted.items() if piece not in left for n in ids}
        gone &= {keyword.id for keyword in self._keywords}
        self._accepted = {p: ids for p, ids in self._accepted.items() if p in left}
        self.tell(dict.fromkeys(gone, (*GONE, self._there_at)))
        at = moments.clock(now_us(), "%d %b %H:%M UTC")
        self._gone = (
            f" Another program of the app removed rules that we rely on ({count:,}, seen {at}):"
            " they were added again."
        )
        return True

    async def sync(self, client: XClient) -> None:
        """Make the rules right once. Raises SourceError."""
        self._changed.clear()
        keywords = self._keywords
        found = await self._account.rules(client)
        await self._miss(found)
        self.foreign, self.ours = tuple(found.foreign), len(found.ours)
        # In a thread: 10,000 keywords take half a second, and the streams share the event loop.
        wanted = await asyncio.to_thread(self._wanted, keywords, found)
        self._say(wanted.states | self._pending(wanted.pieces, found), keywords)
        if await self._try(client, difference(found.ours, wanted.rules)[0]):
            wanted = await asyncio.to_thread(self._wanted, keywords, found)
        failed = await self._change(client, found, wanted.rules)
        refused: States = {
            keyword_id: ("refused", f"X refuses its rule: {failed[piece]}.")
            for piece, ids in wanted.pieces.items()
            for keyword_id in ids
            if piece in failed
        }
        self._said = wanted.states | refused, keywords
        self._say(*self._said)
        self._accepted = {p: ids for p, ids in wanted.pieces.items() if p not in failed}
        self._there_at = now_us()
        self.ours = sum(not failed.keys() >= set(pieces_of(rule)) for rule in wanted.rules)
        self._fit = _of_left_out(wanted)

    def _wanted(self, keywords: Sequence[Keyword], found: Rules) -> Wanted:
        """What the account should have for these keywords. Runs in a thread, one at a time."""
        known = {_meaning(keyword) for keyword in keywords}
        self._compiled = {m: done for m, done in self._compiled.items() if m in known}
        states: States = {}
        by_keyword: dict[int, tuple[str, ...]] = {}
        for keyword in sorted(keywords, key=lambda keyword: keyword.id):  # the oldest first
            state, pieces = self._of_keyword(keyword)
            if state is not None:
                states[keyword.id] = state
            if pieces:
                by_keyword[keyword.id] = pieces
        rules, left_out = self._packed(by_keyword, found)
        no_room = ("refused", self._no_room(len(left_out), found))
        for keyword_id in left_out:
            states[keyword_id] = no_room
            del by_keyword[keyword_id]
        wanted: dict[str, set[int]] = {}
        for keyword_id, pieces in by_keyword.items():
            for piece in pieces:
                wanted.setdefault(piece, set()).add(keyword_id)
        out = set(left_out)
        return Wanted(rules, wanted, states, tuple(k for k in keywords if k.id in out))

    def _of_keyword(self, keyword: Keyword) -> tuple[tuple[str, str] | None, tuple[str, ...]]:
        """A keyword's state and the pieces to ask for; no state if it no longer parses."""
        if keyword.held:
            return ("over_budget", keyword.held), ()
        meaning = _meaning(keyword)
        if meaning not in self._compiled:
            self._compiled[meaning] = _compiled(keyword, self._plan.characters)
        pieces = self._compiled[meaning]
        if isinstance(pieces, str):
            return (("refused", pieces) if pieces else None), ()  # the page says so
        reason = next((self._refused[piece] for piece in pieces if piece in self._refused), "")
        if reason:
            return ("refused", f"X refuses its rule: {reason}."), ()
        return ACCEPTED, pieces

    def _packed(
        self, by_keyword: Mapping[int, tuple[str, ...]], found: Rules
    ) -> tuple[tuple[str, ...], list[int]]:
        """The rules, and the keywords that do not get into them."""
        room = self._plan.rules - len(found.foreign)
        present = tuple(found.ours)
        limit = self._plan.characters
        left_out: list[int] = []
        if room > 0:
            pieces = {piece for wanted in by_keyword.values() for piece in wanted}
            try:
                return pack(pieces, limit=limit, present=present, max_rules=room).rules, left_out
            except TooManyRules:
                pass
        inside, left_out = fitting(by_keyword, limit=limit, max_rules=room)
        pieces = {piece for keyword_id in inside for piece in by_keyword[keyword_id]}
        return pack(pieces, limit=limit, present=present, max_rules=room).rules, left_out

    def _no_room(self, left_out: int, found: Rules) -> str:
        words = f"No rule is left for it at X: the plan has {self._plan.rules:,}"
        if found.foreign:
            words += f", {len(found.foreign):,} of them taken by other programs"
        does = "does" if left_out == 1 else "do"
        return (
            f"{words}. The oldest keywords come first; {left_out:,} {does} not fit. Remove keywords"
            " that are no longer needed, or choose other networks for them."
        )

    def _pending(self, pieces: Mapping[str, set[int]], found: Rules) -> States:
        there = {piece for value in found.ours for piece in pieces_of(value)}
        there |= self._accepted.keys()
        new = (ids for piece, ids in pieces.items() if piece not in there)
        return {keyword_id: PENDING_AT_X for ids in new for keyword_id in ids}

    async def _try(self, client: XClient, values: Sequence[str]) -> bool:
        """Ask X whether it would take the rules; True if some piece of them is refused."""
        refused = await self._account.tried(client, values)
        if not refused:
            return False
        suspects = [piece for value in refused for piece in pieces_of(value)]
        found = await self._account.tried(client, suspects)
        # A rule whose pieces are all fine is refused for another reason: the account is full.
        self._refused |= {piece: reason for piece, reason in found.items() if "cap" not in reason}
        return bool(found)

    async def _change(self, client: XClient, found: Rules, wanted: Sequence[str]) -> dict[str, str]:
        """Add, then delete, so that nothing is unwatched meanwhile; the refused as piece -> why."""
        new, stale = difference(found.ours, wanted)
        rules = found.foreign | found.ours
        self._relied = {rules[value] for value in wanted if value in rules}
        full = len(found.ours) + len(found.foreign) + len(new) > self._plan.rules
        if stale and full:  # no room for both: seconds without some rules
            await self._account.delete(client, stale)
        missing = [value for value in new if value not in found.foreign]
        failed, made = await self._account.add(client, missing)
        self._relied |= made
        if stale and not full:
            await self._account.delete(client, stale)
        return {piece: reason for value, reason in failed.items() for piece in pieces_of(value)}


def _meaning(keyword: Keyword) -> Meaning:
    return keyword.expression, keyword.accounts


def _compiled(keyword: Keyword, limit: int) -> tuple[str, ...] | str:
    """The pieces of a keyword, or why X is not asked for it ("": it no longer parses)."""
    try:
        return compile_for_x(tree(keyword), limit=limit).pieces
    except NotForX as error:
        return str(error)
    except KeywordSyntaxError:
        return ""


def _of_left_out(wanted: Wanted) -> str:
    """How many keywords have a rule, and the names of those that have none; "" if all have."""
    if not wanted.left_out:
        return ""
    fit = len({keyword_id for ids in wanted.pieces.values() for keyword_id in ids})
    named = ", ".join(f"“{keyword.expression[:40]}”" for keyword in wanted.left_out[:NAMED])
    more = len(wanted.left_out) - NAMED
    named += f" and {more:,} more" if more > 0 else ""
    fitting = "1 keyword fits" if fit == 1 else f"{fit:,} keywords fit"
    return f" {fitting} into the plan's rules; not followed at X: {named}."
