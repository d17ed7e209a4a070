"""Figures drawn on the server, as paths and positions; templates/statistics.html draws them.

Bars are drawn in a box that is stretched to the page's width, a unit a bucket and 1,000 high;
words and marks stand outside it, at percentages, so that nothing but the bars is stretched.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tweeter.statistics.indexed import HUNDRED
from tweeter.statistics.spans import Span
from tweeter.statistics.spikes import Spike
from tweeter.statistics.unseen import Band
from tweeter.statistics.voice import Voice
from tweeter.statistics.volume import Volume
from tweeter.store.annotations import Annotation
from tweeter.store.cells import DAY, HOUR, US
from tweeter.texts import say

HIGH = 1_000
GAP = 0.12  # of a bucket, between bars
TICKS = 6
MONTH = 30 * DAY  # a step of so long, or several, stands for months of the calendar: in axes.js too
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
LANES = 4  # rows of notes
ROOM = 7.0  # percent of the width that the number of a note takes, on a phone


class Tick(msgspec.Struct, frozen=True):
    """A word at a place along an axis, in percent of it. at: the moment, seconds; 0: none."""

    place: float
    word: str
    at: int = 0


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch along the axis of time, in percent. whole: nothing was covered there."""

    start: float
    width: float
    words: str = ""
    whole: bool = True


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A note under the axis: its number in the list, place and width in percent (0: a moment).

    lane: how many rows down it stands, so that no two stand on each other.
    """

    number: int
    start: float
    width: float
    lane: int
    words: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Paths by series, in the order of the legend, each with the number of its colour, from 1."""

    count: int
    top: int
    bars: list[tuple[int, str]]
    lines: list[tuple[int, str]]
    down: list[Tick]
    along: list[Tick]
    step: int  # seconds from one word along to the next; see MONTH
    gaps: list[Region]
    pauses: list[Region]
    hundred: float | None  # where the mean of indexes is, in percent from the top
    before: float  # percent of the width before the keyword was followed
    edits: list[Tick]
    notes: list[Mark]


def nice(value: int) -> int:
    """The next number that people like to read: 1, 2 or 5 and noughts."""
    if value <= 5:
        return max(value, 1)
    power: int = 10 ** int(math.log10(value))
    steps = (1, 2, 3, 4, 5, 6, 8, 10)
    return next((power * step for step in steps if power * step >= value), value)


def of_volume(found: Volume) -> Chart:
    """The volume chart: bars with lines beside them, or as indexes lines alone."""
    span = found.span
    top = nice(math.ceil(_most(found)))
    bars, colours = [], found.colours
    if found.indexes:
        both = zip(found.indexes, found.drawn, strict=True)
        drawn = [_line(one.values, top, series.unknown) for one, series in both]
    else:
        stacks = _stacked([one.posts for one in found.stacks], top)
        bars = [(colour, path) for colour, (_, path) in zip(colours, stacks, strict=False)]
        drawn = [_line(one.posts, top, one.unknown) for one in found.others]
    lines = list(zip(colours[len(bars) :], drawn, strict=True))
    return Chart(
        count=span.count,
        top=top,
        bars=bars,
        lines=lines,
        hundred=100 - 100 * HUNDRED / top if found.indexes else None,
        down=[Tick(100 - 100 * part, f"{round(top * part):,}") for part in _parts(top)],
        along=_along(span),
        step=_step(span),
        gaps=regions(span.since, span.until, found.bands),
        pauses=regions(span.since, span.until, found.pauses),
        before=_place(span, found.followed_since),
        edits=[
            Tick(
                _place(span, at),
                say("version %(number)s: %(expression)s", number=version, expression=expression),
                at,
            )
            for at, version, expression in found.edits
        ],
        notes=_notes(span, found.annotations),
    )


class SpikeMark(msgspec.Struct, frozen=True, kw_only=True):
    """Where a spike stands. room: px beside its mark where its word begins; 0: there is no room."""

    place: float
    word: str
    room: int


def spike_marks(span: Span, found: Sequence[Spike]) -> list[SpikeMark]:
    """Marks of spikes, left to right; one that stands too near to the next has no word."""
    places = sorted((_place(span, spike.peak), spike.times) for spike in found)
    marks = []
    for number, (place, times) in enumerate(places):
        before = places[number - 1][0] if number else -100.0
        after = places[number + 1][0] if number + 1 < len(places) else 100.0
        room = 9 if place + ROOM < after else 0
        if after == 100.0 and not room and place - 2 * ROOM > before:  # at the edge: to its left
            room = -9
        marks.append(SpikeMark(place=place, word=f"{times:.1f}×", room=room))
    return marks


def of_voice(found: Voice) -> Chart:
    """Shares over time: bars of the whole height, hatched where they are left out."""
    span = found.span
    return Chart(
        count=span.count,
        top=100,
        bars=_stacked(found.shares(), 1.0),
        lines=[],
        hundred=None,
        down=[Tick(100 - 100 * part, f"{100 * part:.0f} %") for part in (0.5, 1.0)],
        along=_along(span),
        step=_step(span),
        gaps=_runs(span, found.counted),
        pauses=[],
        before=0.0,
        edits=[],
        notes=[],
    )


def regions(since: int, until: int, bands: Sequence[Band]) -> list[Region]:
    """Where bands lie between two moments, those that do."""
    places = [
        (_share(since, until, band.since), _share(since, until, band.until)) for band in bands
    ]
    return [
        Region(start=start, width=round(end - start, 3), words=band.words, whole=band.whole)
        for (start, end), band in zip(places, bands, strict=True)
        if end > start
    ]


