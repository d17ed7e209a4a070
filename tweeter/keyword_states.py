"""The states of the keywords that live columns are of, asked once for all readers of a process."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter.store import keywords

UNKNOWN = -1  # no revision: the next look asks for all of them


class KeywordStates:
    """What is known of them. ask: calls a function of the store without holding up the loop.

    number is raised whenever one of them has another state.
    """

    def __init__(self, engine: Engine, ask: Callable[..., Awaitable[Any]]) -> None:
        self.number = 0
        self._engine = engine
        self._ask = ask
        self._revision = UNKNOWN
        self._states: dict[int, str] = {}

    async def of(self, ids: Iterable[int]) -> dict[int, str]:
        """The states of these; those of one that there is not: "removed". Kept up from now on."""
        asked = set(ids)
        if new := asked - self._states.keys():
            revision, found = await self._ask(keywords.states, self._engine, new)
            self._states |= found
            if revision != self._revision:
                self._revision = UNKNOWN
        return {one: self._states[one] for one in asked}

    async def renew(self) -> bool:
        """Look whether one of them has changed; the states are read only if any keyword has."""
        if not self._states:
            return False
        before = dict(self._states)
        try:
            self._revision, found = await self._ask(self._read, before, self._revision)
        except SQLAlchemyError:  # the streams' states say so
            return False
        self._states |= found
        has_changed = any(before[one] != state for one, state in found.items())
        self.number += has_changed
        return has_changed

    def forget(self) -> None:
        """Nobody reads any more."""
        self._revision, self._states = UNKNOWN, {}

    def _read(self, ids: Iterable[int], known: int) -> tuple[int, dict[int, str]]:
        return keywords.states(self._engine, ids, known=known)
