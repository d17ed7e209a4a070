"""Answers that cost much are kept for a moment, and counted again behind who asks next."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger("tweeter.statistics")

T = TypeVar("T")
Key = tuple[Any, ...]
Count = Callable[[Sequence[str]], Mapping[str, T]]


REST = 50  # times as long as counting took an answer is as good as new, at least
REST_IN_VAIN = 5  # likewise until what was not found is looked for again


class _Kept(msgspec.Struct, frozen=True):
    value: Any
    of: Any
    counted_s: float  # of time.monotonic
    took_s: float

    def is_new(self, of: Any, now_s: float, new_s: float) -> bool:
        rest = REST if self.value is not None else REST_IN_VAIN
        return self.of == of and now_s - self.counted_s <= max(new_s, rest * self.took_s)


class Keeper:
    """Answers by key, `most` of them, of one process; may be used by several threads."""

    def __init__(self, most: int = 2_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._one_behind = threading.Lock()  # pages come first
        self._long_behind = threading.Lock()  # of what may take longer there
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
        behind: Callable[[], T] | None = None,
    ) -> T:
        """What `count` gives, or gave: an answer that is_much is kept.

        It is as good as new for the first of ages_s, or REST times as long as it took, while `of`
        is equal; until the second it is given once more while it is counted again in a thread;
        then counted at once. behind: counts in the thread, for what may take longer there. None is
        an answer that was not found in time: it takes no other's place, and is looked for behind.
        """
        found = self.answers(
            {"": key},
            of,
            lambda _: {"": count()},
            is_much=is_much,
            ages_s=ages_s,
            behind=None if behind is None else lambda _: {"": behind()},
        )
        return found[""]

    def answers(
        self,
        keys: Mapping[str, Key],
        of: Any,
        count: Count[T],
        *,
        is_much: Callable[[T], bool],
        ages_s: tuple[float, float],
        behind: Count[T] | None = None,
    ) -> dict[str, T]:
        """The same for several by name, of which `count` gives those that it is asked for."""
        new_s, old_s = ages_s
        now_s = time.monotonic()
        with self._lock:
            kept = {name: self._kept[key] for name, key in keys.items() if key in self._kept}
        kept = {name: one for name, one in kept.items() if now_s - one.counted_s <= old_s}
        old = [name for name, one in kept.items() if not one.is_new(of, now_s, new_s)]
        if old:
            turn = self._one_behind if behind is None else self._long_behind
            again = {name: keys[name] for name in old}
            self._count_behind(again, of, behind or count, is_much, turn)
        missing = {name: key for name, key in keys.items() if name not in kept}
        found = self._count(missing, of, count, is_much) if missing else {}
        vain = {name: key for name, key in missing.items() if found[name] is None}
        if behind is not None and vain:
            self._count_behind(vain, of, behind, is_much, self._long_behind)
        return {name: found[name] if name in found else kept[name].value for name in keys}

    def forget(self) -> None:
        """Keep nothing of what was kept."""
        with self._lock:
            self._kept.clear()

    def _count(
        self, keys: Mapping[str, Key], of: Any, count: Count[T], is_much: Callable[[T], bool]
    ) -> Mapping[str, T]:
        counted_s = time.monotonic()
        values = count(list(keys))
        took_s = time.monotonic() - counted_s
        with self._lock:
            for name, key in keys.items():
                if values[name] is None and key in self._kept and self._kept[key].value is not None:
                    continue
                self._kept.pop(key, None)
                if is_much(values[name]):
                    while len(self._kept) >= self._most:
                        del self._kept[next(iter(self._kept))]
                    self._kept[key] = _Kept(values[name], of, counted_s, took_s)
        return values

    def _count_behind(
        self,
        keys: Mapping[str, Key],
        of: Any,
        count: Count[T],
        is_much: Callable[[T], bool],
        turn: threading.Lock,
    ) -> None:
        def work() -> None:
            try:
                with turn:
                    self._count(mine, of, count, is_much)
            except SQLAlchemyError as error:  # the next who asks tries again
                log.warning("Statistics could not be counted again: %s", error)
            finally:
                with self._lock:
                    self._under_way.difference_update(mine.values())

        with self._lock:
            mine = {name: key for name, key in keys.items() if key not in self._under_way}
            if not mine:
                return
            self._under_way.update(mine.values())
        threading.Thread(target=work, daemon=True).start()


KEEPER = Keeper()
