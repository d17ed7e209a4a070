"""Spans, spikes and association: pure arithmetic against what is plain to see."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweeter.statistics import association, indexed, spans, spikes
from tweeter.store.cells import DAY, HOUR

MONDAY = 1_790_553_600  # 2026-09-28, a Monday


@given(
    since=st.integers(0, 2_000_000_000),
    length=st.integers(1, 20 * 365 * DAY),
    size=st.sampled_from((0, *spans.NICE)),
)
def test_a_span_holds_what_was_asked_in_whole_buckets(since: int, length: int, size: int) -> None:
    try:
        span = spans.cut(since, since + length, size)
    except ValueError as error:
        assert size or length > spans.NICE[-1] * spans.BUCKETS, error
        return
    begin, end = span.asked
    assert span.since <= begin <= since < since + length <= end <= span.until
    assert begin % 60 == end % 60 == 0, "whole minutes"
    assert end - begin < length + 120
    assert span.until - span.since < end - begin + 2 * span.size
    before = span.before()
    assert begin - span.size < before.asked[1] <= begin, "no moment is in both"
    assert before.length == span.length
    assert (before.since - span.since) % span.size == 0
    parts = [span.inside(bucket) for bucket in (0, span.count - 1)]
    assert (parts[0][0], parts[-1][1]) == (begin, end)
    assert span.count * span.size == span.until - span.since
    assert (span.since - spans.offset_of(span.size)) % span.size == 0
    assert size or span.count <= spans.BUCKETS + 2


def test_weeks_begin_on_monday() -> None:
    span = spans.cut(MONDAY + DAY, MONDAY + 20 * DAY, 7 * DAY)
    assert (span.since, span.count) == (MONDAY, 3)


@pytest.mark.parametrize("bad", [(5, 5, 0), (5, 4, 0), (0, 100, 61), (0, 10_000_000, 60)])
def test_what_is_no_span_is_said(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        spans.cut(*bad)


def weeks(count: int, dice: random.Random) -> dict[int, int]:
    """Hours with a day and a week in them: busy at noon, quiet on Sundays."""
    found = {}
    for number in range(count * 168):
        at = MONDAY + number * HOUR
        hour, day = number % 24, number // 24 % 7
        base = 40 + 60 * (8 <= hour <= 20) - 30 * (day == 6)
        found[at] = max(0, round(dice.gauss(base, base**0.5)))
    return found


def test_a_spike_is_found_and_the_rhythm_of_the_week_is_none() -> None:
    hours = weeks(9, random.Random(5))
    until = MONDAY + 9 * 7 * DAY
    assert spikes.find(hours, MONDAY, until) == []
    began = MONDAY + 8 * 7 * DAY + 3 * DAY + 3 * HOUR  # at night, up to an ordinary noon's level
    for number, posts in enumerate((110, 180, 120)):
        hours[began + number * HOUR] = posts
    (spike,) = spikes.find(hours, MONDAY, until)
    assert (spike.since, spike.until, spike.peak) == (began, began + 3 * HOUR, began + HOUR)
    assert (spike.posts, spike.total) == (180, 410)
    assert 30 < spike.usual < 50
    assert 3.5 < spike.times < 6


def test_nothing_stands_out_before_two_weeks_are_known() -> None:
    hours = weeks(2, random.Random(1))
    hours[MONDAY + 10 * DAY] = 5_000
    assert spikes.find(hours, MONDAY, MONDAY + 13 * DAY) == []
    hours[MONDAY + 14 * DAY + HOUR] = 5_000
    assert len(spikes.find(hours, MONDAY, MONDAY + 15 * DAY)) == 1


def test_one_hour_needs_more_than_two_in_a_row() -> None:
    hours = dict.fromkeys(range(MONDAY, MONDAY + 30 * DAY, HOUR), 100)
    at = MONDAY + 20 * DAY
    hours[at] = 160  # six deviations of what chance gives
    assert spikes.find(hours, MONDAY, MONDAY + 30 * DAY) == []
    hours[at + HOUR] = 160
    assert len(spikes.find(hours, MONDAY, MONDAY + 30 * DAY)) == 1


def test_hours_that_were_not_covered_teach_nothing() -> None:
    hours = dict.fromkeys(range(MONDAY, MONDAY + 30 * DAY, HOUR), 100)
    missed = range(MONDAY + 7 * DAY, MONDAY + 28 * DAY, HOUR)
    for hour in missed:
        hours[hour] = 0
    at = MONDAY + 29 * DAY
    assert spikes.usual(hours, at).median == 0
    assert spikes.usual(hours, at, set(missed)).median == 100


def test_hours_that_are_surely_usual_are_none_of_the_spikes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = 0
    for seed in range(40):
        dice = random.Random(seed)
        scale, count = dice.choice([5, 20, 100, 2_000]), dice.choice([500, 1_600])
        hours, skip = {}, set()
        for at in range(MONDAY, MONDAY + count * HOUR, HOUR):
            times = dice.choice([1.3, 2, 5]) if dice.random() < 0.03 else 1
            posts = round(times * dice.gauss(scale, scale**0.5))
            if dice.random() < 0.97:
                hours[at] = max(posts, 0)
            if dice.random() < 0.05:
                skip.add(at)
        asked = hours, MONDAY, MONDAY + count * HOUR, skip
        quickly = spikes.find(*asked)
        with monkeypatch.context() as patch:
            patch.setattr(spikes, "_is_usual", lambda *_: False)
            assert spikes.find(*asked) == quickly
        found += len(quickly)
    assert found > 100


def test_log_likelihood_is_that_of_the_literature() -> None:
    """Rayson's own example: 11 in 1,000 against 5 in 1,000 gives 2.31."""
    assert association.log_likelihood(11, 1000, 5, 1000) == pytest.approx(2.31, abs=0.01)
    assert association.log_likelihood(10, 100, 10, 100) == 0


