"""Panels of many different values: kept, and counted again behind the reader."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.store.posts import AT, post, store, take
from tweeter.statistics import keeping, panels, spans
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.panels import Panel
from tweeter.statistics.volume import Question
from tweeter.store import keywords
from tweeter.store.cells import DAY, US


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    KEEPER.forget()
    yield
    KEEPER.forget()


def tagged(engine: Engine, numbers: range) -> None:
    lease = take(engine, f"from {numbers.start}")
    store(engine, lease, *(post(n, "storm", tags=(f"tag{n}", "storm")) for n in numbers))


def tags(engine: Engine, keyword_id: int, *, since: int = AT // US - 9 * DAY) -> Panel:
    question = Question(span=spans.cut(since, AT // US + DAY))
    return panels.panels(engine, keyword_id, question, 0)["tag"]


def test_few_values_are_counted_each_time(engine: Engine) -> None:
    keyword_id = keywords.add(engine, "storm").id
    tagged(engine, range(3))
    assert tags(engine, keyword_id).distinct == 4
    tagged(engine, range(10, 12))
    found = tags(engine, keyword_id)
    assert (found.distinct, found.rows[0].value, found.rows[0].posts) == (6, "storm", 5)
    assert not KEEPER._kept


def test_many_values_are_shown_once_more_while_they_are_counted_behind(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "MANY", 4)
    monkeypatch.setattr(keeping, "REST", 0)  # however long a busy machine counts
    keyword_id = keywords.add(engine, "storm").id
    tagged(engine, range(3))
    first = tags(engine, keyword_id)
    tagged(engine, range(10, 12))
    assert tags(engine, keyword_id) is first  # as good as new
    assert tags(engine, keyword_id, since=AT // US - 8 * DAY).distinct == 6  # another question
    monkeypatch.setattr(panels, "KEPT_S", 0.0)
    assert tags(engine, keyword_id) is first  # and is counted behind
    until = time.monotonic() + 10
    while (found := tags(engine, keyword_id)).distinct == 4:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert (found.distinct, found.rows[0].posts) == (6, 5)


def test_what_is_too_old_is_counted_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "MANY", 1)
    keyword_id = keywords.add(engine, "storm").id
    tagged(engine, range(3))
    tags(engine, keyword_id)
    tagged(engine, range(10, 12))
    later = time.monotonic() + 2 * DAY
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert tags(engine, keyword_id).distinct == 6
