"""What was lost after it had come is in the ledger, and what was open before goes on."""

import pytest
from sqlalchemy import Engine, select

from tests.store.posts import take
from tweeter.errors import LeaseLost
from tweeter.store import ledger, losses, past, streams
from tweeter.store.engine import reading
from tweeter.store.leases import Lease
from tweeter.store.ledger import Turn
from tweeter.store.schema import intervals

AT = 1_780_000_000_000_000
S = 1_000_000


def turn(engine: Engine, lease: Lease, state: str, at_s: int, outcome: str = "") -> None:
    cause = "" if state == "live" else f"It is {state}."
    entered = Turn(state=state, cause=cause, at=AT + at_s * S, outcome=outcome)
    ledger.enter(engine, lease, entered)


def lose(engine: Engine, lease: Lease, since_s: int, until_s: int) -> None:
    losses.enter(engine, lease, AT + since_s * S, AT + until_s * S)


def found(engine: Engine) -> list[tuple[str, int, int | None, str]]:
    """State, from and to (s), outcome; without what is empty."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(intervals).order_by(intervals.c.started_at, intervals.c.id)
        ).all()
    assert [row.cause == losses.DAMAGED for row in rows] == [row.state == "lost" for row in rows]
    return [
        (
            row.state,
            (row.started_at - AT) // S,
            None if row.ended_at is None else (row.ended_at - AT) // S,
            row.outcome,
        )
        for row in rows
        if row.ended_at != row.started_at
    ]


def test_time_that_was_live_is_lost_and_goes_on_live(engine: Engine) -> None:
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    lose(engine, lease, 10, 20)
    lose(engine, lease, 10, 20)  # told again by who could not store what lies behind
    assert found(engine) == [("live", 0, 10, ""), ("lost", 10, 20, "lost"), ("live", 20, None, "")]
    turn(engine, lease, "down", 30)
    turn(engine, lease, "live", 40, "repairing")
    assert found(engine)[1:] == [
        ("lost", 10, 20, "lost"),
        ("live", 20, 30, ""),
        ("down", 30, 40, "repairing"),
        ("live", 40, None, ""),
    ]


def test_a_stream_that_is_away_does_not_come_back_by_a_loss(engine: Engine) -> None:
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    turn(engine, lease, "limited", 10)
    lose(engine, lease, 12, 20)
    rest = [("lost", 12, 20, ""), ("limited", 20, None, "")]
    assert found(engine) == [("live", 0, 10, ""), ("limited", 10, 12, ""), *rest]
    turn(engine, lease, "live", 30, "lost")
    assert [row[3] for row in found(engine)] == ["", "lost", "lost", "lost", ""]


def test_time_before_the_last_gap_is_lost_too(engine: Engine) -> None:
    """Another process left the journal: what lies in it came before its end."""
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    turn(engine, lease, "down", 10)
    turn(engine, lease, "live", 20, "repairing")
    lose(engine, lease, 5, 12)
    assert found(engine) == [
        ("live", 0, 5, ""),
        ("lost", 5, 10, "lost"),
        ("down", 10, 20, "repairing"),
        ("live", 20, None, ""),
    ]


def test_a_gap_that_is_lost_says_why(engine: Engine) -> None:
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    turn(engine, lease, "down", 10)
    turn(engine, lease, "live", 20, "lost")
    lose(engine, lease, 11, 12)
    (gap,) = [one for one in ledger.of_stream(engine, lease.stream_id) if one.state == "down"]
    assert gap.repair == losses.DAMAGED


def test_of_a_loss_whose_beginning_is_not_known_a_second_is_entered(engine: Engine) -> None:
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    lose(engine, lease, 30, 20)
    assert found(engine)[1] == ("lost", 19, 20, "lost")


def test_who_lost_the_lease_enters_nothing(engine: Engine) -> None:
    lease = take(engine, network="x")
    turn(engine, lease, "live", 0)
    streams.release(engine, lease)
    take(engine, network="x")
    with pytest.raises(LeaseLost):
        lose(engine, lease, 10, 20)
    assert found(engine) == [("live", 0, None, "")]


def test_what_a_mastodon_server_still_has_is_asked_for_again(engine: Engine) -> None:
    lease = take(engine, network="mastodon")
    turn(engine, lease, "live", 0)
    lose(engine, lease, 10, 20)
    assert found(engine)[1] == ("lost", 10, 20, "repairing")
    assert past.start_repairs(engine) == 1
    (job_id,) = past.waiting(engine)
    asked = past.claim(engine, job_id, "me")
    assert asked is not None
    past.finish(engine, asked)
    assert found(engine)[1] == ("lost", 10, 20, "repaired")
