"""Streams: what is wanted, who holds which, and what each says of itself.

A stream is taken by one UPDATE that raises its epoch. Whoever writes for it afterwards proves
the epoch in the same transaction (`batches.commit`); a process that lost it writes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, delete, func, select, update

from tweeter.errors import LeaseLost
from tweeter.store import job_rows, known, ledger
from tweeter.store.engine import db_now, insert_new, read_clock, reading, repeated, writing
from tweeter.store.leases import LEASE_S, Lease, is_dead
from tweeter.store.schema import COUNTS, intervals, jobs, journals, quarantine, streams

ENDED = ("done", "failed")
UNHELD_US = 60_000_000  # a host that starts again has its streams back before
BACK_US = 7 * 86_400_000_000  # a host that died is expected back for so long
NOT_RENEWED = (
    "Its lease was not renewed: the process that followed it stood still, or did not reach the"
    " database."
)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A row of streams. state is one word, reason whole sentences; moments in microseconds."""

    id: int
    name: str
    network: str
    options: dict[str, Any]
    wanted: bool
    owner: str
    lease_until: int
    epoch: int
    heartbeat_at: int
    cursor: str
    covered_until: int
    state: str
    reason: str
    since: int
    failures: int
    retry_at: int
    last_post_at: int
    created_at: int
    memory: dict[str, Any]  # what its source wants to know again
    counts: dict[str, int]
    let_go: str = ""  # of one just claimed: whose lease ran out though that one lives, perhaps

    @property
    def why_down(self) -> str:
        """Why nobody followed it before it was claimed."""
        if not self.covered_until:
            return "Not followed yet."
        return NOT_RENEWED if self.let_go else "The process that followed it ended."


def _stream(row: RowMapping) -> Stream:
    values = {k: v for k, v in row.items() if k not in COUNTS}
    values["options"] = msgspec.json.decode(row["options"])
    values["memory"] = msgspec.json.decode(row["memory"] or "{}")
    return Stream(counts={k: row[k] for k in COUNTS}, **values)


@repeated
def ensure(
    engine: Engine, name: str, network: str, options: Mapping[str, Any], *, off: str = ""
) -> int:
    """Make the stream or bring its options up to date; `off` says why it is not wanted.

    Returns its id. A stream that has ended (a file read to its end) is left as it is, and one
    that somebody follows is not switched off: another host may have what is missing here.
    """
    encoded = _encoded(options)
    with reading(engine) as connection:  # it is asked every few seconds: take no lock in vain
        row = _by_name(connection, name)
    if row is not None and _settled(row, encoded, off):
        return int(row["id"])
    with writing(engine) as connection:
        row = _by_name(connection, name)
        if row is None:
            return _create(connection, name, network, encoded, off)
        now = read_clock(connection)
        if _settled(row, encoded, off) or (off and row["lease_until"] >= now):
            return int(row["id"])
        values: dict[str, Any] = {"options": encoded, "wanted": not off}
        if off:
            values |= {"state": "off", "reason": off}
        elif not row["wanted"]:
            values |= {"state": "waiting", "reason": "Waiting for a worker.", "retry_at": 0}
            values["since"] = now
        connection.execute(update(streams).where(streams.c.id == row["id"]).values(values))
        return int(row["id"])


def is_ensured(engine: Engine, name: str, options: Mapping[str, Any], *, off: str = "") -> bool:
    """Whether `ensure` would change nothing."""
    with reading(engine) as connection:
        row = _by_name(connection, name)
        return row is not None and _settled(row, _encoded(options), off)


def _encoded(options: Mapping[str, Any]) -> str:
    return msgspec.json.encode(dict(options)).decode()


def is_followed(engine: Engine, network: str) -> bool:
    """True while somebody follows a stream of the network, here or on another host.

    Who died there, and did not give it back in order, counts for BACK_US: it is missed.
    """
    with reading(engine) as connection:
        now = db_now(connection)
        missed = (streams.c.owner != "") & (streams.c.heartbeat_at > now - BACK_US)
        held = (streams.c.network == network) & (missed | (streams.c.lease_until >= now))
        held &= streams.c.wanted
        return connection.execute(select(streams.c.id).where(held).limit(1)).first() is not None


@repeated
def withdraw(engine: Engine, name: str) -> None:
    """Delete a stream that only said why its network is off, as the settings name others now."""
    only_said = (streams.c.name == name) & (streams.c.state == "off")
    only_said &= (streams.c.epoch == 0) & (streams.c.last_post_at == 0)
    with reading(engine) as connection:  # every few seconds: take no lock in vain
        stream_id = connection.execute(select(streams.c.id).where(only_said)).scalar()
    if stream_id is not None:
        with writing(engine) as connection:
            remove(connection, stream_id)


