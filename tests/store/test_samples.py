"""Posts that a keyword's words are held against."""

from sqlalchemy import Engine

from tests.store.posts import post, store, take
from tweeter.store import keywords, samples


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
