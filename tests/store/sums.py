"""A recount of the sums, written apart from the program's own."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from tweeter.store import cells
from tweeter.store.engine import reading
from tweeter.store.schema import facets, matches, posts, totals, volumes


def sums_are_a_recount(
    engine: Engine, only: Collection[int] = ()
) -> tuple[Counter[Any], Counter[Any]]:
    """Fail unless all tables are what the posts give now; returns volumes and facets.

    only: a sample of the keywords, where all would take too long.
    """
    every, pairs_of = select(posts), select(matches.c.keyword_id, matches.c.post_id)
    kept_rows, total_rows, named_rows = select(volumes), select(totals), select(facets)
    if only:
        pairs_of = pairs_of.where(matches.c.keyword_id.in_(only))
        theirs = select(matches.c.post_id).where(matches.c.keyword_id.in_(only))
        every = every.where(posts.c.id.in_(theirs))
        kept_rows = kept_rows.where(volumes.c.keyword_id.in_(only))
        total_rows = total_rows.where(totals.c.keyword_id.in_(only))
        named_rows = named_rows.where(facets.c.keyword_id.in_(only))
    with reading(engine) as connection:
        rows = {row["id"]: row for row in connection.execute(every).mappings()}
        pairs = connection.execute(pairs_of).all()
        kept = {tuple(row[:6]): tuple(row[6:]) for row in connection.execute(kept_rows)}
        together = {tuple(row[:4]): tuple(row[4:]) for row in connection.execute(total_rows)}
        named = {tuple(row[:5]): row.posts for row in connection.execute(named_rows)}
    seen: Counter[Any] = Counter()
    gone: Counter[Any] = Counter()
    all_seen: Counter[Any] = Counter()
    all_gone: Counter[Any] = Counter()
    found: Counter[Any] = Counter()
    of_all = [] if only else [(0, post_id) for post_id in rows]
    for keyword_id, post_id in [*pairs, *of_all]:
        row = rows[post_id]
        is_gone = row["removed_at"] is not None or row["hidden"] != ""
        lang = row["lang"].lower().replace("_", "-").split("-")[0]
        series = row["network"], row["kind"], {"iw": "he", "in": "id", "ji": "yi"}.get(lang, lang)
        at = datetime.fromtimestamp(row["occurred_at"] // 1_000_000, UTC)
        hour = at.replace(minute=0, second=0)
        for size, start in (
            (60, at.replace(second=0)),
            (3600, hour),
            (86400, hour.replace(hour=0)),
        ):
            key = keyword_id, size, int(start.timestamp()), *series
            (gone if is_gone else seen)[key] += 1
            if size == 60:
                start = at.replace(minute=at.minute // 5 * 5, second=0)
            of_network = keyword_id, max(size, 300), int(start.timestamp()), row["network"]
            (all_gone if is_gone else all_seen)[of_network] += 1
        if keyword_id and not is_gone:
            for facet, value in cells.facets(row):
                found[keyword_id, facet, int(hour.timestamp()), row["network"], value] += 1
    assert kept == {key: (seen[key], gone[key]) for key in seen | gone}
    assert together == {key: (all_seen[key], all_gone[key]) for key in all_seen | all_gone}
    assert named == found
    return seen, found
