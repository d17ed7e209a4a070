"""The values of a stretch that does not begin and end at whole hours: the sums are of these.

What lies beside its whole hours is counted post by post, where that is little; else the whole hours
stand for it, and say so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter.statistics.narrowed import MOST, TOP, top
from tweeter.statistics.spans import Span
from tweeter.store import cells, facet_sums, samples, sums
from tweeter.store.cells import HOUR, MINUTE, US
from tweeter.store.facet_sums import Top
from tweeter.store.sums import EVERY, Times

AT_ONCE = 5_000  # values that one question names

Values = dict[str, Counter[str]]  # posts by value, by facet


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """The commonest values by facet, and the posts of these in the stretch before. times: of which
    stretch they are: the one that was asked for, or whole hours.
    """

    tops: dict[str, Top]
    before: dict[str, dict[str, int]]
    times: Times


class _Stretch(msgspec.Struct, frozen=True):
    """What the sums know of a stretch, and what they do not."""

    hours: Times | None
    rest: list[Times]

    @classmethod
    def of(cls, times: Times) -> "_Stretch":
        found = sums.pieces(*times, (MINUTE, HOUR))
        hours = [(since, until) for size, since, until in found if size == HOUR]
        rest = [(since, until) for size, since, until in found if size < HOUR]
        return cls(hours[0] if hours else None, rest)


def count(
    engine: Engine, keyword_id: int, span: Span, names: Sequence[str], networks: Sequence[str]
) -> Counted:
    """The commonest values of these facets. At most MOST posts are looked at."""
    both = span.asked, span.before().asked
    rest = [one for times in both for one in _Stretch.of(times).rest]
    if sum(sums.each(engine, keyword_id, rest, EVERY)) > MOST:
        both = _hours_for(span)
    now, earlier = map(_Stretch.of, both)
    rows = [
        row
        for row in samples.every(engine, keyword_id, now.rest + earlier.rest)
        if sums.counts(row["network"], networks)
    ]
    began = both[0][0] * US
    of_rest = _counted((row for row in rows if row["occurred_at"] >= began), names)
    tops = _tops(engine, keyword_id, now.hours, of_rest, networks)
    values = {name: [value for value, _ in found.values] for name, found in tops.items()}
    before = _of_values(engine, keyword_id, values, earlier.hours, networks)
    of_rest = _counted((row for row in rows if row["occurred_at"] < began), names)
    for name, counted in of_rest.items():
        for value in values[name]:
            before[name][value] = before[name].get(value, 0) + counted[value]
    return Counted(tops=tops, before=before, times=both[0])


def _hours_for(span: Span) -> tuple[Times, Times]:
    """The whole hours in a stretch, or else those that it touches; and as many just before."""
    since, until = span.asked
    first, last = since + -since % HOUR, until - until % HOUR
    if first >= last:
        first, last = span.hours
    by = since - span.before().asked[0]
    by = max(by + -by % HOUR, last - first)
    return (first, last), (first - by, last - by)


def _counted(rows: Iterable[Mapping[Any, Any]], names: Sequence[str]) -> Values:
    found: Values = {name: Counter() for name in names}
    for row in rows:
        for facet, value in cells.facets(row):
            if facet in found:
                found[facet][value] += 1
    return found


def _tops(
    engine: Engine,
    keyword_id: int,
    hours: Times | None,
    of_rest: Values,
    networks: Sequence[str],
) -> dict[str, Top]:
    """The commonest of both together.

    These are among the commonest of the sums and the values of the rest: of no other value the
    posts become more.
    """
    if hours is None:
        return {name: top(counted) for name, counted in of_rest.items()}
    names = list(of_rest)
    summed = facet_sums.tops(engine, keyword_id, names, hours, networks=networks, limit=TOP)
    known = _of_values(engine, keyword_id, of_rest, hours, networks)
    found = {}
    for name, counted in of_rest.items():
        together = Counter(dict(summed[name].values))
        for value, posts in counted.items():
            together[value] = posts + known[name].get(value, 0)
        new = sum(value not in known[name] for value in counted)
        found[name] = Top(values=top(together).values, distinct=summed[name].distinct + new)
    return found


def _of_values(
    engine: Engine,
    keyword_id: int,
    values: Mapping[str, Sequence[str] | Counter[str]],
    hours: Times | None,
    networks: Sequence[str],
) -> dict[str, dict[str, int]]:
    """Posts of these values in whole hours, by facet."""
    found: dict[str, dict[str, int]] = {name: {} for name in values}
    if hours is None:
        return found
    pairs = [(name, value) for name, some in values.items() for value in some]
    for first in range(0, len(pairs), AT_ONCE):
        asked: dict[str, list[str]] = {}
        for name, value in pairs[first : first + AT_ONCE]:
            asked.setdefault(name, []).append(value)
        known = facet_sums.of_values(engine, keyword_id, asked, hours, networks=networks)
        for name, counted in known.items():
            found[name] |= counted
    return found
