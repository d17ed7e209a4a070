"""How everything is doing, in words: the state of each stream and the workers that follow them.

A stream's row says what its holder last knew. Whether that still holds is judged here, by the
lease: a process that was killed cannot say that it is gone.
"""

import msgspec
from sqlalchemy import Engine

from tweeter.store import known, streams, trouble, workers
from tweeter.store.engine import one_moment, reading
from tweeter.store.leases import is_dead
from tweeter.store.streams import Stream
from tweeter.texts import joined, say

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
    states = [_state(stream, now, bool(living)) for stream in found]
    warning = trouble.disk(trouble.folder(engine)) or ("" if living else _no_worker())
    return Overview(workers=len(living), warning=warning, streams=states)


def _no_worker() -> str:
    return say(
        "No worker is running, so nothing is being followed. Start one: %(command)s",
        command=START_A_WORKER,
    )


def _state(stream: Stream, now: int, workers_live: bool) -> StreamState:
    state, words = stream.state, stream.reason
    held = stream.lease_until >= now and not is_dead(stream.owner)
    if stream.wanted and not held and state not in ("off", *streams.ENDED):
        state = "waiting"
        words = (
            say("A worker takes it within seconds.")
            if workers_live
            else say("Waiting for a worker.")
        )
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
