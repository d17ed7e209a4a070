"""All keywords at a glance: their last day, now against usual, and their share of it."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine

from tweeter.statistics import spikes
from tweeter.store import coverage, demo, figures, sums
from tweeter.store.cells import DAY, HOUR, US
from tweeter.store.figures import Figure
from tweeter.store.keywords import KeywordRow
from tweeter.store.sums import Cell

HOURS = 24


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword's last 24 hours. times is None while the usual is not known.

    hours: posts of each hour, the running one last; missed: hours in which some stream missed
    half of the hour or more. share: of all posts stored in that time, None unless the keyword was
    followed all of it and on every network.
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
    learned = _usual(engine, rows, until - 2 * HOUR)
    found = figures.of_keywords(engine, ids, since * US)
    everything = _real(counted[0])
    missed = _missed(engine, since, until)
    lines = []
    for row in rows:
        hours = [0] * HOURS
        for cell in counted[row.id]:
            hours[(cell.start - since) // HOUR] += cell.posts
        normal = learned.get(row.id)
        last = hours[-2]
        whole = row.created_at <= since * US and not row.networks and row.state == "active"
        lines.append(
            Line(
                keyword_id=row.id,
                expression=row.expression,
                networks=row.networks,
                state=row.state,
                hours=hours,
                missed=missed,
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


def _usual(engine: Engine, rows: Sequence[KeywordRow], hour: int) -> dict[int, spikes.Usual]:
    """What the hour usually has, for keywords that have been followed for long enough."""
    old = [row for row in rows if row.created_at // US <= hour - spikes.LEARNED_DAYS * DAY]
    starts = spikes.hours_like(hour)
    counted = sums.at_hours(engine, [row.id for row in old], starts)
    found = {}
    for row in old:
        known = {
            start: counted.get((row.id, start), 0)
            for start in starts
            if start >= row.created_at // US
        }
        normal = spikes.usual(known, hour)
        if normal.hours:
            found[row.id] = normal
    return found


def _missed(engine: Engine, since: int, until: int) -> list[bool]:
    """Hours of which some stream missed at least half."""
    lost = [0] * HOURS
    for one in coverage.of_streams(engine, since * US, until * US):
        for stretch in one.stretches:
            if stretch.verdict == "missed":
                for number in range(HOURS):
                    start = (since + number * HOUR) * US
                    inside = min(stretch.until, start + HOUR * US) - max(stretch.since, start)
                    lost[number] += max(inside, 0)
    return [one >= HOUR * US // 2 for one in lost]
