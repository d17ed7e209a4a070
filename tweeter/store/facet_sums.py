"""Reading the sums of what is in posts: tags, links, domains, authors, mentions, media.

They are by whole hours, of visible posts. Moments are seconds since 1970, UTC; until is outside.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Engine, Select, bindparam, func, select

from tweeter.store.cells import HOUR
from tweeter.store.engine import reading
from tweeter.store.schema import facets
from tweeter.store.sums import Cell, Grid, among, between, put_together


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """The commonest values of a facet; distinct: how many values there are in all."""

    values: list[tuple[str, int]]
    distinct: int


def top(
    engine: Engine,
    keyword_id: int,
    facet: str,
    times: tuple[int, int],
    *,
    networks: Sequence[str] = (),
    limit: int = 10,
) -> Top:
    """The commonest values of a facet, by whole hours."""
    values = _facet_values(keyword_id, facet, times)
    with reading(engine) as connection:
        rows = connection.execute(_top(tuple(networks)), values | {"most": limit}).all()
    return Top(
        values=[(row.value, int(row.seen)) for row in rows],
        distinct=int(rows[0].distinct_values) if rows else 0,
    )


@put_together
def _top(networks: tuple[str, ...]) -> Select[Any]:
    seen = func.sum(facets.c.posts).label("seen")
    inner = (
        select(facets.c.value, seen).where(*_facet(networks)).group_by(facets.c.value).subquery()
    )
    return (
        select(inner.c.value, inner.c.seen, func.count().over().label("distinct_values"))
        .order_by(inner.c.seen.desc(), inner.c.value)
        .limit(bindparam("most"))
    )


def of_values(
    engine: Engine,
    keyword_id: int,
    facet: str,
    times: tuple[int, int],
    values: Sequence[str],
    *,
    networks: Sequence[str] = (),
) -> dict[str, int]:
    """Posts of these values of a facet."""
    if not values:
        return {}
    asked = _facet_values(keyword_id, facet, times) | {"values": list(values)}
    with reading(engine) as connection:
        rows = connection.execute(_of_values(tuple(networks)), asked)
        return {row[0]: int(row[1]) for row in rows}


@put_together
def _of_values(networks: tuple[str, ...]) -> Select[Any]:
    among = facets.c.value.in_(bindparam("values", expanding=True))
    return (
        select(facets.c.value, func.sum(facets.c.posts))
        .where(*_facet(networks), among)
        .group_by(facets.c.value)
    )


def value_over_time(
    engine: Engine,
    keyword_id: int,
    which: tuple[str, str],
    grid: Grid,
    *,
    networks: Sequence[str] = (),
) -> list[Cell]:
    """Posts of one (facet, value) by bucket and network; its buckets are of whole hours."""
    start = grid.bucket(facets.c.start).label("at")
    columns = start, facets.c.network
    statement = select(*columns, func.sum(facets.c.posts)).where(
        *_facet(networks), facets.c.value == which[1]
    )
    values = _facet_values(keyword_id, which[0], (grid.since, grid.until))
    with reading(engine) as connection:
        rows = connection.execute(statement.group_by(*columns), values)
        return sorted(
            (Cell(int(row[0]), row[1], int(row[2]), 0) for row in rows),
            key=lambda cell: (cell.start, cell.name),
        )


def _facet(networks: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions, with the values of `_facet_values`."""
    return [
        facets.c.keyword_id == bindparam("keyword"),
        facets.c.facet == bindparam("which"),
        *between(facets),
        *among(facets.c.network, networks),
    ]


def _facet_values(keyword_id: int, facet: str, times: tuple[int, int]) -> dict[str, Any]:
    since = times[0] - times[0] % HOUR
    return {"keyword": keyword_id, "which": facet, "since": since, "until": times[1]}
