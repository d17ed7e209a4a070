"""The demo data: everything of network "demo", and the keywords that came with it."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, delete, select, update

from tweeter.store import feed, jobs, keywords, known, rollups, streams
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.schema import hidden_authors, posts, tombstones
from tweeter.store.schema import jobs as job_table
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

NAME = "demo"


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What went with the demo, and the expressions by id of its keywords that stay."""

    posts: int
    kept: dict[int, str]


def running(engine: Engine) -> bool:
    """True while demo data is there."""
    with reading(engine) as connection:
        return any(row["network"] == NAME for row in known.streams(connection))


def start(engine: Engine, expressions: Sequence[str], seed: int = 2016) -> list[int]:
    """Start the demo stream and its ready keywords, of its network alone; returns their ids.

    Doing it twice changes nothing; a keyword that exists already is used as it is.
    """
    ids = []
    options = keywords.Options(networks=(NAME,))
    for expression in expressions:
        try:
            ids.append(keywords.add(engine, expression, options, demo=True).id)
        except keywords.KeywordExists as twin:
            ids.append(twin.keyword_id)
    streams.ensure(engine, NAME, NAME, {"seed": seed})
    return ids


def remove(engine: Engine) -> Removed:
    """Remove the demo without trace: stream, posts, and its keywords.

    A keyword that a person gave another expression or other networks stays, as the person's own;
    so does one of an earlier version, which followed all networks, if it found real posts.
    """
    removed = 0
    with writing(engine) as connection:
        found = connection.execute(select(stream_table.c.id).where(stream_table.c.network == NAME))
        for stream_id in found.scalars().all():
            streams.remove(connection, stream_id)
    while gone := _remove_posts(engine):
        removed += gone
    return Removed(posts=removed, kept=_remove_keywords(engine))


@repeated
def _remove_posts(engine: Engine) -> int:
    """Some of the posts, in a short transaction; pages that show them hear of it."""
    with writing(engine) as connection:
        some = select(posts.c.id).where(posts.c.network == NAME).limit(jobs.STEP_POSTS)
        ids = list(connection.execute(some).scalars())
        if not ids:
            return 0
        now = read_clock(connection)
        rollups.hold(connection, ids)
        feed.publish(connection, jobs.forget(connection, ids), now)
        return len(ids)


@repeated
def _remove_keywords(engine: Engine) -> dict[int, str]:
    with writing(engine) as connection:
        keywords.hold(connection)
        return _forget_keywords(connection)


def _forget_keywords(connection: Connection) -> dict[int, str]:
    for table in (tombstones, hidden_authors):
        connection.execute(delete(table).where(table.c.network == NAME))
    kept = {}
    ours = select(keyword_table).where(keyword_table.c.demo).order_by(keyword_table.c.id)
    for row in connection.execute(ours).all():
        if row.version == 1 and row.posts == 0:
            connection.execute(
                delete(job_table).where(
                    job_table.c.subject == row.id, job_table.c.kind.in_(jobs.KINDS)
                )
            )
            keywords.forget(connection, row.id)
            continue
        connection.execute(
            update(keyword_table).where(keyword_table.c.id == row.id).values(demo=False)
        )
        if row.state != "removed":
            kept[row.id] = row.expression
    return kept
