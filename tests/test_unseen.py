"""What was not covered is told moment by moment as the streams' ledgers have it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tweeter.statistics import spans
from tweeter.statistics.unseen import bands, blank, unfollowed, untaught
from tweeter.store.cells import HOUR, US
from tweeter.store.coverage import Coverage, Stretch

MINUTES = 300
VERDICTS = ("covered", "missed", "not_followed")
Line = list[str]  # a verdict for each minute

runs = st.tuples(st.sampled_from(VERDICTS), st.integers(1, 120))
lines = st.lists(runs, min_size=1).map(
    lambda some: ([verdict for verdict, length in some for _ in range(length)] * MINUTES)[:MINUTES]
)


def covered(n: int, line: Line, late_us: int = 0) -> Coverage:
    """A stream's coverage; late_us: its turns come so much later."""
    turns = [0, *(m for m in range(1, MINUTES) if line[m] != line[m - 1]), MINUTES]
    stretches = [
        Stretch(
            verdict=line[since],
            state="down",
            outcome="",
            words="Gone.",
            since=since * 60 * US + late_us * (since > 0),
            until=until * 60 * US + late_us * (until < MINUTES),
        )
        for since, until in pairwise(turns)
    ]
    return Coverage(
        stream=f"s{n}",
        network="x",
        stretches=stretches,
        covered_s=0,
        missed_s=0,
        not_followed_s=0,
    )


@given(st.lists(lines, min_size=1, max_size=3), st.sampled_from([300, 1800, 3600]))
def test_every_minute_is_told_as_it_was(of_all: list[Line], size: int) -> None:
    found = [covered(n, line) for n, line in enumerate(of_all)]
    told = {m: one.whole for one in bands(found) for m in range(one.since // 60, one.until // 60)}
    each = [{line[minute] for line in of_all} for minute in range(MINUTES)]
    assert told == {m: "covered" not in one for m, one in enumerate(each) if "missed" in one}
    span = spans.cut(0, MINUTES * 60, size)
    empty = [
        bucket
        for bucket in range(span.count)
        if not any(
            "covered" in each[m] for m in range(bucket * size // 60, (bucket + 1) * size // 60)
        )
    ]
    assert blank(span, bands(found), unfollowed(found)) == empty


def test_a_gap_teaches_nothing_also_where_it_is_partly_one_of_all() -> None:
    gap = [["covered"] * 60 + ["missed"] * 40, ["covered"] * 80 + ["missed"] * 20]
    found = [
        covered(n, line + ["covered"] * (MINUTES - 100), US // 2) for n, line in enumerate(gap)
    ]
    assert [one.whole for one in bands(found)] == [False, True]
    assert untaught(found) == {HOUR}
