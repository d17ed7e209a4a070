"""Posts over time: stacked, beside others, with what was not covered and what was edited."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine

from tweeter.choices import KINDS, NETWORKS
from tweeter.statistics import indexed
from tweeter.statistics.indexed import Indexed
from tweeter.statistics.spans import WEEK, Span
from tweeter.statistics.unseen import Band, as_times, bands, blank, pauses, unfollowed
from tweeter.store import annotations, coverage, facet_sums, figures, keywords, sums
from tweeter.store.annotations import Annotation
from tweeter.store.cells import US
from tweeter.store.coverage import Coverage
from tweeter.store.figures import Figure
from tweeter.store.sums import EVERY, Cell, Grid, Narrow, Times
from tweeter.texts import say

SERIES_SHOWN = 7  # the commonest; the rest is one series, OTHER
OTHER = "other"
COLOURS = 8  # that are told apart
_OWN = {"network": NETWORKS, "kind": KINDS}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a span, what to stack by, what to narrow to and what to compare with.

    which: ("", "") or a (facet, value) that the volume is of, or with "!" before the value of all
    other posts; it is counted by whole hours.
    compare: "", "previous", "week", or ids of keywords. scale: "" for posts, "index" for each
    series in percent of its own mean.
    """

    span: Span
    by: str = "network"
    narrow: Narrow = msgspec.field(default_factory=Narrow)
    which: tuple[str, str] = ("", "")
    compare: str = ""
    keywords: tuple[int, ...] = ()
    scale: str = ""

    @property
    def has_filters(self) -> bool:
        """Whether any filter is on."""
        return bool(self.which[0]) or self.narrow != EVERY

    @property
    def others(self) -> list[int]:
        """The keywords that it is compared with, each once."""
        return list(dict.fromkeys(self.keywords))

    @property
    def is_of_networks(self) -> bool:
        """Whether no filter but networks is on: the sums of everything know it."""
        return not self.which[0] and self.narrow.has_total()

    @property
    def stacked_by(self) -> str:
        """What the chart is stacked by: of a value the sums know the networks alone."""
        return "network" if self.by and self.which[0] else self.by

    @property
    def of_chart(self) -> "Question":
        """With those filters alone that the chart follows: of a value it knows the networks."""
        if not self.which[0]:
            return self
        return msgspec.structs.replace(self, narrow=Narrow(network=self.narrow.network))


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Posts in each bucket of the span. unknown: the buckets that have no post because nothing
    was covered, or not followed yet: what was said then nobody knows.
    """

    name: str
    posts: list[int]
    unknown: list[int] = []

    @property
    def total(self) -> int:
        return sum(self.posts)


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Posts over time, stacked; others are lines beside them. gone: removed since, in all.

    not_by: what it was to be stacked by, and cannot be.
    indexes: of `drawn`, if the scale asked for is that; else [].
    """

    span: Span
    by: str
    not_by: str
    stacks: list[Series]
    others: list[Series]
    total: int
    gone: int
    before: int
    figure: Figure
    bands: list[Band]
    pauses: list[Band]  # in which a person had it paused or removed
    unfollowed: list[Times]  # in which no stream was to look for it
    followed_since: int  # seconds; before it nothing was looked for
    edits: list[tuple[int, int, str]]
    annotations: list[Annotation]  # in microseconds
    indexes: list[Indexed]

    @property
    def drawn(self) -> list[Series]:
        """The series of the chart: the stacks, the largest first, then the others."""
        return _compared(self.stacks, self.others, self.span, as_index=bool(self.indexes))

    @property
    def colours(self) -> list[int]:
        """The numbers of their colours: a network and a kind have their own, whatever is shown."""
        drawn = self.drawn
        names = [one.name for one in drawn[: len(drawn) - len(self.others)]]
        own = _OWN.get(self.by, ())
        found = [own.index(name) + 1 if name in own else n for n, name in enumerate(names, 1)]
        last = max(len(own), len(found))
        order = (*range(last + 1, COLOURS + 1), *range(1, last + 1), *range(COLOURS + 1, 99))
        return found + [n for n in order if n not in found][: len(self.others)]


