"""Match rows (post, keyword, keyword version) and the exact counter of each keyword."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from tweeter.records import Match
from tweeter.store.engine import insert_new
from tweeter.store.schema import keywords, matches


def add(connection: Connection, found: Sequence[tuple[int, int, tuple[Match, ...]]]) -> int:
    """Insert match rows for (posts.id, occurred_at, matches); counts those really new."""
    rows = [
        {
            "keyword_id": match.keyword_id,
            "post_id": post_id,
            "keyword_version": match.keyword_version,
            "occurred_at": occurred_at,
        }
        for post_id, occurred_at, post_matches in found
        for match in post_matches
    ]
    new = insert_new(connection, matches, rows, unique=("keyword_id", "post_id"))
    per_keyword: dict[int, int] = {}
    for keyword_id, _ in new:
        per_keyword[keyword_id] = per_keyword.get(keyword_id, 0) + 1
    count(connection, per_keyword)
    return len(new)


def count(connection: Connection, change: dict[int, int]) -> None:
    """Add to the keywords' exact counters, by keyword id."""
    for keyword_id in sorted(change):
        connection.execute(
            update(keywords)
            .where(keywords.c.id == keyword_id)
            .values(posts=keywords.c.posts + change[keyword_id])
        )


def follow(
    connection: Connection, post_id: int, occurred_at: int, found: tuple[Match, ...]
) -> None:
    """Make the match rows of a post equal to `found`, with the counters of the keywords."""
    wanted = {match.keyword_id for match in found}
    present = connection.execute(
        select(matches.c.keyword_id).where(matches.c.post_id == post_id)
    ).scalars()
    for keyword_id in sorted(set(present) - wanted):
        connection.execute(
            delete(matches).where(matches.c.keyword_id == keyword_id, matches.c.post_id == post_id)
        )
        count(connection, {keyword_id: -1})
    add(connection, [(post_id, occurred_at, found)])


def drop(connection: Connection, keyword_id: int, post_ids: Sequence[int]) -> None:
    """Delete a keyword's match rows for these posts, and count them off."""
    if not post_ids:
        return
    gone = connection.execute(
        delete(matches).where(
            matches.c.keyword_id == keyword_id, matches.c.post_id.in_(list(post_ids))
        )
    ).rowcount
    count(connection, {keyword_id: -gone})
