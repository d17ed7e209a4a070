"""A keyword's statistics over a stretch of time, as the page, the API and the command show them."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter import texts
from tweeter.statistics import narrowed, spans, spikes
from tweeter.statistics.keeping import Keeper
from tweeter.statistics.narrowed import Narrowed
from tweeter.statistics.panels import (
    Hours,
    Panel,
    Terms,
    hours_of_week,
    panels,
    terms,
)
from tweeter.statistics.spans import WEEK, Span
from tweeter.statistics.spike_cards import SpikeCard, spike_cards
from tweeter.statistics.unseen import untaught
from tweeter.statistics.voice import Voice
from tweeter.statistics.volume import Question, Volume, by_hour, volume
from tweeter.store import coverage, known, sums
from tweeter.store.cells import HOUR, US
from tweeter.store.coverage import Coverage
from tweeter.store.engine import reading
from tweeter.store.keywords import KeywordRow
from tweeter.store.sums import SERIES, Narrow


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Posts of the last full hour against the usual of that hour; times is None while learning."""

    posts: int
    usual: float | None
    times: float | None
    learned_days: int


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """Posts by hour of the weeks before a moment, and the hours that teach nothing."""

    hours: dict[int, int]
    skip: frozenset[int]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was covered, by stream: of the stretch that was asked for, and of what it is judged by.

    learned_from: where that begins, seconds.
    """

    asked: list[Coverage]
    learned: list[Coverage]
    learned_from: int


def seen(engine: Engine, row: KeywordRow, span: Span) -> Seen:
    """What was covered of a keyword's time."""
    with reading(engine) as connection:
        kept = known.kept(connection)
    began = kept.since(row.id, row.created_at, row.keep_days, row.networks.split()) // US
    until = span.asked[1]
    first = max(began - began % HOUR + HOUR, span.since - spikes.WEEKS * WEEK - 2 * HOUR)
    first -= first % HOUR  # a span may begin at any minute
    whole = coverage.of_keyword(engine, row.id, min(first, span.asked[0]) * US, until * US)
    return Seen(
        asked=coverage.between(whole, span.asked[0] * US, until * US),
        learned=coverage.between(whole, first * US, until * US),
        learned_from=first,
    )


def past(by_hour: Mapping[int, int], span: Span, covered: Seen) -> Past:
    """What spikes and the usual are judged by. by_hour: posts of that time, and maybe of more."""
    since, until = covered.learned_from, span.asked[1]
    hours = dict.fromkeys(range(since, until - until % HOUR, HOUR), 0)
    hours |= {hour: posts for hour, posts in by_hour.items() if since <= hour < until}
    return Past(hours=hours, skip=untaught(covered.learned))


