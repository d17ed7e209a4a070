"""The time in which posts may be missing, or nobody looked for them; seconds since 1970, UTC."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate

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


def bands(found: Sequence[Coverage]) -> list[Band]:
    """Where posts may be missing: each stretch in which some stream missed what it should have."""
    edges: list[tuple[int, int, str]] = []
    followed: list[Times] = []
    for one in found:
        for stretch in one.stretches:
            if stretch.verdict == "missed":
                cause = joined(f"{one.stream}:", stretch.words)
                edges.append((stretch.since // US, -(-stretch.until // US), cause))
            elif stretch.verdict == "covered":
                followed.append((stretch.since // US, stretch.until // US))
    runs: list[tuple[int, int, list[str]]] = []
    for since, until, words in sorted(edges):
        if runs and since <= runs[-1][1]:
            start, end, said = runs[-1]
            runs[-1] = start, max(end, until), [*said, words]
        else:
            runs.append((since, until, [words]))
    followed.sort()
    ends = [0, *accumulate((end for _, end in followed), max)]

    def last_followed(moment: int) -> int:
        """The last moment covered by what had begun before this one."""
        return ends[bisect_left(followed, (moment,))]

    return [
        Band(
            since=since,
            until=until,
            whole=last_followed(until - 1) <= since + 1,
            words=joined(*said[:3], _more(len(said) - 3)),
        )
        for since, until, said in runs
    ]


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
    """Where a person had the keyword paused or removed, on all of its streams."""
    first, *rest = [
        [stretch for stretch in one.stretches if stretch.state in ("paused", "removed")]
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
    return frozenset(
        hour
        for band in (*bands(found), *pauses(found))
        if band.until - band.since >= HOUR // 2
        for hour in range(band.since - band.since % HOUR, band.until, HOUR)
    )


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.since < other.until and other.since < one.until


def blank(span: Span, missed: Sequence[Band], unfollowed: Sequence[Times]) -> list[int]:
    """The buckets in which nothing was covered, or not followed yet."""
    nothing = [*as_times(band for band in missed if band.whole), *unfollowed]
    return [
        bucket
        for bucket, (start, end) in enumerate(map(span.inside, range(span.count)))
        if any(since <= start and end <= until for since, until in nothing)
    ]
