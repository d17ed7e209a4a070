"""Jobs over a stream's past: look-backs of new keywords, repairs of gaps, re-checks of posts.

A job's options: {since_us, until_us, began_us, keywords, interval}; began_us is what the network
really still had, `why` says why it was not more. One at a time a stream; keywords that wait
together share one look-back; a re-check (`rechecks`) lets the others go first.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, bindparam, select, update

from tweeter.decode import times
from tweeter.errors import LONGEST_WAIT_US, SourceError
from tweeter.records import now_us
from tweeter.store import job_rows, ledger
from tweeter.store.engine import chunks, read_clock, reading, repeated, writing
from tweeter.store.leases import LEASE_S, JobLease, is_held
from tweeter.store.schema import intervals, jobs, keyword_intervals, keywords, streams

KINDS = job_rows.PAST
NETWORKS = ("bluesky", "mastodon")  # whose past is free
TRIES = 8
LIMITED_S = 300.0  # after a rate limit that does not say when it ends
# A gap begins where we read last. What was written before, on its way for seconds, or on another
# server or ahead of a long queue, may have been sent in the gap: a repair begins earlier.
LATE_US = 30_000_000


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A job as a worker has it: what to ask for, and how far it is (`schema`, jobs.position)."""

    lease: JobLease
    kind: str
    network: str
    stream: str
    since_us: int
    until_us: int
    position: int
    tries: int
    keywords: tuple[int, ...] = ()  # whose past it is; (): all


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A job for people. share is 0..1 of the time that is asked for."""

    kind: str
    stream: str
    state: str
    words: str
    share: float
    events: int
    stored: int
    since_us: int
    until_us: int


def start(
    connection: Connection,
    kind: str,
    stream_id: int,
    options: Mapping[str, object],
    now: int,
    *,
    retry_at: int = 0,
) -> int:
    """A new job, not begun before retry_at; returns its id."""
    more = {"options": encode(options), "words": "Waiting for a worker.", "retry_at": retry_at}
    return job_rows.add(connection, kind, stream_id, now, **more)


def encode(options: Mapping[str, object]) -> str:
    """A job's options as its row has them."""
    return msgspec.json.encode(dict(options)).decode()


@repeated
def start_repairs(engine: Engine) -> int:
    """Start a repair for each gap that can be asked for again; returns how many."""
    with reading(engine) as connection:
        if not ledger.to_repair(connection):
            return 0
    with writing(engine) as connection:
        now = read_clock(connection)
        known = {
            msgspec.json.decode(options).get("interval")
            for options in connection.execute(
                select(jobs.c.options).where(jobs.c.kind == "repair", jobs.c.state == "waiting")
            ).scalars()
        }
        started = 0
        for gap in ledger.to_repair(connection):  # after the jobs: one may end meanwhile
            if gap.id in known or gap.ended_at is None:
                continue
            options = {"since_us": gap.started_at, "began_us": gap.started_at}
            options |= {"until_us": gap.ended_at, "interval": gap.id}
            start(connection, "repair", gap.stream_id, options, now)
            started += 1
        return started


def waiting(engine: Engine) -> list[int]:
    """Ids of jobs to hand out: the oldest of each stream, unless one of it is under way."""
    with reading(engine) as connection:
        now = read_clock(connection)
        rows = connection.execute(
            select(jobs)
            .where(jobs.c.kind.in_(KINDS), jobs.c.state == "waiting")
            .order_by(jobs.c.id)
        ).all()
    first: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: (row.kind == "recheck", row.id)):
        if is_held(row.owner, row.lease_until, now):
            first[row.subject] = 0
        elif row.retry_at <= now:
            first.setdefault(row.subject, row.id)
    return [job_id for job_id in first.values() if job_id]


