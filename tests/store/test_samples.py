"""Posts that a keyword's words are held against."""

import pytest
from sqlalchemy import Engine

from tests.store.posts import AT, post, store, take
from tweeter.store import keywords, samples
from tweeter.store.cells import US


def test_the_others_are_the_newest_that_the_keyword_does_not_match(engine: Engine) -> None:
    every, lease = keywords.add(engine, "every").id, take(engine)
    store(engine, lease, *(post(n, "before") for n in range(30)))
    late = keywords.add(engine, "late").id  # of what is stored from now on
    store(engine, lease, *(post(n, "after") for n in range(30, 40)))
    found = samples.others(engine, late, limit=8)
    assert [one.text for one in found] == ["before"] * 8
    assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)
    assert len(samples.others(engine, late, limit=100)) == 30
    assert samples.others(engine, late, limit=1) == [], "only the newest ten are looked at"
    assert samples.others(engine, every, limit=8) == []


@pytest.mark.parametrize(("apart_s", "count", "least"), [(0, 60, 40), (0, 30, 31), (59, 60, 40)])
def test_a_sample_is_as_large_as_may_be_wherever_the_posts_are(
    engine: Engine, apart_s: int, count: int, least: int
) -> None:
    storm, lease = keywords.add(engine, "storm").id, take(engine)
    late = AT + 3_599 * US  # in the last eighth; a few before
    made = [post(n, occurred_at=late - n * apart_s * US) for n in range(count)]
    store(engine, lease, *made, post(900, occurred_at=AT + 1))
    found = samples.sample(engine, storm, (AT // US, AT // US + 3_600), limit=40)
    assert len(found) == len({one.id for one in found})
    assert least <= len(found) <= 40
