"""The ledger: from when to when each stream was live, and why it was not.

One open interval a stream at most. Intervals of a stream never overlap: opening one closes
the one before at the same moment. A stream's holder proves its lease with what it enters: one
that was paused, and wakes up when another follows, enters nothing.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, bindparam, func, insert, select, update

from tweeter.records import now_us
from tweeter.store import fences, known
from tweeter.store.engine import once, reading, repeated, writing
from tweeter.store.leases import Lease
from tweeter.store.schema import intervals

LIVE = "live"
WAITING = "waiting"
LOST = "lost"


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a stream's life. ended_at is None while it lasts.

    state: "live" or the reason's kind (down, limited, waiting, needs_attention, paused, lost).
    kind: of the SourceError that began it (network, http, stalled, …), "" if none did.
    outcome: "replayed" if the network sent all of it again, "repairing" while it is asked for
    again, "repaired" when that is done, "lost" if it cannot be had; "" if open or live.
    repair: a sentence on how it ended; repaired_posts: how many posts that brought.
    """

    id: int
    stream_id: int
    state: str
    kind: str
    cause: str
    started_at: int
    ended_at: int | None
    outcome: str
    repair: str
    repaired_posts: int


def close_open(connection: Connection, stream_id: int, at: int) -> None:
    """End the interval that is open; one that would end before it began is made empty."""
    is_open = intervals.c.stream_id == stream_id, intervals.c.ended_at.is_(None)
    connection.execute(
        update(intervals).where(*is_open, intervals.c.started_at <= at).values(ended_at=at)
    )
    connection.execute(update(intervals).where(*is_open).values(ended_at=intervals.c.started_at))


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on a stream is in `state`, because of `cause`.

    outcome is what became of the gap that ends here, with all its causes. only_from: do nothing
    while another state than this one is open.
    """

    state: str
    cause: str
    at: int
    outcome: str = ""
    repair: str = ""
    kind: str = ""
    only_from: str = ""


@repeated
def enter(engine: Engine, lease: Lease, turn: Turn) -> None:
    """Enter a turn; nothing happens if the stream is in that state for that cause already.

    Raises LeaseLost if the stream is no longer ours.
    """
    stream_id = lease.stream_id
    with writing(engine) as connection:
        fences.prove(connection, lease)
        current = connection.execute(
            select(intervals.c.state, intervals.c.cause, intervals.c.started_at).where(
                intervals.c.stream_id == stream_id, intervals.c.ended_at.is_(None)
            )
        ).first()
        if current is not None and (current.state, current.cause) == (turn.state, turn.cause):
            return
        if turn.only_from and current is not None and current.state != turn.only_from:
            return
        began = current.started_at if current else turn.at
        if began > max(turn.at, now_us()):  # by a clock that was set back since
            _set_back(connection, stream_id, turn.at)
            began = turn.at
        close_open(connection, stream_id, turn.at)
        if turn.outcome:
            _conclude(connection, stream_id, turn)
        connection.execute(
            insert(intervals).values(
                stream_id=stream_id,
                state=turn.state,
                cause=turn.cause,
                started_at=max(turn.at, began),
                ended_at=None,
                outcome="",
                kind=turn.kind,
            )
        )


def _set_back(connection: Connection, stream_id: int, at: int) -> None:
    """End, and begin, what lies in the future at `at`.

    Else each gap would be empty, and under time that is called live, until the clock has caught up.
    """
    for moment in (intervals.c.started_at, intervals.c.ended_at):
        connection.execute(
            update(intervals)
            .where(intervals.c.stream_id == stream_id, moment > at)
            .values({moment: at})
        )


def _conclude(connection: Connection, stream_id: int, turn: Turn) -> None:
    """Enter what became of the gap that ends here: of all its causes, back to when it was live.

    Time in which nothing was missed (live, or waiting for a keyword) has no outcome.
    """
    last_live = select(func.max(intervals.c.id)).where(
        intervals.c.stream_id == stream_id, intervals.c.state == LIVE
    )
    since = int(connection.execute(last_live).scalar() or 0)
    connection.execute(
        update(intervals)
        .where(
            intervals.c.stream_id == stream_id,
            intervals.c.id > since,
            intervals.c.state.not_in((LIVE, WAITING)),
            intervals.c.outcome == "",
        )
        .values(outcome=turn.outcome, repair=turn.repair)
    )


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the time between two moments: outcome, a sentence, and posts it brought."""

    since: int
    until: int
    outcome: str
    repair: str
    posts: int = 0


def settle(connection: Connection, stream_id: int, done: Settled) -> None:
    """Enter what became of time that was not live; intervals are cut at the two moments.

    posts are counted to the first stretch only, so that sums are right.
    """
    is_gap = intervals.c.state != LIVE
    _cut(connection, stream_id, done.since, is_gap)
    _cut(connection, stream_id, done.until, is_gap)
    inside = (*_within(stream_id, done.since, done.until), is_gap)
    values = {"outcome": done.outcome, "repair": done.repair}
    connection.execute(update(intervals).where(*inside).values(values))
    first = connection.execute(
        select(intervals.c.id).where(*inside).order_by(intervals.c.started_at).limit(1)
    ).scalar()
    if first is not None and done.posts:
        connection.execute(
            update(intervals)
            .where(intervals.c.id == first)
            .values(repaired_posts=intervals.c.repaired_posts + done.posts)
        )


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """The network no longer had the time between two moments, in a sentence.

    It came up to read_until. Beyond that the line may have been live and what it sent still of an
    earlier time: then it is lost all the same.
    """

    since: int
    until: int
    read_until: int
    words: str


