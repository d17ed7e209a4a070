"""Reading the sums that `rollups` keeps: posts over time, and what is in them.

Every question is answered from `totals`, `volumes` and `facets`, so what it costs does not grow
with the number of posts. Moments are seconds since 1970, UTC; until is outside.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Select,
    Table,
    cast,
    func,
    literal,
    select,
    union_all,
)

from tweeter.store.cells import HOUR, MINUTE, SIZES, TOTAL_SIZES
from tweeter.store.engine import reading
from tweeter.store.schema import facets, keyword_versions, totals, volumes

SERIES = ("network", "kind", "lang")


class Narrow(msgspec.Struct, frozen=True, kw_only=True):
    """Which series count: networks, kinds and languages; () is all of them. A name that begins
    with "!" is left out, all others of that sort count then."""

    network: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()

    def has_total(self, by: str = "") -> bool:
        """Whether the sums by network alone know what is asked."""
        return by in ("", "network") and not self.kind and not self.lang

    def where(self, table: Table) -> list[ColumnElement[bool]]:
        """As conditions on a table of sums; on `totals` only if `has_total`."""
        return [
            condition
            for name in SERIES
            if name in table.c
            for condition in _among(table.c[name], getattr(self, name))
        ]


EVERY = Narrow()


def _among(column: Any, names: Sequence[str]) -> list[ColumnElement[bool]]:
    wanted = [name for name in names if not name.startswith("!")]
    refused = [name[1:] for name in names if name.startswith("!")]
    found: list[ColumnElement[bool]] = []
    if wanted:
        found.append(column.in_(wanted))
    if refused:
        found.append(column.not_in(refused))
    return found


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets of `width` seconds from since to until, both borders of buckets.

    base: the size of the sums that are added up (60, 3600, 86400); it divides width. offset: one
    border, from which the others are counted.
    """

    since: int
    until: int
    base: int
    width: int
    offset: int = 0

    def bucket(self, start: Any) -> Any:
        """Where the bucket of a sum begins that begins at `start`, a number or a column."""
        if self.base == self.width:
            return start
        return start - (start + -self.offset % self.width) % self.width  # never % of less than 0

    @property
    def total_size(self) -> int:
        """The longest sums of `totals` that make the same; 0: only single minutes do."""
        if self.base > MINUTE:
            return self.base
        short = TOTAL_SIZES[0]
        return 0 if any(n % short for n in (self.since, self.until, self.width)) else short


def hourly(since: int, until: int) -> Grid:
    """Buckets of an hour."""
    return Grid(since=since, until=until, base=HOUR, width=HOUR)


class Cell(msgspec.Struct, frozen=True, gc=False):
    """Posts of one bucket and one series that readers see, and those that are gone."""

    start: int
    name: str  # of the series; "" where all are together
    posts: int
    gone: int


def over_time(
    engine: Engine,
    keyword_ids: Sequence[int],
    grid: Grid,
    *,
    by: str = "",
    narrow: Narrow = EVERY,
) -> dict[int, list[Cell]]:
    """Posts by bucket, for each keyword (0: everything stored). by: "", or one of SERIES."""
    size = grid.total_size if narrow.has_total(by) else 0
    table = totals if size else volumes
    # Many rows are grouped as they lie in the index; what that leaves is put into buckets here.
    start = grid.bucket(table.c.start).label("at") if size else table.c.start
    name = table.c[by] if by else literal("")
    columns = [table.c.keyword_id, start, *([name] if by else [])]
    statement = (
        select(table.c.keyword_id, start, name, _sum(table.c.posts), _sum(table.c.gone))
        .where(
            table.c.keyword_id.in_(list(keyword_ids)),
            table.c.seconds == (size or grid.base),
            table.c.start >= grid.since,
            table.c.start < grid.until,
            *narrow.where(table),
        )
        .group_by(*columns)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
    counted: dict[int, dict[tuple[int, str], tuple[int, int]]] = {n: {} for n in keyword_ids}
    for keyword_id, at, series, posts, gone in rows:
        cells, key = counted[keyword_id], (at if size else grid.bucket(at), series)
        seen, less = cells.get(key, (0, 0))
        cells[key] = seen + posts, less + gone
    return {n: [Cell(*key, *cells[key]) for key in sorted(cells)] for n, cells in counted.items()}


def _sum(column: Any) -> ColumnElement[int]:
    """A sum as a whole number: on some databases it is a decimal, which takes longer to read."""
    return cast(func.sum(column), BigInteger)


def hours(engine: Engine, keyword_id: int, since: int, until: int) -> dict[int, int]:
    """Posts of a keyword by hour, of those hours that have a sum."""
    statement = (
        select(totals.c.start, _sum(totals.c.posts))
        .where(
            totals.c.keyword_id == keyword_id,
            totals.c.seconds == HOUR,
            totals.c.start >= since,
            totals.c.start < until,
        )
        .group_by(totals.c.start)
    )
    with reading(engine) as connection:
        return {row[0]: row[1] for row in connection.execute(statement).all()}


def total(engine: Engine, keyword_id: int, times: tuple[int, int], narrow: Narrow) -> int:
    """Posts of a keyword between two whole minutes, from the longest sums that fit."""
    arms = [
        select(_sum(table.c.posts)).where(*which, *narrow.where(table))
        for table, which in _arms(keyword_id, times, has_total=narrow.has_total())
    ]
    if not arms:
        return 0
    with reading(engine) as connection:
        return sum(found or 0 for found in connection.execute(union_all(*arms)).scalars())


def _arms(
    keyword_id: int, times: tuple[int, int], *, has_total: bool = False
) -> Iterator[tuple[Table, list[ColumnElement[bool]]]]:
    """The sums that make up a stretch of whole minutes: a table and conditions on it for each."""
    for size, since, until in pieces(*times, (MINUTE, *TOTAL_SIZES) if has_total else SIZES):
        table = totals if has_total and size > MINUTE else volumes
        yield (
            table,
            [
                table.c.keyword_id == keyword_id,
                table.c.seconds == size,
                table.c.start >= since,
                table.c.start < until,
            ],
        )


def at_hours(
    engine: Engine, keyword_ids: Sequence[int], hours: Sequence[int]
) -> dict[tuple[int, int], int]:
    """Posts of these keywords in these hours alone, by (keyword, start)."""
    if not keyword_ids or not hours:
        return {}
    columns = totals.c.keyword_id, totals.c.start
    statement = (
        select(*columns, _sum(totals.c.posts))
        .where(
            totals.c.keyword_id.in_(list(keyword_ids)),
            totals.c.seconds == HOUR,
            totals.c.start.in_(list(hours)),
        )
        .group_by(*columns)
    )
    with reading(engine) as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(statement)}


