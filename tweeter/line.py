"""What a stream may claim of its connection: up to when it is covered, and turns not yet entered;
and what the ledger was told of its keywords.

Bytes that are read late prove little: when we slept (a laptop's lid, a stopped process, a full
disk) they lay in buffers, and the network may have hung up long ago. Such a line is in doubt
until it has stayed open for a while; if it ends before, the gap begins where the silence did.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from tweeter.records import Keyword, KeywordState
from tweeter.store.ledger import LIVE, Missing, Turn

SILENT_S = 30.0  # longer than any network is silent while its line is up
PROVEN_S = 30.0  # a line in doubt that stays open for so long was never broken
UNSAID = 500


def awake_s() -> float:
    """A clock that nobody sets and that also counts the time a machine was suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Line:
    """One connection. Moments are microseconds UTC, as they will stand in the ledger."""

    def __init__(self) -> None:
        self._heard_s = awake_s()
        self._doubted = 0
        self._until_s = 0.0
        self.ended = False

    def heard(self, last_alive: int) -> None:
        """A byte came; last_alive is the moment of the one before."""
        now_s = awake_s()
        if now_s - self._heard_s > SILENT_S:
            self.doubt(last_alive)
        self._heard_s = now_s

    def doubt(self, since: int, proven_s: float = PROVEN_S) -> None:
        """Nothing is certain after `since`, until the line has proven itself for so long."""
        now_s = awake_s()
        self._doubted = since if now_s >= self._until_s else min(self._doubted, since)
        self._until_s = max(self._until_s, now_s + proven_s)

    def sure_until(self, last_alive: int) -> int:
        """Up to when everything that the network sent was certainly read."""
        if awake_s() < self._until_s:
            return min(self._doubted, last_alive)
        return last_alive


class Unsaid:
    """What waits for the ledger while its database is away; turns are bounded.

    When there are too many, a short time of being live between two gaps goes, never a gap. What a
    network no longer had stays, with the turns around it.
    """

    def __init__(self) -> None:
        self._news: deque[Turn | Missing] = deque()

    def __bool__(self) -> bool:
        return bool(self._news)

    def __len__(self) -> int:
        return len(self._news)

    def add(self, news: Turn | Missing) -> None:
        """The newest."""
        if len(self._news) >= UNSAID and isinstance(news, Turn) and news.state != LIVE:
            last = self._news[-1]
            if isinstance(last, Turn):  # the gap before it goes on
                if last.state == LIVE:
                    self._news.pop()
                return
        self._news.append(news)

    def enter(self, write: Callable[[Turn | Missing], None]) -> None:
        """Write them in order; one is forgotten when `write` has returned for it."""
        while self._news:
            write(self._news[0])
            self._news.popleft()


class Told:
    """What the ledger was told of each keyword, so that only news is entered.

    A change of a keyword may have opened "pending" there: what is said of it next is news.
    """

    def __init__(self) -> None:
        self._keywords: dict[int, Keyword] = {}
        self._told: dict[int, KeywordState] = {}

    def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """The active keywords from now on."""
        before, self._keywords = self._keywords, {keyword.id: keyword for keyword in keywords}
        same = {n for n, keyword in self._keywords.items() if before.get(n) == keyword}
        self._told = {n: state for n, state in self._told.items() if n in same}

    def news(self, states: Mapping[int, KeywordState]) -> dict[int, KeywordState]:
        """Those that are new, which count as told from now on."""
        found = {n: state for n, state in states.items() if self._told.get(n) != state}
        self._told |= found
        return found

    def forget(self, states: Mapping[int, KeywordState]) -> None:
        """They were not entered."""
        self._told = {n: state for n, state in self._told.items() if states.get(n) != state}
