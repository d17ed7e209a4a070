"""Which workers run and which slots they hold: rows that beat, for the reconciler and the page."""

from collections import Counter

import msgspec
from sqlalchemy import Engine, bindparam, delete, insert, select, update

from tweeter.store import known
from tweeter.store.engine import db_now, insert_new, read_clock, reading, repeated, writing
from tweeter.store.leases import is_dead
from tweeter.store.schema import slots, workers

ALIVE_S = 20.0  # a worker that has not beaten for so long counts as gone


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process that beats. slots is how many stream slots it holds now."""

    id: str
    name: str
    heartbeat_at: int
    started_at: int
    slots: int


@repeated
def beat(engine: Engine, worker_id: str, name: str) -> None:
    """Say that a worker's main process lives; forgets the dead ones."""
    with writing(engine) as connection:
        now = db_now(connection)
        changed = connection.execute(
            update(workers)
            .where(workers.c.id == worker_id)
            .values(heartbeat_at=now, name=name[:190])
        ).rowcount
        if not changed:
            connection.execute(
                insert(workers).values(
                    id=worker_id, name=name[:190], heartbeat_at=now, started_at=now
                )
            )
        rows = connection.execute(select(workers.c.id, workers.c.heartbeat_at, now.label("now")))
        for row in rows.all():
            silent_s = (row.now - row.heartbeat_at) / 1e6
            if row.id != worker_id and (is_dead(row.id) or silent_s > 10 * ALIVE_S):
                connection.execute(delete(slots).where(slots.c.worker_id == row.id))
                connection.execute(delete(workers).where(workers.c.id == row.id))


@repeated
def leave(engine: Engine, worker_id: str) -> None:
    """A worker ends in order."""
    with writing(engine) as connection:
        connection.execute(delete(slots).where(slots.c.worker_id == worker_id))
        connection.execute(delete(workers).where(workers.c.id == worker_id))


def alive(engine: Engine) -> list[Worker]:
    """The workers that beat, oldest first."""
    with reading(engine) as connection:
        beat_since = known.now(connection) - int(ALIVE_S * 1e6)
        rows = connection.execute(_beating, {"since": beat_since}).all()
    held = Counter(row.id for row in rows if row.owner is not None and not is_dead(row.owner))
    return [
        Worker(
            id=row.id,
            name=row.name,
            heartbeat_at=row.heartbeat_at,
            started_at=row.started_at,
            slots=held[row.id],
        )
        for row in {row.id: row for row in rows}.values()
        if not is_dead(row.id)
    ]


_beating = (  # each as often as it holds slots
    select(workers, slots.c.owner)
    .outerjoin(slots, slots.c.worker_id == workers.c.id)
    .where(workers.c.heartbeat_at > bindparam("since"))
    .order_by(workers.c.started_at, workers.c.id)
)


@repeated
def take_slot(engine: Engine, worker_id: str, count: int, owner: str) -> int | None:
    """Take one of a worker's `count` slots for a process; None if all are held by living ones."""
    with writing(engine) as connection:
        now = read_clock(connection)
        rows = connection.execute(select(slots).where(slots.c.worker_id == worker_id)).all()
        held = {row.number: row.owner for row in rows}
        for number in range(count):
            holder = held.get(number)
            if holder is not None:
                if not is_dead(holder):
                    continue
                which = slots.c.worker_id == worker_id, slots.c.number == number
                connection.execute(delete(slots).where(*which, slots.c.owner == holder))
            row = {"worker_id": worker_id, "number": number, "owner": owner}
            row |= {"heartbeat_at": now, "started_at": now}
            if insert_new(connection, slots, [row], unique=("worker_id", "number")):
                return number  # else another process was faster
    return None


@repeated
def leave_slot(engine: Engine, worker_id: str, number: int, owner: str) -> None:
    """Give a slot back."""
    with writing(engine) as connection:
        connection.execute(
            delete(slots).where(
                slots.c.worker_id == worker_id, slots.c.number == number, slots.c.owner == owner
            )
        )


def slot_owners(engine: Engine, worker_id: str) -> list[str]:
    """The processes that hold a worker's slots, as their rows say; some may be dead."""
    with reading(engine) as connection:
        held = select(slots.c.owner).where(slots.c.worker_id == worker_id)
        return list(connection.execute(held).scalars())
