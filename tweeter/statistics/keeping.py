"""Answers that cost much are kept for a moment, and counted again behind who asks next."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger("tweeter.statistics")

MOST = 2_000  # answers

T = TypeVar("T")
Key = tuple[Any, ...]


class _Kept(msgspec.Struct, frozen=True):
    value: Any
    of: Any
    counted_s: float  # of time.monotonic


class Keeper:
    """Answers by key, of one process; may be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_behind = threading.Lock()  # pages come first
        self._kept: dict[Key, _Kept] = {}
        self._under_way: set[Key] = set()

    def answer(
        self,
        key: Key,
        of: Any,
        count: Callable[[], T],
        *,
        is_much: Callable[[T], bool],
        ages_s: tuple[float, float],
    ) -> T:
        """What `count` gives, or gave: an answer that is_much is kept.

        It is as good as new for the first of ages_s while `of` is equal; until the second it is
        given once more while it is counted again in a thread; then counted at once.
        """
        new_s, old_s = ages_s
        with self._lock:
            kept = self._kept.get(key)
        age_s = time.monotonic() - kept.counted_s if kept is not None else 0.0
        if kept is None or age_s > old_s:
            return self._count(key, of, count, is_much)
        if kept.of != of or age_s > new_s:
            self._count_behind(key, of, count, is_much)
        value: T = kept.value
        return value

    def forget(self) -> None:
        """Keep nothing of what was kept."""
        with self._lock:
            self._kept.clear()

    def _count(self, key: Key, of: Any, count: Callable[[], T], is_much: Callable[[T], bool]) -> T:
        counted_s = time.monotonic()
        value = count()
        with self._lock:
            self._kept.pop(key, None)
            if is_much(value):
                while len(self._kept) >= MOST:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = _Kept(value, of, counted_s)
        return value

    def _count_behind(self, key: Key, *asked: Any) -> None:
        def work() -> None:
            try:
                with self._one_behind:
                    self._count(key, *asked)
            except SQLAlchemyError as error:  # the next who asks tries again
                log.warning("Statistics could not be counted again: %s", error)
            finally:
                with self._lock:
                    self._under_way.discard(key)

        with self._lock:
            if key in self._under_way:
                return
            self._under_way.add(key)
        threading.Thread(target=work, daemon=True).start()


KEEPER = Keeper()
