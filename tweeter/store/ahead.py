"""Leases that the database's clock gave while it was ahead.

Set right, it would leave them to a dead owner of another host for as long as it was wrong. They
are shortened, not ended: an owner that lives renews its own within a few seconds.
"""

from sqlalchemy import Engine, select, update

from tweeter.store import name_jobs
from tweeter.store.engine import db_now, reading, repeated, writing
from tweeter.store.installation import LEAD_S
from tweeter.store.leases import LEASE_S
from tweeter.store.schema import jobs, leaders, streams

_LONGEST_S = ((streams, LEASE_S), (jobs, name_jobs.LEASE_S), (leaders, LEAD_S))


@repeated
def shorten(engine: Engine) -> int:
    """Let no lease last longer than one that is given now; returns how many did."""
    count = 0
    with reading(engine) as connection:  # it is asked every few seconds: take no lock in vain
        now = db_now(connection)
        latest = {table: now + int(longest_s * 1e6) for table, longest_s in _LONGEST_S}
        found = [
            table
            for table, most in latest.items()
            if connection.execute(
                select(table.c.lease_until).where(table.c.lease_until > most).limit(1)
            ).first()
        ]
    for table in found:
        with writing(engine) as connection:
            shortened = update(table).where(table.c.lease_until > latest[table])
            count += connection.execute(shortened.values(lease_until=latest[table])).rowcount
    return count