@given(a=st.integers(0, 50), b=st.integers(0, 50))
def test_log_likelihood_is_never_negative(a: int, b: int) -> None:
    assert association.log_likelihood(a, 50, b, 50) >= -1e-9


def test_what_is_common_everywhere_goes_with_nothing() -> None:
    mine = {"harbour": 40, "today": 60, "rare": 2}
    others = {"harbour": 4, "today": 600}
    (term,) = association.compare(mine, 100, others, 1000)
    assert (term.value, term.posts, term.other) == ("harbour", 40, 4)
    assert term.lift == pytest.approx(100)


@pytest.mark.parametrize(
    "text,lang,expected",
    [
        ("The Storm hits #harbour https://a.org/x @ann 2026", "en", {"storm", "hits"}),
        ("Der Sturm trifft den Hafen", "de", {"sturm", "trifft", "hafen"}),
        ("don't stop’s", "en", {"stop's"}),
        ("香港天气", "zh", {"香港", "港天", "天气"}),
        ("พายุ", "th", {"พา", "าย", "ยุ"}),
        ("Café CAFÉ", "", {"café"}),
        ("RT @ann: The Storm hits", "en", {"storm", "hits"}),
        ("RT reports a storm, smart @ann", "en", {"rt", "reports", "storm", "smart"}),
    ],
)
def test_words_of_a_post(text: str, lang: str, expected: set[str]) -> None:
    assert association.words(text, lang) == expected


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    assert all(association.words(text, "en"))


@given(
    posts=st.lists(st.integers(0, 10_000), min_size=3, max_size=30),
    missed=st.lists(st.tuples(st.integers(-5, 35), st.integers(1, 9)), max_size=4),
)
def test_an_index_has_a_mean_of_a_hundred_where_it_is_judged(
    posts: list[int], missed: list[tuple[int, int]]
) -> None:
    span = spans.cut(MONDAY + 600, MONDAY + len(posts) * HOUR - 600, HOUR)
    gaps = [(MONDAY + at * HOUR, MONDAY + (at + length) * HOUR) for at, length in missed]
    buckets = indexed.judged(span, gaps)
    assert buckets
    assert not {0, len(posts) - 1} & set(buckets)  # not whole
    found = indexed.against_mean("a", posts, buckets)
    if not any(posts[bucket] for bucket in buckets):
        assert found.values == []
        return
    assert sum(found.values[n] for n in buckets) / len(buckets) == pytest.approx(100, abs=0.01)
    most = max(range(len(posts)), key=lambda n: posts[n])
    assert max(found.values) == found.values[most]


def test_what_was_missed_does_not_lift_the_rest() -> None:
    posts = [10, 10, 0, 5, 10, 10]
    span = spans.cut(MONDAY, MONDAY + 6 * HOUR, HOUR)
    gap = MONDAY + 2 * HOUR, MONDAY + 3 * HOUR + HOUR // 2
    found = indexed.against_mean("a", posts, indexed.judged(span, [gap]))
    assert (found.mean, found.values) == (10, [100, 100, 0, 50, 100, 100])
    assert indexed.judged(span, [(MONDAY - DAY, MONDAY + DAY)]) == list(range(6))
    running = spans.cut(MONDAY + 60, MONDAY + 120, HOUR)
    assert indexed.judged(running, []) == [0]
