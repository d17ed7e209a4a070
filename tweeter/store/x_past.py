"""X's past, which costs: look-backs and repairs of gaps by recent search, only on request.

The jobs are those of `past`; a position is the smallest post id that all queries have reached,
going down. Windows are at most as long as X's search reaches back.
"""

import msgspec
from sqlalchemy import Connection, Engine, select, update

from tweeter.errors import TweeterError
from tweeter.keywords.x_limits import SEARCH
from tweeter.moments import DAY_US, HOUR_US
from tweeter.store import coverage, ledger, past
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.schema import intervals, jobs, keywords, streams
from tweeter.texts import say

REACH_US = SEARCH.days * DAY_US
MARGIN_US = 60_000_000  # clocks differ: what is older than the reach is refused as a whole
BEHIND_US = SEARCH.behind_s * 1_000_000


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of X's past that can be asked for, us; stream_id is that of X's stream."""

    stream_id: int
    since_us: int
    until_us: int

    @property
    def hours(self) -> float:
        """Its length."""
        return max(self.until_us - self.since_us, 0) / HOUR_US


def oldest_us(now: int) -> int:
    """The first moment that X's search still has."""
    return now - REACH_US + MARGIN_US


def look_back_window(engine: Engine, keyword_id: int, days: int) -> Window | None:
    """What of the last days X was not followed for this keyword; None if nothing."""
    with reading(engine) as connection:
        now = read_clock(connection)
        stream = connection.execute(select(streams).where(streams.c.network == "x")).first()
    if stream is None:
        return None
    since = max(now - days * DAY_US, oldest_us(now))
    found = coverage.of_keyword(engine, keyword_id, since, now)
    ours = next((one for one in found if one.network == "x"), None)
    if ours is None:
        return None
    missing = [one for one in ours.stretches if one.verdict != "covered"]
    if not missing:
        return None
    since, until = missing[0].since, missing[-1].until
    return Window(stream_id=stream.id, since_us=since, until_us=until)


def gap_window(engine: Engine, interval_id: int) -> Window | None:
    """What of a lost gap of X can still be asked for; None if nothing."""
    with reading(engine) as connection:
        return _gap_window(connection, interval_id)


def _gap_window(connection: Connection, interval_id: int) -> Window | None:
    now = read_clock(connection)
    row = connection.execute(
        select(intervals)
        .join(streams, streams.c.id == intervals.c.stream_id)
        .where(intervals.c.id == interval_id, streams.c.network == "x")
    ).first()
    if row is None or row.ended_at is None or row.outcome != "lost" or row.state == ledger.LIVE:
        return None
    since = max(row.started_at, oldest_us(now))
    if since >= row.ended_at:
        return None
    return Window(stream_id=row.stream_id, since_us=since, until_us=row.ended_at)


@repeated
def ask_look_back(engine: Engine, keyword_id: int, days: int) -> int:
    """Search X's last days for a keyword; returns the job's id. Raises TweeterError if it cannot.

    A search of the same keyword that waits is not doubled: its id is returned.
    """
    window = look_back_window(engine, keyword_id, days)
    with writing(engine) as connection:
        state = select(keywords.c.state).where(keywords.c.id == keyword_id)
        if connection.execute(state).scalar() != "active":
            raise TweeterError(say("Only a keyword that is followed can be searched for at X."))
        if window is None:
            raise TweeterError(say("Nothing to search for: X was followed for it all that time."))
        # Two clicks must not pay twice: the second waits here, and finds the first one's job.
        held = select(streams.c.id).where(streams.c.id == window.stream_id)
        connection.execute(held.with_for_update())
        waiting = connection.execute(
            select(jobs.c.id, jobs.c.options).where(
                jobs.c.kind == "look_back",
                jobs.c.subject == window.stream_id,
                jobs.c.state == "waiting",
            )
        )
        for job in waiting:
            if keyword_id in msgspec.json.decode(job.options).get("keywords", ()):
                return int(job.id)
        return _start(connection, "look_back", window, {"keywords": [keyword_id]})


@repeated
def ask_repair(engine: Engine, interval_id: int) -> int:
    """Search X for what a lost gap missed; returns the job's id. Raises TweeterError if it cannot.

    The gap is "repairing" until the job ends; then it is repaired, or lost and says why.
    """
    with writing(engine) as connection:
        held = select(intervals.c.id).where(intervals.c.id == interval_id)
        connection.execute(held.with_for_update())  # two clicks must not pay twice
        window = _gap_window(connection, interval_id)
        if window is None:
            raise TweeterError(
                say(
                    "This gap cannot be searched for: X's search reaches back %(days)s days, and"
                    " only for what was lost.",
                    days=SEARCH.days,
                )
            )
        connection.execute(
            update(intervals)
            .where(intervals.c.id == interval_id)
            .values(outcome="repairing", repair="X is being searched for it.")
        )
        since = connection.execute(
            select(intervals.c.started_at).where(intervals.c.id == interval_id)
        ).scalar_one()
        more = {"interval": interval_id, "since_us": since, "began_us": window.since_us}
        if window.since_us > since:
            more["why"] = too_old()
        return _start(connection, "repair", window, more)


def too_old() -> str:
    """Why the beginning of a window was not asked for."""
    return f"X's search reaches back {SEARCH.days} days only."


def _start(connection: Connection, kind: str, window: Window, more: dict[str, object]) -> int:
    now = read_clock(connection)
    options = {"since_us": window.since_us, "began_us": window.since_us}
    options |= {"until_us": window.until_us}
    ready = window.until_us + BEHIND_US  # then X's search has it
    return past.start(connection, kind, window.stream_id, options | more, now, retry_at=ready)
