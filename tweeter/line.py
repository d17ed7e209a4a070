"""What a stream may claim of its connection: up to when it is covered, and turns not yet entered.

Bytes that are read late prove little: when we slept (a laptop's lid, a stopped process, a full
disk) they lay in buffers, and the network may have hung up long ago. Such a line is in doubt
until it has stayed open for a while; if it ends before, the gap begins where the silence did.
"""

import time
from collections import deque
from collections.abc import Callable

from tweeter.store.ledger import LIVE, Turn

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
    """Turns of the ledger that wait for a database that is away; bounded.

    When there are too many, a short time of being live between two gaps goes, never a gap.
    """

    def __init__(self) -> None:
        self._turns: deque[Turn] = deque()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, turn: Turn) -> None:
        """The newest."""
        if len(self._turns) >= UNSAID and turn.state != LIVE:  # the gap before it goes on
            if self._turns[-1].state == LIVE:
                self._turns.pop()
            return
        self._turns.append(turn)

    def enter(self, write: Callable[[Turn], None]) -> None:
        """Write them in order; one is forgotten when `write` has returned for it."""
        while self._turns:
            write(self._turns[0])
            self._turns.popleft()