def _runs(span: Span, counted: Sequence[bool]) -> list[Region]:
    """The buckets in a row that do not count."""
    found, since = [], None
    for bucket, counts in enumerate([*counted, True]):
        if not counts and since is None:
            since = bucket
        if counts and since is not None:
            start, end = 100 * since / span.count, 100 * bucket / span.count
            found.append(Region(start=round(start, 3), width=round(end - start, 3)))
            since = None
    return found


def _most(found: Volume) -> float:
    """The highest value that is drawn; of indexes at least 100."""
    if found.indexes:
        return max([HUNDRED, *(value for one in found.indexes for value in one.values)])
    sums: list[int] = [sum(n) for n in zip(*(one.posts for one in found.stacks), strict=True)]
    return max([0, *sums, *(max(series.posts, default=0) for series in found.others)])


def _notes(span: Span, found: Sequence[Annotation]) -> list[Mark]:
    """The notes in rows: each in the first one that is free where it begins."""
    free = [0.0] * LANES
    marks = []
    for number, one in enumerate(found, 1):
        start, end = _place(span, one.since / US), _place(span, one.last / US)
        lane = next((n for n, place in enumerate(free) if place <= start), LANES - 1)
        free[lane] = max(free[lane], end, start + ROOM)
        width = round(end - start, 3)
        marks.append(Mark(number=number, start=start, width=width, lane=lane, words=one.text))
    return marks


def _parts(top: int) -> tuple[float, ...]:
    return (0.5, 1.0) if top % 2 == 0 else (1.0,)


def _place(span: Span, at: float) -> float:
    return _share(span.since, span.until, at)


def _share(since: int, until: int, at: float) -> float:
    share = (at - since) / (until - since)
    return round(100 * min(max(share, 0.0), 1.0), 3)


def _stacked(stacks: Sequence[Sequence[float]], top: float) -> list[tuple[int, str]]:
    floor = [0.0] * len(stacks[0]) if stacks else []
    places = [f"M{bucket + GAP / 2:g} " for bucket in range(len(floor))]
    found, wide = [], f"h{round(1 - GAP, 2):g}"
    for number, values in enumerate(stacks, 1):
        pieces = []
        for bucket, value in enumerate(values):
            if value:
                high = f"{round(HIGH * value / top, 1):g}"
                low = round(HIGH - HIGH * floor[bucket] / top, 1)
                pieces.append(f"{places[bucket]}{low:g}v-{high}{wide}v{high}z")
                floor[bucket] += value
        found.append((number, "".join(pieces)))
    return found


def _line(posts: Sequence[float], top: int, unknown: Sequence[int]) -> str:
    """A line from bucket to bucket, broken where nothing is known: that is no zero.

    A bucket between two that are not known is a dash.
    """
    gaps, pieces = {-1, len(posts), *unknown}, []
    for bucket, value in enumerate(posts):
        high = f"{round(HIGH - HIGH * value / top, 1):g}"
        if bucket in gaps:
            continue
        if bucket - 1 in gaps and bucket + 1 in gaps:
            pieces.append(f"M{bucket + 0.25:g} {high}h.5")
        else:
            pieces.append(f"{'M' if bucket - 1 in gaps else 'L'}{bucket + 0.5:g} {high}")
    return "".join(pieces)


def _step(span: Span) -> int:
    """Seconds from one word of the axis of time to the next."""
    length = span.until - span.since
    steps = (60, 300, 600, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY)
    longer = (7 * DAY, 14 * DAY, *(MONTH * months for months in MONTHS))
    return next((s for s in (*steps, *longer) if length / s <= TICKS), longer[-1])


def _along(span: Span) -> list[Tick]:
    step = _step(span)
    moments: Sequence[int] = range(span.since + -span.since % step, span.until, step)
    if step >= MONTH:
        moments = _months(span, step // MONTH)
    shown = [at for at in moments if 2 <= _place(span, at) <= 96]
    return [Tick(_place(span, at), _word(at, step, at == shown[0]), at) for at in shown]


def _months(span: Span, every: int) -> list[int]:
    """Beginnings of months: of those whose number, counted from the year 0, `every` divides."""
    first, last = (datetime.fromtimestamp(at, UTC) for at in (span.since, span.until))
    low, high = (at.year * 12 + at.month - 1 for at in (first, last))
    return [
        int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp())
        for number in range(low + -low % every, high + 1, every)
    ]


def _word(at: int, step: int, is_first: bool) -> str:
    """What stands at a moment; of months the first one and each January have their year."""
    moment = datetime.fromtimestamp(at, UTC)
    if step >= 12 * MONTH:
        return str(moment.year)
    if step >= MONTH:
        return moment.strftime("%b %Y" if is_first or moment.month == 1 else "%b")
    if step >= DAY:
        return moment.strftime("%-d %b")
    return moment.strftime("%-d %b" if moment.hour == 0 and moment.minute == 0 else "%H:%M")


def spark(posts: Sequence[int], missed: Sequence[bool] = ()) -> tuple[str, str]:
    """A small line of bars 20 high, a unit a bucket: the bars, and the buckets not covered."""
    most = max([1, *posts])
    bars = "".join(
        f"M{n + 0.1:g} 20v-{max(20 * value / most, 1):.3g}h.8V20z"
        for n, value in enumerate(posts)
        if value
    )
    gaps = "".join(f"M{n} 0h1v20h-1z" for n, is_missed in enumerate(missed) if is_missed)
    return bars, gaps
