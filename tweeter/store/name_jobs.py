"""The one job that asks networks for names, now and then: a row of jobs that never ends.

A part claims it by raising its epoch; what it has done so far is in its options.
"""

import msgspec
from sqlalchemy import Connection, Engine, select, update

from tweeter.store import binding, job_rows, keywords
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.leases import is_held
from tweeter.store.schema import jobs, posts

KIND = "names"
LEASE_S = 60.0  # longer than a part takes
TOP = (1 << 63) - 1  # above every posts.id


class Progress(msgspec.Struct, kw_only=True):
    """How far the job is. seq: of the feed; sweep: posts.id, going down, 0 at the end."""

    seq: int = 0
    sweep: int = TOP
    swept_at: int = 0  # when a sweep ended
    failures: int = 0  # in a row


class NameJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job as a worker has it."""

    id: int
    epoch: int
    progress: Progress


def waiting(engine: Engine, *, asks_handles: bool) -> list[int]:
    """[id of the job] if it is due, nobody works on it and there is something to ask for."""
    with reading(engine) as connection:
        now = read_clock(connection)
        if not _has_work(connection, now, asks_handles):
            return []
        row = connection.execute(select(jobs).where(jobs.c.kind == KIND)).first()
    if row is None:
        return [_make(engine)]
    is_free = not is_held(row.owner, row.lease_until, now)
    return [row.id] if is_free and row.retry_at <= now else []


def _has_work(connection: Connection, now: int, asks_handles: bool) -> bool:
    if binding.is_any_due(connection, now):
        return True
    one = select(posts.c.id).where(posts.c.network == "bluesky").limit(1)
    return asks_handles and connection.execute(one).first() is not None


@repeated
def _make(engine: Engine) -> int:
    with writing(engine) as connection:
        keywords.hold(connection)  # whoever does is alone: two schedulers make one job
        found = connection.execute(select(jobs.c.id).where(jobs.c.kind == KIND)).scalar()
        if found is not None:
            return int(found)
        now = read_clock(connection)
        return job_rows.add(connection, KIND, 0, now)


@repeated
def claim(engine: Engine, job_id: int, owner: str) -> NameJob | None:
    """Take the job, or None if it is not due or somebody alive works on it."""
    with writing(engine) as connection:
        now = read_clock(connection)
        row = connection.execute(
            select(jobs).where(jobs.c.id == job_id, jobs.c.kind == KIND).with_for_update()
        ).first()
        if row is None or row.retry_at > now or is_held(row.owner, row.lease_until, now):
            return None
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(owner=owner, epoch=row.epoch + 1, lease_until=now + int(LEASE_S * 1e6))
        )
    progress = msgspec.json.decode(row.options, type=Progress) if row.options else Progress()
    return NameJob(id=row.id, epoch=row.epoch + 1, progress=progress)


@repeated
def leave(engine: Engine, job: NameJob, progress: Progress, words: str, retry_at: int) -> None:
    """End a part: how far it is, and the moment of the next; nothing if the job was taken over."""
    with writing(engine) as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.epoch == job.epoch)
            .values(
                owner="",
                lease_until=0,
                options=msgspec.json.encode(progress).decode(),
                words=words,
                retry_at=retry_at,
            )
        )
