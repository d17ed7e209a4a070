"""Statistics kept as posts come and go: in the same transaction, so equal to a recount always.

`volumes` counts the matches of a keyword by minute, hour and day; keyword 0 counts every stored
post once. `totals` counts the same by network alone, by five minutes, hour and day. `facets` counts
tags, links, authors and the like by hour, of visible posts only.

Who changes a post or its matches holds the post's row first (SELECT … FOR UPDATE, or SHARE where
only matches change): what is taken off the sums is then what was added to them.

The order in which a transaction takes its locks, so that writers wait but never in a circle: the
posts that it changes (`hold`), posts that it inserts, counters and sums (`collecting`), the feed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, bindparam, delete, select

from tweeter.errors import StoreError
from tweeter.store import cells
from tweeter.store.cells import HOUR, SIZES, TOTAL_SIZES
from tweeter.store.engine import add_up, chunks, count_up
from tweeter.store.schema import facets, keywords, matches, posts, totals, volumes

EVERYTHING = 0  # as a keyword: every stored post, once
_PAGE = 2_000  # posts of a recount that are in memory at once
_NEEDED = (
    "id",
    "network",
    "text",
    "kind",
    "traits",
    "lang",
    "author_id",
    "tags",
    "links",
    "occurred_at",
    "hidden",
    "removed_at",
)
_COLUMNS = [posts.c[name] for name in _NEEDED]
_OPEN = "tweeter.sums"  # of a connection's info: sums that are being collected
Row = Mapping[Any, Any]
Key = tuple[Any, ...]
Counted = tuple[Row, Sequence[int]]  # a row of posts and the keywords that it is counted for


class _Rows(NamedTuple):
    """What is written: counters by keyword, then the rows of each table in the order of its key."""

    counters: list[tuple[int, int]]
    volumes: list[Key]
    totals: list[Key]
    facets: list[Key]


class Sums:
    """Changes of counters and sums that belong together: collected, then written in one order."""

    def __init__(self) -> None:
        self._matches: dict[int, int] = {}  # by keyword
        # By (keyword, minute, network, kind, lang).
        self._seen: dict[Key, int] = {}
        self._gone: dict[Key, int] = {}
        # By keyword, then (facet, hour, network, value): sorted so in half the time.
        self._facets: dict[int, dict[Key, int]] = {}
        self._grows = True  # nothing was counted off
        self._rows: _Rows | None = None

    def count(self, change: Mapping[int, int]) -> None:
        """Add to the keywords' exact counters of posts, by keyword id."""
        for keyword_id, by in change.items():
            self._matches[keyword_id] = self._matches.get(keyword_id, 0) + by

    def add(self, row: Row, keyword_ids: Sequence[int], sign: int = 1) -> None:
        """Count a post for these keywords (sign 1), or count it off (-1)."""
        if not keyword_ids:
            return
        self._grows = self._grows and sign > 0
        place = row.volume if isinstance(row, cells.Made) else cells.volume(row)
        is_visible = cells.is_visible(row)
        counted = self._seen if is_visible else self._gone
        for keyword_id in keyword_ids:
            key = (keyword_id, *place)
            counted[key] = counted.get(key, 0) + sign
        named = [number for number in keyword_ids if number != EVERYTHING]
        if is_visible and named:
            hour = place.minute - place.minute % HOUR
            values = row.facets if isinstance(row, cells.Made) else cells.facets(row)
            keys = [(facet, hour, place.network, value) for facet, value in values]
            for keyword_id in named:
                found = self._facets.setdefault(keyword_id, {})
                for its in keys:
                    found[its] = found.get(its, 0) + sign

    def close(self) -> None:
        """Make the rows now, before a lock is held for them: nothing may be counted any more."""
        self._rows = self._made()
        for counted in (self._matches, self._seen, self._gone, self._facets):
            counted.clear()  # the rows say it all

    def take_over(self, closed: "Sums") -> None:
        """Write those; nothing else may be counted in this transaction."""
        self._rows = closed._rows

    def write(self, connection: Connection) -> None:
        """Add everything to the tables; sums that become nothing leave no row."""
        if self._rows is not None and (self._seen or self._gone):
            raise StoreError("Posts were counted beside sums that were closed.")
        rows = self._rows or self._made()
        count_up(connection, keywords.c.posts, rows.counters)
        self._write(connection, volumes, rows.volumes)
        self._write(connection, totals, rows.totals)
        self._write(connection, facets, rows.facets)

    def _made(self) -> _Rows:
        parts = [
            (keyword_id, *key, by)
            for keyword_id in sorted(self._facets)
            for key, by in sorted(self._facets[keyword_id].items())
        ]
        over_time = self._over_time(SIZES, 3), self._over_time(TOTAL_SIZES, 1)
        return _Rows(sorted(self._matches.items()), *over_time, parts)

    def _over_time(self, sizes: Sequence[int], names: int) -> list[Key]:
        seen, gone = (_by_sizes(some, sizes, names) for some in (self._seen, self._gone))
        keys = sorted(seen.keys() | gone.keys()) if gone else sorted(seen)
        return [(*key, seen.get(key, 0), gone.get(key, 0)) for key in keys]

    def _write(self, connection: Connection, table: Table, rows: list[Key]) -> None:
        """rows: in the order of the primary key, with the changes of the sums at their end."""
        keys = [column.name for column in table.primary_key]
        count = len(keys)
        if self._grows:
            add_up(connection, table, rows, keys=count)
            return
        add_up(connection, table, [row for row in rows if any(row[count:])], keys=count)
        less = [row[:count] for row in rows if min(row[count:]) < 0]
        if less:
            sums = [column for column in table.columns if not column.primary_key]
            which = and_(*(table.c[name] == bindparam(f"its_{name}") for name in keys))
            nothing = delete(table).where(which, *(column == 0 for column in sums))
            names = [f"its_{name}" for name in keys]
            connection.execute(nothing, [dict(zip(names, key, strict=True)) for key in less])