def rate(
    engine: Engine,
    row: KeywordRow,
    span: Span,
    by_hour: Mapping[int, int],
    known: Past,
    now_s: int,
) -> Rate:
    """The last full hour against its usual, whatever time is looked at.

    by_hour and known: of `span`; they are asked for again where it does not know that hour.
    """
    hour = now_s - now_s % HOUR - HOUR
    if not span.since - HOUR <= hour <= span.asked[1] - HOUR:
        span = spans.cut(hour, hour + HOUR, HOUR)
        covered = seen(engine, row, span)
        by_hour = sums.hours(engine, row.id, min(covered.learned_from, hour), hour + HOUR)
        known = past(by_hour, span, covered)
    posts = by_hour.get(hour, 0)
    learned = spikes.learned_days(known.hours, hour)
    normal = spikes.usual(known.hours, hour, known.skip)
    if learned < spikes.LEARNED_DAYS or not normal.hours:
        return Rate(posts=posts, usual=None, times=None, learned_days=learned)
    return Rate(posts=posts, usual=normal.median, times=normal.times(posts), learned_days=learned)


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """So many posts, back to a moment (seconds). are_all: of the stretch that pass every filter."""

    posts: int
    since: int
    are_all: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. narrowed: panels and terms are of the posts that pass every filter; else of those
    that pass some. newest: what terms are of, and each panel that is `of_newest`, where it is not
    all of these. loose: names of the shares that follow each other's filters alone.
    """

    narrowed: bool
    newest: Newest | None
    loose: list[str]
    volume: Volume
    shares: dict[str, dict[str, int]]
    panels: list[Panel]
    terms: Terms
    hours: Hours
    rate: Rate
    spikes: list[SpikeCard]


def of_keyword(
    engine: Engine,
    row: KeywordRow,
    question: Question,
    *,
    covered: Seen | None = None,
    now_s: Callable[[], float] = time.time,
) -> Report:
    """Everything about a keyword in a stretch; what it costs does not grow with its posts.

    covered: what `seen` said of the stretch, for who has asked already.
    """
    keyword_id, expression, created_s = row.id, row.expression, row.created_at // US
    span = question.span
    covered = seen(engine, row, span) if covered is None else covered
    drawn = volume(engine, keyword_id, created_s, question, covered.asked)
    now = int(now_s())
    hours, every = _hours(engine, keyword_id, question, covered, now)
    known = past(every, span, covered)
    before = known if hours is every else past(hours, span, covered)
    found = spikes.find(before.hours, span.asked[0], span.asked[1], before.skip)
    # Of what panels count: they are narrowed by networks alone.
    of_panels = Narrow(network=question.narrow.network)
    is_drawn = question.is_of_networks
    posts = drawn.total if is_drawn else sums.total(engine, keyword_id, span.asked, of_panels)
    passing = narrowed.of_posts(engine, keyword_id, question)
    is_summed = is_drawn and passing is not None and not passing.are_all
    in_panels = None if is_summed else passing  # the sums know it, of all posts
    shares, loose = _shares(engine, keyword_id, question, passing)
    return Report(
        narrowed=passing is not None,
        newest=_newest(passing),
        loose=loose,
        volume=drawn,
        shares=shares,
        panels=list(panels(engine, keyword_id, question, posts, in_panels).values()),
        terms=terms(engine, keyword_id, expression, span, passing),
        hours=hours_of_week(span, hours | _cut_hours(engine, keyword_id, question)),
        rate=rate(engine, row, span, every, known, now),
        spikes=spike_cards(engine, keyword_id, question, found),
    )


KEPT_S = 600.0
_EARLIER = Keeper(most=100)  # each of thousands of hours


def _hours(
    engine: Engine, keyword_id: int, question: Question, covered: Seen, now_s: int
) -> tuple[dict[int, int], dict[int, int]]:
    """The chart's posts by whole hours, of the stretch and of what it is judged by; and all."""
    span = question.span
    first, end = span.hours
    # The last full hour may have begun before the keyword was followed.
    hour = min(span.since, now_s) // HOUR * HOUR - HOUR
    begin = min(first, covered.learned_from, hour)
    every = sums.hours(engine, keyword_id, begin, end)
    if not question.has_filters:
        return every, every
    asked = question.of_chart
    known_until, earlier = _EARLIER.answer(
        (str(engine.url), keyword_id, asked.narrow, asked.which, *span.stretch),
        (begin, first),
        lambda: (first, by_hour(engine, keyword_id, question, (begin, first))),
        is_much=lambda _: True,
        ages_s=span.ages_s(KEPT_S, HOUR),
    )
    return earlier | by_hour(engine, keyword_id, question, (min(known_until, first), end)), every


def _cut_hours(engine: Engine, keyword_id: int, question: Question) -> dict[int, int]:
    """The chart's posts of the hours in which the stretch begins or ends, as far as it goes."""
    if question.which[0]:  # a value is counted by whole hours
        return {}
    since, until = question.span.asked
    hours = sorted({since - since % HOUR, until - until % HOUR})
    pieces = [(max(hour, since), min(hour + HOUR, until)) for hour in hours]
    cut = [(begin, end) for begin, end in pieces if 0 < end - begin < HOUR]
    posts = sums.each(engine, keyword_id, cut, question.narrow)
    return {begin - begin % HOUR: count for (begin, _), count in zip(cut, posts, strict=True)}


def _shares(
    engine: Engine, keyword_id: int, question: Question, passing: Narrowed | None
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Shares, and the names of those that follow each other's filters alone."""
    if passing is not None and not passing.back_to:
        return passing.shares, []
    span = question.span
    found = sums.shares(engine, keyword_id, span.asked, narrow=question.narrow)
    if not question.which[0]:  # they follow all that there are
        return found, []
    if passing is None:
        return found, list(SERIES)
    loose = [name for name in SERIES if getattr(question.narrow, name)]
    return {name: (found if name in loose else passing.shares)[name] for name in SERIES}, loose


def _newest(passing: Narrowed | None) -> Newest | None:
    if passing is None or not passing.back_to:
        return None
    return Newest(posts=passing.posts, since=passing.back_to, are_all=passing.are_all)


_SECONDS = ("since", "until", "peak", "at", "followed_since")


def plain(value: Any) -> Any:
    """For programs: plain values, moments in microseconds under names that end with "_us"."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value, enc_hook=texts.plain)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, item in value.items():
        if name in _SECONDS:
            found[f"{name}_us"] = item * US
        elif name == "annotations":  # in microseconds already
            found[name] = item
        elif name == "asked":
            found["asked"] = {"since_us": item[0] * US, "until_us": item[1] * US}
        elif name == "unfollowed":
            found[name] = [
                {"since_us": since * US, "until_us": until * US} for since, until in item
            ]
        elif name == "edits":
            found["edits"] = [
                {"at_us": at * US, "version": version, "expression": expression}
                for at, version, expression in item
            ]
        else:
            found[name] = plain(item)
    return found


def plain_voice(found: Voice) -> dict[str, Any]:
    """Share of voice for programs: as `plain`, with the shares."""
    shares = [[round(share, 5) for share in one] for one in found.shares()]
    return dict(plain(found)) | {"shares": shares}
