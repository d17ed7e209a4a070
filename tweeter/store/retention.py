"""Retention: matches older than their keyword's days go, and posts older than their network's.

A post goes with its last match. Each step is one short transaction that keeps the counters exact
and tells the live feed; doing it in several processes at once is harmless. What a post is judged
by is its occurred_at, as all statistics are.
"""

import time
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, Engine, func, select, update

from tweeter.moments import DAY_US
from tweeter.store import feed, jobs, rollups
from tweeter.store.engine import insert_new, read_clock, reading, repeated, writing
from tweeter.store.keywords import KeywordRow
from tweeter.store.schema import DELETED, DELETED_OF, keywords, matches, positions, posts

STEP_POSTS = 500  # a transaction's length: a few hundredths of a second
RUN_S = 3.0

Days = Mapping[str, int]  # network -> days that its posts are kept; 0 or absent: for ever


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What goes of a keyword's posts on a network: days that they are kept, whose rule that is.

    next_at: when its oldest post goes, us (0: it has none); within_a_day: posts that go by then.
    """

    network: str
    days: int
    whose: str  # keyword, network
    next_at: int
    within_a_day: int


def run(engine: Engine, days: Days, *, run_s: float = RUN_S) -> tuple[int, bool]:
    """Delete what is too old, for at most run_s; returns matches and posts gone, and whether all.

    Raises SQLAlchemy's errors; what was done before one stays done.
    """
    deadline, done = time.monotonic() + run_s, 0
    for network, keep in sorted(days.items()):
        while keep:
            gone = _step_of_network(engine, network, keep)
            done += gone
            if not gone:
                break
            if time.monotonic() > deadline:
                return done, False
    for keyword_id, keep in _with_days(engine):
        while True:
            gone = _step_of_keyword(engine, keyword_id, keep)
            done += gone
            if not gone:
                break
            if time.monotonic() > deadline:
                return done, False
    return done, True


def _with_days(engine: Engine) -> list[tuple[int, int]]:
    with reading(engine) as connection:
        rows = connection.execute(
            select(keywords.c.id, keywords.c.keep_days)
            .where(keywords.c.keep_days > 0, keywords.c.posts > 0)
            .order_by(keywords.c.id)
        )
        return [(row.id, row.keep_days) for row in rows]


@repeated
def _step_of_network(engine: Engine, network: str, days: int) -> int:
    """The oldest posts of a network that are too old, whatever matches them."""
    with writing(engine) as connection:
        now = read_clock(connection)
        old = (
            select(posts.c.id)
            .where(posts.c.network == network, posts.c.occurred_at < now - days * DAY_US)
            .order_by(posts.c.occurred_at)
            .limit(STEP_POSTS)
        )
        ids = rollups.hold(connection, connection.execute(old).scalars())
        if not ids:
            return 0
        gone = jobs.forget(connection, ids)
        _note(connection, f"{DELETED}{network}", now - days * DAY_US)
        feed.publish(connection, gone, now)
        return len(ids)


def _note(connection: Connection, name: str, until: int) -> None:
    """Statistics are to know that posts of before are not all that came."""
    mine = positions.c.name == name, positions.c.value < until
    if not connection.execute(update(positions).where(*mine).values(value=until)).rowcount:
        insert_new(connection, positions, [{"name": name, "value": until}], unique=("name",))


@repeated
def _step_of_keyword(engine: Engine, keyword_id: int, days: int) -> int:
    """A keyword's oldest matches that are too old, and the posts that no other keyword keeps."""
    with writing(engine) as connection:
        now = read_clock(connection)
        # The days again: a person may have changed them meanwhile.
        same = select(keywords.c.id).where(
            keywords.c.id == keyword_id, keywords.c.keep_days == days
        )
        if connection.execute(same).first() is None:
            return 0
        old = (
            select(matches.c.post_id)
            .where(matches.c.keyword_id == keyword_id, matches.c.occurred_at < now - days * DAY_US)
            .order_by(matches.c.occurred_at)
            .limit(STEP_POSTS)
        )
        ids = list(connection.execute(old).scalars())
        if not ids:
            return 0
        rollups.hold(connection, ids)
        gone = jobs.forget(connection, ids, keyword_id)
        _note(connection, f"{DELETED_OF}{keyword_id}", now - days * DAY_US)
        feed.publish(connection, gone, now)
        return len(ids)


def rules(engine: Engine, row: KeywordRow, days: Days) -> list[Rule]:
    """What will go of a keyword's posts, and when; a rule a network, [] if all stay for ever."""
    found = []
    for network in row.networks.split() or sorted(days):
        choices = [(row.keep_days, "keyword"), (days.get(network, 0), "network")]
        limits = [(keep, whose) for keep, whose in choices if keep]
        if limits:
            keep, whose = min(limits)
            next_at, soon = _soon(engine, row.id, network, keep)
            rule = Rule(network=network, days=keep, whose=whose, next_at=next_at, within_a_day=soon)
            found.append(rule)
    return found


def _soon(engine: Engine, keyword_id: int, network: str, days: int) -> tuple[int, int]:
    with reading(engine) as connection:
        now = read_clock(connection)
        mine = (
            select(matches.c.occurred_at)
            .join(posts, posts.c.id == matches.c.post_id)
            .where(matches.c.keyword_id == keyword_id, posts.c.network == network)
        )
        first = mine.order_by(matches.c.occurred_at).limit(1)
        oldest = connection.execute(first).scalar()
        soon = mine.where(matches.c.occurred_at < now - (days - 1) * DAY_US)
        count = connection.execute(soon.with_only_columns(func.count())).scalar_one()
        return (0 if oldest is None else int(oldest) + days * DAY_US), int(count)
