"""The time in which posts may be missing, or nobody looked for them; seconds since 1970, UTC."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import itemgetter

import msgspec

from tweeter.statistics.spans import Span
from tweeter.store.cells import HOUR, US
from tweeter.store.coverage import Coverage, Stretch
from tweeter.store.sums import Times
from tweeter.texts import counted, joined


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that was not covered: seconds; whole: on no stream at all."""

    since: int
    until: int
    whole: bool
    words: str


Edge = tuple[int, int, str]  # since, until and the cause


def bands(found: Sequence[Coverage]) -> list[Band]:
    """Where posts may be missing: each stretch in which some stream missed what it should have, cut
    where another begins or ends to be covered.
    """
    followed = _followed(found)
    return [
        Band(since=since, until=until, whole=whole, words=_causes(said, since, until))
        for first, last, said in _runs(found)
        for since, until, whole in _cut(first, last, followed)
    ]


def _runs(found: Sequence[Coverage]) -> list[tuple[int, int, list[Edge]]]:
    """Stretches in which all the time some stream missed what it should have, with the causes."""
    edges = [
        (stretch.since // US, -(-stretch.until // US), joined(f"{one.stream}:", stretch.words))
        for one in found
        for stretch in one.stretches
        if stretch.verdict == "missed"
    ]
    runs: list[tuple[int, int, list[Edge]]] = []
    for edge in sorted(edges):
        since, until, _ = edge
        if runs and since <= runs[-1][1]:
            start, end, said = runs[-1]
            said.append(edge)
            runs[-1] = start, max(end, until), said
        else:
            runs.append((since, until, [edge]))
    return runs


def _followed(found: Sequence[Coverage]) -> list[Times]:
    """Whole seconds in which some stream was covered, in order of time and apart."""
    return together(
        (-(-stretch.since // US), stretch.until // US)
        for one in found
        for stretch in one.stretches
        if stretch.verdict == "covered"
    )


def together(some: Iterable[Times]) -> list[Times]:
    """What lies in any of them, in order of time and apart."""
    union: list[Times] = []
    for since, until in sorted(some):
        if union and since <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], until)
        elif since < until:
            union.append((since, until))
    return union


def _cut(first: int, last: int, followed: Sequence[Times]) -> Iterator[tuple[int, int, bool]]:
    """The pieces of a run, and whether nothing at all was covered in each."""
    at = first
    for since, until in followed[bisect_right(followed, first, key=itemgetter(1)) :]:
        if since >= last:
            break
        if since > at:
            yield at, since, True
        yield max(since, at), min(until, last), False
        at = until
    if at < last:
        yield at, last, True


def _causes(said: Sequence[Edge], since: int, until: int) -> str:
    words = [cause for begin, end, cause in said if begin < until and end > since]
    return joined(*words[:3], _more(len(words) - 3))


def _more(count: int) -> str:
    return counted("And %(count)s more.", "And %(count)s more.", count) if count > 0 else ""


def as_times(missed: Iterable[Band]) -> list[Times]:
    """Where they lie."""
    return [(band.since, band.until) for band in missed]


def unfollowed(found: Sequence[Coverage]) -> list[Times]:
    """Where no stream was to look for it: whole seconds (since, until), in order of time."""
    lines = [
        [
            (-(-stretch.since // US), stretch.until // US)
            for stretch in one.stretches
            if stretch.verdict == "not_followed"
        ]
        for one in found
    ]
    common = reduce(_both, lines) if lines else []
    return [(since, until) for since, until in common if since < until]


def _both(one: Sequence[Times], other: Sequence[Times]) -> list[Times]:
    """What lies in both; each in order of time and apart."""
    found, a, b = [], 0, 0
    while a < len(one) and b < len(other):
        since, until = max(one[a][0], other[b][0]), min(one[a][1], other[b][1])
        if since < until:
            found.append((since, until))
        if one[a][1] < other[b][1]:
            a += 1
        else:
            b += 1
    return found


def pauses(found: Sequence[Coverage]) -> list[Band]:
    """Where a person had the keyword paused or removed, or its posts were deleted, on all of its
    streams.
    """
    first, *rest = [
        [stretch for stretch in one.stretches if stretch.state in ("paused", "removed", "deleted")]
        for one in found
    ] or [[]]
    return [
        Band(since=-(-pause.since // US), until=pause.until // US, whole=True, words=pause.words)
        for pause in first
        if all(any(_overlap(pause, other) for other in others) for others in rest)
    ]


def untaught(found: Sequence[Coverage]) -> frozenset[int]:
    """The hours that teach nothing of what is usual: half an hour or more in a row was missed, or a
    person had it paused.
    """
    held = [(band.since, band.until) for band in pauses(found)]
    return frozenset(
        hour
        for since, until in [*((since, until) for since, until, _ in _runs(found)), *held]
        if until - since >= HOUR // 2
        for hour in range(since - since % HOUR, until, HOUR)
    )


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.since < other.until and other.since < one.until


def blank(span: Span, missed: Sequence[Band], unfollowed: Sequence[Times]) -> list[int]:
    """The buckets in which nothing was covered, or not followed yet."""
    nothing = together([*as_times(band for band in missed if band.whole), *unfollowed])
    return [
        bucket
        for bucket, (start, end) in enumerate(map(span.inside, range(span.count)))
        if any(since <= start and end <= until for since, until in nothing)
    ]
