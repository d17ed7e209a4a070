"""What is said of how many come: the rate of the time that was looked at."""

from typing import Any

import pytest
from sqlalchemy import Engine, update

from tests.store.posts import AT, post, store, take
from tweeter import config
from tweeter.forecast import lines
from tweeter.records import now_us
from tweeter.store import keywords, ledger, past_rates, posts
from tweeter.store import preview as module
from tweeter.store.engine import writing
from tweeter.store.leases import Lease
from tweeter.store.ledger import Turn
from tweeter.store.preview import Preview, preview
from tweeter.store.schema import keywords as keyword_table

S = 1_000_000
HOUR = 3_600


@pytest.fixture
def lease(engine: Engine) -> Lease:
    """Of a stream that keywords are followed on; it was not live yet."""
    keywords.add(engine, "storm")
    return take(engine)


def live(engine: Engine, lease: Lease, since_s: int, until_s: int) -> None:
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT + since_s * S))
    ledger.enter(engine, lease, Turn(state="down", cause="It closed.", at=AT + until_s * S))


def come(engine: Engine, lease: Lease, count: int, until_s: int, **fields: Any) -> None:
    """So many posts, evenly up to this second; the first comes at AT."""
    moments = [AT + until_s * S * n // (count - 1) for n in range(count)]
    made = [
        post(n, occurred_at=at, created_at=at, sort_us=at, **fields) for n, at in enumerate(moments)
    ]
    store(engine, lease, *made)


def test_more_than_are_looked_at_say_the_rate_of_their_stretch(
    engine: Engine, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POSTS", 100)
    live(engine, lease, -HOUR, HOUR)
    come(engine, lease, 201, 400)  # one every other second
    found = preview(engine, "storm")
    assert (found.looked_at, found.since) == (100, AT + 202 * S)
    assert found.an_hour == pytest.approx(100 / 198 * HOUR)
    assert found.an_hour_by_network == {"bluesky": found.an_hour}


def test_a_post_that_its_network_dates_far_ahead_moves_no_stretch(
    engine: Engine, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POSTS", 100)
    come(engine, lease, 201, 400)
    ahead = post(999, occurred_at=AT + 9 * S, created_at=AT + 9 * S, sort_us=AT + 10**15)
    store(engine, lease, ahead)
    assert preview(engine, "storm").an_hour == pytest.approx(100 / 198 * HOUR)
    newest = posts.latest(engine, limit=50)
    assert [one.occurred_at for one in newest] == [AT + 2 * n * S for n in range(200, 150, -1)]


def test_if_no_more_are_stored_time_in_which_none_came_counts(engine: Engine, lease: Lease) -> None:
    live(engine, lease, -2 * HOUR, 2 * HOUR)
    come(engine, lease, 12, 180)
    found = preview(engine, "storm")
    assert (found.looked_at, found.since) == (12, AT - 2 * HOUR * S)
    assert found.an_hour == pytest.approx(3)
    assert preview(engine, "flood").an_hour == 0


def test_posts_of_a_file_say_the_rate_of_their_own_time(engine: Engine, lease: Lease) -> None:
    come(engine, lease, 12, 12 * HOUR)  # what was read was never live
    assert preview(engine, "storm").an_hour == pytest.approx(1)


@pytest.mark.parametrize("count, until_s", [(50, 20), (3, 180)])
def test_a_handful_of_seconds_or_posts_claims_no_rate(
    engine: Engine, lease: Lease, count: int, until_s: int
) -> None:
    live(engine, lease, 0, until_s)
    come(engine, lease, count, until_s, network="x")
    found = preview(engine, "storm")
    assert found.found == count
    assert (found.an_hour, found.an_hour_by_network) == (None, {})
    assert costs(found) is None


def test_the_cost_at_x_is_of_the_same_rate(engine: Engine, lease: Lease) -> None:
    come(engine, lease, 100, 180, network="x")
    assert costs(preview(engine, "storm")) == pytest.approx(100 / 180 * 86_400)
    assert preview(engine, "nothing at all").since == AT


def test_nothing_stored_says_nothing(engine: Engine) -> None:
    found = preview(engine, "storm")
    assert (found.looked_at, found.since, found.an_hour) == (0, 0, None)


def test_what_came_before_a_keyword_says_nothing_of_its_rate(engine: Engine) -> None:
    """Posts that were stored before, and that it matches, are of a longer time than its own."""
    storm, now = keywords.add(engine, "storm").id, now_us()
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=now - 2 * HOUR * S))
    moments = [now - n * HOUR * S for n in range(3, 150)]
    moments += [now - n * HOUR * S // 5 for n in range(1, 9)]
    made = [post(n, network="x", occurred_at=at) for n, at in enumerate(moments)]
    store(engine, take(engine), *made)
    assert past_rates.x_posts_an_hour(engine, storm) == pytest.approx(4, rel=0.01)


def costs(found: Preview) -> float | None:
    """Posts a day that X is expected to be paid for."""
    return lines(config.load({}), "storm", ["x"], found)[0].day_posts


def test_what_is_typed_is_tried_as_it_is_saved(engine: Engine) -> None:
    ann = keywords.add(engine, "from:ann storm").id
    typed = "\u202efrom:ann storm\u202c "  # nobody sees its ends
    assert preview(engine, typed).twin == ann
    (x, *_) = lines(config.load({"TWEETER_X_BEARER_TOKEN": "t"}), typed, ("x",))
    assert x.rule == "from:ann storm"
