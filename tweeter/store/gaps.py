"""Gaps as a list: each stretch that was missed, and those that were had again, with the cause."""

import msgspec
from sqlalchemy import Engine

from tweeter.errors import TweeterError
from tweeter.store import coverage, streams
from tweeter.store.coverage import Coverage, Stretch


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a stream. outcome: "" (still open), replayed, repairing, repaired, lost."""

    stream: str
    network: str
    since: int
    until: int
    verdict: str  # missed; covered if it was had again
    state: str  # down, limited, over_budget, …
    outcome: str
    words: str
    repaired_posts: int


class NoSuchStream(TweeterError):
    """No stream has this name."""


def found(
    engine: Engine, since: int, until: int, *, keyword_id: int | None = None, stream: str = ""
) -> list[Gap]:
    """The gaps of all streams or of one, by themselves or as a keyword met them; oldest first.

    Raises NoSuchStream.
    """
    if stream and stream not in (names := [s.name for s in streams.list_all(engine)]):
        raise NoSuchStream(
            f"There is no stream “{stream}”. There are: {', '.join(names) or 'none yet'}"
        )
    if keyword_id is not None:
        lines = coverage.of_keyword(engine, keyword_id, since, until)
    else:
        lines = _of_streams(engine, since, until)
    gaps = [
        _gap(line, stretch)
        for line in lines
        if stream in ("", line.stream)
        for stretch in line.stretches
        if stretch.verdict == "missed" or stretch.outcome
    ]
    return sorted(gaps, key=lambda gap: (gap.since, gap.stream))


def _of_streams(engine: Engine, since: int, until: int) -> list[Coverage]:
    rows = [s for s in streams.list_all(engine) if s.network not in coverage.WITHOUT_TIME]
    lines = [coverage.of_stream(engine, row.id, since, until) for row in rows]
    return [line for line in lines if line is not None]


def _gap(line: Coverage, stretch: Stretch) -> Gap:
    return Gap(
        stream=line.stream,
        network=line.network,
        since=stretch.since,
        until=stretch.until,
        verdict=stretch.verdict,
        state=stretch.state,
        outcome=stretch.outcome,
        words=stretch.words,
        repaired_posts=stretch.repaired_posts,
    )
