"""All keywords at a glance: their last day, now against usual, and their share of it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Engine

from tweeter.statistics import spikes, unseen
from tweeter.statistics.spans import WEEK
from tweeter.store import coverages, demo, figures, known, sums
from tweeter.store.cells import DAY, HOUR, US
from tweeter.store.coverage import Coverage
from tweeter.store.engine import reading
from tweeter.store.figures import Figure
from tweeter.store.keywords import KeywordRow
from tweeter.store.sums import Cell, Times

HOURS = 24
# What a keyword's own ledger says, and a stream's does not.
_HELD = ("before", "paused", "removed", "pending", "refused", "over_budget")

T = TypeVar("T")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword's last 24 hours. times is None while the usual is not known.

    hours: posts of each hour, the running one last; missed: hours of which some stream of its own
    missed half or more. share: of all posts stored in that time, None unless the keyword, as it is
    now, was followed all of it and on every network.
    """

    keyword_id: int
    expression: str
    networks: str  # joined by a space; "": all
    state: str
    hours: list[int]
    missed: list[bool]
    day: int
    last_hour: int
    usual: float | None
    times: float | None
    share: float | None
    figure: Figure


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """everything: posts stored in the last 24 hours, each once: the shares' denominator.

    has_invented: there are others, of the demo, in no share.
    """

    lines: list[Line]
    everything: int
    has_invented: bool
    since: int
    until: int


def of_keywords(engine: Engine, rows: Sequence[KeywordRow], now_s: int) -> Summary:
    """A line for each of these keywords; what it costs grows with their number alone."""
    until = now_s - now_s % HOUR + HOUR
    since = until - HOURS * HOUR
    ids = [row.id for row in rows]
    by = "network" if demo.running(engine) else ""  # mostly there is nothing to leave out
    counted = sums.over_time(engine, [0, *ids], sums.hourly(since, until), by=by)
    last_hour = until - 2 * HOUR
    weeks = _weeks_before(last_hour)
    asked = [(begin * US, end * US) for begin, end in ((since, until), *weeks)]
    day, *learned_from = coverages.of_keywords(engine, rows, asked)
    learned = _usual(engine, rows, last_hour, learned_from)
    found = figures.of_keywords(engine, ids, since * US)
    everything = _real(counted[0])
    missed = _each_once(partial(_missed, since))
    lines = []
    for row in rows:
        hours = [0] * HOURS
        for cell in counted[row.id]:
            hours[(cell.start - since) // HOUR] += cell.posts
        normal = learned.get(row.id)
        last = hours[-2]
        whole = row.changed_at <= since * US and not row.networks and row.state == "active"
        whole = whole and not _was_held(day[row.id])
        lines.append(
            Line(
                keyword_id=row.id,
                expression=row.expression,
                networks=row.networks,
                state=row.state,
                hours=hours,
                missed=missed(day[row.id]),
                day=sum(hours),
                last_hour=last,
                usual=normal.median if normal else None,
                times=normal.times(last) if normal else None,
                share=_real(counted[row.id]) / everything if whole and everything else None,
                figure=found.get(row.id, figures.NOTHING_SAID),
            )
        )
    return Summary(
        lines=lines,
        everything=everything,
        has_invented=any(cell.name == demo.NAME and cell.posts for cell in counted[0]),
        since=since,
        until=until,
    )


def _real(cells: Sequence[Cell]) -> int:
    """The posts that are not invented."""
    return sum(cell.posts for cell in cells if cell.name != demo.NAME)


def _weeks_before(hour: int) -> list[Times]:
    """What the usual of an hour is learned from, a stretch a week: with half an hour around, of
    which a gap may begin or end in it.
    """
    around = HOUR + HOUR // 2
    return [
        (hour - week * WEEK - around, hour - week * WEEK + HOUR + around)
        for week in range(1, spikes.WEEKS + 1)
    ]


def _usual(
    engine: Engine, rows: Sequence[KeywordRow], hour: int, covered: Sequence[coverages.Found]
) -> dict[int, spikes.Usual]:
    """What the hour usually has, for keywords that have been followed for long enough.

    covered: of `_weeks_before`.
    """
    with reading(engine) as connection:
        kept = known.kept(connection)
    known_from = {
        row.id: kept.since(row.id, row.created_at, row.keep_days, row.networks.split()) // US
        for row in rows
    }
    old = [row for row in rows if known_from[row.id] <= hour - spikes.LEARNED_DAYS * DAY]
    starts = spikes.hours_like(hour)
    counted = sums.at_hours(engine, [row.id for row in old], starts)
    untaught = _each_once(unseen.untaught)
    found = {}
    for row in old:
        skip = frozenset[int]().union(*(untaught(of_week[row.id]) for of_week in covered))
        hours = {
            start: counted.get((row.id, start), 0)
            for start in starts
            if start >= known_from[row.id]
        }
        normal = spikes.usual(hours, hour, skip)
        if normal.hours:
            found[row.id] = normal
    return found


def _was_held(found: Sequence[Coverage]) -> bool:
    return any(stretch.state in _HELD for one in found for stretch in one.stretches)


def _each_once(make: Callable[[Sequence[Coverage]], T]) -> Callable[[Sequence[Coverage]], T]:
    """The same, worked out once of the same objects: most keywords have them in common."""
    kept: dict[tuple[int, ...], tuple[Sequence[Coverage], T]] = {}

    def made(found: Sequence[Coverage]) -> T:
        key = tuple(map(id, found))
        if key not in kept:
            kept[key] = found, make(found)  # kept, too: an id is theirs as long as they are there
        return kept[key][1]

    return made


def _missed(since: int, found: Sequence[Coverage]) -> list[bool]:
    """Hours of the day from `since` on of which some stream missed at least half."""
    most = [0] * HOURS
    for one in found:
        lost = [0] * HOURS
        for stretch in one.stretches:
            if stretch.verdict == "missed":
                for number in range(HOURS):
                    start = (since + number * HOUR) * US
                    inside = min(stretch.until, start + HOUR * US) - max(stretch.since, start)
                    lost[number] += max(inside, 0)
        most = list(map(max, most, lost))
    return [one >= HOUR * US // 2 for one in most]