@repeated
def claim(
    engine: Engine,
    job_id: int,
    owner: str,
    *,
    can_follow: Callable[[str, Any], bool] = lambda *_: True,
) -> Past | None:
    """Take the job, or None if somebody alive works on it, it waits or it has ended.

    can_follow is asked of its stream's network and options: a stream that this worker lacks is left
    to others, unless it is off everywhere.
    """
    with writing(engine) as connection:
        now = read_clock(connection)
        row = connection.execute(
            select(jobs).where(jobs.c.id == job_id, jobs.c.state == "waiting").with_for_update()
        ).first()
        if row is None or row.kind not in KINDS or row.retry_at > now:
            return None
        if is_held(row.owner, row.lease_until, now):
            return None
        stream = connection.execute(select(streams).where(streams.c.id == row.subject)).first()
        if stream is None:
            _end(connection, job_id, "failed", "Its stream was removed.", now)
            return None
        if stream.wanted and not can_follow(stream.network, msgspec.json.decode(stream.options)):
            return None
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(owner=owner, epoch=row.epoch + 1, lease_until=now + int(LEASE_S * 1e6))
        )
        options = msgspec.json.decode(row.options)
        return Past(
            lease=JobLease(stream.id, row.epoch + 1, job_id),
            kind=row.kind,
            network=stream.network,
            stream=stream.name,
            since_us=options["since_us"],
            until_us=options["until_us"],
            position=row.position,
            tries=row.version,
            keywords=tuple(options.get("keywords", ())),
        )


def _mine(past: Past) -> tuple[ColumnElement[bool], ...]:
    """The job's row, as long as nobody else has taken it over."""
    return jobs.c.id == past.lease.job_id, jobs.c.epoch == past.lease.epoch


@repeated
def renew(engine: Engine, past: Past) -> None:
    """Keep the job while nothing comes; whatever is stored for it keeps it too."""
    with writing(engine) as connection:
        now = read_clock(connection)
        connection.execute(
            update(jobs)
            .where(*_mine(past), jobs.c.owner != "")
            .values(lease_until=now + int(LEASE_S * 1e6))
        )


@repeated
def pause(
    engine: Engine, past: Past, words: str, *, wait_s: float = 0, failed: bool = False
) -> None:
    """Put the job back, to be gone on with after wait_s; after TRIES failures it ends."""
    with writing(engine) as connection:
        now = read_clock(connection)
        mine = select(jobs.c.id).where(*_mine(past)).with_for_update()
        if connection.execute(mine).first() is None:
            return  # another works on it now
        tries = past.tries + 1 if failed else 0
        if tries >= TRIES:
            _end(connection, past.lease.job_id, "failed", words, now)
            _give_gap_up(connection, past.lease.job_id, words)
            return
        connection.execute(
            update(jobs)
            .where(*_mine(past))
            .values(
                owner="",
                lease_until=0,
                words=words,
                version=tries,
                retry_at=now + int(wait_s * 1e6),
            )
        )


def put_off(engine: Engine, past: Past, error: SourceError, wait_s: float) -> None:
    """Put the job back after a network failed: for wait_s, or as long as the network says.

    A rate limit is no failure: it says when to come back.
    """
    is_limit = error.kind == "limited"
    if error.retry_at:
        asked = min(error.retry_at - now_us(), LONGEST_WAIT_US)
        wait_s = max(wait_s, asked / 1e6)
    elif is_limit:
        wait_s = max(wait_s, LIMITED_S)
    pause(engine, past, error.state, wait_s=wait_s, failed=not is_limit)


@repeated
def clamped(engine: Engine, past: Past, began_us: int, why: str = "") -> None:
    """The network had nothing before began_us, or was not asked for it: `why`, a sentence."""
    with writing(engine) as connection:
        encoded = connection.execute(
            select(jobs.c.options).where(jobs.c.id == past.lease.job_id)
        ).scalar_one()
        options = msgspec.json.decode(encoded) | {"began_us": began_us, "why": why}
        connection.execute(update(jobs).where(*_mine(past)).values(options=encode(options)))


@repeated
def finish(engine: Engine, past: Past, words: str = "") -> None:
    """The network gave all that it had; a gap is repaired as far as that goes."""
    with writing(engine) as connection:
        now = read_clock(connection)
        row = connection.execute(
            select(jobs).where(*_mine(past), jobs.c.state == "waiting").with_for_update()
        ).first()
        if row is None:
            return
        options = msgspec.json.decode(row.options)
        seen, found = so_many(row.done, "event"), so_many(row.stored, "post")
        words = words or f"Done: {seen} looked at, {found} found."
        words += f" {options['why']}" if options.get("why") else ""
        _end(connection, row.id, "done", words, now)
        if row.kind == "repair":
            _settle(connection, row.subject, options, row.stored)
        if row.kind == "look_back" and past.network in NETWORKS:
            _leave_paused(connection, row.id, options)


