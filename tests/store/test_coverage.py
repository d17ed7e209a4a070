"""The ledger as people read it: each moment of a range has one verdict, and the right one."""

import itertools
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event, select, update

from tests.store.posts import take
from tweeter.store import coverage, keyword_ledger, keywords, ledger, look_backs, past, streams
from tweeter.store.engine import reading, writing
from tweeter.store.keywords import Options
from tweeter.store.leases import Lease
from tweeter.store.ledger import Settled, Turn
from tweeter.store.schema import jobs as job_table
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

AT = 1_795_000_000_000_000
S = 1_000_000


@pytest.fixture
def followed(engine: Engine) -> tuple[Engine, Lease, int]:
    """A stream that is live from AT on, and a keyword that began then."""
    row = keywords.add(engine, "storm")
    lease = take(engine)
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=AT))
        connection.execute(update(stream_table).values(covered_until=AT))
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT))
    return engine, lease, row.id


def found(engine: Engine, keyword_id: int, until_s: int) -> list[tuple[str, str, int, int]]:
    (one,) = coverage.of_keyword(engine, keyword_id, AT - 10 * S, AT + until_s * S)
    line = one.stretches
    assert line[0].since == AT - 10 * S
    assert line[-1].until == AT + until_s * S
    assert all(a.until == b.since for a, b in itertools.pairwise(line))
    total = one.covered_s + one.missed_s + one.not_followed_s
    assert total == pytest.approx(until_s + 10)
    return [(s.verdict, s.state, (s.since - AT) // S, (s.until - AT) // S) for s in line]


def down(engine: Engine, lease: Lease, since: int, until: int, outcome: str, **more: Any) -> None:
    cause = Turn(state="down", cause="The server closed.", at=AT + since * S, kind="closed", **more)
    ledger.enter(engine, lease, cause)
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT + until * S, outcome=outcome))


def test_a_gap_is_missed_until_it_is_had_again(followed: tuple[Engine, Lease, int]) -> None:
    engine, lease, keyword_id = followed
    down(engine, lease, 10, 20, "repairing")
    down(engine, lease, 30, 40, "replayed")
    down(engine, lease, 50, 60, "lost")
    assert found(engine, keyword_id, 70) == [
        ("not_followed", "before", -10, 0),
        ("covered", "live", 0, 10),
        ("missed", "down", 10, 20),
        ("covered", "live", 20, 30),
        ("covered", "down", 30, 40),
        ("covered", "live", 40, 50),
        ("missed", "down", 50, 60),
        ("covered", "live", 60, 70),
    ]
    half = Settled(since=AT + 15 * S, until=AT + 20 * S, outcome="repaired", repair="r", posts=3)
    with writing(engine) as connection:
        ledger.settle(connection, lease.stream_id, half)
    assert found(engine, keyword_id, 30)[2:4] == [
        ("missed", "down", 10, 15),
        ("covered", "down", 15, 20),
    ]


def test_pauses_and_budgets_of_a_keyword_are_its_own(followed: tuple[Engine, Lease, int]) -> None:
    engine, _, keyword_id = followed
    with writing(engine) as connection:
        for state, at, network in (
            ("paused", 10, ""),
            ("active", 20, ""),
            ("over_budget", 25, "bluesky"),
            ("active", 30, "bluesky"),
            ("refused", 32, "x"),
        ):
            keyword_ledger.turn(connection, keyword_id, state, "w", AT + at * S, network=network)
    assert found(engine, keyword_id, 40)[1:] == [
        ("covered", "live", 0, 10),
        ("not_followed", "paused", 10, 20),
        ("covered", "live", 20, 25),
        ("missed", "over_budget", 25, 30),
        ("covered", "live", 30, 40),
    ]


def test_a_look_back_covers_what_the_network_still_had(followed: tuple[Engine, Lease, int]) -> None:
    engine, _, keyword_id = followed
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(network="bluesky", wanted=True))
    assert look_backs.ask_for_new_keywords(engine, 36) == 1
    assert look_backs.ask_for_new_keywords(engine, 36) == 0  # once a version
    (job_id,) = past.waiting(engine)
    job = past.claim(engine, job_id, "host|boot|1|1")
    assert job is not None
    past.clamped(engine, job, job.until_us - 5 * S)
    past.finish(engine, job)
    (done,) = past.progress(engine, keyword_id)
    assert (done.state, done.share) == ("done", 1.0)
    (one,) = coverage.of_keyword(engine, keyword_id, job.since_us, job.until_us)
    covered = [s for s in one.stretches if s.state == "looked_back"]
    assert sum(s.until - s.since for s in covered) <= 5 * S


def test_keywords_that_wait_together_share_one_look_back(engine: Engine) -> None:
    take(engine)
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(covered_until=AT))
    first = keywords.add(engine, "storm").id
    look_backs.ask_for_new_keywords(engine, 36)
    second = keywords.add(engine, "flood").id
    look_backs.ask_for_new_keywords(engine, 36)
    assert len(past.waiting(engine)) == 1
    assert [len(past.progress(engine, n)) for n in (first, second)] == [1, 1]


def test_a_look_back_that_another_keyword_joins_keeps_its_beginning(engine: Engine) -> None:
    take(engine)
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(covered_until=AT))
    first = keywords.add(engine, "storm").id
    look_backs.ask_for_new_keywords(
        engine, 46
    )  # as if it had waited for ten hours when another comes
    (before,) = past.progress(engine, first)
    keywords.add(engine, "flood")
    look_backs.ask_for_new_keywords(engine, 36)
    (after,) = past.progress(engine, first)
    assert after.since_us == before.since_us
    assert after.until_us > before.until_us
    (job_id,) = past.waiting(engine)
    job = past.claim(engine, job_id, "host|boot|1|1")
    assert job is not None
    past.finish(engine, job)
    (one,) = coverage.of_keyword(engine, first, job.since_us, job.until_us)
    covered = [s for s in one.stretches if s.state == "looked_back"]
    assert covered[0].since == before.since_us


