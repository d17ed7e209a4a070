"""Reading the sums that `rollups` keeps: posts over time (what is in them: `facet_sums`).

Every question is answered from `totals` and `volumes`, so what it costs does not grow with the
number of posts. Moments are seconds since 1970, UTC; until is outside. A language that is not said
is "" here, also where the sums keep that a network called it NO_LANGUAGE.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Engine,
    Select,
    Table,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from tweeter.choices import NO_LANGUAGE
from tweeter.moments import YEAR_1_US
from tweeter.store import known
from tweeter.store.cells import HOUR, MINUTE, SIZES, TOTAL_SIZES, US, said
from tweeter.store.engine import reading
from tweeter.store.schema import keyword_versions, totals, volumes

SERIES = ("network", "kind", "lang")

# So many seconds before 1970 the first moment is. Added before %, which databases take of less than
# 0 otherwise than Python.
_FIRST = -YEAR_1_US // US

Times = tuple[int, int]  # since and until, which is outside; seconds since 1970
Piece = tuple[int, int, int]  # the size of its sums, since and until


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
            for condition in among(table.c[name], _kept(getattr(self, name)))
        ]


EVERY = Narrow()


def _kept(names: Sequence[str]) -> list[str]:
    """As the sums name them, where a language that is not said has two names."""
    return [*names, *(f"{name}{NO_LANGUAGE}" for name in names if name in ("", "!"))]


def among(column: Any, names: Sequence[str]) -> list[ColumnElement[bool]]:
    """Conditions for what is narrowed to some names of a column."""
    wanted = [name for name in names if not name.startswith("!")]
    refused = [name[1:] for name in names if name.startswith("!")]
    found: list[ColumnElement[bool]] = []
    if wanted:
        found.append(column.in_(wanted))
    if refused:
        found.append(column.not_in(refused))
    return found


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets of `width` seconds, whole minutes. Counted is from since to until, whole minutes too:
    the first and the last bucket hold only what lies between.

    offset: one border, from which the others are counted.
    """

    since: int
    until: int
    width: int
    offset: int = 0

    def bucket(self, start: Any) -> Any:
        """Where the bucket of a sum begins that begins at `start`, a number or a column."""
        ahead = _FIRST + (-self.offset - _FIRST) % self.width
        return start - (start + ahead) % self.width


def hourly(since: int, until: int) -> Grid:
    """Buckets of an hour."""
    return Grid(since=since, until=until, width=HOUR)


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
    """Posts by bucket, for each keyword (0: everything stored). by: "", or one of SERIES.

    From the longest sums that fit, with shorter ones where since and until are no borders of these.
    """
    sizes = [size for size in _sizes(narrow, by) if grid.width % size == 0]
    counted: dict[int, dict[tuple[int, str], tuple[int, int]]] = {n: {} for n in keyword_ids}
    asked = pieces(grid.since, grid.until, sizes)
    if not asked:
        return {n: [] for n in keyword_ids}
    statement = _over_time(by, narrow, _lengths(asked), grid.width, grid.offset)
    with reading(engine) as connection:
        rows = connection.execute(statement, {"keywords": list(keyword_ids)} | _edges(asked)).all()
    for keyword_id, at, series, posts, gone in rows:
        cells, key = counted[keyword_id], (grid.bucket(at), said(series))
        seen, less = cells.get(key, (0, 0))
        cells[key] = seen + posts, less + gone
    return {n: [Cell(*key, *cells[key]) for key in sorted(cells)] for n, cells in counted.items()}


def _sizes(narrow: Narrow, by: str = "") -> Sequence[int]:
    """The sizes of the sums that can answer it."""
    return (MINUTE, *TOTAL_SIZES) if narrow.has_total(by) else SIZES


def _table(size: int, narrow: Narrow, by: str = "") -> Table:
    """Where its sums of a size are."""
    return totals if narrow.has_total(by) and size > MINUTE else volumes


# Questions that pages ask are put together once: that takes longer than to answer them.
put_together = lru_cache(maxsize=200)


@put_together
def _over_time(
    by: str, narrow: Narrow, sizes: tuple[int, ...], width: int, offset: int
) -> CompoundSelect[Any]:
    """The question, of pieces whose sums have these sizes."""
    grid = Grid(since=0, until=0, width=width, offset=offset)
    return union_all(*(_of_piece(by, narrow, n, size, grid) for n, size in enumerate(sizes)))


def _of_piece(by: str, narrow: Narrow, number: int, size: int, grid: Grid) -> Select[Any]:
    table = _table(size, narrow, by)
    # Many rows are grouped as they lie in the index; what that leaves is put into buckets later.
    is_cut = table is totals and size < grid.width
    start = grid.bucket(table.c.start).label("at") if is_cut else table.c.start
    name = table.c[by] if by else literal("")
    return (
        select(table.c.keyword_id, start, name, _sum(table.c.posts), _sum(table.c.gone))
        .where(
            table.c.keyword_id.in_(bindparam("keywords", expanding=True)),
            table.c.seconds == size,
            *between(table, number),
            *narrow.where(table),
        )
        .group_by(table.c.keyword_id, start, *([name] if by else []))
    )


def between(table: Table, number: object = "") -> list[ColumnElement[bool]]:
    """Conditions on the start of sums: from "since" on, before "until"; number: of these names."""
    since: Any = bindparam(f"since{number}")
    until: Any = bindparam(f"until{number}")
    return [table.c.start >= since, table.c.start < until]