def volume(
    engine: Engine,
    keyword_id: int,
    created_s: int,
    question: Question,
    covered: Sequence[Coverage],
) -> Volume:
    """The chart's numbers: stacks, comparisons, and what was not covered of the span."""
    span = question.span
    found = cells(engine, keyword_id, span.grid, question)
    missed, nobody = bands(covered), unfollowed(covered)
    gaps = blank(span, missed, nobody)
    stacks = [_known(one, gaps) for one in _series(found, span)]
    others = _others(engine, keyword_id, created_s, question)
    return Volume(
        span=span,
        by=question.stacked_by,
        not_by=question.by if question.by != question.stacked_by else "",
        stacks=stacks,
        others=others,
        total=sum(series.total for series in stacks),
        gone=sum(cell.gone for cell in found),
        before=_before(engine, keyword_id, question),
        figure=figures.of_coverage(covered),
        bands=missed,
        pauses=pauses(covered),
        unfollowed=nobody,
        followed_since=created_s,
        edits=sums.edits(engine, keyword_id, span.asked),
        annotations=annotations.between(
            engine, span.since * US, span.until * US, keyword_id=keyword_id
        ),
        indexes=_indexes(stacks, others, question, [*as_times(missed), *nobody])
        if question.scale == "index"
        else [],
    )


def _before(engine: Engine, keyword_id: int, question: Question) -> int:
    """The chart's posts of the time before."""
    times = question.span.before().asked
    (facet, value), narrow = question.which, question.of_chart.narrow
    if not facet:
        return sums.total(engine, keyword_id, times, narrow)
    which = facet, value.removeprefix("!")
    networks = narrow.network
    having = facet_sums.value_total(engine, keyword_id, which, times, networks=networks)
    if which[1] == value:
        return having
    return sums.total(engine, keyword_id, times, narrow) - having


def _compared(
    stacks: Sequence[Series], others: Sequence[Series], span: Span, *, as_index: bool
) -> list[Series]:
    """Compared with others, what an index is made of is the keyword as a whole; else its parts."""
    if not as_index or not others:
        return [*stacks, *others]
    sums = [sum(values) for values in zip(*(one.posts for one in stacks), strict=True)]
    unknown = stacks[0].unknown if stacks else []
    whole = Series(
        name="", posts=sums or [0] * span.count, unknown=[n for n in unknown if not sums[n]]
    )
    return [whole, *others]


def _indexes(
    stacks: Sequence[Series],
    others: Sequence[Series],
    question: Question,
    missed: Sequence[Times],
) -> list[Indexed]:
    """Each series against its own mean. What was missed now says nothing of an earlier time."""
    span = question.span
    found = _compared(stacks, others, span, as_index=True)
    now = indexed.judged(span, missed)
    before = indexed.judged(span, [])
    of_before = len(found) - len(others) if question.compare else None
    return [
        indexed.against_mean(
            one.name, one.posts, _without(before if n == of_before else now, one.unknown)
        )
        for n, one in enumerate(found)
    ]


def _without(buckets: Sequence[int], unknown: Sequence[int]) -> Sequence[int]:
    gaps = set(unknown)
    return [bucket for bucket in buckets if bucket not in gaps] or buckets


def cells(engine: Engine, keyword_id: int, grid: Grid, question: Question) -> list[Cell]:
    """Posts by bucket and series, as the question narrows them; the values of a facet (`which`)
    are counted by whole hours, and narrowed by networks alone."""
    question = question.of_chart
    facet, value = question.which
    if facet:
        networks = question.narrow.network
        which = facet, value.removeprefix("!")
        having = facet_sums.value_over_time(engine, keyword_id, which, grid, networks=networks)
        if which[1] != value:
            every = sums.over_time(engine, [keyword_id], grid, by="network", narrow=question.narrow)
            having = _but(every[keyword_id], having)
        return having if question.by else _together(having)
    found = sums.over_time(engine, [keyword_id], grid, by=question.by, narrow=question.narrow)
    return found[keyword_id]


