"""Jobs over stored posts, in resumable parts: match them again for a keyword, or purge one.

A part claims the job by raising its epoch, does a bounded number of posts and moves the
position in the same transaction as its effects. Killed anywhere, the next part goes on.
"""

import time
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from tweeter.records import Match, Post
from tweeter.store import feed, job_rows, rollups, search_texts
from tweeter.store import matches as match_rows
from tweeter.store.engine import db_now, read_clock, reading, repeated, writing
from tweeter.store.keyword_revision import revision
from tweeter.store.leases import LEASE_S, is_held
from tweeter.store.posts import as_post
from tweeter.store.schema import jobs, keywords, matches, post_aliases, posts

ALL = 0  # as a job's subject: every keyword that is not complete
KINDS = ("rematch", "purge")  # whose subject is a keyword
STEP_POSTS = 500  # a transaction's length: a few hundredths of a second
PART_S = 30.0  # a task's length: below every time-out of the broker


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A row of jobs. position counts down through posts.id; done are posts looked at."""

    id: int
    kind: str
    subject: int
    version: int
    position: int
    epoch: int
    done: int


Matches = Callable[[Post], Sequence[Match]]  # of the keyword, or of all for a job over ALL
_Found = tuple[rollups.Row, tuple[Match, ...]]
Changes = list[tuple[str, int]]  # what the live feed must know, as (kind, posts.id)


def start_rematch(connection: Connection, keyword_id: int, version: int, now: int) -> None:
    """Match all posts stored so far again for this version of the keyword."""
    _start(connection, "rematch", keyword_id, version, now)


def drop(connection: Connection, kind: str, keyword_id: int) -> None:
    """It is not to be done any more: messages about it find no job."""
    connection.execute(
        delete(jobs).where(
            jobs.c.subject == keyword_id, jobs.c.state == "waiting", jobs.c.kind == kind
        )
    )


def start_rematch_of_all(connection: Connection, now: int) -> None:
    """Match all posts stored so far for every keyword that was not matched with them yet."""
    _start(connection, "rematch", ALL, 1, now)


def _start(connection: Connection, kind: str, subject: int, version: int, now: int) -> None:
    connection.execute(
        delete(jobs).where(
            jobs.c.subject == subject, jobs.c.state == "waiting", jobs.c.kind.in_(KINDS)
        )
    )
    top = int(connection.execute(select(func.max(posts.c.id))).scalar() or 0)
    job_rows.add(connection, kind, subject, now, version=version, position=top + 1)


@repeated
def start_due_purges(engine: Engine) -> int:
    """Start the purge of removed keywords whose time to undo is over; returns how many."""
    with reading(engine) as connection:
        if connection.execute(select(func.min(keywords.c.purge_at))).scalar() is None:
            return 0
    with writing(engine) as connection:
        # No keyword changes meanwhile: one that is restored at this moment would be purged.
        revision(connection, lock=True)
        now = read_clock(connection)
        due = connection.execute(
            select(keywords.c.id, keywords.c.version).where(
                keywords.c.state == "removed", keywords.c.purge_at < now
            )
        ).all()
        for row in due:
            _start(connection, "purge", row.id, row.version, now)
            connection.execute(
                update(keywords).where(keywords.c.id == row.id).values(purge_at=None)
            )
        return len(due)


def waiting(engine: Engine) -> list[int]:
    """Ids of jobs that nobody works on."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(jobs.c.id, jobs.c.owner, jobs.c.lease_until, db_now(connection).label("now"))
            .where(jobs.c.state == "waiting", jobs.c.kind.in_(KINDS))
            .order_by(jobs.c.id)
        )
        return [row.id for row in rows if not is_held(row.owner, row.lease_until, row.now)]


@repeated
def claim(engine: Engine, job_id: int, owner: str) -> Job | None:
    """Take the job, or None if somebody alive works on it or it has ended."""
    with reading(engine) as connection:  # a thousand old messages must not queue for the lock
        state = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar()
        if state != "waiting":
            return None
    with writing(engine) as connection:
        now = read_clock(connection)
        row = connection.execute(
            select(jobs).where(jobs.c.id == job_id, jobs.c.state == "waiting").with_for_update()
        ).first()
        if row is None or is_held(row.owner, row.lease_until, now):
            return None
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(owner=owner, epoch=row.epoch + 1, lease_until=now + int(LEASE_S * 1e6))
        )
        return Job(
            id=row.id,
            kind=row.kind,
            subject=row.subject,
            version=row.version,
            position=row.position,
            epoch=row.epoch + 1,
            done=row.done,
        )


