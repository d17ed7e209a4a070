"""Who may store a batch, proven in its transaction; and what moves on with it.

A stream's holder proves the stream's epoch and moves its cursor; a part of a job over the past
proves the job's epoch and moves its position. Whoever lost it writes nothing.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from tweeter.errors import LeaseLost
from tweeter.store.leases import LEASE_S, JobLease, Lease
from tweeter.store.schema import jobs, journals, streams

if TYPE_CHECKING:
    from tweeter.store.batches import Batch, Outcome


AHEAD_US = 60_000_000  # of our clock, a server's may be


def prove(connection: Connection, lease: Lease | JobLease) -> None:
    """Raise LeaseLost unless the lease still holds; holds the row until the transaction ends."""
    if isinstance(lease, JobLease):
        statement = select(jobs.c.epoch).where(jobs.c.id == lease.job_id, jobs.c.state == "waiting")
        name = f"Job {lease.job_id}"
    else:
        statement = select(streams.c.epoch).where(streams.c.id == lease.stream_id)
        name = f"Stream {lease.stream_id}"
    if connection.execute(statement.with_for_update()).scalar() != lease.epoch:
        raise LeaseLost(f"{name} belongs to another process now.")


def advance(
    connection: Connection,
    lease: Lease | JobLease,
    batch: "Batch",
    outcome: "Outcome",
    now: int,
) -> None:
    """Move the cursor and the counters, and renew the lease: all part of the same truth."""
    if isinstance(lease, JobLease):
        _advance_job(connection, lease, batch, outcome, now)
    else:
        _advance_stream(connection, lease, batch, outcome, now)


def _advance_job(
    connection: Connection, lease: JobLease, batch: "Batch", outcome: "Outcome", now: int
) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.id == lease.job_id)
        .values(
            position=int(batch.cursor) if batch.cursor else jobs.c.position,
            done=jobs.c.done + batch.counts["events"],
            stored=jobs.c.stored + outcome.stored,
            lease_until=now + int(LEASE_S * 1e6),
        )
    )
    if lease.counts:
        counts = _counts(batch, outcome).items()
        values: dict[str, Any] = {n: streams.c[n] + c for n, c in counts if c}
        values |= {"last_post_at": now} if outcome.stored else {}
        if values:
            mine = streams.c.id == lease.stream_id
            connection.execute(update(streams).where(mine).values(values))


def _counts(batch: "Batch", outcome: "Outcome") -> dict[str, int]:
    """What a batch adds to the counters of its stream."""
    counts = dict(batch.counts)
    for name in outcome.__struct_fields__:
        counts[name] = counts.get(name, 0) + getattr(outcome, name)
    counts["quarantined"] = len(batch.rejected)
    return counts


def _is_behind(cursor: str, before: str, now: int) -> bool:
    """True for a moment before the one that is stored: events come again after a reconnect.

    Else a line that breaks again and again would be read from further back each time. A stored
    moment in the future is a server's mistake, and does not count.
    """
    if not (cursor.isdigit() and before.isdigit()):
        return False
    return int(cursor) < int(before) <= now + AHEAD_US


def _advance_stream(
    connection: Connection, lease: Lease, batch: "Batch", outcome: "Outcome", now: int
) -> None:
    values: dict[str, Any] = {n: streams.c[n] + c for n, c in _counts(batch, outcome).items() if c}
    values |= {"heartbeat_at": now, "lease_until": now + int(LEASE_S * 1e6)}
    if batch.cursor:
        mine = select(streams.c.cursor).where(streams.c.id == lease.stream_id)
        before = str(connection.execute(mine).scalar_one())
        if _is_behind(batch.cursor, before, now):
            batch.cursor = ""
    if batch.cursor:
        values["cursor"] = batch.cursor
    if batch.covered_until:
        values["covered_until"] = batch.covered_until
    if outcome.stored:
        values["last_post_at"] = now
    connection.execute(update(streams).where(streams.c.id == lease.stream_id).values(values))
    if batch.journal:
        journal_id, position = batch.journal
        connection.execute(
            update(journals).where(journals.c.journal_id == journal_id).values(position=position)
        )