def begins(engine: Engine, name: str, network: str) -> int:
    """A stream of a network whose past is free has come to its first moment."""
    stream_id = streams.ensure(engine, name, network, {"url": "ws://x"})
    mine = stream_table.c.id == stream_id
    with writing(engine) as connection:
        connection.execute(update(stream_table).where(mine).values(covered_until=AT))
    return stream_id


def asked(engine: Engine) -> list[tuple[str, tuple[int, ...]]]:
    """The look-backs that there are, as (stream, keywords)."""
    statement = (
        select(stream_table.c.name, job_table.c.options)
        .join(stream_table, stream_table.c.id == job_table.c.subject)
        .order_by(job_table.c.id)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement.where(job_table.c.kind == "look_back")).all()
    return [(row.name, tuple(msgspec.json.decode(row.options)["keywords"])) for row in rows]


def test_a_stream_that_begins_later_is_asked_for_the_past_too(engine: Engine) -> None:
    streams.ensure(engine, "mastodon:a", "mastodon", {"url": "ws://x"})
    begins(engine, "bluesky", "bluesky")
    first = keywords.add(engine, "storm").id
    only = keywords.add(engine, "flood", Options(networks=("mastodon",))).id
    for _ in range(2):
        look_backs.ask_for_new_keywords(engine, 36)
        assert asked(engine) == [("bluesky", (first,))]
    begins(engine, "mastodon:a", "mastodon")
    for _ in range(2):
        look_backs.ask_for_new_keywords(engine, 36)
        assert asked(engine) == [("bluesky", (first,)), ("mastodon:a", (first, only))]
    assert look_backs.ask_for_new_keywords(engine, 36) == 0


@pytest.mark.parametrize("is_resumed_in_time", [True, False])
def test_a_keyword_that_was_paused_during_its_look_back_is_asked_for_again(
    engine: Engine, *, is_resumed_in_time: bool
) -> None:
    begins(engine, "bluesky", "bluesky")
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    assert look_backs.ask_for_new_keywords(engine, 36) == 2
    (job_id,) = past.waiting(engine)
    job = past.claim(engine, job_id, "host|boot|1|1")
    assert job is not None
    keywords.set_state(engine, storm, "paused")
    if is_resumed_in_time:
        keywords.set_state(engine, storm, "active")
    past.finish(engine, job)
    keywords.set_state(engine, storm, "active")
    for number, is_covered in ((storm, False), (flood, True)):
        (one,) = coverage.of_keyword(engine, number, job.since_us, job.until_us)
        assert any(s.state == "looked_back" for s in one.stretches) == is_covered
    assert look_backs.ask_for_new_keywords(engine, 36) == 1
    assert asked(engine) == [("bluesky", (flood,)), ("bluesky", (storm,))]


def test_a_repair_that_ends_while_gaps_are_looked_for_is_not_made_again(engine: Engine) -> None:
    lease = take(engine)
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT))
    down(engine, lease, 10, 20, "repairing")
    assert past.start_repairs(engine) == 1
    (job_id,) = past.waiting(engine)
    job = past.claim(engine, job_id, "host|boot|1|1")
    assert job is not None
    ends = [job]

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM intervals" in statement and ends:
            past.finish(engine, ends.pop())

    assert past.start_repairs(engine) == 0
    assert not ends
    assert past.waiting(engine) == []


def test_a_repair_that_fails_again_and_again_is_lost_and_says_why(engine: Engine) -> None:
    lease = take(engine)
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT))
    down(engine, lease, 10, 20, "repairing")
    assert past.start_repairs(engine) == 1
    assert past.start_repairs(engine) == 0
    (job_id,) = past.waiting(engine)
    for _ in range(past.TRIES):
        job = past.claim(engine, job_id, "host|boot|1|1")
        assert job is not None
        past.pause(engine, job, "The server is away.", failed=True)
    gap = next(i for i in ledger.of_stream(engine, lease.stream_id) if i.state == "down")
    assert gap.outcome == "lost"
    assert "The server is away." in gap.repair
    assert streams.get(engine, lease.stream_id) is not None


def test_a_gap_of_several_causes_ends_as_one(followed: tuple[Engine, Lease, int]) -> None:
    engine, lease, keyword_id = followed
    for at, state, kind in (
        (10, "down", "closed"),
        (12, "limited", "limited"),
        (14, "down", "http"),
    ):
        turn = Turn(state=state, cause=f"{kind} at {at}", at=AT + at * S, kind=kind)
        ledger.enter(engine, lease, turn)
    again = Turn(state="live", cause="", at=AT + 20 * S, outcome="repairing", repair="Asked for.")
    ledger.enter(engine, lease, again)
    gaps = [i for i in ledger.of_stream(engine, lease.stream_id) if i.state != "live"]
    assert [(i.kind, i.outcome) for i in gaps] == [
        ("closed", "repairing"),
        ("limited", "repairing"),
        ("http", "repairing"),
    ]
    down(engine, lease, 30, 31, "lost")
    assert [i.outcome for i in ledger.of_stream(engine, lease.stream_id) if i.state != "live"] == [
        *["repairing"] * 3,
        "lost",
    ]
    assert found(engine, keyword_id, 40)[2:4] == [
        ("missed", "down", 10, 12),
        ("missed", "limited", 12, 14),
    ]
