"""The usual, the share and the uncovered hours of a keyword: by its own time, as on its page."""

import random
import time
from statistics import median

import msgspec
import pytest
from sqlalchemy import Engine, insert, update

from tests.store.posts import post, store
from tweeter.statistics import report, spans, summary
from tweeter.statistics.volume import Question
from tweeter.store import coverage, keywords, ledger, retention, streams
from tweeter.store.cells import DAY, HOUR, US
from tweeter.store.engine import writing
from tweeter.store.keywords import KeywordRow, Options
from tweeter.store.leases import Lease, owner
from tweeter.store.ledger import Turn
from tweeter.store.schema import keyword_intervals
from tweeter.store.schema import keywords as keyword_table

WEEK = 7 * DAY
NOW = int(time.time()) // HOUR * HOUR - HOUR + 1_234
BEGAN = NOW - 70 * DAY


def live(engine: Engine, name: str, network: str, down: list[tuple[int, int]]) -> Lease:
    """A stream that is live from BEGAN on, but for these stretches (seconds since 1970)."""
    stream_id = streams.ensure(engine, name, network, {"url": "ws://x"})
    ((_, lease),) = streams.claim(engine, owner(), networks=[network], only=stream_id)
    ledger.enter(engine, lease, Turn(state="live", cause="", at=BEGAN * US))
    for since, until in down:
        ledger.enter(engine, lease, Turn(state="down", cause="Closed.", at=since * US))
        ledger.enter(engine, lease, Turn(state="live", cause="", at=until * US, outcome="lost"))
    return lease


def added(engine: Engine, expression: str, networks: tuple[str, ...] = ()) -> KeywordRow:
    """A keyword that began at BEGAN."""
    row = keywords.add(engine, expression, Options(networks=networks))
    with writing(engine) as connection:
        its = update(keyword_table).where(keyword_table.c.id == row.id)
        connection.execute(its.values(created_at=BEGAN * US, changed_at=BEGAN * US))
    return keywords.get(engine, row.id)


def held(engine: Engine, row: KeywordRow, state: str, times: tuple[int, int]) -> KeywordRow:
    """It was in this state between two moments (seconds)."""
    since, until = (moment * US for moment in times)
    values = {"keyword_id": row.id, "network": "", "state": state, "cause": "A person did it."}
    with writing(engine) as connection:
        connection.execute(
            insert(keyword_intervals).values(values | {"started_at": since, "ended_at": until})
        )
        its = update(keyword_table).where(keyword_table.c.id == row.id)
        connection.execute(its.values(changed_at=until))
    return keywords.get(engine, row.id)


def hourly(since: int, posts: int = 2) -> list[object]:
    hours = range(since - since % HOUR, NOW, HOUR)
    at = [(hour + n) * US for hour in hours for n in range(posts)]
    return [post(n, occurred_at=moment) for n, moment in enumerate(at)]


def test_a_share_is_said_only_of_what_was_followed_all_day(engine: Engine) -> None:
    lease = live(engine, "b", "bluesky", [])
    before, within = (NOW - 3 * DAY, NOW - 2 * DAY), (NOW - 20 * HOUR, NOW - 15 * HOUR)
    whole = held(engine, added(engine, "storm"), "paused", before)
    paused = held(engine, added(engine, "storm OR a"), "paused", within)
    refused = held(engine, added(engine, "storm OR b"), "refused", within)
    refused = msgspec.structs.replace(refused, changed_at=BEGAN * US)
    changed = msgspec.structs.replace(added(engine, "storm OR c"), changed_at=within[0] * US)
    store(engine, lease, *hourly(NOW - DAY))
    rows = [whole, paused, refused, changed]
    found = summary.of_keywords(engine, rows, NOW)
    assert [one.share for one in found.lines] == [1.0, None, None, None]


