"""Files that are read in parts: a stream that counts, and a job for each part.

Any worker takes any part. A part's batches move its position and add to the stream's counters
in the same transaction, so a worker that is killed leaves the same rows and counts behind.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, func, select, update

from tweeter.store import job_rows, streams
from tweeter.store.engine import db_now, read_clock, reading, writing
from tweeter.store.leases import LEASE_S, JobLease, is_held
from tweeter.store.schema import jobs
from tweeter.store.schema import streams as stream_rows

KIND = job_rows.IMPORT


class FilePart(msgspec.Struct, frozen=True, kw_only=True):
    """A part as a worker has it. position: see recordings; 0 is its beginning."""

    lease: JobLease
    path: Path
    start: int
    end: int
    position: int


def start(engine: Engine, path: Path, parts: Sequence[tuple[int, int]], now_us: int) -> int:
    """Make the stream of a file and its parts, or go on with what was begun; returns its id."""
    begun = streams.unfinished_replay(engine, f"replay:{path}:")
    if begun is not None and begun.wanted:
        return begun.id  # a slot reads it
    stream_id = begun.id if begun else _new(engine, path, now_us)
    with writing(engine) as connection:
        now = read_clock(connection)
        mine = stream_rows.c.id == stream_id
        connection.execute(select(stream_rows.c.id).where(mine).with_for_update())
        known = select(jobs.c.id).where(jobs.c.kind == KIND, jobs.c.subject == stream_id)
        if connection.execute(known).first() is not None:
            return stream_id
        for begin, end in parts:
            where = {"path": str(path), "start": begin, "end": end}
            part = msgspec.json.encode(where).decode()
            job_rows.add(connection, KIND, stream_id, now, options=part)
        connection.execute(update(stream_rows).where(mine).values(state="waiting"))
        return stream_id


def _new(engine: Engine, path: Path, now_us: int) -> int:
    name, options = f"replay:{path}:{now_us}", {"path": str(path), "speed": "max"}
    return streams.ensure(engine, name, "replay", options, off="Waiting for a worker.")


def idle(engine: Engine) -> list[int]:
    """Ids of streams with parts of which nobody alive reads one: somebody must be sent."""
    with reading(engine) as connection:
        now = read_clock(connection)
        rows = connection.execute(
            select(jobs.c.subject, jobs.c.owner, jobs.c.lease_until)
            .where(jobs.c.kind == KIND, jobs.c.state == "waiting")
            .order_by(jobs.c.id)
        ).all()
    busy = {row.subject for row in rows if is_held(row.owner, row.lease_until, now)}
    return [subject for subject in dict.fromkeys(r.subject for r in rows) if subject not in busy]


def not_begun(engine: Engine) -> list[int]:
    """Ids of streams of which no part was taken yet; a short question, asked often."""
    of = (stream_rows.c.network == "replay", stream_rows.c.state == "waiting")
    with reading(engine) as connection:
        rows = connection.execute(select(stream_rows.c.id).where(*of, ~stream_rows.c.wanted))
        return list(rows.scalars())


def others_wait(engine: Engine, stream_id: int) -> bool:
    """Whether another file, or a job over the past, waits: the same processes do both."""
    ours = (jobs.c.kind == KIND) & (jobs.c.subject == stream_id)
    with reading(engine) as connection:
        now = read_clock(connection)
        rows = connection.execute(
            select(jobs.c.owner, jobs.c.lease_until).where(
                jobs.c.kind.in_((KIND, *job_rows.PAST)),
                jobs.c.state == "waiting",
                jobs.c.retry_at <= now,
                ~ours,
            )
        )
        return any(not is_held(row.owner, row.lease_until, now) for row in rows)


def claim(engine: Engine, stream_id: int, owner: str) -> tuple[FilePart | None, bool]:
    """Take a part that nobody alive reads, and whether there are more of them.

    Parts of a file that is not on this machine are left to others.
    """
    with writing(engine) as connection:
        now = read_clock(connection)
        rows = connection.execute(
            select(jobs)
            .where(jobs.c.kind == KIND, jobs.c.subject == stream_id, jobs.c.state == "waiting")
            .order_by(jobs.c.id)
        ).all()
        free = [row for row in rows if not is_held(row.owner, row.lease_until, now)]
        for left, row in enumerate(free, 1):
            options = msgspec.json.decode(row.options)
            path = Path(options["path"])
            if not path.is_file():
                continue
            changed = connection.execute(
                update(jobs)
                .where(jobs.c.id == row.id, jobs.c.epoch == row.epoch, jobs.c.state == "waiting")
                .values(owner=owner, epoch=row.epoch + 1, lease_until=now + int(LEASE_S * 1e6))
            ).rowcount
            if changed != 1:
                continue
            words = f"Reading {path.name}."
            connection.execute(
                update(stream_rows)
                .where(stream_rows.c.id == stream_id, stream_rows.c.state == "waiting")
                .values(state="live", reason=words, since=now)
            )
            part = FilePart(
                lease=JobLease(stream_id, row.epoch + 1, row.id, counts=True),
                path=path,
                start=options["start"],
                end=options["end"],
                position=row.position,
            )
            return part, left < len(free)
    return None, False


def renew(engine: Engine, part: FilePart) -> None:
    """Keep a part while nothing of it is stored, such as while lines are skipped."""
    with writing(engine) as connection:
        until = db_now(connection) + int(LEASE_S * 1e6)
        connection.execute(update(jobs).where(*_held(part)).values(lease_until=until))


def release(engine: Engine, part: FilePart) -> None:
    """Give a part back, to be gone on with."""
    with writing(engine) as connection:
        connection.execute(update(jobs).where(*_held(part)).values(owner="", lease_until=0))


def end(engine: Engine, part: FilePart, failure: str = "") -> None:
    """A part is read, or cannot be; with the last of them the stream ends."""
    stream_id = part.lease.stream_id
    with writing(engine) as connection:
        now = read_clock(connection)
        # Two last parts may end at once: the stream's row lets one see the other.
        mine = stream_rows.c.id == stream_id
        connection.execute(select(stream_rows.c.id).where(mine).with_for_update())
        state = "failed" if failure else "done"
        ended = {"state": state, "words": failure, "owner": "", "lease_until": 0, "ended_at": now}
        if connection.execute(update(jobs).where(*_held(part)).values(ended)).rowcount != 1:
            return
        ours = (jobs.c.kind == KIND) & (jobs.c.subject == stream_id)
        of_state = select(jobs.c.state, func.count()).where(ours).group_by(jobs.c.state)
        states: dict[str, int] = {row[0]: row[1] for row in connection.execute(of_state)}
        total, waiting = sum(states.values()), states.get("waiting", 0)
        values: dict[str, object] = {}
        if waiting:
            name = part.path.name
            values["reason"] = f"Reading {name}: {total - waiting} of {total} parts are read."
        else:
            failed = select(jobs.c.words).where(ours, jobs.c.state == "failed").order_by(jobs.c.id)
            words = connection.execute(failed).scalars().first()
            state = "failed" if states.get("failed") else "done"
            values = {"state": state, "reason": words or "Read to its end.", "since": now}
        connection.execute(update(stream_rows).where(mine).values(values))


def _held(part: FilePart) -> tuple[Any, Any, Any]:
    lease = part.lease
    return jobs.c.id == lease.job_id, jobs.c.epoch == lease.epoch, jobs.c.state == "waiting"
