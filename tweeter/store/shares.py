"""How the streams lie over the slots that live: what a slot needs to know to take its share."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Engine, select

from tweeter.store.engine import read_clock, reading
from tweeter.store.leases import is_dead
from tweeter.store.schema import slots, streams, workers

BEATEN_S = 10.0  # a slot whose worker has not beaten for so long takes no share


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """free: ids that a slot could take, oldest first. total: wanted streams that it could follow.

    dead: some of the free ones are still under the lease of a process that is seen dead.
    held: streams of each living slot, by its owner text.
    """

    free: list[int]
    dead: bool = False
    total: int
    held: dict[str, int]


def look(engine: Engine, owner: str, can_follow: Callable[[str, Any], bool]) -> Shares:
    """The shares as a slot sees them; it counts as living itself.

    can_follow is asked of a stream's network and options.
    """
    with reading(engine) as connection:
        now = read_clock(connection)
        since = now - int(BEATEN_S * 1e6)
        living = connection.execute(
            select(slots.c.owner)
            .join(workers, workers.c.id == slots.c.worker_id)
            .where(workers.c.heartbeat_at > since)
        ).scalars()
        owners = {owner, *(name for name in living if not is_dead(name))}
        its = streams.c
        asked = select(its.id, its.network, its.options, its.owner, its.lease_until)
        rows = connection.execute(asked.where(its.wanted).order_by(its.id)).all()
    held = Counter(row.owner for row in rows if row.lease_until >= now)
    dead = {name for name in held if name and is_dead(name)}
    ours = [row for row in rows if can_follow(row.network, msgspec.json.decode(row.options))]
    return Shares(
        free=[row.id for row in ours if row.lease_until < now or row.owner in dead],
        dead=bool(dead),
        total=len(ours),
        held={name: held[name] for name in owners},
    )
