"""Candidates of a search: rows of posts, newest first by (occurred_at, id), as far as time allows.

Four ways, and which one is taken follows from how many posts the index knows:

- few (FEW): their ids are sorted once, and the rows read in pieces;
- many: the same by days, newest first, each piece of days about as large as FEW allows;
- most of the newest posts: the newest are read along their time, older ones as above;
- the index can say nothing (or nothing is asked for), or lacks posts of the time that is asked for
  (`unindexed`): all posts are read along their time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select

from tweeter.keywords.index_words import TOO_MANY, Wanted, day
from tweeter.moments import DAY_US
from tweeter.store import fulltext, lately, unindexed
from tweeter.store.engine import one_of
from tweeter.store.estimate import Estimate
from tweeter.store.filters import DESCRIBED_BY, LOOKED_AT, Query
from tweeter.store.schema import matches, posts, search_texts

FEW = 5_000  # posts of which the ids are sorted at once: each is looked up, at 10 us and more
IDS = 20_000  # read at once
PIECE = 500  # rows read at once; along their time at first, and then up to four times as many
DAYS = 64  # asked for at once
A_PIECE = 3_000  # candidates that are asked for at first, by days
LOOKED_AT_FIRST = 200  # posts: are most of them proposed?
MOST_ALONG = 20_000  # posts that are read along their time where most are proposed

NO_VALUES: Mapping[str, int] = {}

T = TypeVar("T")
Position = tuple[int, int]  # (occurred_at, posts.id): older than this one


class Walk:
    """One search's candidates. deadline: of time.monotonic; a walk ends there with TookTooLong.

    The connection's statements must be bounded too: `fulltext.limited`. hits: how many are
    wanted, most likely: so many are read at once where each candidate is one. lacking: moments
    of it that the index lacks posts of, where it could be asked.
    """

    def __init__(
        self, connection: Connection, query: Query, deadline: float, *, hits: int = PIECE
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._query = query
        self._conditions = query.conditions()
        self._wanted = query.wanted()
        self._hits = hits
        self._order = fulltext.Order(connection)
        lacking = unindexed.stretch(connection) if self._wanted != Wanted() else None
        is_ours = lacking is not None and lacking.has_some_of(query.since, query.until)
        self.lacking = lacking if is_ours else None

    def pieces(self, older: Position | None = None) -> Iterator[tuple[Sequence[RowMapping], bool]]:
        """(rows of posts, whether all are hits), a piece at a time; else they must be checked."""
        if not self._wanted.clauses or self._lacks(older):
            for rows in self._along_time(older):
                yield rows, self.finds_hits
            return
        if self._are_most:
            looked_at = 0
            for rows in self._along_time(older, asked=True):
                proposed = [row for row in rows if row["is_proposed"]]
                yield proposed, self.finds_hits
                older = rows[-1]["occurred_at"], rows[-1]["id"]
                looked_at += len(rows)
                if looked_at >= MOST_ALONG:
                    break
            else:
                return
        is_few = self._are_few
        ways = self._of_index(older, self._days_between()) if is_few else self._by_days(older)
        for rows in ways:
            yield rows, self.finds_hits

    @cached_property
    def finds_hits(self) -> bool:
        """Whether each candidate is a hit, without a further look."""
        is_exact = self._query.is_exact and self.lacking is None
        if not is_exact:
            return False
        self._order.keep(False)
        return not fulltext.are_there(self._connection, TOO_MANY)

    @cached_property
    def _columns(self) -> tuple[ColumnElement[Any], ...]:
        """What is read of a candidate: less, where it need not be checked."""
        return DESCRIBED_BY if self.finds_hits else LOOKED_AT

    def _lacks(self, older: Position | None) -> bool:
        """Whether the index lacks posts of the time that is left to look at."""
        until = older[0] + 1 if older is not None else self._query.until
        return self.lacking is not None and self.lacking.has_some_of(self._query.since, until)

    @cached_property
    def _counted(self) -> Wanted:
        """What the index is asked for where candidates are counted."""
        return self._wanted if self.lacking is None else Wanted()

    def count(self, limit: int) -> int:
        """Candidates: exact if they are few, or if they are hits and not more than `limit`."""
        if self._estimate.is_sure and (self._estimate.about > 2 * limit or not self.finds_hits):
            return self._estimate.about
        if self.finds_hits:
            found = self._number_of(self._candidates().limit(limit + 1))
            if found <= limit:
                return found
        if self._estimate.is_sure:
            return max(self._estimate.about, limit + 1)
        return self._number_of(self._candidates())

    @cached_property
    def _estimate(self) -> Estimate:
        return self._remembered("estimate", lambda: Estimate(self.run, self._query, self._counted))

    def _remembered(self, what: str, ask: Callable[[], T]) -> T:
        """What was found out for the same question a moment ago, or now."""
        url = str(self._connection.engine.url)
        return lately.remembered((url, self._query.question, self.lacking is None, what), ask)

    def _candidates(self) -> "Select[Any]":
        found = select(posts.c.id).where(*self._conditions)
        if self._counted.clauses:
            asked = self._asked(self._days_between()).subquery()
            return found.join(asked, asked.c.post_id == posts.c.id)
        found = self._of_its_keyword(found)
        if self._query.keyword_id is not None:  # the order tells SQLite which index to go along
            found = found.order_by(matches.c.occurred_at.desc(), matches.c.post_id.desc())
        return found

    def _of_its_keyword(self, statement: "Select[Any]") -> "Select[Any]":
        """Along the keyword's own index."""
        if self._query.keyword_id is None:
            return statement
        mine = matches.c.keyword_id == self._query.keyword_id
        # The index has the moments: what is outside of them is not looked up.
        times = self._query.times(matches.c.occurred_at)
        return statement.join(matches, matches.c.post_id == posts.c.id).where(mine, *times)

    def run(
        self,
        statement: "Select[Any]",
        values: Mapping[str, int] = NO_VALUES,
        *,
        in_order: bool = False,
    ) -> Sequence[RowMapping]:
        """in_order: it goes along an index, as far as its limit."""
        if time.monotonic() > self._deadline:
            raise fulltext.TookTooLong("The search took too long.")
        self._order.keep(in_order)
        return self._connection.execute(statement, values).mappings().all()

    def _number_of(self, statement: "Select[Any]", *, in_order: bool = False) -> int:
        count = func.count().label("count")
        counted = select(count).select_from(statement.subquery())
        return int(self.run(counted, in_order=in_order)[0]["count"])

    def _asked(self, days: Sequence[str]) -> "Select[tuple[int]]":
        return fulltext.matching(self._connection.dialect.name, self._wanted, days)

    @cached_property
    def _are_few(self) -> bool:
        # SQLite stops counting at FEW, servers look up everything first.
        is_slow = self._connection.dialect.name != "sqlite"
        if is_slow and self._estimate.is_sure and self._estimate.about > 4 * FEW:
            return False
        some = self._asked(self._days_between()).limit(FEW + 1)
        return self._remembered("few", lambda: self._number_of(some) <= FEW)

    @cached_property
    def _are_most(self) -> bool:
        """Whether most of the newest posts are candidates."""
        return self._remembered("most", self._look_at_newest)

    def _look_at_newest(self) -> bool:
        at, until = posts.c.occurred_at, self._query.until
        newest = select(posts.c.id).where(*([at < until] if until else []))
        newest = newest.order_by(at.desc(), posts.c.id.desc()).limit(LOOKED_AT_FIRST)
        some = newest.subquery()
        proposed = (
            select(posts.c.id)
            .join(some, posts.c.id == some.c.id)
            .join(search_texts, search_texts.c.post_id == some.c.id)
            .where(*self._conditions, fulltext.proposed(self._wanted))
        )
        return self._number_of(proposed, in_order=True) > LOOKED_AT_FIRST / 2

    def _days_between(self) -> list[str]:
        """The days of since and until, if they are few enough to be asked for."""
        since, until = self._query.since, self._query.until or time.time_ns() // 1000 + DAY_US
        days = range(since // DAY_US, until // DAY_US + 1)
        return [day(number * DAY_US) for number in days] if since and len(days) <= DAYS else []

    # The ways.

    def _of_index(
        self, older: Position | None, days: Sequence[str]
    ) -> Iterator[Sequence[RowMapping]]:
        """All that the index knows (of these days), sorted."""
        if self.finds_hits:  # of these little is read, and as a rule no more than that
            rows = self.run(self._sorted(DESCRIBED_BY, older, days).limit(self._hits))
            yield rows
            if len(rows) < self._hits:
                return
            older = rows[-1]["occurred_at"], rows[-1]["id"]
        while True:
            key = posts.c.occurred_at, posts.c.id
            found_ids = self.run(self._sorted(key, older, days).limit(IDS))
            for start in range(0, len(found_ids), PIECE):
                yield self._rows([row["id"] for row in found_ids[start : start + PIECE]])
            if len(found_ids) < IDS:
                return
            older = found_ids[-1]["occurred_at"], found_ids[-1]["id"]

    def _sorted(
        self, columns: Sequence[ColumnElement[Any]], older: Position | None, days: Sequence[str]
    ) -> "Select[Any]":
        found = self._asked(days).cte("found")
        # "+ 0": the order is made from what was found, never found by going along the order.
        at = posts.c.occurred_at + 0
        return (
            select(*columns)
            .select_from(found.join(posts, posts.c.id == found.c.post_id))
            .where(*self._conditions, *_older(older))
            .order_by(at.desc(), posts.c.id.desc())
        )

    def _rows(self, ids: Sequence[int]) -> Sequence[RowMapping]:
        these = one_of(self._connection, posts.c.id, ids)
        rows = self.run(select(*self._columns).where(these))
        by_id = {row["id"]: row for row in rows}
        return [by_id[post_id] for post_id in ids]

    def _by_days(self, older: Position | None) -> Iterator[Sequence[RowMapping]]:
        # Each by itself: asked for both at once SQLite reads the whole index.
        ends = (select(end(posts.c.occurred_at)).scalar_subquery() for end in (func.min, func.max))
        found = self.run(
            select(*(end.label(name) for end, name in zip(ends, ("first", "last"), strict=True)))
        )[0]
        if found["first"] is None:
            return
        first, last = int(found["first"]), int(found["last"])
        oldest = max(first, self._query.since) // DAY_US
        newest = min(last, self._query.until or last, older[0] if older else last) // DAY_US
        span = self._days_at_first()
        while newest >= oldest:
            numbers = range(max(newest - span + 1, oldest), newest + 1)
            count = 0
            for rows in self._of_index(older, [day(number * DAY_US) for number in numbers]):
                count += len(rows)
                yield rows
            newest -= span
            if count < IDS and span < DAYS:
                span *= 2

    def _days_at_first(self) -> int:
        """As many as have A_PIECE of candidates, most likely."""
        if not self._estimate.is_sure:
            return 1
        a_day = self._estimate.about / self._estimate.days
        return max(1, min(round(A_PIECE / a_day), DAYS))

    def _along_time(
        self, older: Position | None, *, asked: bool = False
    ) -> Iterator[Sequence[RowMapping]]:
        """All posts; asked: each with what its words say, `is_proposed`."""
        most = PIECE
        while True:
            statement = self._next_along_time(older, asked).limit(most)
            rows = self.run(statement, in_order=True)
            if rows:
                yield rows
            if len(rows) < most:
                return
            older = rows[-1]["occurred_at"], rows[-1]["id"]
            most = min(2 * most, 4 * PIECE)

    def _next_along_time(self, older: Position | None, asked: bool) -> "Select[Any]":
        statement = select(*self._columns).where(*self._conditions)
        if asked:
            is_proposed = fulltext.proposed(self._wanted).label("is_proposed")
            its_words = search_texts.c.post_id == posts.c.id
            statement = statement.add_columns(is_proposed).join(search_texts, its_words)
        statement = self._of_its_keyword(statement)
        at, post_id = posts.c.occurred_at, posts.c.id
        if self._query.keyword_id is not None:
            at, post_id = matches.c.occurred_at, matches.c.post_id
        statement = statement.where(*_older(older, at, post_id))
        return statement.order_by(at.desc(), post_id.desc())


def _older(
    older: Position | None,
    at: ColumnElement[int] = posts.c.occurred_at,
    post_id: ColumnElement[int] = posts.c.id,
) -> list[ColumnElement[bool]]:
    if older is None:
        return []
    # The first says nothing new, but lets an index begin there.
    return [at <= older[0], (at < older[0]) | ((at == older[0]) & (post_id < older[1]))]
