"""Spikes as they are shown: what was different in each from the week before, and a few posts."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from sqlalchemy import Engine

from tweeter.statistics import association, behind
from tweeter.statistics.association import Term
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.narrowed import AGAIN_S
from tweeter.statistics.panels import label_of
from tweeter.statistics.spans import WEEK
from tweeter.statistics.spikes import Spike
from tweeter.statistics.volume import Question
from tweeter.store import facet_sums, posts, samples, sums
from tweeter.store.cells import Made
from tweeter.store.posts import StoredPost
from tweeter.store.samples import Sampled

SHOWN = 5  # spikes, the highest
MANY = 20_000  # posts of a week: what is different in the spike is kept
KEPT_S = 600.0
SAMPLED = 400  # posts of a filtered spike, and of those before it, that are looked at


class SpikeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A spike and what was different in it: (facet, label, term); examples are of looked_at.

    compared: so many of its posts with so many of the week before, the newest of both that pass the
    filters; None: all of them, by the sums.
    """

    spike: Spike
    different: list[tuple[str, str, Term]]
    same_text: float  # share of the sampled posts whose text another of them has too
    looked_at: int
    compared: tuple[int, int] | None = None
    examples: list[StoredPost] = []


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """before: posts of the week before the spike. examples: ids, as a post may go meanwhile."""

    card: SpikeCard
    before: int = 0
    examples: list[int] = []


class _Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Posts by facet and value in a spike and in the week before it, and of how many each is."""

    now: Mapping[str, Mapping[str, int]]
    size: int
    before: Mapping[str, Mapping[str, int]]
    size_before: int


def spike_cards(
    engine: Engine, keyword_id: int, question: Question, found: Sequence[Spike]
) -> list[SpikeCard]:
    """The highest few, newest first, with examples as they are now. question: what the hours in
    which they were found are narrowed to."""
    chosen = sorted(found, key=lambda spike: -spike.deviations)[:SHOWN]
    deadline = time.monotonic() + behind.LIMIT_S  # of all together
    kept = [
        _kept_card(engine, keyword_id, question.of_chart, spike, deadline)
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


def _kept_card(
    engine: Engine, keyword_id: int, question: Question, spike: Spike, deadline: float
) -> _Found:
    key = str(engine.url), keyword_id, "spike", question.narrow, question.which, spike.since
    if question.is_of_networks:
        found = KEEPER.answer(
            key,
            spike,
            partial(_card, engine, keyword_id, question, spike),
            is_much=lambda found: found.before >= MANY,
            ages_s=(KEPT_S, 2 * KEPT_S),
        )
    else:
        card = partial(_narrowed_card, engine, keyword_id, question, spike)
        found = KEEPER.answer(
            key,
            spike,
            partial(card, deadline),
            is_much=lambda _: True,
            ages_s=(AGAIN_S, 2 * KEPT_S),
            behind=lambda: card(time.monotonic() + behind.BEHIND_S),
        ) or _Found(card=SpikeCard(spike=spike, different=[], same_text=0.0, looked_at=0))
    return msgspec.structs.replace(found, card=msgspec.structs.replace(found.card, spike=spike))


_DIFFERENT_IN = ("tag", "domain", "mention", "author")


def _card(engine: Engine, keyword_id: int, question: Question, spike: Spike) -> _Found:
    """Of all posts, or of those of some networks: counted from the sums."""
    inside = spike.since, spike.until
    week = spike.since - WEEK, spike.since
    networks = question.narrow.network
    before = sums.total(engine, keyword_id, week, question.narrow)
    tops = facet_sums.tops(engine, keyword_id, _DIFFERENT_IN, inside, networks=networks, limit=20)
    now = {facet: dict(found.values) for facet, found in tops.items()}
    asked = {facet: list(values) for facet, values in now.items()}
    usual = facet_sums.of_values(engine, keyword_id, asked, week, networks=networks)
    counts = _Counts(now=now, size=spike.total, before=usual, size_before=max(before, 1))
    sampled = samples.sample(engine, keyword_id, inside, pieces=2, limit=100)
    sampled = [post for post in sampled if sums.counts(post.network, networks)]
    return msgspec.structs.replace(_made(engine, spike, counts, sampled), before=before)


def _narrowed_card(
    engine: Engine, keyword_id: int, question: Question, spike: Spike, deadline: float
) -> _Found | None:
    """Of those that the filters let through: counted from the newest of them. None: not in time."""
    found = []
    for times in ((spike.since, spike.until), (spike.since - WEEK, spike.since)):
        newest = behind.newest(
            engine, keyword_id, question, times, limit=SAMPLED, deadline=deadline
        )
        if newest is None or not (newest.are_all or len(newest.rows) == SAMPLED):
            return None
        rows = map(Made, newest.rows)
        found.append([row for row in rows if behind.passes(question, row)])
    now, before = found
    counts = _Counts(
        now=_facets(now), size=len(now), before=_facets(before), size_before=max(len(before), 1)
    )
    sampled = [Sampled(*(row[name] for name in Sampled.__struct_fields__)) for row in now]
    made = _made(engine, spike, counts, sampled)
    compared = len(now), len(before)
    return msgspec.structs.replace(made, card=msgspec.structs.replace(made.card, compared=compared))


def _facets(rows: Sequence[Made]) -> dict[str, Counter[str]]:
    found = {facet: Counter[str]() for facet in _DIFFERENT_IN}
    for row in rows:
        for facet, value in row.facets:
            if facet in found:
                found[facet][value] += 1
    return found


def _made(engine: Engine, spike: Spike, counts: _Counts, sampled: Sequence[Sampled]) -> _Found:
    different: list[tuple[str, str, Term]] = []
    for facet in _DIFFERENT_IN:
        now, usual = counts.now[facet], counts.before[facet]
        found = association.compare(now, counts.size, usual, counts.size_before, limit=3)
        labels = samples.names_of(engine, [t.value for t in found]) if facet == "author" else {}
        different += [(facet, label_of(facet, term.value, labels), term) for term in found]
    different.sort(key=lambda one: -one[2].g2)
    texts = Counter(" ".join(post.text.split()) for post in sampled)
    repeated = sum(count for text, count in texts.items() if count > 1 and text)
    card = SpikeCard(
        spike=spike,
        different=different[:6],
        same_text=repeated / len(sampled) if sampled else 0.0,
        looked_at=len(sampled),
    )
    return _Found(card=card, examples=_examples(sampled, card.different))


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
