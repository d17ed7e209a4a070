"""Re-checks: stored posts looked up again at their network, for removals that nobody announced.

A job of kind "recheck" on a stream goes down through posts.id. It looks at what was stored and
not looked at before it was made (options: before_us), `total` posts then. `past` hands it out.
"""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select

from tweeter.choices import FOLLOWED
from tweeter.errors import TweeterError
from tweeter.moments import DAY_US
from tweeter.store import deletions, past
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.past import Past
from tweeter.store.schema import jobs, post_aliases, posts, streams

APART_US = 600 * 1_000_000  # a stream that breaks again and again is not checked all the time
AFTER_FAILURE_US = 3600 * 1_000_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A stored post to look up. name is what the network calls it: X id, at-uri, server's id."""

    id: int
    key: str
    name: str
    author_id: str
    text: str
    version: str
    hidden: bool


@repeated
def ask(engine: Engine, stream_id: int) -> int:
    """Look up a stream's stored posts now; returns the job's id, of one that waits if there is.

    Raises TweeterError if its network cannot be asked.
    """
    with writing(engine) as connection:
        now = read_clock(connection)
        mine = select(streams).where(streams.c.id == stream_id)
        row = connection.execute(mine.with_for_update()).first()  # two clicks: one job
        if row is None or row.network not in FOLLOWED:
            raise TweeterError("There is no such source whose posts can be looked up again.")
        waiting = connection.execute(
            select(jobs.c.id).where(*_of(stream_id), jobs.c.state == "waiting")
        ).scalar()
        return _start(connection, row, now) if waiting is None else int(waiting)


@repeated
def start_due(engine: Engine, *, x_days: int, networks: Collection[str]) -> int:
    """Start what is due: after a gap, or at X every x_days (0: never); returns how many.

    networks are those that can be looked up with these settings.
    """
    asked = tuple(name for name in networks if name != "x" or x_days)
    unknown = [one for one in deletions.unknown(engine, asked) if not one.checking] if asked else []
    if not unknown:
        return 0
    started = 0
    with writing(engine) as connection:
        now = read_clock(connection)
        ids = [one.stream_id for one in unknown]
        mine = select(streams).where(streams.c.id.in_(ids), streams.c.wanted).order_by(streams.c.id)
        rows = connection.execute(mine.with_for_update())
        for row in rows.all():
            apart = x_days * DAY_US if row.network == "x" else APART_US
            if _may_start(connection, row, now, apart):
                _start(connection, row, now)
                started += 1
    return started


def _of(stream_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return jobs.c.kind == "recheck", jobs.c.subject == stream_id


def _may_start(connection: Connection, stream: Any, now: int, apart_us: int) -> bool:
    """True if none waits, and the last one is long enough ago."""
    last = connection.execute(
        select(jobs).where(*_of(stream.id)).order_by(jobs.c.id.desc()).limit(1)
    ).first()
    if last is None:  # at X the first is due when the oldest post is as old as that
        return stream.network != "x" or now - (deletions.first_of_x(connection) or now) >= apart_us
    if last.state == "failed":
        return now - int(last.ended_at) >= AFTER_FAILURE_US
    return bool(last.state == "done" and now - last.created_at >= apart_us)


def _start(connection: Connection, stream: Any, now: int) -> int:
    total = _selected(stream.network, stream.name, before_us=now).with_only_columns(func.count())
    options = {"since_us": now, "began_us": now, "until_us": now}  # no stretch of time
    options["total"] = int(connection.execute(total.order_by(None)).scalar_one())
    return past.start(connection, "recheck", stream.id, options, now)


def _selected(network: str, stream: str, *, before_us: int) -> Select[Any]:
    """The posts that a check of the stream looks at, the newest id first."""
    names = ("id", "key", "post_id", "author_id", "text", "version", "hidden")
    statement = select(*(posts.c[name] for name in names)).where(
        posts.c.network == network,
        posts.c.removed_at.is_(None),
        posts.c.received_at < before_us,
        posts.c.checked_at < before_us,
    )
    if network == "bluesky":  # a longer name was hashed and cannot be asked for
        statement = statement.where(posts.c.key.startswith("at://"))
    else:  # there no account comes back; at X asking costs
        statement = statement.where(posts.c.hidden == "")
    if network == "mastodon":
        named = (post_aliases.c.network == network) & (post_aliases.c.key == posts.c.key)
        here = post_aliases.c.alias.startswith(f"{_host(stream)}:", autoescape=True)
        statement = statement.join(post_aliases, named & here).add_columns(post_aliases.c.alias)
    return statement.order_by(posts.c.id.desc())


def _host(stream: str) -> str:
    return stream.partition(":")[2]


def page(engine: Engine, job: Past, position: int, *, limit: int) -> list[Asked]:
    """The next posts to look up, those below `position` (0: from the top)."""
    statement = _selected(job.network, job.stream, before_us=job.until_us).limit(limit)
    if position:
        statement = statement.where(posts.c.id < position)
    with reading(engine) as connection:
        return [
            Asked(
                id=row.id,
                key=row.key,
                name=_name(row, job),
                author_id=row.author_id,
                text=row.text,
                version=row.version,
                hidden=bool(row.hidden),
            )
            for row in connection.execute(statement)
        ]


def _name(row: Any, job: Past) -> str:
    if job.network == "mastodon":
        return str(row.alias).removeprefix(f"{_host(job.stream)}:")
    return str(row.post_id if job.network == "x" else row.key)


def finish(engine: Engine, job: Past, removed: int) -> None:
    """All were looked up."""
    with reading(engine) as connection:
        row = connection.execute(select(jobs.c.done).where(jobs.c.id == job.lease.job_id)).first()
    done = row.done if row else 0
    gone = "1 was" if removed == 1 else f"{removed:,} were"
    past.finish(engine, job, f"Done: {past.so_many(done, 'post')} looked up, {gone} gone.")


def removed_since(engine: Engine, job: Past, reasons: Collection[str]) -> int:
    """How many posts of the job's network were removed for one of the reasons since it began."""
    mine = posts.c.network == job.network, posts.c.removed_reason.in_(list(reasons))
    statement = select(func.count()).where(*mine, posts.c.removed_at >= job.until_us)
    with reading(engine) as connection:
        return int(connection.execute(statement).scalar_one())