def shares(
    engine: Engine, keyword_id: int, times: tuple[int, int], *, narrow: Narrow
) -> dict[str, dict[str, int]]:
    """Visible posts by network, kind and language; each sort is narrowed by the other two.

    times are whole minutes; the longest sums that fit between them are added up.
    """
    found: dict[str, dict[str, int]] = {name: defaultdict(int) for name in SERIES}
    series = [volumes.c[name] for name in SERIES]
    arms = [
        select(*series, _sum(volumes.c.posts)).where(*which).group_by(*series)
        for _, which in _arms(keyword_id, times)
    ]
    with reading(engine) as connection:
        rows = connection.execute(union_all(*arms)).all() if arms else []
    for *values, posts in rows:
        row = dict(zip(SERIES, values, strict=True))
        for name in SERIES:
            others = [other for other in SERIES if other != name]
            if all(_counts(row[other], getattr(narrow, other)) for other in others):
                found[name][row[name]] += posts
    return {name: {k: v for k, v in counted.items() if v} for name, counted in found.items()}


def pieces(since: int, until: int, sizes: Sequence[int] = SIZES) -> list[tuple[int, int, int]]:
    """(size, since, until): a stretch of whole minutes as days, with hours and minutes around."""
    found: list[tuple[int, int, int]] = []
    rest = [(since, until)]
    for size in reversed(sizes):
        smaller = []
        for start, end in rest:
            first, last = start + -start % size, end - end % size
            if first < last:
                found.append((size, first, last))
                smaller += [(start, first), (last, end)]
            else:
                smaller.append((start, end))
        rest = [(start, end) for start, end in smaller if start < end]
    return sorted(found, key=lambda piece: piece[1])


def _counts(value: str, names: Sequence[str]) -> bool:
    wanted = [name for name in names if not name.startswith("!")]
    return (not wanted or value in wanted) and f"!{value}" not in names


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
    seen = func.sum(facets.c.posts).label("seen")
    grouped = _facet(select(facets.c.value, seen), keyword_id, facet, times, networks).group_by(
        facets.c.value
    )
    inner = grouped.subquery()
    statement = (
        select(inner.c.value, inner.c.seen, func.count().over().label("distinct_values"))
        .order_by(inner.c.seen.desc(), inner.c.value)
        .limit(limit)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
    return Top(
        values=[(row.value, int(row.seen)) for row in rows],
        distinct=int(rows[0].distinct_values) if rows else 0,
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
    statement = _facet(
        select(facets.c.value, func.sum(facets.c.posts)), keyword_id, facet, times, networks
    )
    with reading(engine) as connection:
        rows = connection.execute(
            statement.where(facets.c.value.in_(list(values))).group_by(facets.c.value)
        )
        return {row[0]: int(row[1]) for row in rows}


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
    times = grid.since, grid.until
    columns = start, facets.c.network
    statement = _facet(
        select(*columns, func.sum(facets.c.posts)), keyword_id, which[0], times, networks
    )
    with reading(engine) as connection:
        rows = connection.execute(statement.where(facets.c.value == which[1]).group_by(*columns))
        return sorted(
            (Cell(int(row[0]), row[1], int(row[2]), 0) for row in rows),
            key=lambda cell: (cell.start, cell.name),
        )


def _facet(
    statement: Select[Any],
    keyword_id: int,
    facet: str,
    times: tuple[int, int],
    networks: Sequence[str],
) -> Select[Any]:
    return statement.where(
        facets.c.keyword_id == keyword_id,
        facets.c.facet == facet,
        facets.c.start >= times[0] - times[0] % HOUR,
        facets.c.start < times[1],
        *_among(facets.c.network, networks),
    )


def edits(engine: Engine, keyword_id: int, times: tuple[int, int]) -> list[tuple[int, int, str]]:
    """(moment, version, expression) of a keyword's versions that began in a stretch."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(keyword_versions)
            .where(
                keyword_versions.c.keyword_id == keyword_id,
                keyword_versions.c.at >= times[0] * 1_000_000,
                keyword_versions.c.at < times[1] * 1_000_000,
            )
            .order_by(keyword_versions.c.version)
        ).all()
    return [(int(row.at) // 1_000_000, int(row.version), row.expression) for row in rows]
