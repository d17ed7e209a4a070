"""Since when removals may be unknown, by stream: a fact of the ledger, and what ends it.

Mastodon and Bluesky announce removals; what they announced in a gap that cannot be replayed was
not heard. X announces none on the filtered stream. A finished re-check (`rechecks`) makes up for
all that was before it was made.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select

from tweeter.store import known, ledger
from tweeter.store.engine import reading
from tweeter.store.schema import intervals, jobs, posts
from tweeter.texts import joined, say

UNHEARD = ("lost", "repairing", "repaired")  # outcomes of a gap: its posts may come, removals not
_WHY = {
    "x": say(
        "X does not announce removals on its stream: only looking up stored posts finds them."
    ),
    "bluesky": say("Bluesky may have announced removals in a gap, and does not repeat them."),
    "mastodon": say("The server may have announced removals in a gap, and does not repeat them."),
}


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's stored posts may have been removed at their network since then (us).

    checking: they are being looked up again. last_us: when that was last done whole; 0: never.
    """

    stream_id: int
    stream: str
    network: str
    since: int
    last_us: int
    checking: bool
    words: str


def unknown(engine: Engine, networks: tuple[str, ...] = ()) -> list[Unknown]:
    """The streams for which that holds, in the order they were made. networks: (): all."""
    with reading(engine) as connection:
        found = [
            _of_stream(connection, row)
            for row in known.streams(connection)
            if row["network"] in _WHY and row["network"] in (networks or _WHY)
            if row["covered_until"] > 0
        ]
    return [one for one in found if one is not None]


def _of_stream(connection: Connection, stream: Any) -> Unknown | None:
    mine = jobs.c.kind == "recheck", jobs.c.subject == stream["id"]
    last = int(
        connection.execute(
            select(func.max(jobs.c.created_at)).where(*mine, jobs.c.state == "done")
        ).scalar()
        or 0
    )
    since = (
        _x_since(connection, last) if stream["network"] == "x" else _gap(connection, stream, last)
    )
    if not since:
        return None
    waiting = connection.execute(
        select(jobs.c.done, jobs.c.options, jobs.c.words).where(*mine, jobs.c.state == "waiting")
    ).first()
    return Unknown(
        stream_id=stream["id"],
        stream=stream["name"],
        network=stream["network"],
        since=since,
        last_us=last,
        checking=waiting is not None,
        words=_words(stream["network"], waiting),
    )


def _x_since(connection: Connection, last: int) -> int:
    """Since the last whole look-up, or since the first post came; 0 if no post of X is kept."""
    first = first_of_x(connection)
    return max(first, last) if first else 0


def first_of_x(connection: Connection) -> int:
    """When the oldest post of X that is not removed came; 0: there is none."""
    mine = posts.c.network == "x", posts.c.removed_at.is_(None)
    oldest = select(posts.c.received_at).where(*mine).order_by(posts.c.occurred_at).limit(1)
    return int(connection.execute(oldest).scalar() or 0)


def _gap(connection: Connection, stream: Any, last: int) -> int:
    """The beginning of the first unheard gap after the last look-up; 0 if nothing was missed."""
    gap = connection.execute(
        select(func.min(intervals.c.started_at), func.max(intervals.c.ended_at)).where(
            intervals.c.stream_id == stream["id"],
            intervals.c.state != ledger.LIVE,
            intervals.c.outcome.in_(UNHEARD),
            intervals.c.ended_at > last,
            intervals.c.ended_at > intervals.c.started_at,
        )
    ).one()
    if gap[0] is None:
        return 0
    kept = connection.execute(
        select(posts.c.id)
        .where(
            posts.c.network == stream["network"],
            posts.c.removed_at.is_(None),
            posts.c.received_at < gap[1],
        )
        .limit(1)
    ).first()
    return int(gap[0]) if kept is not None else 0


def _words(network: str, waiting: Any) -> str:
    words = _WHY[network]
    if waiting is None:
        return words
    total = msgspec.json.decode(waiting.options)["total"]
    return joined(
        words,
        say(
            "Stored posts are being looked up again: %(done)s of %(total)s.",
            done=format(waiting.done, ","),
            total=format(total, ","),
        ),
    )
