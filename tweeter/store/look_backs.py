"""The past of new keywords: asked for, of each stream that is free to ask, once a version.

A keyword has been asked for (keywords.looked_back) when all of its streams were. One that has not
come to its first moment yet, a server that is away, is asked when it has; the others do not wait.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select, update

from tweeter.moments import HOUR_US
from tweeter.store import past
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.past import NETWORKS
from tweeter.store.schema import jobs, keywords, streams


class _Due(NamedTuple):
    """Ids of keywords to ask for, by stream; and rows of those of which no stream is left then."""

    asked: Mapping[int, Sequence[int]]
    done: Sequence[Any]


@repeated
def ask_for_new_keywords(engine: Engine, hours: int) -> int:
    """Start look-backs for keywords whose past was not asked for; returns how many keywords."""
    if not hours:
        return 0
    with reading(engine) as connection:
        if not any(_due(connection)):
            return 0
    with writing(engine) as connection:
        now = read_clock(connection)
        due = _due(connection)
        for stream_id, ids in due.asked.items():
            _look_back(connection, stream_id, ids, now - hours * HOUR_US, now)
        for row in due.done:
            connection.execute(
                update(keywords).where(keywords.c.id == row.id).values(looked_back=row.version)
            )
        return len({number for ids in due.asked.values() for number in ids})


def _due(connection: Connection) -> _Due:
    rows = connection.execute(_fresh).all()
    found = connection.execute(_free).all() if rows else ()
    if not found:
        return _Due({}, ())
    asked: dict[int, list[int]] = {}
    late: set[int] = set()
    for stream in found:
        its = [row for row in rows if stream.network in (row.networks.split() or NETWORKS)]
        if not stream.covered_until:
            late.update(row.id for row in its)
            continue
        before = _asked(connection, stream.id) if its else {}
        ids = [row.id for row in its if before.get(row.id, -1) < row.changed_at]
        if ids:
            asked[stream.id] = ids
    return _Due(asked, [row for row in rows if row.id not in late])


_fresh = (
    select(keywords.c.id, keywords.c.version, keywords.c.networks, keywords.c.changed_at)
    .where(keywords.c.state == "active", keywords.c.looked_back < keywords.c.version)
    .order_by(keywords.c.id)
)
_free = (
    select(streams).where(streams.c.wanted, streams.c.network.in_(NETWORKS)).order_by(streams.c.id)
)


def _asked(connection: Connection, stream_id: int) -> dict[int, int]:
    """The moment up to which a stream was last asked for the past of a keyword, by its id."""
    mine = jobs.c.kind == "look_back", jobs.c.subject == stream_id
    found: dict[int, int] = {}
    for encoded in connection.execute(select(jobs.c.options).where(*mine)).scalars():
        options = msgspec.json.decode(encoded)
        for number in options.get("keywords", ()):
            found[number] = max(found.get(number, 0), options["until_us"])
    return found


def _look_back(
    connection: Connection, stream_id: int, ids: Sequence[int], since: int, until: int
) -> None:
    """One more rewind of a stream; keywords join one that has not begun: none of it is cut off."""
    waiting = connection.execute(
        select(jobs.c.id, jobs.c.options)
        .where(
            jobs.c.kind == "look_back",
            jobs.c.subject == stream_id,
            jobs.c.state == "waiting",
            jobs.c.position == 0,
            jobs.c.owner == "",
        )
        .with_for_update()  # who takes it at this moment takes it with these keywords, or without
    ).first()
    options = {"since_us": since, "began_us": since, "until_us": until, "keywords": list(ids)}
    if waiting is not None:
        before = msgspec.json.decode(waiting.options)
        begin = min(before["since_us"], since)
        options |= {"since_us": begin, "began_us": begin}
        options["keywords"] = sorted({*before["keywords"], *ids})
        connection.execute(
            update(jobs).where(jobs.c.id == waiting.id).values(options=past.encode(options))
        )
        return
    past.start(connection, "look_back", stream_id, options, until)
