"""What had come and was lost before it could be stored: the ledger no longer calls it covered."""

from sqlalchemy import Connection, Engine, RowMapping, select, update

from tweeter.records import now_us
from tweeter.store import ledger, past
from tweeter.store.engine import repeated, writing
from tweeter.store.fences import prove
from tweeter.store.leases import JobLease, Lease
from tweeter.store.ledger import LIVE, LOST
from tweeter.store.schema import intervals, streams

DAMAGED = "A part of the journal on the disk could not be read."
# Outcome, and in words.
GONE = ("lost", "The network cannot send it again.")
ASKED_FOR = ("repairing", "It is being asked for again.")
LEAST_US = 1_000_000  # a loss of which only the end is known


@repeated
def enter(engine: Engine, lease: Lease | JobLease, since: int, until: int) -> None:
    """Enter that what a stream received between two moments (us) is lost. Raises LeaseLost.

    It is asked for again where the past is free. Time that was live is so no longer; the state
    that is open now goes on at `until`. A gap that lies there says it, too.
    """
    with writing(engine) as connection:
        prove(connection, lease)
        until = min(until, now_us())
        since = min(since, until - LEAST_US)
        touched = connection.execute(
            select(intervals)
            .where(
                intervals.c.stream_id == lease.stream_id,
                intervals.c.started_at < until,
                intervals.c.ended_at.is_(None) | (intervals.c.ended_at > since),
            )
            .order_by(intervals.c.id)
        )
        rows = touched.mappings().all()
        its = select(streams.c.network).where(streams.c.id == lease.stream_id)
        is_free = connection.execute(its).scalar() in past.NETWORKS
        end = ASKED_FOR if is_free else GONE
        for row in rows:
            _lose(connection, row, max(since, row["started_at"]), until, end)


def _lose(
    connection: Connection, row: RowMapping, since: int, until: int, end: tuple[str, str]
) -> None:
    """Enter it for one interval, from `since` on: to its end, or to `until` while it is open."""
    is_open, is_live = row["ended_at"] is None, row["state"] == LIVE
    if not is_open and not is_live:
        if row["outcome"] == "lost":
            mine = update(intervals).where(intervals.c.id == row["id"])
            connection.execute(mine.values(repair=DAMAGED))
        return
    lost = ledger.split(connection, row, since)
    if is_open:
        ledger.split(connection, lost, until)
    values = {"state": LOST, "cause": DAMAGED, "kind": ""}
    if is_live:  # else it is concluded with the gap that it lies in
        values["outcome"], values["repair"] = end
    connection.execute(update(intervals).where(intervals.c.id == lost["id"]).values(values))
