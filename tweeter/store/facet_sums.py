"""Reading the sums of what is in posts: tags, links, domains, authors, mentions, media.

They are by whole hours, of visible posts. Moments are seconds since 1970, UTC; until is outside.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Engine,
    ScalarSelect,
    Select,
    bindparam,
    func,
    literal,
    select,
    union_all,
)

from tweeter.store.cells import HOUR
from tweeter.store.engine import once, reading
from tweeter.store.schema import facets, totals
from tweeter.store.sums import Cell, Grid, among, between, put_together


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """The commonest values of a facet; distinct: how many values there are in all."""

    values: list[tuple[str, int]]
    distinct: int


def tops(
    engine: Engine,
    keyword_id: int,
    names: Sequence[str],
    times: tuple[int, int],
    *,
    networks: Sequence[str] = (),
    limit: int = 10,
) -> dict[str, Top]:
    """The commonest values of each of these facets, by whole hours."""
    if not names:
        return {}
    values = _sums_of(keyword_id, times) | {"most": limit}
    with reading(engine) as connection:
        rows = connection.execute(_tops(tuple(names), tuple(networks)), values).all()
    found = {}
    for name in names:
        mine = [row for row in rows if row.facet == name]
        found[name] = Top(
            values=[(row.value, int(row.seen)) for row in mine],
            distinct=int(mine[0].distinct_values) if mine else 0,
        )
    return found


@put_together
def _tops(names: tuple[str, ...], networks: tuple[str, ...]) -> CompoundSelect[Any]:
    return union_all(*(select(_top(name, networks).subquery()) for name in names))


def _top(name: str, networks: tuple[str, ...]) -> Select[Any]:
    seen = func.sum(facets.c.posts).label("seen")
    inner = (
        select(facets.c.value, seen)
        .where(*_facet(name, networks))
        .group_by(facets.c.value)
        .subquery()
    )
    columns: list[ColumnElement[Any]] = [
        literal(name).label("facet"),
        inner.c.value,
        inner.c.seen,
        func.count().over().label("distinct_values"),
    ]
    return select(*columns).order_by(inner.c.seen.desc(), inner.c.value).limit(bindparam("most"))


def of_values(
    engine: Engine,
    keyword_id: int,
    values: Mapping[str, Sequence[str]],
    times: tuple[int, int],
    *,
    networks: Sequence[str] = (),
) -> dict[str, dict[str, int]]:
    """Posts of these values, by facet."""
    asked = {name: list(some) for name, some in values.items() if some}
    found: dict[str, dict[str, int]] = {name: {} for name in values}
    if not asked:
        return found
    named = _sums_of(keyword_id, times) | {f"of_{name}": some for name, some in asked.items()}
    with reading(engine) as connection:
        rows = connection.execute(_of_values(tuple(asked), tuple(networks)), named)
        for name, value, seen in rows:
            found[name][value] = int(seen)
    return found


@put_together
def _of_values(names: tuple[str, ...], networks: tuple[str, ...]) -> CompoundSelect[Any]:
    return union_all(
        *(
            select(literal(name), facets.c.value, func.sum(facets.c.posts))
            .where(
                *_facet(name, networks),
                facets.c.value.in_(bindparam(f"of_{name}", expanding=True)),
            )
            .group_by(facets.c.value)
            for name in names
        )
    )


def value_over_time(
    engine: Engine,
    keyword_id: int,
    which: tuple[str, str],
    grid: Grid,
    *,
    networks: Sequence[str] = (),
) -> list[Cell]:
    """Posts of one (facet, value) by bucket and network; all of the grid is of whole hours.

    Inside `one_moment` a stretch is read once, whatever its buckets.
    """
    values = _sums_of(keyword_id, (grid.since, grid.until)) | {"value": which[1]}
    key = "value", which, tuple(networks), *values.values()
    statement = _value_by_hour(which[0], tuple(networks))
    with reading(engine) as connection:
        rows = once(connection, key, lambda: connection.execute(statement, values).all())
    counted: Counter[tuple[int, str]] = Counter()
    for start, network, posts in rows:
        if posts is not None:
            counted[grid.bucket(start), network] += posts
    return [Cell(*at, posts, 0) for at, posts in sorted(counted.items())]


def value_total(
    engine: Engine,
    keyword_id: int,
    which: tuple[str, str],
    times: tuple[int, int],
    *,
    networks: Sequence[str] = (),
) -> int:
    """The sum of `value_over_time`."""
    values = _sums_of(keyword_id, times) | {"value": which[1]}
    with reading(engine) as connection:
        return int(
            connection.execute(_value_total(which[0], tuple(networks)), values).scalar() or 0
        )


@put_together
def _value_by_hour(name: str, networks: tuple[str, ...]) -> Select[Any]:
    hours = _hours(networks)
    return select(totals.c.start, totals.c.network, _of_hour(name)).where(*hours)


@put_together
def _value_total(name: str, networks: tuple[str, ...]) -> Select[Any]:
    return select(func.sum(_of_hour(name))).where(*_hours(networks))


def _hours(networks: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions for the hours and networks in which there are posts, with values of `_sums_of`."""
    return [
        totals.c.keyword_id == bindparam("keyword"),
        totals.c.seconds == HOUR,
        *between(totals),
        *among(totals.c.network, networks),
    ]


def _of_hour(name: str) -> ScalarSelect[int]:
    """Posts of a value in an hour and network of `_hours`; None: there are none.

    Each is looked up: a month of a large keyword has 2,000 of them, and hundreds of thousands of
    values. A join would let a database read these.
    """
    return (
        select(facets.c.posts)
        .where(
            facets.c.keyword_id == totals.c.keyword_id,
            facets.c.facet == name,
            facets.c.start == totals.c.start,
            facets.c.network == totals.c.network,
            facets.c.value == bindparam("value"),
        )
        .scalar_subquery()
    )


def _facet(name: str, networks: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions, with the values of `_sums_of`."""
    return [
        facets.c.keyword_id == bindparam("keyword"),
        facets.c.facet == name,
        *between(facets),
        *among(facets.c.network, networks),
    ]


def _sums_of(keyword_id: int, times: tuple[int, int]) -> dict[str, Any]:
    return {"keyword": keyword_id, "since": times[0] - times[0] % HOUR, "until": times[1]}
