"""What the posts have that pass all filters of a keyword's page, counted from the posts themselves.

The sums say of each value how many posts have it, not which values go together: so this looks
at each post of the stretch where there are few enough, and else at the newest of those that pass.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter.statistics import behind
from tweeter.statistics.behind import Newest
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.spans import Span
from tweeter.statistics.volume import Question
from tweeter.store import cells, samples, sums
from tweeter.store.cells import FACETS, HOUR, Volume
from tweeter.store.facet_sums import Top
from tweeter.store.sums import EVERY, SERIES

MOST = 3_000  # posts of a keyword in a stretch, and in the one before: 20 us each
NEWEST = 2_000  # of those that pass, where there are more; they must be found, too
KEPT = 2_000  # posts: the answer is kept as those of panels
KEPT_S = 600.0
AGAIN_S = 30.0  # after which the newest are looked for again
TOP = 10  # values of a facet
LOOKED_AT = 400  # posts whose words are counted


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """Of the posts that pass: the commonest values by facet, series (each narrowed by all but its
    own filters), LOOKED_AT texts with their languages, evenly. before: posts of these values in
    the stretch before. looked_at: how many posts it was counted from. at: when, seconds since 1970.

    back_to: seconds; 0, or it is of the newest that pass, back to then (are_all: there are no
    others). Then `before` may be unknown, and a series that is filtered itself has but what its
    filter lets through.
    """

    posts: int
    values: dict[str, Top]
    before: dict[str, dict[str, int]] | None
    shares: dict[str, dict[str, int]]
    texts: list[tuple[str, str]]
    looked_at: int
    at: int
    back_to: int = 0
    are_all: bool = True


def of_posts(engine: Engine, keyword_id: int, question: Question) -> Narrowed | None:
    """None where no filter is on; or where more than MOST posts would be looked at, and the search
    finds none that pass.
    """
    if not question.has_filters:
        return None
    span = question.span
    key = (str(engine.url), keyword_id, "narrowed", question.narrow, question.which, *span.stretch)
    ages_s = span.ages_s(KEPT_S, HOUR)
    stretches = [one.asked for one in (span, span.before())]
    if max(sums.each(engine, keyword_id, stretches, EVERY)) <= MOST:
        return KEEPER.answer(
            key,
            span.since,
            partial(_count, engine, keyword_id, question),
            is_much=lambda found: found.looked_at >= KEPT,
            ages_s=ages_s,
        )
    newest = partial(_count_newest, engine, keyword_id, question)
    # It is kept whatever it found: what took long was to look for it.
    return KEEPER.answer(
        (*key, "newest"),
        span.since,
        partial(newest, behind.LIMIT_S),
        is_much=lambda _: True,
        ages_s=(min(AGAIN_S, ages_s[0]), ages_s[1]),
        behind=partial(newest, behind.BEHIND_S),
    )


def _count(engine: Engine, keyword_id: int, question: Question) -> Narrowed:
    now, before = (
        _counted(question, samples.every(engine, keyword_id, [one.asked]))
        for one in (question.span, question.span.before())
    )
    return now.narrowed(before)


def _count_newest(
    engine: Engine, keyword_id: int, question: Question, limit_s: float
) -> Narrowed | None:
    deadline = time.monotonic() + limit_s

    def newest(span: Span) -> Newest | None:
        return behind.newest(
            engine, keyword_id, question, span.asked, limit=NEWEST, deadline=deadline
        )

    found = newest(question.span)
    if found is None:
        return None
    earlier = newest(question.span.before()) if found.are_all else None
    before = _counted(question, earlier.rows) if earlier and earlier.are_all else None
    counted = _counted(question, found.rows).narrowed(before)
    return msgspec.structs.replace(counted, back_to=found.back_to, are_all=found.are_all)


def _counted(question: Question, rows: Iterable[Mapping[Any, Any]]) -> "_Counted":
    counted = _Counted(question)
    for row in rows:
        counted.add(row)
    return counted


class _Counted:
    """The posts of a stretch, while they are counted."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.posts = self.looked_at = 0
        self.values = {name: Counter[str]() for name in FACETS}
        self.shares = {name: Counter[str]() for name in SERIES}
        self.texts: list[tuple[str, str]] = []

    def add(self, row: Mapping[Any, Any]) -> None:
        self.looked_at += 1
        counted = cells.volume(row).as_read
        lacking = behind.lacking(self._question, counted)
        if len(lacking) > 1 or (lacking and not self._question.which[0]):  # nobody asks what it has
            self._share(counted, lacking)
            return
        found = cells.facets(row)
        if not behind.has_value(self._question, found):
            return
        self._share(counted, lacking)
        if lacking:
            return
        self.posts += 1
        self.texts.append((row["text"], row["lang"]))
        for facet, value in found:
            self.values[facet][value] += 1

    def narrowed(self, before: "_Counted | None" = None) -> Narrowed:
        """What was counted, and in the stretch before."""
        tops = {facet: top(counted) for facet, counted in self.values.items()}
        earlier = None
        if before is not None:
            earlier = {
                facet: {value: before.values[facet][value] for value, _ in top.values}
                for facet, top in tops.items()
            }
        return Narrowed(
            posts=self.posts,
            values=tops,
            before=earlier,
            shares={name: dict(counted) for name, counted in self.shares.items()},
            texts=self.texts[:: max(-(-len(self.texts) // LOOKED_AT), 1)],
            looked_at=self.looked_at + (before.looked_at if before is not None else 0),
            at=int(time.time()),
        )

    def _share(self, counted: Volume, lacking: list[str]) -> None:
        for name in SERIES:
            if not lacking or lacking == [name]:
                self.shares[name][getattr(counted, name)] += 1


def top(counted: Counter[str]) -> Top:
    """The commonest of values with their posts."""
    most = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return Top(values=most, distinct=len(counted))
