"""X's past by recent search: within the budget, resumable, and honest about what it could not."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from tests.simulators.served import Served
from tests.simulators.x import XSimulator, post
from tests.simulators.x_reading import id_at
from tests.store.test_hostile import forbid
from tests.test_recheck import (
    DAY_US,
    claim,
    die_after_commits,
    receive,
    settings,
    take,
    texts,
    x_line,
    x_settings,
    x_sim,
)
from tweeter import x_costs, x_search
from tweeter.errors import TweeterError
from tweeter.moments import iso
from tweeter.pipeline import REFUSED
from tweeter.records import now_us
from tweeter.store import (
    coverage,
    keywords,
    ledger,
    past,
    quarantine,
    reads,
    rechecks,
    streams,
    x_past,
)
from tweeter.store.engine import reading, writing
from tweeter.store.leases import Lease
from tweeter.store.ledger import Interval, Turn
from tweeter.store.schema import intervals, jobs
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import reads as read_table

__all__ = ["x_sim"]
HOUR_US = 3_600_000_000


def said(sim: XSimulator, count: int, *, since: int, until: int, text: str = "storm") -> None:
    """Posts at even distances, the first at `since`."""
    for n in range(count):
        at = since + n * (until - since) // count
        number = id_at(at, n + 1000 * len(text))
        made = sim.posts[str(number)] = post(number, f"{text} {n:03}")
        made["data"]["created_at"] = iso(at)


def lost_gap(engine: Engine, lease: Lease, since: int, until: int) -> int:
    """A gap that nothing could repair by itself; returns its number."""
    ledger.enter(engine, lease, Turn(state="live", cause="", at=since - HOUR_US))
    ledger.enter(engine, lease, Turn(state="down", cause="closed", at=since))
    ledger.enter(engine, lease, Turn(state="live", cause="", at=until, outcome="lost"))
    with reading(engine) as connection:
        which = intervals.c.outcome == "lost"
        return int(connection.execute(select(intervals.c.id).where(which)).scalar_one())


def gaps(engine: Engine, stream_id: int) -> list[Interval]:
    return [i for i in ledger.of_stream(engine, stream_id) if i.state != "live"]


def began(engine: Engine, at: int) -> None:
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=at, changed_at=at))


def job_row(engine: Engine) -> Any:
    with reading(engine) as connection:
        return connection.execute(select(jobs).where(jobs.c.kind.in_(past.KINDS))).one()


def a_gap(engine: Engine, sim: XSimulator, *, posts: int = 250) -> tuple[int, int, int, int]:
    """Two keywords, an hour of X lost five hours ago: stream, gap, since, until."""
    since = now_us() - 5 * HOUR_US
    keywords.add(engine, "storm")
    keywords.add(engine, "harbour")
    began(engine, since - DAY_US)
    lease = take(engine, "x", "x")
    gap = lost_gap(engine, lease, since, since + HOUR_US)
    said(sim, posts, since=since, until=since + HOUR_US)
    said(sim, 5, since=since - HOUR_US, until=since, text="storm before")
    said(sim, 5, since=since + HOUR_US + 2000, until=since + 2 * HOUR_US, text="storm after")
    return lease.stream_id, gap, since, since + HOUR_US


def test_a_gap_of_x_is_repaired_on_request_and_each_post_is_paid_once(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    stream, gap, since, until = a_gap(engine, sim)
    assert past.waiting(engine) == []  # it costs: never by itself
    assert past.start_repairs(engine) == 0
    window = x_past.gap_window(engine, gap)
    assert window is not None
    assert (window.since_us, window.until_us) == (since, until)
    x_past.ask_repair(engine, gap)
    with pytest.raises(TweeterError, match="cannot be searched for"):
        x_past.ask_repair(engine, gap)  # it is being asked for
    assert past.start_repairs(engine) == 0
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert job_row(engine).state == "done", job_row(engine).words
    assert texts(engine) == [f"storm {n:03}" for n in range(250)]
    (row,) = gaps(engine, stream)
    assert (row.outcome, row.repaired_posts) == ("repaired", 250)
    assert "250 posts found" in row.repair
    assert sim.reading.read == reads.used(engine, "x")[reads.EVERYTHING].day == 250
    assert len({len(q) <= 512 for q in sim.reading.queries}) == 1
    assert set(sim.reading.queries) == {"harbour OR storm"} or len(sim.reading.queries) == 3


def test_a_search_that_is_killed_goes_on_and_pays_a_page_twice_at_most(
    engine: Engine,
    tmp_path: Path,
    x_sim: Served[XSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim = x_sim.it
    sim.reading.thin = 40  # X may give fewer than were asked for
    stream, gap, *_ = a_gap(engine, sim)
    x_past.ask_repair(engine, gap)
    die_after_commits(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    monkeypatch.undo()
    assert len(texts(engine)) == 120
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert len(texts(engine)) == 250
    (row,) = gaps(engine, stream)
    assert (row.outcome, row.repaired_posts) == ("repaired", 250)
    assert sim.reading.read == 250 + 40
    assert reads.used(engine, "x")[reads.EVERYTHING].day == 290


def test_a_search_goes_on_past_what_the_database_refuses_and_pays_each_post_once(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    stream, gap, since, until = a_gap(engine, sim)
    said(sim, 3, since=since, until=until, text="storm poison")
    forbid(engine, "poison")
    x_past.ask_repair(engine, gap)
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert (job_row(engine).state, job_row(engine).done) == ("done", 253)
    assert texts(engine) == [f"storm {n:03}" for n in range(250)]
    assert [row.outcome for row in gaps(engine, stream)] == ["repaired"]
    assert quarantine.by_reason(engine, stream) == {REFUSED: 3}
    assert sim.reading.read == reads.used(engine, "x")[reads.EVERYTHING].day == 253


def test_the_budget_stops_a_search_half_way_and_it_goes_on_the_next_day(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    stream, gap, *_ = a_gap(engine, sim)
    x_past.ask_repair(engine, gap)
    config = x_settings(tmp_path, sim, X_DAY_POSTS="155")
    assert x_search.work(engine, config, claim(engine))
    assert sim.reading.read == 155
    row = job_row(engine)
    assert row.state == "waiting"
    assert "budget of 155 posts a day is used up" in row.words
    assert gaps(engine, stream)[0].outcome == "repairing"
    with writing(engine) as connection:  # the next day
        connection.execute(read_table.update().values(day=read_table.c.day - 1))
    assert x_search.work(engine, config, claim(engine, anew=True))
    assert job_row(engine).state == "done"
    assert sim.reading.read == 250
    assert len(texts(engine)) == 250
    assert gaps(engine, stream)[0].outcome == "repaired"


def test_what_the_budget_will_never_reach_is_lost_and_the_rest_repaired(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    """A month's budget comes back when X's search no longer has the rest."""
    sim = x_sim.it
    stream, gap, since, until = a_gap(engine, sim)
    with writing(engine) as connection:  # nearly a week ago: a month's budget is too late
        ledger_row = update(intervals).where(intervals.c.id == gap)
        shift = now_us() - 7 * DAY_US + 10 * 60_000_000 - since
        connection.execute(ledger_row.values(started_at=since + shift, ended_at=until + shift))
    since, until = since + shift, until + shift
    began(engine, since - DAY_US)
    sim.posts.clear()
    said(sim, 250, since=since, until=until)
    x_past.ask_repair(engine, gap)
    config = x_settings(tmp_path, sim, X_DAY_POSTS="0", X_MONTH_POSTS="125")
    assert x_search.work(engine, config, claim(engine))
    assert sim.reading.read == 125
    assert job_row(engine).state == "done"
    gone, had = gaps(engine, stream)
    assert (gone.outcome, had.outcome) == ("lost", "repaired")
    assert "budget of 125 posts a month is used up" in gone.repair
    assert had.repaired_posts == 125
    assert gone.ended_at == had.started_at
    halfway = since + HOUR_US // 2
    assert abs(had.started_at - halfway) < 60_000_000
    oldest = min(int(p) for p in sim.posts if f"storm {125:03}" in sim.posts[p]["data"]["text"])
    assert id_at(had.started_at) <= oldest + (2 << 22)


def test_a_new_keyword_asks_for_the_days_before_it_and_only_for_them(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    now = now_us()
    lease = take(engine, "x", "x")
    ledger.enter(engine, lease, Turn(state="live", cause="", at=now - 5 * DAY_US))
    keyword = keywords.add(engine, "storm", keywords.Options(networks=("x",)))
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM keyword_intervals")
    began(engine, now - DAY_US)
    said(sim, 60, since=now - 2 * DAY_US, until=now - DAY_US)
    said(sim, 30, since=now - DAY_US + 2000, until=now - HOUR_US, text="storm live")
    said(sim, 30, since=now - 6 * DAY_US, until=now - 5 * DAY_US, text="calm")
    sim.posts[str(id_at(now - 2 * DAY_US, 7))] = post(1, "a quoted storm", id="7")
    window = x_past.look_back_window(engine, keyword.id, 3)
    assert window is not None
    assert abs(window.until_us - (now - DAY_US)) < 2_000_000
    assert abs(window.hours - 48) < 0.1
    cost = x_costs.of_search(engine, x_settings(tmp_path, sim), window, keyword.id)
    assert cost.posts is None
    assert cost.left == 10_000
    assert "At most 10,000 posts (50.00 USD)" in cost.words
    del sim.posts[str(id_at(now - 2 * DAY_US, 7))]
    job_id = x_past.ask_look_back(engine, keyword.id, 3)
    assert x_past.ask_look_back(engine, keyword.id, 3) == job_id
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert len(texts(engine)) == 60
    (progress,) = past.progress(engine, keyword.id)
    assert (progress.state, progress.stored) == ("done", 60)
    found = coverage.of_keyword(engine, keyword.id, now - 3 * DAY_US, now)
    x = next(one for one in found if one.network == "x")
    assert x.share == pytest.approx(1.0)
    assert x.covered_s == pytest.approx(3 * 86_400, rel=1e-3)
    with pytest.raises(TweeterError, match="Nothing to search for"):
        x_past.ask_look_back(engine, keyword.id, 2)


def test_a_keywords_own_budget_holds_its_search_and_paused_ones_are_not_searched(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    now = now_us()
    lease = take(engine, "x", "x")
    ledger.enter(engine, lease, Turn(state="live", cause="", at=now - DAY_US))
    chosen = keywords.Options(networks=("x",), day_budget=50)
    keyword = keywords.add(engine, "storm", chosen)
    said(sim, 80, since=now - 2 * HOUR_US, until=now - HOUR_US)
    x_past.ask_look_back(engine, keyword.id, 1)
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert sim.reading.read == 50
    assert "This keyword: the budget of 50 posts a day" in job_row(engine).words
    keywords.set_state(engine, keyword.id, "paused")
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert sim.reading.read == 50
    assert job_row(engine).state == "done"
    assert "No keyword asks for it" in job_row(engine).words
    with pytest.raises(TweeterError, match="followed"):
        x_past.ask_look_back(engine, keyword.id, 1)


def test_many_keywords_fit_queries_of_512_and_all_are_read_down_together(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    sim.reading.thin = 10
    stream, gap, since, until = a_gap(engine, sim, posts=45)
    for n in range(60):
        keywords.add(engine, f'"a rather long phrase number {n}"')
    began(engine, since - DAY_US)
    said(sim, 30, since=since, until=until, text="a rather long phrase number 59")
    x_past.ask_repair(engine, gap)
    config = x_settings(tmp_path, sim)
    assert x_search.work(engine, config, claim(engine))
    assert max(len(query) for query in sim.reading.queries) <= 512
    assert len(set(sim.reading.queries)) > 2
    assert len(texts(engine)) == 75
    assert gaps(engine, stream)[0].repaired_posts == 75


def test_x_limits_a_search_and_a_refused_query_ends_in_words(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    stream, gap, *_ = a_gap(engine, sim)
    sim.reading.limits["search"] = sim.reading.left["search"] = 1
    x_past.ask_repair(engine, gap)
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert (job_row(engine).retry_at - now_us()) / 1e6 > 800
    assert "limits our rate" in job_row(engine).words
    x_search.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert "limits our rate until" in job_row(engine).words
    assert sim.reading.read == reads.used(engine, "x")[reads.EVERYTHING].day == 100
    no = (401, {}, {"title": "Unauthorized", "type": "about:blank"})
    sim.reading.answers = [no] * past.TRIES
    for _ in range(past.TRIES):
        x_search.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert job_row(engine).state == "failed"
    (row,) = gaps(engine, stream)
    assert row.outcome == "lost"
    assert "TWEETER_X_BEARER_TOKEN" in row.repair
    assert reads.used(engine, "x")[reads.EVERYTHING].day == 100  # refusals cost nothing


def test_reserving_never_goes_over_a_budget_also_side_by_side(engine: Engine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    budgets = {reads.EVERYTHING: reads.Budget(day_posts=1_000)}

    def take_some(_: int) -> int:
        return reads.reserve(engine, "x", 70, budgets, least=10).posts

    with ThreadPoolExecutor(4) as pool:
        granted = sum(pool.map(take_some, range(40)))
    assert granted == reads.used(engine, "x")[reads.EVERYTHING].day == 1_000
    refused = reads.reserve(engine, "x", 70, budgets)
    assert refused.posts == 0
    assert "1,000 posts a day" in refused.words
    month = {reads.EVERYTHING: reads.Budget(day_posts=2_000, month_posts=1_000)}
    assert "a month" in reads.reserve(engine, "x", 70, month).words


def test_one_post_or_event_is_not_said_as_several(engine: Engine) -> None:
    stream_id = streams.ensure(engine, "x", "x", {})
    with writing(engine) as connection:
        options = {"since_us": 1, "began_us": 1, "until_us": 2, "interval": 0}
        job_id = past.start(connection, "repair", stream_id, options, now_us())
        mine = update(jobs).where(jobs.c.id == job_id)
        connection.execute(mine.values(done=1, stored=1))
    job = past.claim(engine, job_id, "me")
    assert job is not None
    past.finish(engine, job)
    assert "Done: 1 event looked at, 1 post found." in job_row(engine).words
    grant = reads.reserve(engine, "x", 5, {reads.EVERYTHING: reads.Budget(day_posts=1)})
    assert "the budget of 1 post a day is used up" in grant.words


def test_costs_are_told_from_what_came_so_far(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    now = now_us()
    keyword = keywords.add(engine, "storm")
    began(engine, now - 10 * HOUR_US)
    lease = take(engine, "x", "x")
    said(sim, 100, since=now - 9 * HOUR_US, until=now)
    receive(engine, lease, [x_line(one) for one in sim.posts.values()])
    config = x_settings(tmp_path, sim, X_DAY_POSTS="150")
    window = x_past.Window(stream_id=1, since_us=now - 20 * HOUR_US, until_us=now)
    cost = x_costs.of_search(engine, config, window, keyword.id)
    assert cost.posts == pytest.approx(200, abs=2)
    assert cost.usd == pytest.approx(1.0, abs=0.02)
    assert cost.left == 50
    assert "The rest goes on with the next budget." in cost.words
    assert x_costs.of_recheck(engine, config).posts == 100
    free = settings(tmp_path, X_DAY_POSTS="0", X_MONTH_POSTS="0")
    assert "No budget is set" in x_costs.of_recheck(engine, free).words


def test_two_clicks_at_once_make_one_job(engine: Engine, x_sim: Served[XSimulator]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stream, gap, *_ = a_gap(engine, x_sim.it)

    def click(what: int) -> str:
        try:
            if what % 2:
                return f"job {x_past.ask_repair(engine, gap)}"
            return f"job {rechecks.ask(engine, stream)}"
        except TweeterError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said_ = list(pool.map(click, range(16)))
    with reading(engine) as connection:
        kinds = connection.execute(select(jobs.c.kind).where(jobs.c.kind.in_(past.KINDS)))
        assert sorted(kinds.scalars()) == ["recheck", "repair"]
    assert sum("cannot be searched" in words for words in said_) == 7


def test_a_repair_also_asks_for_what_was_on_its_way_when_the_line_broke(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    """A gap begins where we read last; X delivers a post some seconds after it was made."""
    sim = x_sim.it
    stream, gap, since, _ = a_gap(engine, sim, posts=20)
    for n, at in enumerate((since - 3_000_000, since - past.LATE_US - 1_000_000)):
        number = id_at(at, n)
        sim.posts[str(number)] = post(number, f"storm on its way {n}")
    x_past.ask_repair(engine, gap)
    assert x_search.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert [text for text in texts(engine) if "on its way" in text] == ["storm on its way 0"]
    assert len(texts(engine)) == 21
    (row,) = gaps(engine, stream)
    assert (row.outcome, row.started_at) == ("repaired", since)
