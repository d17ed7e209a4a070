"""What was read at a network that charges for it, by UTC day; and who is over a budget.

Each post that X delivers is one read, whether it matches here or not: keyword 0 counts them
all. A keyword's own count are the reads that it matched. X itself counts a post once a day;
counting each delivery is the careful side. Who asks for posts (look-ups, searches) reserves them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, Engine, func, select

from tweeter.moments import DAY_US
from tweeter.records import Keyword
from tweeter.store.engine import add_up, read_clock, reading, repeated, writing
from tweeter.store.schema import reads
from tweeter.texts import of_posts

EVERYTHING = 0


class Budget(msgspec.Struct, frozen=True):
    """Posts that may be read, of one keyword or of all together; 0: no limit."""

    day_posts: int = 0
    month_posts: int = 0


class Used(msgspec.Struct, frozen=True):
    """Posts read this UTC day and this UTC month."""

    day: int = 0
    month: int = 0


def add(connection: Connection, network: str, now: int, posts: Mapping[int, int]) -> None:
    """Count posts read, by keyword id, to today."""
    day = now // DAY_US
    # In one order everywhere: no deadlocks between writers.
    add_up(connection, reads, [(network, day, n, posts[n]) for n in sorted(posts)], keys=3)


def used(engine: Engine, network: str) -> dict[int, Used]:
    """Posts read by keyword id, EVERYTHING for all."""
    with reading(engine) as connection:
        now = read_clock(connection)
        return _used(connection, network, now)


def _used(connection: Connection, network: str, now: int) -> dict[int, Used]:
    today = now // DAY_US
    first = datetime.fromtimestamp(now / 1e6, UTC).replace(day=1, hour=0, minute=0, second=0)
    rows = connection.execute(
        select(reads.c.keyword_id, func.sum(reads.c.posts).label("month"))
        .where(reads.c.network == network, reads.c.day >= first.timestamp() // 86_400)
        .group_by(reads.c.keyword_id)
    ).all()
    days = connection.execute(
        select(reads.c.keyword_id, reads.c.posts).where(
            reads.c.network == network, reads.c.day == today
        )
    )
    by_day = {row.keyword_id: int(row.posts) for row in days}
    return {r.keyword_id: Used(by_day.get(r.keyword_id, 0), int(r.month)) for r in rows}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How many posts may be read now; words and again_at say why not more, and from when on."""

    posts: int
    words: str = ""
    again_at: int = 0
    day: int = 0  # to which it was counted


@repeated
def reserve(
    engine: Engine, network: str, wanted: int, budgets: Mapping[int, Budget], *, least: int = 1
) -> Grant:
    """Take up to `wanted` posts out of the budgets (by keyword id) before they are asked for.

    What is granted is counted at once, to EVERYTHING: a process killed after it has counted too
    much, never too little. Fewer than `least` are not granted.
    """
    with writing(engine) as connection:
        now = read_clock(connection)
        add(connection, network, now, {EVERYTHING: 0})  # makes the day's row, and holds it
        grant = _grant(_used(connection, network, now), wanted, budgets, now)
        if grant.posts < least:
            return msgspec.structs.replace(grant, posts=0)
        add(connection, network, now, {EVERYTHING: grant.posts})
        return msgspec.structs.replace(grant, day=now // DAY_US)


@repeated
def give_back(engine: Engine, network: str, grant: Grant, posts: int) -> None:
    """Take posts off again that were granted and not delivered."""
    if posts:
        with writing(engine) as connection:
            add(connection, network, grant.day * DAY_US, {EVERYTHING: -posts})


def left(engine: Engine, network: str, budgets: Mapping[int, Budget]) -> int | None:
    """How many posts may still be read now; None: no limit."""
    with reading(engine) as connection:
        now = read_clock(connection)
        posts = _grant(_used(connection, network, now), _NO_LIMIT, budgets, now).posts
        return None if posts == _NO_LIMIT else posts


_NO_LIMIT = 1 << 62


def _grant(done: Mapping[int, Used], wanted: int, budgets: Mapping[int, Budget], now: int) -> Grant:
    grant = Grant(posts=wanted)
    for keyword_id, budget in budgets.items():
        so_far = done.get(keyword_id, Used())
        whose = "All keywords together" if keyword_id == EVERYTHING else "This keyword"
        for most, used_up, month in (
            (budget.day_posts, so_far.day, False),
            (budget.month_posts, so_far.month, True),
        ):
            posts = max(most - used_up, 0)
            if most and posts < grant.posts:
                span = "month" if month else "day"
                words = f"{whose}: the budget of {of_posts(most)} a {span} is used up"
                grant = Grant(posts=posts, words=words, again_at=_next(now, month=month))
    return grant


def _next(now: int, *, month: bool) -> int:
    """A second after the next UTC midnight, or after that of the first of the next month."""
    midnight = (now // DAY_US + 1) * DAY_US
    if month:
        today = datetime.fromtimestamp(now / 1e6, UTC)
        year, number = divmod(today.year * 12 + today.month, 12)
        midnight = int(datetime(year, number + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return midnight + 1_000_000


def held(found: Mapping[int, Used], keywords: Sequence[Keyword], total: Budget) -> dict[int, str]:
    """Why X is not asked for a keyword now, a sentence by id; only those over a budget."""
    everything = found.get(EVERYTHING, Used())
    words = _over(everything, total.day_posts, total.month_posts)
    if words:
        return {keyword.id: f"All keywords together: {words}" for keyword in keywords}
    over = {
        k.id: _over(found.get(k.id, Used()), k.day_budget, k.month_budget)
        for k in keywords
        if k.day_budget or k.month_budget
    }
    return {keyword_id: f"This keyword: {words}" for keyword_id, words in over.items() if words}


def _over(done: Used, day: int, month: int) -> str:
    if month and done.month >= month:
        return f"the budget of {of_posts(month)} a month is used up; it goes on next month (UTC)."
    if day and done.day >= day:
        return f"the budget of {of_posts(day)} a day is used up; it goes on at midnight UTC."
    return ""
