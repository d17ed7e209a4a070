"""A keyword's statistics over a stretch of time, as the page, the API and the command show them."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter import texts
from tweeter.statistics import association, narrowed, spikes
from tweeter.statistics.association import Term
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.panels import (
    Hours,
    Panel,
    Terms,
    hours_of_week,
    label_of,
    panels,
    terms,
    whole_hours,
)
from tweeter.statistics.spans import WEEK, Span
from tweeter.statistics.spikes import Spike
from tweeter.statistics.voice import Voice
from tweeter.statistics.volume import Question, Volume, bands, volume
from tweeter.store import coverage, facet_sums, posts, samples, sums
from tweeter.store.cells import HOUR, US
from tweeter.store.coverage import Coverage
from tweeter.store.keywords import KeywordRow
from tweeter.store.posts import StoredPost
from tweeter.store.samples import Sampled
from tweeter.store.sums import Narrow


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Posts of the last full hour against the usual of that hour; times is None while learning."""

    posts: int
    usual: float | None
    times: float | None
    learned_days: int


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """Posts by hour of the weeks before a moment, and the hours that were not covered."""

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
    created_s, until = row.created_at // US, span.asked[1]
    first = max(created_s - created_s % HOUR + HOUR, span.since - spikes.WEEKS * WEEK - HOUR)
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
    skip = {
        hour
        for band in bands(covered.learned)
        if band.until - band.since >= HOUR // 2
        for hour in range(band.since - band.since % HOUR, band.until, HOUR)
    }
    return Past(hours=hours, skip=frozenset(skip))


def rate(known: Past, now_s: int) -> Rate:
    """The last full hour against its usual."""
    hour = now_s - now_s % HOUR - HOUR
    posts = known.hours.get(hour, 0)
    learned = spikes.learned_days(known.hours, hour)
    normal = spikes.usual(known.hours, hour, known.skip)
    if learned < spikes.LEARNED_DAYS or not normal.hours:
        return Rate(posts=posts, usual=None, times=None, learned_days=learned)
    return Rate(posts=posts, usual=normal.median, times=normal.times(posts), learned_days=learned)


class SpikeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A spike and what was different in it: (facet, label, term); examples are of looked_at."""

    spike: Spike
    different: list[tuple[str, str, Term]]
    same_text: float  # share of the sampled posts whose text another of them has too
    looked_at: int
    examples: list[StoredPost] = []


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """before: posts of the week before the spike. examples: ids, as a post may go meanwhile."""

    card: SpikeCard
    before: int
    examples: list[int]


def spike_cards(engine: Engine, keyword_id: int, found: Sequence[Spike]) -> list[SpikeCard]:
    """The highest few, newest first, with examples as they are now."""
    chosen = sorted(found, key=lambda spike: -spike.deviations)[:5]
    kept = [
        _kept_card(engine, keyword_id, spike)
        for spike in sorted(chosen, key=lambda spike: -spike.since)
    ]
    there = posts.by_ids(engine, [post_id for one in kept for post_id in one.examples])
    return [
        msgspec.structs.replace(
            one.card,
            examples=[there[n] for n in one.examples if n in there and there[n].removed_at is None],
        )
        for one in kept
    ]


MANY = 20_000  # posts of a week: what is different in the spike is kept
KEPT_S = 600.0


def _kept_card(engine: Engine, keyword_id: int, spike: Spike) -> _Found:
    found = KEEPER.answer(
        (str(engine.url), keyword_id, "spike", spike.since),
        spike,
        partial(_card, engine, keyword_id, spike),
        is_much=lambda found: found.before >= MANY,
        ages_s=(KEPT_S, 2 * KEPT_S),
    )
    card = msgspec.structs.replace(found.card, spike=spike)
    return msgspec.structs.replace(found, card=card)


_DIFFERENT_IN = ("tag", "domain", "mention", "author")


def _card(engine: Engine, keyword_id: int, spike: Spike) -> _Found:
    inside = spike.since, spike.until
    week = spike.since - WEEK, spike.since
    before = sums.total(engine, keyword_id, week, sums.EVERY)
    different: list[tuple[str, str, Term]] = []
    tops = facet_sums.tops(engine, keyword_id, _DIFFERENT_IN, inside, limit=20)
    now = {facet: dict(found.values) for facet, found in tops.items()}
    asked = {facet: list(values) for facet, values in now.items()}
    usual = facet_sums.of_values(engine, keyword_id, asked, week)
    for facet in _DIFFERENT_IN:
        found = association.compare(now[facet], spike.total, usual[facet], max(before, 1), limit=3)
        labels = samples.names_of(engine, [t.value for t in found]) if facet == "author" else {}
        different += [(facet, label_of(facet, term.value, labels), term) for term in found]
    different.sort(key=lambda one: -one[2].g2)
    sampled = samples.sample(engine, keyword_id, inside, pieces=2, limit=100)
    texts = Counter(" ".join(post.text.split()) for post in sampled)
    repeated = sum(count for text, count in texts.items() if count > 1 and text)
    card = SpikeCard(
        spike=spike,
        different=different[:6],
        same_text=repeated / len(sampled) if sampled else 0.0,
        looked_at=len(sampled),
    )
    return _Found(card=card, before=before, examples=_examples(sampled, card.different))


EXAMPLES = 3


def _examples(sampled: Sequence[Sampled], different: Sequence[tuple[str, str, Term]]) -> list[int]:
    """The posts that have most of what is different, then the newest; no two with one text."""

    def rank(post: Sampled) -> tuple[int, int]:
        text = post.text.casefold()
        has = sum(
            term.value == post.author_id if facet == "author" else label.casefold() in text
            for facet, label, term in different
        )
        return -has, -post.id

    found: dict[str, int] = {}
    for post in sorted(sampled, key=rank):
        found.setdefault(" ".join(post.text.split()), post.id)
    return list(found.values())[:EXAMPLES]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. learned_days: of LEARNED_DAYS that spikes need. narrowed: shares, panels and terms
    are of the posts that pass every filter; else of those that pass some."""

    narrowed: bool
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
    times = span.since, span.until
    covered = seen(engine, row, span) if covered is None else covered
    drawn = volume(engine, keyword_id, created_s, question, covered.asked)
    first, last = whole_hours(span)
    times_of_hours = min(first, covered.learned_from), max(last, span.asked[1])
    by_hour = sums.hours(engine, keyword_id, *times_of_hours)
    before = past(by_hour, span, covered)
    found = spikes.find(before.hours, span.asked[0], span.asked[1], before.skip)
    # Of what panels count: they are narrowed by networks alone.
    of_panels = Narrow(network=question.narrow.network)
    is_drawn = question.narrow == of_panels and not question.which[0]
    known = drawn.total if is_drawn else sums.total(engine, keyword_id, times, of_panels)
    passing = narrowed.of_posts(engine, keyword_id, question)
    return Report(
        narrowed=passing is not None,
        volume=drawn,
        shares=(
            passing.shares
            if passing is not None
            else sums.shares(engine, keyword_id, times, narrow=question.narrow)
        ),
        panels=list(panels(engine, keyword_id, question, known, passing).values()),
        terms=terms(engine, keyword_id, expression, span, passing),
        hours=hours_of_week(engine, keyword_id, question, by_hour),
        rate=rate(before, int(now_s())),
        spikes=spike_cards(engine, keyword_id, found),
    )


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