def _leave_paused(connection: Connection, job_id: int, options: dict[str, Any]) -> None:
    """Keywords that were not followed all the while were not looked for all the while: nothing is
    covered for them, and they are asked for again when they are followed.
    """
    its = keyword_intervals.c
    lately = its.network == "", its.ended_at.is_(None) | (its.ended_at > options["until_us"])
    paused: set[int] = set()
    for some in chunks(options["keywords"]):
        found = select(its.keyword_id).where(its.keyword_id.in_(some), *lately)
        paused.update(connection.execute(found).scalars())
    if not paused:
        return
    for some in chunks(paused):
        again = update(keywords).where(keywords.c.id.in_(some))
        connection.execute(again.values(looked_back=0))
    options["keywords"] = [number for number in options["keywords"] if number not in paused]
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(options=encode(options)))


def so_many(number: int, what: str) -> str:
    """What is stored for people to read: "1 post", "12,480 posts"."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _settle(connection: Connection, stream_id: int, options: dict[str, Any], found: int) -> None:
    since, until = options["since_us"], options["until_us"]
    began = min(max(options["began_us"], since), until)
    had = ledger.Settled(
        since=began,
        until=until,
        outcome="repaired",
        repair=f"Asked for again: {so_many(found, 'post')} found.",
        posts=found,
    )
    why = options.get("why") or "The network no longer had it."
    gone = ledger.Settled(since=since, until=began, outcome="lost", repair=why)
    for done in (gone, had):
        if done.until > done.since:
            ledger.settle(connection, stream_id, done)


def _give_gap_up(connection: Connection, job_id: int, words: str) -> None:
    """The gap of a repair that failed is lost, and says why; of other jobs there is none."""
    encoded = connection.execute(select(jobs.c.options).where(jobs.c.id == job_id)).scalar_one()
    interval = msgspec.json.decode(encoded).get("interval")
    if interval:
        connection.execute(
            update(intervals)
            .where(intervals.c.id == interval)
            .values(outcome="lost", repair=f"It could not be had again: {words}")
        )


def _end(connection: Connection, job_id: int, state: str, words: str, now: int) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(state=state, words=words, owner="", lease_until=0, ended_at=now)
    )


def progress(engine: Engine, keyword_id: int | None = None, *, limit: int = 20) -> list[Progress]:
    """The newest jobs over the past, of a keyword or of all."""
    with reading(engine) as connection:
        rows = connection.execute(_newest, {"most": 500 if keyword_id else limit}).all()
    found = []
    for row in rows:
        options = msgspec.json.decode(row.options)
        if keyword_id is None or keyword_id in options.get("keywords", ()):
            found.append(_progress(row, options))
    return found[:limit]


_newest = (
    select(jobs, streams.c.name.label("stream"), streams.c.network)
    .join(streams, streams.c.id == jobs.c.subject)
    .where(jobs.c.kind.in_(KINDS))
    .order_by(jobs.c.id.desc())
    .limit(bindparam("most"))
)


def _share(row: Any, options: dict[str, Any]) -> float:
    since, until = options["since_us"], options["until_us"]
    if row.state == "done":
        return 1.0
    if row.kind == "recheck":  # its position is a row's id, not a moment
        return float(row.done / max(options["total"], 1))
    forward = row.network == "bluesky"  # the others are paged from now back
    at = row.position or (since if forward else until)
    if row.network == "x" and row.position:
        at = times.snowflake(str(row.position)) or until
    way = (at - since) if forward else (until - at)
    return float(way / max(until - since, 1))


def _progress(row: Any, options: dict[str, Any]) -> Progress:
    since, until, done = options["since_us"], options["until_us"], _share(row, options)
    return Progress(
        kind=row.kind,
        stream=row.stream,
        state=row.state,
        words=row.words,
        share=min(max(done, 0.0), 1.0),
        events=row.done,
        stored=row.stored,
        since_us=since,
        until_us=until,
    )