def _by_sizes(minutes: Mapping[Key, int], sizes: Sequence[int], names: int) -> dict[Key, int]:
    """Sums of minutes as those of longer stretches. names: how many a series keeps of its three."""
    found: dict[Key, int] = {}
    for (keyword_id, minute, *series), by in minutes.items():
        its = series[:names]
        for size in sizes:
            key = (keyword_id, size, minute - minute % size, *its)
            found[key] = found.get(key, 0) + by
    return found


@contextmanager
def collecting(connection: Connection) -> Iterator[Sums]:
    """What is counted inside, by whomever, is written once, at the end of the outermost one.

    Who holds sums then waits for no post any more, and no two take them in different orders.
    """
    outer: Sums | None = connection.info.get(_OPEN)
    if outer is not None:
        yield outer
        return
    sums = connection.info[_OPEN] = Sums()
    try:
        yield sums
    finally:
        del connection.info[_OPEN]
    sums.write(connection)


def hold(connection: Connection, post_ids: Iterable[int]) -> list[int]:
    """Hold the posts until the transaction ends; returns those that are still there."""
    held: list[int] = []
    for some in chunks(post_ids, reverse=True):
        mine = select(posts.c.id).where(posts.c.id.in_(some)).order_by(posts.c.id.desc())
        held.extend(connection.execute(mine.with_for_update()).scalars())
    return held


def add(connection: Connection, counted: Iterable[Counted]) -> None:
    """Count posts for keywords that matched them just now."""
    _change(connection, counted, 1)


def drop(connection: Connection, counted: Iterable[Counted]) -> None:
    """Count posts off keywords whose matches were deleted just now, or off everything."""
    _change(connection, counted, -1)


def _change(connection: Connection, counted: Iterable[Counted], sign: int) -> None:
    with collecting(connection) as sums:
        for row, keyword_ids in counted:
            sums.add(row, keyword_ids, sign)


@contextmanager
def following(connection: Connection, post_ids: Sequence[int]) -> Iterator[None]:
    """Posts are changed inside, not their matches: the sums follow what became of them."""
    counted = _counted(connection, post_ids, lock=True)
    with collecting(connection) as sums:
        for row, keyword_ids in counted:
            sums.add(row, keyword_ids, -1)
        yield
        after = rows(connection, [row["id"] for row, _ in counted])
        for row, keyword_ids in counted:
            sums.add(after[row["id"]], keyword_ids, 1)


def rows(
    connection: Connection, post_ids: Sequence[int], *, lock: bool = False, share: bool = False
) -> dict[int, Row]:
    """What is counted of these posts, by id. lock: hold the rows; share: for reading."""
    found: dict[int, Row] = {}
    # One order everywhere, that of a rematch: nobody waits for another in a circle.
    for some in chunks(post_ids, reverse=True):
        statement = select(*_COLUMNS).where(posts.c.id.in_(some)).order_by(posts.c.id.desc())
        if lock or share:
            statement = statement.with_for_update(read=share and not lock)
        for row in connection.execute(statement).mappings():
            found[row["id"]] = row
    return found


def _counted(
    connection: Connection, post_ids: Sequence[int], *, lock: bool = False
) -> list[tuple[Row, list[int]]]:
    found = rows(connection, post_ids, lock=lock)
    by_post: dict[int, list[int]] = {post_id: [EVERYTHING] for post_id in found}
    for some in chunks(found):
        pairs = select(matches.c.post_id, matches.c.keyword_id).where(matches.c.post_id.in_(some))
        for post_id, keyword_id in connection.execute(pairs):
            by_post[post_id].append(keyword_id)
    return [(found[post_id], by_post[post_id]) for post_id in sorted(found)]


def recount(connection: Connection) -> int:
    """Make all sums anew from the posts; returns how many posts. Nobody may write meanwhile."""
    for table in (volumes, totals, facets):
        connection.execute(delete(table))
    done, last = 0, -1
    while True:
        page = select(posts.c.id).where(posts.c.id > last).order_by(posts.c.id).limit(_PAGE)
        ids = list(connection.execute(page).scalars())
        if not ids:
            return done
        add(connection, _counted(connection, ids))
        done, last = done + len(ids), ids[-1]
