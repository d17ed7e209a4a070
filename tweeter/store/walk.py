"""Candidates of a search: rows of posts, newest first by (occurred_at, id), as far as time allows.

Three ways, and which one is taken follows from how many posts the index knows:

- few (FEW): their ids are sorted once, and the rows read in pieces;
- many: the same by days, newest first, each piece of days about as large as FEW allows;
- the index can say nothing (or nothing is asked for): all posts are read along their time.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select

from tweeter.keywords.index_words import DAY_US, day
from tweeter.store import fulltext
from tweeter.store.filters import LOOKED_AT, Sieve
from tweeter.store.schema import matches, posts

FEW = 50_000  # posts of which the ids are sorted at once: about a tenth of a second
IDS = 20_000  # read at once
PIECE = 500  # rows read at once
DAYS = 64  # asked for at once

Position = tuple[int, int]  # (occurred_at, posts.id): older than this one


class Walk:
    """One search's candidates. deadline: of time.monotonic; a walk ends there with TookTooLong.

    The connection's statements must be bounded too: `fulltext.limited`.
    """

    def __init__(self, connection: Connection, sieve: Sieve, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._sieve = sieve
        self._conditions = sieve.conditions()
        self._wanted = sieve.wanted()
        self._is_few: bool | None = None

    def pieces(self, older: Position | None = None) -> Iterator[Sequence[RowMapping]]:
        """Rows of posts, a piece at a time; the expression is not checked yet."""
        if not self._wanted.clauses:
            yield from self._along_time(older)
        elif self._known_to_be_few():
            yield from self._of_index(older, self._days_between())
        else:
            yield from self._by_days(older)

    def count(self) -> int:
        """Candidates, all of them."""
        found = select(posts.c.id).where(*self._conditions)
        if self._wanted.clauses:
            asked = self._asked(self._days_between()).subquery()
            found = found.join(asked, asked.c.post_id == posts.c.id)
        return self._number_of(found)

    def _run(self, statement: "Select[Any]") -> Sequence[RowMapping]:
        if time.monotonic() > self._deadline:
            raise fulltext.TookTooLong("The search took too long.")
        return self._connection.execute(statement).mappings().all()

    def _number_of(self, statement: "Select[Any]") -> int:
        count = func.count().label("count")
        return int(self._run(select(count).select_from(statement.subquery()))[0]["count"])

    def _asked(self, days: Sequence[str]) -> "Select[tuple[int]]":
        return fulltext.matching(self._connection.dialect.name, self._wanted, days)

    def _known_to_be_few(self) -> bool:
        if self._is_few is None:
            some = self._asked(self._days_between()).limit(FEW + 1)
            self._is_few = self._number_of(some) <= FEW
        return self._is_few

    def _days_between(self) -> list[str]:
        """The days of since and until, if they are few enough to be asked for."""
        since, until = self._sieve.since, self._sieve.until or time.time_ns() // 1000 + DAY_US
        days = range(since // DAY_US, until // DAY_US + 1)
        return [day(number * DAY_US) for number in days] if since and len(days) <= DAYS else []

    # The ways.

    def _of_index(
        self, older: Position | None, days: Sequence[str]
    ) -> Iterator[Sequence[RowMapping]]:
        """All that the index knows (of these days), sorted."""
        while True:
            found = self._asked(days).cte("found")
            # "+ 0": the order is made from what was found, never found by going along the order.
            at = posts.c.occurred_at + 0
            statement = (
                select(posts.c.occurred_at, posts.c.id)
                .select_from(found.join(posts, posts.c.id == found.c.post_id))
                .where(*self._conditions, *_older(older))
                .order_by(at.desc(), posts.c.id.desc())
                .limit(IDS)
            )
            found_ids = self._run(statement)
            for start in range(0, len(found_ids), PIECE):
                yield self._rows([row["id"] for row in found_ids[start : start + PIECE]])
            if len(found_ids) < IDS:
                return
            older = found_ids[-1]["occurred_at"], found_ids[-1]["id"]

    def _rows(self, ids: Sequence[int]) -> Sequence[RowMapping]:
        rows = self._run(select(*LOOKED_AT).where(posts.c.id.in_(ids)))
        by_id = {row["id"]: row for row in rows}
        return [by_id[post_id] for post_id in ids]

    def _by_days(self, older: Position | None) -> Iterator[Sequence[RowMapping]]:
        at = posts.c.occurred_at
        ends = select(func.min(at).label("first"), func.max(at).label("last"))
        found = self._run(ends)[0]
        if found["first"] is None:
            return
        first, last = int(found["first"]), int(found["last"])
        oldest = max(first, self._sieve.since) // DAY_US
        newest = min(last, self._sieve.until or last, older[0] if older else last) // DAY_US
        span = 1
        while newest >= oldest:
            numbers = range(max(newest - span + 1, oldest), newest + 1)
            count = 0
            for rows in self._of_index(older, [day(number * DAY_US) for number in numbers]):
                count += len(rows)
                yield rows
            newest -= span
            if count < IDS and span < DAYS:
                span *= 2

    def _along_time(self, older: Position | None) -> Iterator[Sequence[RowMapping]]:
        fulltext.read_in_order(self._connection)
        while True:
            rows = self._run(self._next_along_time(older))
            if rows:
                yield rows
            if len(rows) < PIECE:
                return
            older = rows[-1]["occurred_at"], rows[-1]["id"]

    def _next_along_time(self, older: Position | None) -> "Select[Any]":
        wanted_ids = [int(v) for v in self._sieve.chosen.keyword if not v.startswith("-")]
        statement = select(*LOOKED_AT).where(*self._conditions)
        at, post_id = posts.c.occurred_at, posts.c.id
        if len(wanted_ids) == 1:  # along the keyword's own index
            at, post_id = matches.c.occurred_at, matches.c.post_id
            statement = statement.join(matches, matches.c.post_id == posts.c.id).where(
                matches.c.keyword_id == wanted_ids[0]
            )
        return (
            statement.where(*_older(older, at, post_id))
            .order_by(at.desc(), post_id.desc())
            .limit(PIECE)
        )


def _older(
    older: Position | None,
    at: ColumnElement[int] = posts.c.occurred_at,
    post_id: ColumnElement[int] = posts.c.id,
) -> list[ColumnElement[bool]]:
    if older is None:
        return []
    # The first says nothing new, but lets an index begin there.
    return [at <= older[0], (at < older[0]) | ((at == older[0]) & (post_id < older[1]))]
