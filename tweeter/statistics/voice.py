"""Share of voice: of the posts of several keywords, how many are each one's, over time.

A share is only said of buckets that every one of the keywords covers: else a gap of one would look
like a success of the others. Counted are matches, so a post that two of them match counts for both.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine

from tweeter.statistics.spans import Span
from tweeter.statistics.volume import Series
from tweeter.store import coverage, sums
from tweeter.store.cells import US
from tweeter.store.coverage import Coverage
from tweeter.store.keywords import KeywordRow
from tweeter.store.sums import Narrow

LEAST, MOST = 2, 8  # keywords; as many as there are colours
SLACK_S = 5  # by which the database's clock may be behind ours


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """Keywords beside each other, in the order they were asked for.

    series: posts by bucket, also of buckets that are left out; named by the keyword's id. counted:
    the buckets that have shares. totals: posts of these. lacking: how many buckets each keyword
    does not cover. networks: those that all of them follow, () for every one; apart: there is none.
    known: whether anything is known of their coverage; if not, all buckets count.
    """

    span: Span
    expressions: list[str]
    series: list[Series]
    counted: list[bool]
    totals: list[int]
    lacking: list[int]
    networks: tuple[str, ...]
    apart: bool
    known: bool

    @property
    def everything(self) -> int:
        """The denominator: posts of all of them in the buckets that count."""
        return sum(self.totals)

    @property
    def left_out(self) -> int:
        """Number of buckets without shares."""
        return self.counted.count(False)

    def missing(self) -> list[tuple[str, int]]:
        """The keywords that do not cover all of it, and in how many buckets."""
        return [
            (name, count)
            for name, count in zip(self.expressions, self.lacking, strict=True)
            if count
        ]

    def shares(self) -> list[list[float]]:
        """Of each keyword by bucket, 0 to 1; 0 where it is left out or nobody has a post."""
        sums_of = [sum(posts) for posts in zip(*(one.posts for one in self.series), strict=True)]
        return [
            [
                posts / whole if whole and counts else 0.0
                for posts, whole, counts in zip(one.posts, sums_of, self.counted, strict=True)
            ]
            for one in self.series
        ]


def of_keywords(engine: Engine, rows: Sequence[KeywordRow], span: Span, now_s: int) -> Voice:
    """Shares of these keywords; what it costs grows with their number and their gaps."""
    networks, apart = _together(rows)
    narrow = Narrow(network=networks)
    cells = sums.over_time(engine, [row.id for row in rows], span.grid, narrow=narrow)
    series = []
    for row in rows:
        posts = [0] * span.count
        for cell in cells[row.id]:
            posts[(cell.start - span.since) // span.size] += cell.posts
        series.append(Series(name=str(row.id), posts=posts))
    covered = [_covered(engine, row, span, networks, now_s) for row in rows]
    known = any(one is not None for one in covered)
    each = [one or [not known] * span.count for one in covered]
    counted = [not apart and all(buckets) for buckets in zip(*each, strict=True)]
    return Voice(
        span=span,
        expressions=[row.expression for row in rows],
        series=series,
        counted=counted,
        totals=[
            sum(posts for posts, counts in zip(one.posts, counted, strict=True) if counts)
            for one in series
        ],
        lacking=[one.count(False) for one in each],
        networks=networks,
        apart=apart,
        known=known,
    )


def _together(rows: Sequence[KeywordRow]) -> tuple[tuple[str, ...], bool]:
    """The networks that all of them follow (() for every one), and whether there is none."""
    narrowed = [set(row.networks.split()) for row in rows if row.networks]
    common = set.intersection(*narrowed) if narrowed else set()
    return tuple(sorted(common)), bool(narrowed and not common)


def _covered(
    engine: Engine, row: KeywordRow, span: Span, networks: Sequence[str], now_s: int
) -> list[bool] | None:
    """By bucket, whether the keyword covers it; None where no stream has minutes to cover."""
    found = [
        one
        for one in coverage.of_keyword(engine, row.id, span.since * US, span.until * US)
        if not networks or one.network in networks
    ]
    return covers(found, span, now_s) if found else None


def covers(found: Sequence[Coverage], span: Span, now_s: int) -> list[bool]:
    """By bucket, whether some stream was seen all of its time, and none was missed or paused.

    A stream that was not followed by anybody (it came later) is the same for all keywords: it does
    not count. The running bucket counts as far as it has come; what has not begun lacks nothing.
    """
    spoilt, seen = [False] * span.count, [False] * span.count
    for one in found:
        us = [0] * span.count
        for stretch in one.stretches:
            if stretch.state == "none":
                continue
            for bucket, length in _inside(stretch, span):
                us[bucket] += length if stretch.verdict == "covered" else 0
                spoilt[bucket] |= stretch.verdict != "covered"
        for bucket, start in enumerate(span.starts()):
            length = max(min(span.size, now_s - SLACK_S - start), 0)
            seen[bucket] |= us[bucket] >= length * US
    return [a and not b for a, b in zip(seen, spoilt, strict=True)]


def _inside(stretch: coverage.Stretch, span: Span) -> list[tuple[int, int]]:
    """The buckets that a stretch touches, and how much of it (us) is in each."""
    size, since = span.size * US, span.since * US
    first = max((stretch.since - since) // size, 0)
    last = min(-(-(stretch.until - since) // size), span.count)
    found = []
    for bucket in range(first, last):
        start = since + bucket * size
        length = min(stretch.until, start + size) - max(stretch.since, start)
        found.append((bucket, length))
    return found