def test_an_hour_is_uncovered_where_one_of_its_streams_missed_half(engine: Engine) -> None:
    hour = NOW - NOW % HOUR - 5 * HOUR
    live(engine, "b", "bluesky", [(hour + 60, hour + 1_260), (hour + 3_600, hour + 5_500)])
    live(engine, "m", "mastodon", [(hour + 60, hour + 1_260)])
    live(engine, "n", "mastodon", [(hour + 7_200, hour + 10_800)])
    rows = [
        added(engine, "storm"),
        *(added(engine, "storm", (n,)) for n in ("bluesky", "mastodon")),
    ]
    rows.append(held(engine, added(engine, "=a"), "refused", (hour, hour + 1_800)))
    found = summary.of_keywords(engine, rows, NOW)
    first = (hour - found.since) // HOUR
    missed = [[n - first for n, is_so in enumerate(one.missed) if is_so] for one in found.lines]
    assert missed == [[1, 2], [1], [2], [0, 1, 2]]


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_the_usual_is_learned_from_the_same_hours_as_on_the_page(engine: Engine, seed: int) -> None:
    """Neither what was missed nor what a person had paused teaches that little is usual."""
    dice = random.Random(seed)
    last = NOW - NOW % HOUR - HOUR
    down = [
        (last - 5 * WEEK - 2 * HOUR, last - 4 * WEEK + 2 * HOUR),
        (last - WEEK - HOUR, last - WEEK - 1_000),
        (last - HOUR, last - 1_500),
    ]
    lease = live(engine, "b", "bluesky", down)
    plain, paused = added(engine, "storm"), added(engine, "storm OR a")
    pause = last - 4 * WEEK + DAY, last - 2 * WEEK - 30 * 60
    paused = held(engine, paused, "paused", pause)
    hours = [last - week * WEEK + beside for week in range(1, 9) for beside in (-HOUR, 0, HOUR)]
    counts = {hour: dice.randrange(9) for hour in hours}
    counts[min(hours)] = 500 * dice.randrange(2)
    times = [hour * US + n for hour, count in counts.items() for n in range(count)]
    store(engine, lease, *(post(n, occurred_at=at) for n, at in enumerate(times)))
    for row, missed in ((plain, down), (paused, [*down, pause])):
        taught = [
            count
            for hour, count in counts.items()
            if not any(since < hour + HOUR and hour < until for since, until in missed)
        ]
        (line,) = summary.of_keywords(engine, [row], NOW).lines
        assert line.usual == median(taught)
        for since in (NOW - HOUR, last + HOUR, NOW - DAY, NOW - WEEK):
            rate = page(engine, row, since).rate
            assert (rate.usual, rate.posts) == (line.usual, line.last_hour), since


def page(engine: Engine, row: KeywordRow, since: int) -> report.Report:
    question = Question(span=spans.cut(since, NOW))
    return report.of_keyword(engine, row, question, now_s=lambda: NOW)


def test_what_is_usual_is_no_spike_after_a_pause(engine: Engine) -> None:
    lease, row = live(engine, "b", "bluesky", []), added(engine, "storm")
    pause = NOW - 8 * WEEK, NOW - 2 * WEEK
    hours = [
        hour
        for week in (*range(3), 8, 9)
        for hour in range(NOW - NOW % HOUR - week * WEEK - 6 * HOUR, NOW - week * WEEK, HOUR)
    ]
    times = [hour * US + n for hour in hours for n in range(25)]
    store(engine, lease, *(post(n, occurred_at=at) for n, at in enumerate(times)))
    assert not page(engine, held(engine, row, "paused", pause), NOW - DAY).spikes
    assert page(engine, row, NOW - DAY).rate.usual == 25


@pytest.mark.parametrize("days", ["the keyword's", "the keyword's then", "the network's"])
@pytest.mark.parametrize(("keep_days", "usual"), [(40, 25), (9, None)])
def test_time_whose_posts_were_deleted_is_no_time_without_posts(
    engine: Engine, keep_days: int, usual: int | None, days: str
) -> None:
    """Neither is it usual then that nothing is said."""
    begin = NOW - NOW % HOUR
    gap = (begin - 60 * DAY, begin - 50 * DAY)
    lease, row = live(engine, "b", "bluesky", [gap]), added(engine, "storm")
    hours = [begin - week * WEEK - n * HOUR for week in range(10) for n in range(7)]
    times = [hour * US + n for hour in hours for n in range(25)]
    store(engine, lease, *(post(n, occurred_at=at) for n, at in enumerate(times)))
    of_network = {"bluesky": keep_days, "x": 3} if days == "the network's" else {}
    own = Options(keep_days=0 if of_network else keep_days)
    keywords.edit(engine, row.id, "storm", own)
    old = 25 * sum(at < NOW - keep_days * DAY for at in hours)
    assert retention.run(engine, of_network, run_s=60) == (old, True)
    if days == "the keyword's then":  # raised since, which brings nothing back
        keywords.edit(engine, row.id, "storm", Options(keep_days=0))
    row = keywords.get(engine, row.id)
    (line,) = summary.of_keywords(engine, [row], NOW).lines
    found = page(engine, row, begin - 63 * DAY)
    assert (line.usual, found.rate.usual, found.spikes) == (usual, usual, [])
    (stack,) = found.volume.stacks
    span, deleted_until = found.volume.span, time.time() - keep_days * DAY
    gone = [n for n, start in enumerate(span.starts()) if start + span.size <= deleted_until]
    assert (stack.unknown, any(stack.posts[: len(gone)])) == (gone, False)
    assert found.volume.figure.covered == line.figure.covered == 1  # the gap went with its posts
    (here,) = coverage.of_keyword(engine, row.id)
    assert [one.state for one in here.stretches] == ["deleted", "live"]
