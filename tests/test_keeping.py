"""Answers that are kept: how long each is as good as new."""

import time

import pytest

from tweeter.statistics import keeping
from tweeter.statistics.keeping import Keeper


class Clock:
    """A clock that stands still, and goes on where it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.mark.parametrize("took_s, new_for_s", [(0.01, 15.0), (1.0, 50.0)])
def test_what_takes_long_to_count_is_counted_more_rarely(
    monkeypatch: pytest.MonkeyPatch, took_s: float, new_for_s: float
) -> None:
    keeper, clock, counts = Keeper(), Clock(), list[float]()
    monkeypatch.setattr(keeping, "time", clock)

    def count() -> int:
        counts.append(clock.now_s)
        clock.now_s += took_s
        return len(counts)

    def answer(of: int = 0) -> int:
        return keeper.answer(("key",), of, count, is_much=bool, ages_s=(15.0, 600.0))

    def is_counted_behind() -> bool:
        until, before = time.monotonic() + 10, len(counts)
        answer()
        while time.monotonic() < until and keeper._under_way:
            time.sleep(0.001)
        return len(counts) > before

    assert answer() == 1
    clock.now_s = counts[-1] + new_for_s
    assert not is_counted_behind()
    clock.now_s += 0.1
    assert is_counted_behind()
    assert not is_counted_behind()
    answer(of=1)  # another bar has begun
    until = time.monotonic() + 10
    while len(counts) < 3 and time.monotonic() < until:
        time.sleep(0.001)
    assert len(counts) == 3
