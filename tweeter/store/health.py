"""How everything is, asked of the database and its disk only: right also when a worker or the
broker is away. A dozen short queries.
"""

import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, case, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from tweeter.moments import DAY_US
from tweeter.store import name_jobs, trouble, unindexed, workers
from tweeter.store.engine import read_clock, reading
from tweeter.store.leases import is_dead
from tweeter.store.ledger import LIVE
from tweeter.store.overview import Overview, StreamState, overview
from tweeter.store.schema import intervals, jobs, quarantine, streams
from tweeter.texts import counted, joined, mark, say

OK, ATTENTION, FAILING = "ok", "attention", "failing"  # attention: a person should look
CLOCK_OFF_S = 30.0
JOB_OLD_S = 600.0
LOW_BYTES = 500 * 1024 * 1024  # of the disk
WAL_BYTES = 64 * 1024 * 1024  # SQLite keeps it far below unless a reader never ends
REASONS = 20
FAILED_US = 7 * DAY_US  # a file that nobody repeated for so long is no problem any more
# States of a gap in which nothing is missed because nothing is to be followed.
NOT_WANTED = (LIVE, "waiting", "paused", "off")


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """Who follows a stream. left_s is negative when the lease is over; alive: the owner may be."""

    stream: str
    owner: str
    epoch: int
    left_s: float
    heartbeat_at: int
    alive: bool


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that beats."""

    name: str
    slots: int
    silent_s: float
    started_at: int


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that have not ended; oldest_s: how long one has been due, 0 if there is none.

    later: how many wait for their next try, which comes at next_at (0: there are none). The job
    that asks for names is none of them: it never ends, and has its turns.
    """

    waiting: int
    oldest_s: float
    later: int = 0
    next_at: int = 0


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """Time of this UTC day not covered, of all streams; lost: how many cannot be had again."""

    count: int
    missed_s: float
    lost: int


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The database and the disk of the data directory; wal_bytes is 0 on a server."""

    kind: str
    bytes: int
    wal_bytes: int
    disk_free_bytes: int
    disk_bytes: int


class SearchIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Posts that the search index lacks: about so many, of a stretch of time. 0: it has all.

    until_us: 0 while posts are stored without it (the setting search_index is off).
    """

    lacking: int = 0
    since_us: int = 0
    until_us: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """verdict: one sentence, the worst first; problems: all of them, as sentences.

    clock_off_s: how far the database's clock is ahead of this machine's. What could not be
    asked for is empty.
    """

    status: str
    verdict: str
    problems: list[str]
    overview: Overview
    leases: list[LeaseState] = []
    workers: list[WorkerState] = []
    jobs: Jobs = Jobs(waiting=0, oldest_s=0.0)
    gaps_today: Gaps = Gaps(count=0, missed_s=0.0, lost=0)
    quarantine: dict[str, int] = {}
    storage: Storage
    search_index: SearchIndex = SearchIndex()
    clock_off_s: float = 0.0


def health(engine: Engine, data_dir: Path) -> Health:
    """Never raises for a database that is away: that is what it then says."""
    failing = [
        words for words in (trouble.writes(data_dir), _database_disk(engine, data_dir)) if words
    ]
    try:
        return _asked(engine, data_dir, failing)
    except SQLAlchemyError as error:
        failing.insert(0, trouble.words(error))
        nothing = Overview(workers=0, warning=failing[0], streams=[])
        return Health(
            status=FAILING,
            verdict=failing[0],
            problems=list(dict.fromkeys(failing)),
            overview=nothing,
            storage=_storage(engine, data_dir, 0),
        )


def silent() -> dict[str, Any]:
    """What there is to say while the database takes questions and answers none."""
    words = str(joined(trouble.SILENT, trouble.GOES_ON))
    return {"status": FAILING, "verdict": words, "problems": [words]}


def _database_disk(engine: Engine, data_dir: Path) -> str:
    folder = trouble.folder(engine)
    return "" if folder in (None, data_dir) else trouble.disk(folder)


