"""The demo data: everything of network "demo", and the keywords that came with it."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, select, update

from tweeter.store import feed, jobs, keywords, known, matches, rollups, streams
from tweeter.store.engine import db_now, reading, writing
from tweeter.store.schema import hidden_authors, posts, tombstones
from tweeter.store.schema import jobs as job_table
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

NAME = "demo"


def running(engine: Engine) -> bool:
    """True while demo data is there."""
    with reading(engine) as connection:
        return any(row["network"] == NAME for row in known.streams(connection))


def start(engine: Engine, expressions: Sequence[str], seed: int = 2016) -> list[int]:
    """Start the demo stream and its ready keywords; returns the keywords' ids.

    Doing it twice changes nothing; a keyword that exists already is used as it is.
    """
    ids = []
    for expression in expressions:
        try:
            ids.append(keywords.add(engine, expression, demo=True).id)
        except keywords.KeywordExists as twin:
            ids.append(twin.keyword_id)
    streams.ensure(engine, NAME, NAME, {"seed": seed})
    return ids


def remove(engine: Engine) -> int:
    """Remove the demo without trace: stream, posts, and its keywords; returns posts removed.

    A demo keyword that has found real posts meanwhile stays, as a keyword of the person's own.
    """
    removed = 0
    with writing(engine) as connection:
        found = connection.execute(select(stream_table.c.id).where(stream_table.c.network == NAME))
        for stream_id in found.scalars().all():
            streams.remove(connection, stream_id)
    while True:
        with writing(engine) as connection:
            ids = list(
                connection.execute(
                    select(posts.c.id).where(posts.c.network == NAME).limit(jobs.STEP_POSTS)
                ).scalars()
            )
            rollups.hold(connection, ids)
            with rollups.collecting(connection):
                matches.drop(connection, ids)
                changes = jobs.delete_unmatched(connection, ids)
            now = int(connection.execute(select(db_now(connection))).scalar_one())
            feed.publish(connection, changes, now)
            removed += len(ids)
            if not ids:
                _remove_keywords(connection)
                return removed


def _remove_keywords(connection: Connection) -> None:
    for table in (tombstones, hidden_authors):
        connection.execute(delete(table).where(table.c.network == NAME))
    ours = select(keyword_table.c.id, keyword_table.c.posts).where(keyword_table.c.demo)
    for row in connection.execute(ours).all():
        if row.posts == 0:
            connection.execute(
                delete(job_table).where(
                    job_table.c.subject == row.id, job_table.c.kind.in_(jobs.KINDS)
                )
            )
            keywords.forget(connection, row.id)
        else:
            connection.execute(
                update(keyword_table).where(keyword_table.c.id == row.id).values(demo=False)
            )
