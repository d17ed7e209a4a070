"""Posts over time are the same however they are looked for."""

from collections import Counter

import pytest
from sqlalchemy import Engine

from tests.store.posts import AT, post, store, take
from tweeter.store import keywords, sums
from tweeter.store.cells import DAY, HOUR, US
from tweeter.store.sums import Grid

NOW_S = AT // US
SPACING_S = 1_733  # posts in most hours, at no regular place


@pytest.mark.parametrize("width", [HOUR, 3 * HOUR, DAY])
@pytest.mark.parametrize("unaligned_s", [0, 1_234])
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
    since = until - 4 * DAY + unaligned_s
    base = DAY if width == DAY else HOUR
    grid = Grid(since=since, until=until, base=base, width=width)
    expected: Counter[int] = Counter()
    for at in times:
        if at - at % base >= since:
            expected[at - at % width] += 1
    for by in ("", "network", "kind", "lang"):
        cells = sums.over_time(engine, [keyword_id], grid, by=by)[keyword_id]
        found: Counter[int] = Counter()
        for cell in cells:
            found[cell.start] += cell.posts
        assert found == expected, by
        assert cells == sorted(cells, key=lambda cell: (cell.start, cell.name))


def test_very_many_hours_are_read_through(engine: Engine) -> None:
    keyword_id = keywords.add(engine, "storm").id
    store(engine, take(engine), post(1, occurred_at=NOW_S * US))
    until = NOW_S - NOW_S % HOUR + HOUR
    for hours in (sums.LOOKED_UP, sums.LOOKED_UP + 1):
        grid = sums.hourly(until - hours * HOUR, until)
        (cell,) = sums.over_time(engine, [keyword_id, 0], grid)[keyword_id]
        assert (cell.start, cell.posts) == (until - HOUR, 1)
