"""The ledger: from when to when each stream was live, and why it was not.

One open interval a stream at most. Intervals of a stream never overlap: opening one closes
the one before at the same moment.
"""

import msgspec
from sqlalchemy import Connection, Engine, insert, select, update

from tweeter.store.engine import reading, writing
from tweeter.store.schema import intervals


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a stream's life. ended_at is None while it lasts.

    state: "live" or the reason's kind (down, limited, waiting, needs_attention, paused).
    outcome: "replayed" if the network sent all of it again, "lost" if it cannot; "" if open.
    """

    stream_id: int
    state: str
    cause: str
    started_at: int
    ended_at: int | None
    outcome: str


def close_open(connection: Connection, stream_id: int, at: int, outcome: str = "") -> None:
    """End the interval that is open; one that would end before it began is made empty."""
    connection.execute(
        update(intervals)
        .where(
            intervals.c.stream_id == stream_id,
            intervals.c.ended_at.is_(None),
            intervals.c.started_at <= at,
        )
        .values(ended_at=at, outcome=outcome)
    )
    connection.execute(
        update(intervals)
        .where(intervals.c.stream_id == stream_id, intervals.c.ended_at.is_(None))
        .values(ended_at=intervals.c.started_at, outcome=outcome)
    )


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on a stream is in `state`, because of `cause`.

    outcome is what became of the interval that ends here. only_from: do nothing while another
    state than this one is open.
    """

    state: str
    cause: str
    at: int
    outcome: str = ""
    only_from: str = ""


def enter(engine: Engine, stream_id: int, turn: Turn) -> None:
    """Enter a turn; nothing happens if the stream is in that state for that cause already."""
    with writing(engine) as connection:
        current = connection.execute(
            select(intervals.c.state, intervals.c.cause, intervals.c.started_at).where(
                intervals.c.stream_id == stream_id, intervals.c.ended_at.is_(None)
            )
        ).first()
        if current is not None and (current.state, current.cause) == (turn.state, turn.cause):
            return
        if turn.only_from and current is not None and current.state != turn.only_from:
            return
        close_open(connection, stream_id, turn.at, turn.outcome)
        connection.execute(
            insert(intervals).values(
                stream_id=stream_id,
                state=turn.state,
                cause=turn.cause,
                started_at=max(turn.at, current.started_at) if current else turn.at,
                ended_at=None,
                outcome="",
            )
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
        names = Interval.__struct_fields__
        return [Interval(**{name: row[name] for name in names}) for row in rows][::-1]
