"""About how many posts a search proposes, where counting them would take long.

From a sample of about POSTS posts at each of PLACES places, spread evenly over the posts that are
stored. What it costs grows neither with the number of posts nor with that of the hits.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
)

from tweeter.keywords.index_words import Wanted
from tweeter.store.cells import DAY, US
from tweeter.store.filters import Query
from tweeter.store.fulltext import proposed
from tweeter.store.schema import posts, search_texts, totals

PLACES, POSTS = 40, 100
FEW = 16  # of the sample: of fewer nothing is said; of so many it is right within a half, mostly

Run = Callable[["Select[Any]", Mapping[str, int]], Sequence[RowMapping]]  # with its values


class Estimate:
    """about: how many posts are proposed; is_sure: whether that was seen often enough.

    days: how many have posts. seen: posts of the sample that are proposed.
    """

    def __init__(self, run: Run, query: Query, wanted: Wanted) -> None:
        found = run(_days(query), {})
        days = [(int(row["start"]), int(row["posts"])) for row in found if row["posts"] > 0]
        total = sum(number for _, number in days)
        self.days, self.seen, self.about = len(days), 0, 0
        if total > 2 * PLACES * POSTS:
            values = _named(_places(days, total))
            (row,) = run(_sample(query, wanted), values)
            self.seen = int(row["seen"] or 0)
            self.about = round(total * self.seen / row["looked_at"]) if self.seen else 0
        self.is_sure = self.seen >= FEW


def _days(query: Query) -> "Select[Any]":
    """(its begin in s, its posts) of each day that is searched."""
    since, until = query.since // US, query.until // US
    return (
        select(totals.c.start, func.sum(totals.c.posts).label("posts"))
        .where(
            totals.c.keyword_id == 0,
            totals.c.seconds == DAY,
            totals.c.start >= since - since % DAY,
            *([totals.c.start < until] if until else []),
        )
        .group_by(totals.c.start)
        .order_by(totals.c.start)
    )


def _places(days: Sequence[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """Stretches of time in seconds, between which about as many posts are stored."""
    before = [0, *accumulate(number for _, number in days)]
    found = []
    for place in range(PLACES):
        number = (2 * place + 1) * total // (2 * PLACES)
        index = bisect_right(before, number) - 1
        start, of_day = days[index]
        at = start + (number - before[index]) * DAY // of_day
        found.append((at, at + max(POSTS * DAY // of_day, 1)))
    return found


def _named(places: Sequence[tuple[int, int]]) -> dict[str, int]:
    """The values of `_sample`: places as stretches of posts.id, in which the time is (`row_id`)."""
    found = {}
    for number, (at, until) in enumerate(places):
        found[f"at{number}"], found[f"until{number}"] = at * 1000 << 20, until * 1000 << 20
    return found


@cache  # to put it together takes longer than to look there
def _here(places: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """A row of posts, and one of search_texts, is at one of so many places."""

    def between(post_id: ColumnElement[int], number: int) -> ColumnElement[bool]:
        at, until = (bindparam(f"{name}{number}", type_=BigInteger) for name in ("at", "until"))
        return and_(post_id >= at, post_id < until)

    its_posts = (between(posts.c.id, number) for number in range(places))
    its_texts = (between(search_texts.c.post_id, number) for number in range(places))
    return or_(*its_posts), or_(*its_texts)


def _sample(query: Query, wanted: Wanted) -> "Select[Any]":
    """(posts of the places, those of them that are proposed and let through).

    Where no words are wanted none are looked at: it may be that the posts have none. Each table is
    read by itself, as its rows lie beside each other: to look up posts one by one takes longer. The
    limits keep PostgreSQL from making that of it.
    """
    posts_here, texts_here = _here(PLACES)
    most = 4 * PLACES * POSTS
    if wanted == Wanted():
        looked_at = select(posts.c.id.label("post_id"), literal(1).label("is_proposed"))
        texts = looked_at.where(posts_here)
    else:
        is_proposed = case((proposed(wanted), 1), else_=0).label("is_proposed")
        looked_at = select(search_texts.c.post_id, is_proposed)
        texts = looked_at.where(texts_here)
    # "+ 0": SQLite would read all of the time that is asked for, and not the places alone.
    let = select(posts.c.id).where(posts_here, *query.conditions(posts.c.occurred_at + 0))
    some, through = texts.limit(most).subquery(), let.limit(4 * most).subquery()
    is_seen = case((some.c.post_id.in_(select(through.c.id)), some.c.is_proposed), else_=0)
    counts: list[ColumnElement[Any]] = [
        func.count().label("looked_at"),
        func.sum(is_seen).label("seen"),
    ]
    return select(*counts).select_from(some)
