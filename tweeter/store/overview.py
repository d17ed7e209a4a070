"""How everything is doing, in words: the state of each stream and the workers that follow them.

A stream's row says what its holder last knew. Whether that still holds is judged here, by the
lease: a process that was killed cannot say that it is gone.
"""

import msgspec
from sqlalchemy import Engine

from tweeter.store import known, streams, trouble, workers
from tweeter.store.engine import one_moment, reading
from tweeter.store.leases import is_held
from tweeter.store.streams import Stream
from tweeter.texts import joined, say

UNTAKEN_US = 30_000_000  # a stream that is free for longer is no hand-over
START_A_WORKER = "celery -A tweeter.views.flask_tasks worker"


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """A stream for readers. retry_at is 0 unless it waits; counts as in `schema.COUNTS`."""

    id: int
    name: str
    network: str
    state: str
    words: str
    since: int
    retry_at: int
    last_post_at: int
    counts: dict[str, int]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """warning is "" or a sentence about something that a person must do."""

    workers: int
    warning: str
    streams: list[StreamState]


def overview(engine: Engine) -> Overview:
    """The state of everything, a few short queries."""
    with one_moment(engine), reading(engine) as connection:
        now = known.now(connection)
        living = workers.alive(engine)
        found = streams.list_all(engine)
    since = min((worker.started_at for worker in living), default=0)
    states = [_state(stream, now, since) for stream in found]
    warning = trouble.disk(trouble.folder(engine)) or ("" if living else _no_worker())
    return Overview(workers=len(living), warning=warning, streams=states)


def _no_worker() -> str:
    return say(
        "No worker is running, so nothing is being followed. Start one: %(command)s",
        command=START_A_WORKER,
    )


def _state(stream: Stream, now: int, workers_since: int) -> StreamState:
    """workers_since: from when on a worker lives, 0 if none does."""
    state, words = stream.state, stream.reason
    rests = not stream.owner and stream.lease_until >= now  # after a fault, which its words name
    held = rests or is_held(stream.owner, stream.lease_until, now)
    if stream.wanted and not held and state not in ("off", *streams.ENDED):
        free_us = now - max(stream.heartbeat_at, stream.since, workers_since)
        state, words = "waiting", say("Waiting for a worker.")
        if workers_since and free_us > UNTAKEN_US and stream.network != "replay":
            state = "down"
            words = say(
                "No worker has taken it for %(seconds)s s, though one is running. Is the broker"
                " away, or does the worker that can follow it not run?",
                seconds=format(free_us // 1_000_000, ","),
            )
        elif workers_since:
            words = say("A worker takes it within seconds.")
    unreadable = stream.counts["quarantined"]
    if unreadable:
        words = joined(
            words,
            say(
                "Events that could not be read, kept in quarantine: %(events)s.",
                events=format(unreadable, ","),
            ),
        )
    return StreamState(
        id=stream.id,
        name=stream.name,
        network=stream.network,
        state=state,
        words=words,
        since=stream.since,
        retry_at=stream.retry_at,
        last_post_at=stream.last_post_at,
        counts=stream.counts,
    )
