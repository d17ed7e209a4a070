"""Posts over time are the same however they are looked for."""

from collections import Counter

import pytest
from sqlalchemy import Engine

from tests.store.posts import AT, post, store, take
from tweeter.store import keywords, sums
from tweeter.store.cells import DAY, HOUR, MINUTE, US
from tweeter.store.sums import Grid, Narrow

NOW_S = AT // US
SPACING_S = 1_733  # posts in most hours, at no regular place


@pytest.mark.parametrize("width", [HOUR, 3 * HOUR, DAY])
@pytest.mark.parametrize("unaligned_s", [0, 1_260, 13 * HOUR + 300])
def test_buckets_of_all_series_are_the_sums_of_each(
    engine: Engine, width: int, unaligned_s: int
) -> None:
    keyword_id = keywords.add(engine, "storm").id
    times = [NOW_S - n * SPACING_S for n in range(120)]
    networks = ("bluesky", "x", "mastodon")
    made = (
        post(n, occurred_at=at * US, network=networks[n % 3], lang=("en", "ja")[n % 2])
        for n, at in enumerate(times)
    )
    store(engine, take(engine), *made)
    until = NOW_S - NOW_S % DAY + DAY
    since, until = until - 4 * DAY + unaligned_s, until - DAY - unaligned_s
    grid = Grid(since=since, until=until, width=width)
    expected: Counter[int] = Counter()
    for at in times:
        if since <= at < until:
            expected[at - at % width] += 1
    for by in ("", "network", "kind", "lang"):
        cells = sums.over_time(engine, [keyword_id], grid, by=by)[keyword_id]
        found: Counter[int] = Counter()
        for cell in cells:
            found[cell.start] += cell.posts
        assert found == expected, by
        assert cells == sorted(cells, key=lambda cell: (cell.start, cell.name))


@pytest.mark.parametrize("width", [HOUR, 3 * HOUR, 7 * DAY])
@pytest.mark.parametrize("by", ["", "lang"])
def test_buckets_from_before_1970_are_as_all_others(engine: Engine, width: int, by: str) -> None:
    keyword_id = keywords.add(engine, "storm").id
    times = [n * DAY + 5_000 for n in (-21_000, -20, -9, -5, -2, -1, 3)]
    store(engine, take(engine), *(post(n, occurred_at=at * US) for n, at in enumerate(times)))
    grid = Grid(since=-22_000 * DAY, until=14 * DAY, width=width, offset=4 * DAY)
    expected = Counter(at - (at - 4 * DAY) % width for at in times)
    cells = sums.over_time(engine, [keyword_id], grid, by=by)[keyword_id]
    assert {cell.start: cell.posts for cell in cells} == expected


@pytest.mark.parametrize("width", [MINUTE, 300, 1_800])
@pytest.mark.parametrize("narrow", [Narrow(), Narrow(network=("!x",)), Narrow(lang=("ja",))])
def test_short_buckets_come_from_minutes_or_fives(
    engine: Engine, width: int, narrow: Narrow
) -> None:
    keyword_id = keywords.add(engine, "storm").id
    times = [NOW_S - n * 97 for n in range(300)]
    made = (
        post(n, occurred_at=at * US, network=("bluesky", "x")[n % 2], lang=("en", "ja")[n % 3 > 1])
        for n, at in enumerate(times)
    )
    store(engine, take(engine), *made)
    until = NOW_S - NOW_S % HOUR + HOUR
    grid = Grid(since=until - 6 * HOUR, until=until, width=width)
    expected: Counter[tuple[int, str]] = Counter()
    for n, at in enumerate(times):
        lang, network = ("en", "ja")[n % 3 > 1], ("bluesky", "x")[n % 2]
        is_asked = lang in (narrow.lang or (lang,)) and f"!{network}" not in narrow.network
        if is_asked and grid.since <= at < until:
            expected[at - at % width, network] += 1
    for by in ("", "network", "lang"):
        cells = sums.over_time(engine, [keyword_id], grid, by=by, narrow=narrow)[keyword_id]
        found: Counter[int] = Counter()
        for cell in cells:
            found[cell.start] += cell.posts
            if by == "network":
                assert cell.posts == expected[cell.start, cell.name]
        assert sum(found.values()) == expected.total()
        assert all(
            found[start] == sum(n for (at, _), n in expected.items() if at == start)
            for start in found
        )
    times_s = until - 5 * HOUR - 7 * MINUTE, until - 11 * MINUTE
    inside = Counter(
        name
        for n, at in enumerate(times)
        for name in [("bluesky", "x")[n % 2]]
        if times_s[0] <= at < times_s[1] and f"!{name}" not in narrow.network
        if not narrow.lang or n % 3 > 1
    )
    assert sums.total(engine, keyword_id, times_s, narrow) == inside.total()
    begin_s, end_s = times_s
    middle_s = begin_s + 2 * HOUR + 3 * MINUTE
    stretches = [(begin_s, middle_s), (middle_s, middle_s), (middle_s, end_s), times_s]
    first, nothing, second, whole = sums.each(engine, keyword_id, stretches, narrow)
    assert (first + second, whole, nothing) == (inside.total(), inside.total(), 0)
    assert first == sums.total(engine, keyword_id, (begin_s, middle_s), narrow) > 0