@repeated
def switch_off(engine: Engine, network: str, named: Collection[str], reason: str) -> None:
    """Switch off a network's streams that are none of `named` and that nobody follows.

    Other hosts may name them: nobody's is what was given back in order, UNHELD_US ago, or was
    held by who died, BACK_US ago.
    """
    with reading(engine) as connection:  # every few seconds: take no lock in vain
        nobodys = (streams.c.network == network) & streams.c.wanted
        nobodys &= streams.c.name.not_in(list(named))
        now = db_now(connection)
        given_back = (streams.c.owner == "") & (streams.c.heartbeat_at < now - UNHELD_US)
        nobodys &= given_back | (streams.c.heartbeat_at < now - BACK_US)
        nobodys &= (streams.c.since < now - UNHELD_US) & (streams.c.lease_until < now)
        if connection.execute(select(streams.c.id).where(nobodys).limit(1)).first() is None:
            return
    with writing(engine) as connection:
        off = {"wanted": False, "state": "off", "reason": reason}
        connection.execute(update(streams).where(nobodys).values(off))


def _by_name(connection: Connection, name: str) -> RowMapping | None:
    found = connection.execute(select(streams).where(streams.c.name == name)).mappings()
    return found.first()


def _settled(row: RowMapping, options: str, off: str) -> bool:
    """True if the row says already what it should."""
    same = row["options"] == options and row["wanted"] != bool(off)
    return row["state"] in ENDED or (same and (not off or row["reason"] == off))


def _create(connection: Connection, name: str, network: str, options: str, off: str) -> int:
    now = read_clock(connection)
    values: dict[str, Any] = dict.fromkeys(COUNTS, 0)
    values |= {"name": name, "network": network, "options": options, "wanted": not off}
    values |= {"owner": "", "lease_until": 0, "epoch": 0, "heartbeat_at": 0, "cursor": ""}
    values |= {"covered_until": 0, "failures": 0, "retry_at": 0, "last_post_at": 0}
    values |= {"state": "off" if off else "waiting", "since": now, "created_at": now}
    values |= {"reason": off or "Waiting for a worker.", "memory": ""}
    insert_new(connection, streams, [values], unique=("name",))  # others may do it just now
    made = connection.execute(select(streams.c.id).where(streams.c.name == name))
    return int(made.scalar_one())


def list_all(engine: Engine) -> list[Stream]:
    """All streams, in the order they were made."""
    with reading(engine) as connection:
        return [_stream(row) for row in known.streams(connection)]


def get(engine: Engine, stream_id: int) -> Stream | None:
    """One stream, or None."""
    with reading(engine) as connection:
        row = connection.execute(select(streams).where(streams.c.id == stream_id)).mappings()
        found = row.first()
        return _stream(found) if found else None


@repeated
def claim(
    engine: Engine,
    owner: str,
    *,
    networks: Sequence[str],
    only: int | None = None,
    chosen: Sequence[int] | None = None,
    besides: Sequence[int] = (),
) -> list[tuple[Stream, Lease]]:
    """Take every stream of these networks that is wanted and free: nobody's lease on it holds.

    `only` restricts to one stream, `chosen` to some; those in `besides` are left alone. Each
    taken stream gets a new epoch and a lease of LEASE_S. One that waits (`retry_at`) is taken
    too: who has it waits for the rest of that time.
    """
    with reading(engine) as connection:
        now = db_now(connection)
        condition = [
            streams.c.wanted,
            streams.c.lease_until < now,
            streams.c.network.in_(list(networks)),
            streams.c.id.not_in(list(besides)),
        ]
        if only is not None:
            condition.append(streams.c.id == only)
        if chosen is not None:
            condition.append(streams.c.id.in_(list(chosen)))
        rows = connection.execute(select(streams.c.id, streams.c.owner).where(*condition))
        free = {row.id: "" if is_dead(row.owner) else row.owner for row in rows}
    taken: list[tuple[Stream, Lease]] = []
    if not free:
        return taken
    with writing(engine) as connection:
        for stream_id, owner_before in free.items():
            # The condition again: where transactions run side by side, only one may win.
            changed = connection.execute(
                update(streams)
                .where(streams.c.id == stream_id, *condition)
                .values(
                    owner=owner,
                    epoch=streams.c.epoch + 1,
                    lease_until=now + int(LEASE_S * 1e6),
                    heartbeat_at=now,
                )
            ).rowcount
            if changed == 1:
                found = connection.execute(select(streams).where(streams.c.id == stream_id))
                stream = _stream(found.mappings().one())
                stream = msgspec.structs.replace(stream, let_go=owner_before)
                taken.append((stream, Lease(stream.id, stream.epoch)))
        return taken


