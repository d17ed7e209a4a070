"""Who may write to the ledgers, and what stands in them after clocks were wrong."""

import pytest
from sqlalchemy import Engine, update

from tests.store.posts import take
from tweeter.errors import LeaseLost
from tweeter.records import now_us
from tweeter.store import ahead, installation, keyword_ledger, keywords, ledger, streams
from tweeter.store.engine import reading, writing
from tweeter.store.leases import LEASE_S, Lease
from tweeter.store.ledger import Missing, Turn
from tweeter.store.schema import leaders
from tweeter.store.schema import streams as stream_table

AT = 1_795_000_000_000_000
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


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
    lost = Missing(since=AT, until=AT + 20 * MINUTE_US, read_until=AT, words="gone")
    with pytest.raises(LeaseLost):
        enter(engine, old, ("down", 30, ""))
    with pytest.raises(LeaseLost):
        ledger.miss(engine, old, lost)
    with pytest.raises(LeaseLost):
        keyword_ledger.set_all(engine, old, "bluesky", {keyword: ("refused", "w")})
    assert ledger.of_stream(engine, new.stream_id) == before
    assert keyword_ledger.open_ones(engine) == []
    keyword_ledger.set_all(engine, new, "bluesky", {keyword: ("refused", "w")})
    assert [one.state for one in keyword_ledger.open_ones(engine)] == ["refused"]


def test_a_clock_that_is_set_back_hides_no_gap(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was an hour ahead; ten minutes after it was set right the line breaks, for ten more."""
    clock = [AT + HOUR_US]
    monkeypatch.setattr(ledger, "now_us", lambda: clock[0])
    lease = take(engine)
    enter(engine, lease, ("live", 40, ""), ("down", 50, ""), ("live", 60, "lost"))
    clock[0] = AT + 10 * MINUTE_US
    enter(engine, lease, ("down", 10, ""))
    clock[0] = AT + 20 * MINUTE_US
    enter(engine, lease, ("live", 20, "lost"))
    assert lines(engine, lease) == [("down", "lost", 10, 20), ("live", "", 20, -1)]


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
    until, read_until = AT + 80 * MINUTE_US, AT + 2 * MINUTE_US
    lost = Missing(since=AT + MINUTE_US, until=until, read_until=read_until, words="gone")
    ledger.miss(engine, lease, lost)
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
    since, until = AT + 5 * MINUTE_US, AT + 15 * MINUTE_US
    lost = Missing(since=since, until=until, read_until=AT + 10 * MINUTE_US, words="gone")
    ledger.miss(engine, lease, lost)
    assert lines(engine, lease) == [
        ("live", "", 0, 10),
        ("down", "lost", 10, 15),
        ("down", "replayed", 15, 20),
        ("live", "", 20, -1),
    ]


def test_leases_of_a_clock_that_was_ahead_run_out_as_others_do(engine: Engine) -> None:
    """Their owner is on another host: nobody can see that it is dead."""
    there, here = "elsewhere|boot|1|1", "here|boot|1|1"
    stream_id = streams.ensure(engine, "x", "x", {})
    ((_, lease),) = streams.claim(engine, there, networks=["x"])
    assert installation.lead(engine, "scheduler", there)
    assert ahead.shorten(engine) == 0
    with writing(engine) as connection:
        for table in (stream_table, leaders):
            connection.execute(update(table).values(lease_until=table.c.lease_until + HOUR_US))
    assert ahead.shorten(engine) == 2
    assert ahead.shorten(engine) == 0
    assert streams.claim(engine, here, networks=["x"]) == [], "it may live, and renews it then"
    found = streams.get(engine, stream_id)
    assert found is not None
    with reading(engine) as connection:
        until = connection.execute(leaders.select()).one().lease_until
    for moment, longest_s in ((found.lease_until, LEASE_S), (until, installation.LEAD_S)):
        assert abs(moment - now_us() - longest_s * 1e6) < 10e6
    assert streams.renew(engine, [lease], {}) == {stream_id}