def by_hour(
    engine: Engine, keyword_id: int, question: Question, times: tuple[int, int]
) -> dict[int, int]:
    """The chart's posts by hour, of the hours that have any."""
    if not question.has_filters:
        return sums.hours(engine, keyword_id, *times)
    found: Counter[int] = Counter()
    together = msgspec.structs.replace(question, by="")
    for cell in cells(engine, keyword_id, sums.hourly(*times), together):
        found[cell.start] += cell.posts
    return dict(found)


def _but(every: Sequence[Cell], having: Sequence[Cell]) -> list[Cell]:
    """The posts that do not have a value: a post counts once for each of its values."""
    had = {(cell.start, cell.name): cell.posts for cell in having}
    return [
        Cell(cell.start, cell.name, cell.posts - had.get((cell.start, cell.name), 0), 0)
        for cell in every
    ]


def _together(found: Sequence[Cell]) -> list[Cell]:
    """Cells of networks as those of all."""
    posts: Counter[int] = Counter()
    for cell in found:
        posts[cell.start] += cell.posts
    return [Cell(start, "", count, 0) for start, count in posts.items()]


def _series(cells: Sequence[Cell], span: Span) -> list[Series]:
    """Series by name, largest first; beyond SERIES_SHOWN they are one."""
    totals: Counter[str] = Counter()
    for cell in cells:
        totals[cell.name] += cell.posts
    names = [name for name, total in totals.most_common() if total]
    shown = names if len(names) <= SERIES_SHOWN + 1 else names[:SERIES_SHOWN]
    lines: dict[str, list[int]] = {name: [0] * span.count for name in shown}
    for cell in cells:
        if cell.posts:
            name = cell.name if cell.name in lines else OTHER
            line = lines.setdefault(name, [0] * span.count)
            line[(cell.start - span.since) // span.size] += cell.posts
    return [Series(name=name, posts=line) for name, line in lines.items()]


def _others(engine: Engine, keyword_id: int, created_s: int, question: Question) -> list[Series]:
    """An earlier time of the keyword first, if that is compared; then the other keywords."""
    span = question.span
    together = msgspec.structs.replace(question, by="")
    found = []
    if question.compare:
        earlier = span.before(WEEK if question.compare == "week" else 0)
        name = say("a week before") if question.compare == "week" else say("the time before")
        line = Series(
            name=name, posts=_line(cells(engine, keyword_id, earlier.grid, together), earlier)
        )
        found.append(_known(line, _unknown(engine, keyword_id, earlier, created_s)))
    for number in question.others:
        posts = _line(cells(engine, number, span.grid, together), span)
        since = keywords.get(engine, number).created_at // US
        gaps = _unknown(engine, number, span, since)
        found.append(_known(Series(name=str(number), posts=posts), gaps))
    return found


def _unknown(engine: Engine, keyword_id: int, span: Span, created_s: int) -> list[int]:
    """The buckets of another time, or another keyword, in which nothing was covered."""
    since, until = (moment * US for moment in span.asked)
    found = coverage.of_keyword(engine, keyword_id, since, until)
    return blank(span, bands(found), [(0, created_s), *unfollowed(found)])


def _known(one: Series, blank: Sequence[int]) -> Series:
    """A series says which of these buckets are empty in it."""
    unknown = [bucket for bucket in blank if not one.posts[bucket]]
    return msgspec.structs.replace(one, unknown=unknown)


def _line(cells: Sequence[Cell], span: Span) -> list[int]:
    line = [0] * span.count
    for cell in cells:
        line[(cell.start - span.since) // span.size] += cell.posts
    return line
