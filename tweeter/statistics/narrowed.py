"""What the posts have that pass all filters of a keyword's page, counted from the posts themselves.

The sums say of each value how many posts have it, not which values go together: so this looks
at each post of the stretch, and only where there are few enough.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.spans import Span
from tweeter.statistics.volume import Question
from tweeter.store import cells, samples, sums
from tweeter.store.cells import FACETS, HOUR, Volume
from tweeter.store.sums import EVERY, SERIES

MOST = 3_000  # posts of a keyword in a stretch, and in the one before: 20 us each
KEPT = 2_000  # posts: the answer is kept as those of panels
KEPT_S = 600.0


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """Of the posts that pass: values by facet, series (each narrowed by all but its own filters),
    texts with their languages, newest first. before: values of the stretch before. looked_at:
    how many posts it was counted from.
    """

    posts: int
    values: dict[str, Counter[str]]
    before: dict[str, Counter[str]]
    shares: dict[str, dict[str, int]]
    texts: list[tuple[str, str]]
    looked_at: int


def of_posts(engine: Engine, keyword_id: int, question: Question) -> Narrowed | None:
    """None where no filter is on, or where more than MOST posts would be looked at."""
    if not question.has_filters:
        return None
    span = question.span
    for one in (span, span.before()):
        if sums.total(engine, keyword_id, (one.since, one.until), EVERY) > MOST:
            return None
    return KEEPER.answer(
        (str(engine.url), keyword_id, "narrowed", question.narrow, question.which, *span.stretch),
        span.since,
        partial(_count, engine, keyword_id, question),
        is_much=lambda found: found.looked_at >= KEPT,
        ages_s=span.ages_s(KEPT_S, HOUR),
    )


def _count(engine: Engine, keyword_id: int, question: Question) -> Narrowed:
    now = _Counted(question)
    for row in samples.every(engine, keyword_id, _times(question.span)):
        now.add(row)
    before = _Counted(question)
    for row in samples.every(engine, keyword_id, _times(question.span.before())):
        before.add(row)
    return Narrowed(
        posts=now.posts,
        values=now.values,
        before=before.values,
        shares={name: dict(counted) for name, counted in now.shares.items()},
        texts=now.texts,
        looked_at=now.looked_at + before.looked_at,
    )


def _times(span: Span) -> tuple[int, int]:
    return span.since, span.until


class _Counted:
    """The posts of a stretch, while they are counted."""

    def __init__(self, question: Question) -> None:
        facet, value = question.which
        self._value = (facet, value.removeprefix("!"))
        self._is_not = value.startswith("!")
        self._narrow = question.narrow
        self.posts = self.looked_at = 0
        self.values = {name: Counter[str]() for name in FACETS}
        self.shares = {name: Counter[str]() for name in SERIES}
        self.texts: list[tuple[str, str]] = []

    def add(self, row: Mapping[Any, Any]) -> None:
        self.looked_at += 1
        counted = cells.volume(row)
        lacking = [
            name
            for name in SERIES
            if not sums.counts(getattr(counted, name), getattr(self._narrow, name))
        ]
        if len(lacking) > 1 or (lacking and not self._value[0]):  # what is in it is not asked
            self._share(counted, lacking)
            return
        found = cells.facets(row)
        if self._value[0] and (self._value in found) == self._is_not:
            return
        self._share(counted, lacking)
        if lacking:
            return
        self.posts += 1
        self.texts.append((row["text"], row["lang"]))
        for facet, value in found:
            self.values[facet][value] += 1

    def _share(self, counted: Volume, lacking: list[str]) -> None:
        for name in SERIES:
            if not lacking or lacking == [name]:
                self.shares[name][getattr(counted, name)] += 1
