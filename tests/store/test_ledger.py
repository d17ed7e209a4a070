"""Who may write to the ledgers, and what stands in them then."""

import pytest
from sqlalchemy import Engine

from tests.store.posts import take
from tweeter.errors import LeaseLost
from tweeter.store import keyword_ledger, keywords, ledger, streams
from tweeter.store.leases import Lease
from tweeter.store.ledger import Settled, Turn

AT = 1_795_000_000_000_000
MINUTE_US = 60_000_000


def lines(engine: Engine, lease: Lease) -> list[tuple[str, str, int, int]]:
    """State, outcome and minutes since AT of the intervals that are not empty; -1: open."""
    return [
        (
            one.state,
            one.outcome,
            (one.started_at - AT) // MINUTE_US,
            -1 if one.ended_at is None else (one.ended_at - AT) // MINUTE_US,
        )
        for one in ledger.of_stream(engine, lease.stream_id)
        if one.ended_at != one.started_at
    ]


def enter(engine: Engine, lease: Lease, *turns: tuple[str, int, str]) -> None:
    """Turns: state, minutes since AT, what became of the gap that ends there."""
    for state, minute, outcome in turns:
        at = AT + minute * MINUTE_US
        turn = Turn(state=state, cause=f"{state} at {minute}", at=at, outcome=outcome)
        ledger.enter(engine, lease, turn)


def test_who_lost_a_stream_enters_nothing_in_the_ledgers(engine: Engine) -> None:
    keyword = keywords.add(engine, "storm", keywords.Options(networks=("bluesky",))).id
    old = take(engine)
    enter(engine, old, ("live", 0, ""), ("down", 10, ""))
    streams.release(engine, old)
    new = take(engine)
    enter(engine, new, ("live", 20, "replayed"))
    before = ledger.of_stream(engine, new.stream_id)
    lost = Settled(since=AT, until=AT + 20 * MINUTE_US, outcome="lost", repair="gone")
    with pytest.raises(LeaseLost):
        enter(engine, old, ("down", 30, ""))
    with pytest.raises(LeaseLost):
        ledger.miss(engine, old, lost, read_until=AT)
    with pytest.raises(LeaseLost):
        keyword_ledger.set_all(engine, old, "bluesky", {keyword: ("refused", "w")})
    assert ledger.of_stream(engine, new.stream_id) == before
    assert keyword_ledger.open_ones(engine) == []
    keyword_ledger.set_all(engine, new, "bluesky", {keyword: ("refused", "w")})
    assert [one.state for one in keyword_ledger.open_ones(engine)] == ["refused"]


def test_a_turn_before_the_last_one_makes_that_one_empty(engine: Engine) -> None:
    lease = take(engine)
    enter(engine, lease, ("live", 0, ""), ("down", 10, ""), ("limited", 9, ""))
    assert lines(engine, lease) == [("live", "", 0, 10), ("limited", "", 10, -1)]


def test_what_a_late_stream_never_read_is_lost_also_where_it_was_live(engine: Engine) -> None:
    """At 20 it had read up to 2 when it broke; at 90 the network has what came after 80."""
    lease = take(engine)
    enter(
        engine,
        lease,
        ("live", -10, ""),
        ("down", 0, ""),
        ("live", 10, "replayed"),
        ("down", 20, ""),
        ("live", 90, "replayed"),
    )
    lost = Settled(since=AT + MINUTE_US, until=AT + 80 * MINUTE_US, outcome="lost", repair="gone")
    ledger.miss(engine, lease, lost, read_until=AT + 2 * MINUTE_US)
    assert lines(engine, lease) == [
        ("live", "", -10, 0),
        ("down", "replayed", 0, 1),
        ("down", "lost", 1, 10),
        ("lost", "lost", 10, 20),
        ("down", "lost", 20, 80),
        ("down", "replayed", 80, 90),
        ("live", "", 90, -1),
    ]


def test_what_was_read_before_a_gap_stays_live(engine: Engine) -> None:
    """A source asks for a little more than it misses."""
    lease = take(engine)
    enter(engine, lease, ("live", 0, ""), ("down", 10, ""), ("live", 20, "replayed"))
    lost = Settled(
        since=AT + 5 * MINUTE_US, until=AT + 15 * MINUTE_US, outcome="lost", repair="gone"
    )
    ledger.miss(engine, lease, lost, read_until=AT + 10 * MINUTE_US)
    assert lines(engine, lease) == [
        ("live", "", 0, 10),
        ("down", "lost", 10, 15),
        ("down", "replayed", 15, 20),
        ("live", "", 20, -1),
    ]