@repeated
def renew(engine: Engine, leases: Sequence[Lease], covered: Mapping[int, int]) -> set[int]:
    """Extend the leases; returns the ids of streams that are still ours and still wanted.

    covered holds, by stream id, the moment up to which everything received is stored.
    """
    ours: set[int] = set()
    if not leases:
        return ours
    with writing(engine) as connection:
        now = db_now(connection)
        for lease in leases:
            values: dict[str, Any] = {
                "lease_until": now + int(LEASE_S * 1e6),
                "heartbeat_at": now,
            }
            if covered.get(lease.stream_id):
                values["covered_until"] = covered[lease.stream_id]
            changed = connection.execute(
                update(streams).where(*_held(lease), streams.c.wanted).values(values)
            ).rowcount
            if changed == 1:
                ours.add(lease.stream_id)
    return ours


def _held(lease: Lease) -> tuple[Any, Any]:
    return streams.c.id == lease.stream_id, streams.c.epoch == lease.epoch


@repeated
def set_state(
    engine: Engine,
    lease: Lease,
    state: str,
    reason: str,
    *,
    failures: int | None = None,
    retry_at: int = 0,
) -> None:
    """Say how the stream is doing; raises LeaseLost if it is no longer ours."""
    with writing(engine) as connection:
        now = read_clock(connection)
        values: dict[str, Any] = {"state": state, "reason": reason, "retry_at": retry_at}
        if failures is not None:
            values["failures"] = failures
        current = connection.execute(select(streams.c.state).where(*_held(lease))).scalar()
        if current is None:
            raise LeaseLost(f"Stream {lease.stream_id} belongs to another process now.")
        if current != state:
            values["since"] = now
        connection.execute(update(streams).where(*_held(lease)).values(values))


@repeated
def remember(engine: Engine, lease: Lease, memory: Mapping[str, Any]) -> None:
    """Keep what a stream's source wants to know again; nothing happens if it is not ours."""
    encoded = msgspec.json.encode(dict(memory)).decode()
    with writing(engine) as connection:
        connection.execute(update(streams).where(*_held(lease)).values(memory=encoded))


@repeated
def finish(engine: Engine, lease: Lease, state: str, reason: str) -> None:
    """End a stream for good: "done" or "failed". It is never claimed again."""
    with writing(engine) as connection:
        now = read_clock(connection)
        changed = connection.execute(
            update(streams)
            .where(*_held(lease))
            .values(
                state=state,
                reason=reason,
                since=now,
                wanted=False,
                owner="",
                lease_until=0,
                retry_at=0,
            )
        ).rowcount
        if changed != 1:
            raise LeaseLost(f"Stream {lease.stream_id} belongs to another process now.")
        ledger.close_open(connection, lease.stream_id, now)


@repeated
def release(engine: Engine, lease: Lease, *, rest_s: float = 0) -> None:
    """Give the stream back, for the next process to take; harmless if it is lost.

    rest_s: nobody takes it for so long (at most LEASE_S), for it would break again at once.
    """
    with writing(engine) as connection:
        until = db_now(connection) + int(rest_s * 1e6) if rest_s else 0
        connection.execute(update(streams).where(*_held(lease)).values(owner="", lease_until=until))


@repeated
def free_dead(engine: Engine) -> list[str]:
    """Free the leases of owners of this host that no longer run; returns the streams' names."""
    with reading(engine) as connection:
        held = select(streams.c.id, streams.c.name, streams.c.owner, streams.c.epoch).where(
            streams.c.owner != ""
        )
        dead = [row for row in connection.execute(held) if is_dead(row.owner)]
    if not dead:
        return []
    with writing(engine) as connection:
        for row in dead:
            connection.execute(
                update(streams)
                .where(*_held(Lease(row.id, row.epoch)), streams.c.owner == row.owner)
                .values(owner="", lease_until=0)
            )
    return [row.name for row in dead]


def unfinished_replay(engine: Engine, name_prefix: str) -> Stream | None:
    """The newest stream whose name starts so and has not ended: a replay to go on with."""
    with reading(engine) as connection:
        found = connection.execute(
            select(streams)
            .where(
                streams.c.network == "replay",
                streams.c.state.not_in(ENDED),
                func.substr(streams.c.name, 1, len(name_prefix)) == name_prefix,
            )
            .order_by(streams.c.id.desc())
        ).mappings()
        row = found.first()
        return _stream(row) if row else None


def remove(connection: Connection, stream_id: int) -> None:
    """Delete a stream and all that is only about it (not its posts)."""
    for table in (journals, intervals, quarantine):
        connection.execute(delete(table).where(table.c.stream_id == stream_id))
    its_jobs = jobs.c.kind.in_((*job_rows.PAST, job_rows.IMPORT)), jobs.c.subject == stream_id
    connection.execute(delete(jobs).where(*its_jobs))
    connection.execute(delete(streams).where(streams.c.id == stream_id))
