"""A sink that remembers, for tests of one source by itself."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tweeter.records import KeywordState, RawEvent


class Kept:
    """What a source said. slow_s delays each put, as a busy store would; rests_s: what comes next
    may lie unread for so long.
    """

    def __init__(self, cursor: str = "", slow_s: float = 0, rests_s: float = 0) -> None:
        self.cursor = cursor
        self.events: list[RawEvent] = []
        self.words: list[str] = []
        self.alives = 0
        self.gaps: list[tuple[int, int, str]] = []
        self.states: dict[int, KeywordState] = {}
        self.told: list[dict[int, KeywordState]] = []  # each time
        self.memory: dict[str, Any] = {}
        self.sizes: list[int] = []  # events of each put
        self._slow_s = slow_s
        self._rests_s = rests_s

    async def put(self, events: Sequence[RawEvent]) -> None:
        if self._slow_s:
            await asyncio.sleep(self._slow_s)
        self.events.extend(events)
        self.sizes.append(len(events))

    def rest_s(self) -> float:
        return self._rests_s

    def alive(self) -> None:
        self.alives += 1

    def connected(self, words: str) -> None:
        self.words.append(words)

    def notice(self, words: str) -> None:
        self.words.append(words)

    def missed(self, since: int, until: int, words: str, *, read_until: int) -> None:
        self.gaps.append((since, until, words))

    def keywords(self, states: Mapping[int, KeywordState]) -> None:
        self.states |= states
        self.told.append(dict(states))

    def remember(self, **values: Any) -> None:
        self.memory |= values

    @property
    def bodies(self) -> list[bytes]:
        return [event.body for event in self.events]


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until it is so; fails the test otherwise."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def stand_still(sink: Kept, task: "asyncio.Task[None]") -> None:
    """Nobody reads for a second; the connection goes on with what came meanwhile."""
    await until(lambda: sink.alives >= 2)
    time.sleep(1.0)
    heard = sink.alives
    await until(lambda: sink.alives >= heard + 3 or task.done())
    assert not task.done()