@repeated
def miss(engine: Engine, lease: Lease, missing: Missing) -> None:
    """Enter what the network no longer had; after the turn that ended the gap.

    Raises LeaseLost if the stream is no longer ours.
    """
    stream_id, since, until = lease.stream_id, missing.since, missing.until
    unread_since = max(since, missing.read_until)
    with writing(engine) as connection:
        fences.prove(connection, lease)
        if unread_since < until:
            is_live = intervals.c.state == LIVE
            _cut(connection, stream_id, unread_since, is_live)
            _cut(connection, stream_id, until, is_live)
            unread = (*_within(stream_id, unread_since, until), is_live)
            connection.execute(update(intervals).where(*unread).values(state=LOST))
        lost = Settled(since=since, until=until, outcome="lost", repair=missing.words)
        settle(connection, stream_id, lost)


def say(engine: Engine, lease: Lease, news: Turn | Missing) -> None:
    """Enter either. Raises LeaseLost if the stream is no longer ours."""
    if isinstance(news, Turn):
        enter(engine, lease, news)
    else:
        miss(engine, lease, news)


def _within(stream_id: int, since: int, until: int) -> tuple[ColumnElement[bool], ...]:
    """The intervals of a stream that lie wholly between two moments."""
    mine = intervals.c.stream_id == stream_id
    return mine, intervals.c.started_at >= since, intervals.c.ended_at <= until


def _cut(connection: Connection, stream_id: int, at: int, which: ColumnElement[bool]) -> None:
    """Make two of the ended interval of that kind that `at` lies within, if there is one."""
    found = connection.execute(
        select(intervals).where(
            intervals.c.stream_id == stream_id,
            which,
            intervals.c.started_at < at,
            intervals.c.ended_at > at,
        )
    ).mappings()
    row = found.first()
    if row is not None:
        split(connection, row, at)


def split(connection: Connection, row: Mapping[Any, Any], at: int) -> dict[str, Any]:
    """End an interval at `at`, and go on from there with one like it; returns the row of that.

    Posts that a repair brought stay with the first.
    """
    connection.execute(update(intervals).where(intervals.c.id == row["id"]).values(ended_at=at))
    second = {name: value for name, value in row.items() if name != "id"}
    second |= {"started_at": at, "repaired_posts": 0}
    made = connection.execute(insert(intervals).values(second))
    return second | {"id": made.inserted_primary_key[0]}  # type: ignore[index]


def to_repair(connection: Connection) -> list[Interval]:
    """The gaps that can be asked for again and were not yet."""
    rows = connection.execute(
        select(intervals)
        .where(intervals.c.outcome == "repairing", intervals.c.ended_at.is_not(None))
        .order_by(intervals.c.id)
    ).mappings()
    return [Interval(**row) for row in rows]


def life(connection: Connection, stream_id: int) -> tuple[int, int] | None:
    """When a stream was first live, and when last: now if it is. None if it never was."""
    live = (
        select(intervals.c.started_at, intervals.c.ended_at)
        .where(intervals.c.stream_id == stream_id, intervals.c.state == LIVE)
        .limit(1)
    )
    first = connection.execute(live.order_by(intervals.c.started_at, intervals.c.id)).first()
    if first is None:
        return None
    newest_first = live.order_by(intervals.c.started_at.desc(), intervals.c.id.desc())
    last = connection.execute(newest_first).one()
    return first.started_at, known.now(connection) if last.ended_at is None else last.ended_at


def between(connection: Connection, stream_id: int, since: int, until: int) -> list[Interval]:
    """The intervals of a stream that touch a range, oldest first.

    Within one moment a range that lies in one that was asked for is not read again.
    """
    kept: dict[tuple[int, int], list[Interval]] = once(connection, ("intervals", stream_id), dict)
    for (first, last), found in kept.items():
        if first <= since and until <= last:
            return [
                one
                for one in found
                if one.started_at < until and (one.ended_at is None or one.ended_at > since)
            ]
    values = {"stream": stream_id, "since": since, "until": until}
    rows = connection.execute(_touching, values).mappings()
    kept[since, until] = [Interval(**row) for row in rows]
    return kept[since, until]


_touching = (  # pages ask it several times: put together once
    select(intervals)
    .where(
        intervals.c.stream_id == bindparam("stream"),
        intervals.c.started_at < bindparam("until"),
        intervals.c.ended_at.is_(None) | (intervals.c.ended_at > bindparam("since")),
    )
    .order_by(intervals.c.started_at, intervals.c.id)
)


def of_stream(engine: Engine, stream_id: int, *, limit: int = 500) -> list[Interval]:
    """The last intervals of a stream, oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(intervals)
            .where(intervals.c.stream_id == stream_id)
            .order_by(intervals.c.started_at.desc(), intervals.c.id.desc())
            .limit(limit)
        ).mappings()
        return [Interval(**row) for row in rows][::-1]