def work(
    engine: Engine,
    job: Job,
    does_match: Matches,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Work on the job for at most PART_S; True when it has ended.

    Leaves quietly (False) when the job was taken over, replaced or its keyword edited.
    """
    deadline = time.monotonic() + PART_S
    while True:
        position = _step(engine, job, does_match)
        if position is None:
            return False
        if position == 0:
            return True
        if time.monotonic() > deadline or should_stop():
            _release(engine, job)
            return False


@repeated
def _step(engine: Engine, job: Job, does_match: Matches) -> int | None:
    """One transaction; returns the new position, 0 when ended, None when the job is not ours.

    Nobody edits, restores or removes the keyword meanwhile, or takes the job over.
    """
    with writing(engine) as connection:
        revision(connection, lock=True)  # no keyword changes meanwhile
        mine = jobs.c.id == job.id, jobs.c.epoch == job.epoch, jobs.c.state == "waiting"
        row = connection.execute(select(jobs).where(*mine).with_for_update()).first()
        if row is None:
            return None
        done, position, changes = (_rematch if job.kind == "rematch" else _purge)(
            connection, job, row.position, does_match
        )
        now = read_clock(connection)
        values = {
            "position": position,
            "done": row.done + done,
            "lease_until": now + int(LEASE_S * 1e6),
        }
        if position == 0:
            values |= {"state": "done", "owner": "", "ended_at": now}
            if job.kind == "rematch":
                _mark_complete(connection, job, now)
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
        feed.publish(connection, changes, now)
        return position


def _mark_complete(connection: Connection, job: Job, now: int) -> None:
    if job.subject == ALL:
        made = select(jobs.c.created_at).where(jobs.c.id == job.id).scalar_subquery()
        which = keywords.c.complete_at.is_(None) & (keywords.c.changed_at <= made)
    else:
        which = (keywords.c.id == job.subject) & (keywords.c.version == job.version)
    connection.execute(update(keywords).where(which).values(complete_at=now))


def _rematch(
    connection: Connection, job: Job, position: int, does_match: Matches
) -> tuple[int, int, Changes]:
    rows = connection.execute(
        select(posts, matches.c.version.label("matched_version"))
        .outerjoin(
            matches, (matches.c.post_id == posts.c.id) & (matches.c.keyword_id == job.subject)
        )
        .where(posts.c.id < position, posts.c.removed_at.is_(None))
        .order_by(posts.c.id.desc())
        .limit(STEP_POSTS)
        .with_for_update(read=True, of=posts)  # retention must not delete them meanwhile
    ).all()
    added: list[_Found] = []
    dropped: list[int] = []
    for row in rows:
        found = tuple(does_match(as_post(row)))
        if found:
            if row.matched_version is None:  # else there is a row already
                added.append((row._mapping, found))
        elif row.matched_version is not None and row.matched_version < job.version:
            dropped.append(row.id)
    if job.subject == ALL:
        added = _of_now(connection, added)
    with rollups.collecting(connection):
        match_rows.add(connection, added)
        match_rows.drop(connection, dropped, job.subject)
    return len(rows), rows[-1].id if len(rows) == STEP_POSTS else 0, []


def _of_now(connection: Connection, found: list[_Found]) -> list[_Found]:
    """Without the matches of keywords that were edited, paused or removed since the part began.

    An edit starts a job of its own, which may have passed these posts already.
    """
    now = match_rows.active(connection, {match.keyword_id for _, its in found for match in its})
    return [
        (row, tuple(m for m in its if now.get(m.keyword_id) == m.keyword_version))
        for row, its in found
    ]


def _purge(connection: Connection, job: Job, _: int, __: Matches) -> tuple[int, int, Changes]:
    """Delete the keyword's matches, and the posts that no other keyword matches."""
    ids = list(
        connection.execute(
            select(matches.c.post_id).where(matches.c.keyword_id == job.subject).limit(STEP_POSTS)
        ).scalars()
    )
    rollups.hold(connection, ids)
    changes = forget(connection, ids, job.subject)
    return len(ids), 1 if len(ids) == STEP_POSTS else 0, changes


def forget(connection: Connection, ids: Sequence[int], keyword_id: int | None = None) -> Changes:
    """Delete matches of posts that are held, of one keyword or of all, and those posts that none
    matches then. Returns what readers who could see them must hear.
    """
    with rollups.collecting(connection):
        match_rows.drop(connection, ids, keyword_id)
        return _delete_unmatched(connection, ids)


def _delete_unmatched(connection: Connection, ids: Sequence[int]) -> Changes:
    """Delete those of the posts that no keyword matches, with what names them."""
    matched = select(matches.c.post_id).where(matches.c.post_id.in_(ids))
    kept = set(connection.execute(matched).scalars())
    gone = [post_id for post_id in ids if post_id not in kept]
    seen = select(posts.c.id).where(
        posts.c.id.in_(gone), posts.c.removed_at.is_(None), posts.c.hidden == ""
    )
    changes = [("remove", post_id) for post_id in connection.execute(seen).scalars()]
    names = connection.execute(
        select(posts.c.network, posts.c.key).where(posts.c.id.in_(gone))
    ).all()
    for name in names:
        connection.execute(
            delete(post_aliases).where(
                post_aliases.c.network == name.network, post_aliases.c.key == name.key
            )
        )
    rows = rollups.rows(connection, gone, lock=True)
    search_texts.drop(connection, list(rows))
    connection.execute(delete(posts).where(posts.c.id.in_(list(rows))))
    rollups.drop(connection, [(row, [rollups.EVERYTHING]) for row in rows.values()])
    return changes


@repeated
def _release(engine: Engine, job: Job) -> None:
    with writing(engine) as connection:
        connection.execute(
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.epoch == job.epoch)
            .values(owner="", lease_until=0)
        )


def progress(engine: Engine, keyword_id: int) -> int | None:
    """Posts looked at by the job under way for a keyword, or None if there is none."""
    with reading(engine) as connection:
        found = connection.execute(_under_way, {"keyword": keyword_id}).scalar()
        return None if found is None else int(found)


_under_way = select(jobs.c.done).where(
    jobs.c.subject == bindparam("keyword"), jobs.c.state == "waiting", jobs.c.kind.in_(KINDS)
)