def _asked(engine: Engine, data_dir: Path, failing: list[str]) -> Health:
    found = overview(engine)
    living = workers.alive(engine)
    with reading(engine) as connection:
        before_us = time.time_ns() // 1000
        now = read_clock(connection)
        took_us = time.time_ns() // 1000 - before_us
        off_s = (now - before_us - took_us // 2) / 1e6
        queue = _jobs(connection, now)
        leases = _leases(connection, now)
        gaps = _gaps(connection, now)
        rejected = _quarantine(connection)
        size = _server_bytes(connection)
        index = _search_index(connection)
    storage = _storage(engine, data_dir, size)
    looks = _to_look_at(found, now, queue, storage, off_s)
    problems = list(dict.fromkeys([*failing, *looks]))
    status = FAILING if failing else ATTENTION if looks else OK
    return Health(
        status=status,
        verdict=problems[0] if problems else _all_well(found),
        problems=problems,
        overview=found,
        leases=leases,
        workers=[
            WorkerState(
                name=w.name,
                slots=w.slots,
                silent_s=round((now - w.heartbeat_at) / 1e6, 1),
                started_at=w.started_at,
            )
            for w in living
        ],
        jobs=queue,
        gaps_today=gaps,
        quarantine=rejected,
        storage=storage,
        search_index=index,
        clock_off_s=round(off_s, 3),
    )


def _all_well(found: Overview) -> str:
    live = sum(stream.state == "live" for stream in found.streams)
    if not live:
        return say("All is well; nothing is being followed yet.")
    return counted(
        "All is well: %(count)s stream is followed and stored.",
        "All is well: %(count)s streams are followed and stored.",
        live,
    )


def _to_look_at(
    found: Overview, now: int, queue: Jobs, storage: Storage, off_s: float
) -> list[str]:
    """What does not stop the storing, but a person should know. The worst first."""
    looks = [found.warning] if found.warning else []
    looks += [_of_stream(stream) for stream in found.streams if stream.state in _AMISS]
    looks += [_of_stream(stream) for stream in _failed_files(found.streams, now)]
    if abs(off_s) > CLOCK_OFF_S:
        looks.append(_off(off_s))
    if storage.disk_free_bytes < LOW_BYTES:
        looks.append(
            say(
                "The disk of the data directory has %(size)s MB left.",
                size=format(storage.disk_free_bytes // 2**20, ","),
            )
        )
    if storage.wal_bytes > WAL_BYTES:
        looks.append(
            say(
                "The database's log has grown to %(size)s MB: a program that reads the file does"
                " not end its transaction.",
                size=format(storage.wal_bytes // 2**20, ","),
            )
        )
    if queue.oldest_s > JOB_OLD_S:
        looks.append(
            say(
                "A job waits for %(minutes)s min: is a worker running?",
                minutes=format(queue.oldest_s / 60, ".0f"),
            )
        )
    return looks


def _off(off_s: float) -> str:
    behind = mark(
        "This machine's clock is %(seconds)s s behind the database's: set it right (NTP)."
    )
    ahead = mark(
        "This machine's clock is %(seconds)s s ahead of the database's: set it right (NTP)."
    )
    return say(behind if off_s > 0 else ahead, seconds=format(abs(off_s), ".0f"))


_AMISS = ("down", "limited", "needs_attention", "lost")


def _failed_files(found: list[StreamState], now: int) -> list[StreamState]:
    """Files that could not be read to their end, in the last days and not again since."""
    read = {_path(stream): stream.id for stream in found if stream.state == "done"}
    return [
        stream
        for stream in found
        if stream.state == "failed"
        and now - stream.since < FAILED_US
        and stream.id > read.get(_path(stream), 0)
    ]


def _path(stream: StreamState) -> str:
    """Whose file it is: a name ends with the moment of the command, if a command made it."""
    return re.sub(r":\d{16}$", "", stream.name)


def _of_stream(stream: StreamState) -> str:
    return joined(f"{stream.name}:", stream.words)


def _leases(connection: Connection, now: int) -> list[LeaseState]:
    rows = connection.execute(
        select(
            streams.c.name,
            streams.c.owner,
            streams.c.epoch,
            streams.c.lease_until,
            streams.c.heartbeat_at,
        )
        .where(streams.c.owner != "")
        .order_by(streams.c.id)
    )
    return [
        LeaseState(
            stream=row.name,
            owner=row.owner,
            epoch=row.epoch,
            left_s=round((row.lease_until - now) / 1e6, 1),
            heartbeat_at=row.heartbeat_at,
            alive=not is_dead(row.owner),
        )
        for row in rows
    ]


def _jobs(connection: Connection, now: int) -> Jobs:
    due_at = case((jobs.c.retry_at > jobs.c.created_at, jobs.c.retry_at), else_=jobs.c.created_at)
    ask = select(func.count(), func.min(due_at)).where(
        jobs.c.state == "waiting", jobs.c.kind != name_jobs.KIND
    )
    waiting, oldest_at = connection.execute(ask.where(jobs.c.retry_at <= now)).one()
    later, next_at = connection.execute(ask.where(jobs.c.retry_at > now)).one()
    oldest_s = round((now - oldest_at) / 1e6, 1) if oldest_at else 0.0
    return Jobs(
        waiting=int(waiting), oldest_s=oldest_s, later=int(later), next_at=int(next_at or 0)
    )


def _gaps(connection: Connection, now: int) -> Gaps:
    midnight = now - now % DAY_US
    ended = func.coalesce(intervals.c.ended_at, now)
    began = case((intervals.c.started_at < midnight, midnight), else_=intervals.c.started_at)
    lost = case((intervals.c.outcome == "lost", 1), else_=0)
    # What ended without an outcome was before the stream's first connection: it was not followed.
    is_gap = (intervals.c.outcome != "") | intervals.c.ended_at.is_(None)
    row = connection.execute(
        select(func.count(), func.sum(ended - began), func.sum(lost)).where(
            intervals.c.state.not_in(NOT_WANTED),
            is_gap,
            ended > midnight,
            ended > intervals.c.started_at,
        )
    ).one()
    missed_s = round(int(row[1] or 0) / 1e6, 1)
    return Gaps(count=int(row[0]), missed_s=missed_s, lost=int(row[2] or 0))


def _quarantine(connection: Connection) -> dict[str, int]:
    total = func.sum(quarantine.c.count)
    rows = connection.execute(
        select(quarantine.c.reason, total)
        .group_by(quarantine.c.reason)
        .order_by(total.desc())
        .limit(REASONS)
    )
    return {reason: int(count) for reason, count in rows}


def _search_index(connection: Connection) -> SearchIndex:
    found = unindexed.told(connection, unindexed.stretch(connection))
    if found is None:
        return SearchIndex()
    lacking = unindexed.about(connection, found)
    return SearchIndex(lacking=lacking, since_us=found.since_us, until_us=found.until_us)


def _server_bytes(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        asked = text("SELECT pg_database_size(current_database())")
        return int(connection.execute(asked).scalar_one())
    if connection.dialect.name == "sqlite":
        return 0
    asked = text(
        "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables"
        " WHERE table_schema = DATABASE()"
    )
    return int(connection.execute(asked).scalar_one())


def _storage(engine: Engine, data_dir: Path, server_bytes: int) -> Storage:
    file = engine.url.database if trouble.folder(engine) is not None else None
    try:
        disk = os.statvfs(data_dir)
        free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    except OSError:
        free = whole = 0
    return Storage(
        kind=engine.dialect.name,
        bytes=_size(Path(file)) if file else server_bytes,
        wal_bytes=_size(Path(f"{file}-wal")) if file else 0,
        disk_free_bytes=free,
        disk_bytes=whole,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
