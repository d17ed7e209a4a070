"""When a keyword was not followed although its streams were."""

import time

from sqlalchemy import Engine

from tests.store.posts import take
from tweeter.records import PENDING_AT_X, now_us
from tweeter.store import keyword_ledger, keywords
from tweeter.store.keywords import Options

ANSWER = ("active", "")


def at_x(engine: Engine, keyword_id: int) -> list[keyword_ledger.Pause]:
    return [p for p in keyword_ledger.open_ones(engine, keyword_id) if p.network == "x"]


def test_a_keyword_that_is_followed_again_waits_for_x(engine: Engine) -> None:
    lease = take(engine)
    storm = keywords.add(engine, "storm").id
    for absence in ("paused", "removed"):
        keyword_ledger.set_all(engine, lease, "x", {storm: ANSWER})
        keywords.set_state(engine, storm, absence)
        assert at_x(engine, storm) == []
        keywords.set_state(engine, storm, "active", restore=True)
        assert [(p.state, p.cause) for p in at_x(engine, storm)] == [PENDING_AT_X]


def test_a_keyword_for_other_networks_never_waits_for_x(engine: Engine) -> None:
    sky = keywords.add(engine, "sky", Options(networks=("bluesky",))).id
    keywords.set_state(engine, sky, "paused")
    keywords.set_state(engine, sky, "active")
    assert keyword_ledger.open_ones(engine, sky) == []


def test_a_state_may_have_begun_before_it_was_seen_and_never_after(engine: Engine) -> None:
    lease = take(engine)
    storm, rain = keywords.add(engine, "storm").id, keywords.add(engine, "rain").id
    keyword_ledger.set_all(engine, lease, "x", {storm: ANSWER, rain: ANSWER})
    time.sleep(0.05)
    early, late = now_us() - 10_000, now_us() + 60_000_000  # SQLite counts in milliseconds
    states = {storm: ("pending", "gone", early), rain: ("pending", "gone", late)}
    keyword_ledger.set_all(engine, lease, "x", states)
    assert [p.started_at for p in at_x(engine, storm)] == [early]
    assert at_x(engine, rain)[0].started_at < late


def test_a_keyword_that_was_paused_and_resumed_differs_from_before(engine: Engine) -> None:
    storm = keywords.add(engine, "storm").id
    before = keywords.one(engine, storm)
    keywords.set_state(engine, storm, "paused")
    keywords.set_state(engine, storm, "active")
    assert keywords.one(engine, storm) != before
