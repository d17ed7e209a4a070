"""How many posts came so far, to judge what asking for more would bring."""

from sqlalchemy import Engine, func, select

from tweeter.moments import DAY_US, HOUR_US
from tweeter.store.engine import read_clock, reading
from tweeter.store.reads import EVERYTHING
from tweeter.store.schema import keywords, matches, posts, reads

DAYS = 7
LEAST_HOURS = 1.0  # of following, before a rate says anything


def kept(engine: Engine, network: str) -> int:
    """Stored posts of a network that are still there."""
    mine = posts.c.network == network, posts.c.removed_at.is_(None)
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).where(*mine)).scalar_one())


def x_posts_an_hour(engine: Engine, keyword_id: int | None) -> float | None:
    """Posts of X an hour in the last DAYS, of a keyword or all reads; None if it is too soon."""
    with reading(engine) as connection:
        now = read_clock(connection)
        since = now - DAYS * DAY_US
        if keyword_id is None:
            found = connection.execute(
                select(func.sum(reads.c.posts), func.min(reads.c.day)).where(
                    reads.c.network == "x",
                    reads.c.keyword_id == EVERYTHING,
                    reads.c.day > since // DAY_US,
                )
            ).one()
            count, began = found[0], (found[1] or 0) * DAY_US
        else:
            row = connection.execute(
                select(keywords.c.created_at).where(keywords.c.id == keyword_id)
            ).first()
            began = row.created_at if row else now
            count = connection.execute(
                select(func.count())
                .join_from(matches, posts, posts.c.id == matches.c.post_id)
                .where(
                    matches.c.keyword_id == keyword_id,
                    matches.c.occurred_at >= max(since, began),
                    posts.c.network == "x",
                )
            ).scalar_one()
    hours = (now - max(since, began)) / HOUR_US
    if not count or hours < LEAST_HOURS:
        return None
    return float(count) / hours
