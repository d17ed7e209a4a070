"""When a keyword was not followed although its streams were: paused, pending or refused at X,
over its budget. The streams' own ledger is `ledger`; `coverage` puts the two together.
"""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from tweeter.records import KeywordState
from tweeter.store import fences
from tweeter.store.engine import chunks, once, read_clock, reading, repeated, writing
from tweeter.store.leases import Lease
from tweeter.store.schema import keyword_intervals

FOLLOWED = "active"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which a keyword was not followed; network "" = on all, ended_at None = now."""

    keyword_id: int
    network: str
    state: str  # paused, removed, pending, refused, over_budget
    cause: str
    started_at: int
    ended_at: int | None


def turn(
    connection: Connection, keyword_id: int, state: str, cause: str, at: int, *, network: str = ""
) -> None:
    """From `at` on the keyword is in this state there; FOLLOWED ends what was open."""
    turn_all(connection, {keyword_id: (state, cause)}, at, network)


def turn_all(
    connection: Connection, states: Mapping[int, tuple[str, str]], at: int, network: str
) -> None:
    """The same of at most some hundreds of keywords: id -> (state, cause)."""
    table = keyword_intervals
    mine = (
        table.c.keyword_id.in_(list(states)),
        table.c.network == network,
        table.c.ended_at.is_(None),
    )
    current = {row.keyword_id: row for row in connection.execute(select(table).where(*mine))}
    changed = {
        number: turned
        for number, turned in sorted(states.items())
        if number not in current or (current[number].state, current[number].cause) != turned
    }
    ended = [
        {"which": number, "end": max(at, current[number].started_at)}
        for number in changed
        if number in current
    ]
    if ended:
        connection.execute(_END.where(table.c.network == network), ended)
    begun = [
        {
            "keyword_id": number,
            "network": network,
            "state": state,
            "cause": cause,
            "started_at": at,
            "ended_at": None,
        }
        for number, (state, cause) in changed.items()
        if state != FOLLOWED
    ]
    if begun:
        connection.execute(insert(table), begun)


_END = (
    update(keyword_intervals)
    .where(
        keyword_intervals.c.keyword_id == bindparam("which"),
        keyword_intervals.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("end"))
)


def set_all(engine: Engine, lease: Lease, network: str, states: Mapping[int, KeywordState]) -> None:
    """Enter what a network says of each keyword, by its id. Others are left alone.

    Some at a time: nobody else could write to SQLite while ten thousand are entered. Raises
    LeaseLost if the stream that says so is no longer ours.
    """
    by_moment: dict[int, dict[int, tuple[str, str]]] = {}
    for number, said in states.items():
        since = said[2] if len(said) == 3 else 0
        by_moment.setdefault(since, {})[number] = said[:2]
    for since, those in by_moment.items():
        for some in chunks(those):
            _set_some(engine, lease, network, {number: those[number] for number in some}, since)


@repeated
def _set_some(
    engine: Engine, lease: Lease, network: str, states: Mapping[int, tuple[str, str]], since: int
) -> None:
    with writing(engine) as connection:
        fences.prove(connection, lease)
        now = read_clock(connection)
        turn_all(connection, states, min(since, now) if since else now, network)


def open_ones(engine: Engine, *keyword_ids: int) -> list[Pause]:
    """What holds now, for these keywords (at most some hundreds) or, without any, for all."""
    with reading(engine) as connection:
        if len(keyword_ids) == 1:
            return [one for one in _all_of(connection, *keyword_ids) if one.ended_at is None]
        statement = select(keyword_intervals).where(keyword_intervals.c.ended_at.is_(None))
        if keyword_ids:
            statement = statement.where(keyword_intervals.c.keyword_id.in_(keyword_ids))
        rows = connection.execute(statement).mappings()
        return [_pause(row) for row in rows]


def of_keyword(connection: Connection, keyword_id: int, since: int, until: int) -> list[Pause]:
    """The stretches that touch a range, oldest first."""
    return [
        pause
        for pause in _all_of(connection, keyword_id)
        if pause.started_at < until and (pause.ended_at is None or pause.ended_at > since)
    ]


def _all_of(connection: Connection, keyword_id: int) -> list[Pause]:
    """A page asks three times for some of them: these are read once."""
    return once(
        connection,
        ("pauses", keyword_id),
        lambda: [
            _pause(row) for row in connection.execute(_mine, {"keyword": keyword_id}).mappings()
        ],
    )


_mine = (
    select(keyword_intervals)
    .where(keyword_intervals.c.keyword_id == bindparam("keyword"))
    .order_by(keyword_intervals.c.started_at)
)


def of_keywords(
    connection: Connection, keyword_ids: Sequence[int], since: int, until: int
) -> dict[int, list[Pause]]:
    """The same for several keywords, by keyword."""
    if len(keyword_ids) == 1:
        return {keyword_ids[0]: of_keyword(connection, keyword_ids[0], since, until)}
    found: dict[int, list[Pause]] = {}
    for some in chunks(keyword_ids):
        values = {"keywords": some, "since": since, "until": until}
        for row in connection.execute(_touching, values).mappings():
            found.setdefault(row["keyword_id"], []).append(_pause(row))
    return found


_touching = (
    select(keyword_intervals)
    .where(
        keyword_intervals.c.keyword_id.in_(bindparam("keywords", expanding=True)),
        keyword_intervals.c.started_at < bindparam("until"),
        keyword_intervals.c.ended_at.is_(None)
        | (keyword_intervals.c.ended_at > bindparam("since")),
    )
    .order_by(keyword_intervals.c.started_at)
)


def _pause(row: object) -> Pause:
    return Pause(**{name: row[name] for name in Pause.__struct_fields__})  # type: ignore[index]