def _sum(column: Any) -> ColumnElement[int]:
    """A sum as a whole number: on some databases it is a decimal, which takes longer to read."""
    return cast(func.sum(column), BigInteger)


def hours(engine: Engine, keyword_id: int, since: int, until: int) -> dict[int, int]:
    """Posts of a keyword by hour, of those hours that have a sum."""
    values = {"keyword": keyword_id, "since": since, "until": until}
    with reading(engine) as connection:
        return {row[0]: row[1] for row in connection.execute(_hours, values).all()}


_hours = (
    select(totals.c.start, _sum(totals.c.posts))
    .where(totals.c.keyword_id == bindparam("keyword"), totals.c.seconds == HOUR, *between(totals))
    .group_by(totals.c.start)
)


def total(engine: Engine, keyword_id: int, times: Times, narrow: Narrow) -> int:
    """Posts of a keyword between two whole minutes, from the longest sums that fit."""
    return each(engine, keyword_id, [times], narrow)[0]


def each(engine: Engine, keyword_id: int, stretches: Sequence[Times], narrow: Narrow) -> list[int]:
    """As `total`, of several stretches in one question."""
    found = [0] * len(stretches)
    sizes = _sizes(narrow)
    asked = [(n, piece) for n, times in enumerate(stretches) for piece in pieces(*times, sizes)]
    if not asked:
        return found
    of_all = [piece for _, piece in asked]
    statement = _totals(_lengths(of_all), narrow)
    with reading(engine) as connection:
        for number, posts in connection.execute(statement, _values(keyword_id, of_all)).all():
            found[asked[number][0]] += posts or 0
    return found


@put_together
def _totals(sizes: tuple[int, ...], narrow: Narrow) -> CompoundSelect[Any]:
    tables = [_table(size, narrow) for size in sizes]
    return union_all(
        *(
            select(literal_column(str(n)), _sum(table.c.posts)).where(
                *_piece(table, n, size), *narrow.where(table)
            )
            for n, (table, size) in enumerate(zip(tables, sizes, strict=True))
        )
    )


def _piece(table: Table, number: int, size: int) -> list[ColumnElement[bool]]:
    """Conditions for the sums of a stretch, one of several."""
    is_its = table.c.keyword_id == bindparam("keyword")
    return [is_its, table.c.seconds == size, *between(table, number)]


def _lengths(asked: Sequence[Piece]) -> tuple[int, ...]:
    return tuple(size for size, _, _ in asked)


def _values(keyword_id: int, asked: Sequence[Piece]) -> dict[str, int]:
    return {"keyword": keyword_id} | _edges(asked)


def _edges(asked: Sequence[Piece]) -> dict[str, int]:
    """What `between` asks for, of each piece."""
    values: dict[str, int] = {}
    for number, (_, since, until) in enumerate(asked):
        values |= {f"since{number}": since, f"until{number}": until}
    return values


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
    engine: Engine, keyword_id: int, times: Times, *, narrow: Narrow
) -> dict[str, dict[str, int]]:
    """Visible posts by network, kind and language; each sort is narrowed by the other two.

    times are whole minutes; the longest sums that fit between them are added up.
    """
    found: dict[str, dict[str, int]] = {name: defaultdict(int) for name in SERIES}
    asked = pieces(*times)
    if not asked:
        return {name: {} for name in SERIES}
    with reading(engine) as connection:
        statement = _shares(_lengths(asked))
        rows = connection.execute(statement, _values(keyword_id, asked)).all()
    together: Counter[tuple[str, ...]] = Counter()
    for *series, posts in rows:
        together[tuple(map(said, series))] += posts
    for key, posts in together.items():
        row = dict(zip(SERIES, key, strict=True))
        for name in SERIES:
            others = [other for other in SERIES if other != name]
            if all(counts(row[other], getattr(narrow, other)) for other in others):
                found[name][row[name]] += posts
    return {name: {k: v for k, v in counted.items() if v} for name, counted in found.items()}


@put_together
def _shares(sizes: tuple[int, ...]) -> CompoundSelect[Any]:
    series = [volumes.c[name] for name in SERIES]
    return union_all(
        *(
            select(*series, _sum(volumes.c.posts))
            .where(*_piece(volumes, n, size))
            .group_by(*series)
            for n, size in enumerate(sizes)
        )
    )


def pieces(since: int, until: int, sizes: Sequence[int] = SIZES) -> list[Piece]:
    """A stretch of whole minutes as days, with hours and minutes around."""
    found: list[Piece] = []
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


def counts(value: str, names: Sequence[str]) -> bool:
    wanted = [name for name in names if not name.startswith("!")]
    return (not wanted or value in wanted) and f"!{value}" not in names


def edits(engine: Engine, keyword_id: int, times: Times) -> list[tuple[int, int, str]]:
    """(moment, version, expression) of a keyword's versions that began in a stretch."""
    with reading(engine) as connection:
        keyword = known.keyword(connection, keyword_id)
        if keyword is None or keyword["changed_at"] < times[0] * US:
            return []
        rows = connection.execute(
            select(keyword_versions)
            .where(
                keyword_versions.c.keyword_id == keyword_id,
                keyword_versions.c.at >= times[0] * US,
                keyword_versions.c.at < times[1] * US,
            )
            .order_by(keyword_versions.c.version)
        ).all()
    return [(int(row.at) // US, int(row.version), row.expression) for row in rows]
