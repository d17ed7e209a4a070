"""What was seen and what was not: a keyword's time on each stream, as stretches with a cause.

A stretch is one of:
    covered    the stream was live and the keyword followed, or what was missed was had later
    missed     down, limited, waiting or out of the window, and not repaired (yet)
    not_followed   before the keyword (or the stream) began, while it was paused, or so long ago
               that its posts of then were deleted
It is put together from the streams' ledger, the keywords' own, and finished look-backs.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    bindparam,
    cast,
    func,
    select,
)

from tweeter.store import keyword_ledger, known, ledger
from tweeter.store.cells import MINUTE, TOTAL_SIZES, US
from tweeter.store.engine import once, reading
from tweeter.store.keyword_ledger import Pause
from tweeter.store.known import Kept
from tweeter.store.ledger import Interval
from tweeter.store.schema import jobs, streams, totals, volumes
from tweeter.texts import say

HAD_LATER = ("replayed", "repaired")
WITHOUT_TIME = ("replay", "demo")  # a file and an invention have no minutes to cover


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time on one stream; moments in microseconds. words is a whole sentence."""

    verdict: str  # covered, missed, not_followed
    state: str  # live, down, limited, paused, looked_back, …
    outcome: str  # replayed, repairing, repaired, lost, ""
    words: str
    since: int
    until: int
    repaired_posts: int = 0


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's stretches over a range, without gaps between them, and the sums in seconds."""

    stream: str
    network: str
    stretches: list[Stretch]
    covered_s: float
    missed_s: float
    not_followed_s: float

    @property
    def share(self) -> float | None:
        """Covered share of the time in which the keyword was followed; None if there was none."""
        whole = self.covered_s + self.missed_s
        return self.covered_s / whole if whole else None


class _Row(msgspec.Struct, frozen=True):
    """What is asked about a keyword: all of it optional for a stream by itself."""

    id: int
    networks: tuple[str, ...]
    created_at: int
    keep_days: int


def of_keyword(engine: Engine, keyword_id: int, since: int = 0, until: int = 0) -> list[Coverage]:
    """A keyword's coverage by stream; since 0: from its beginning, until 0: to now."""
    with reading(engine) as connection:
        found = known.keyword(connection, keyword_id)
        if found is None:
            return []
        times = found["created_at"], found["keep_days"]
        row = _Row(found["id"], tuple(found["networks"].split()), *times)
        now = known.now(connection)
        until = min(until or now, now)
        return [
            _coverage(connection, stream, row, since or row.created_at, until)
            for stream in known.streams(connection)
            if counts(stream) and (not row.networks or stream["network"] in row.networks)
        ]


def of_stream(engine: Engine, stream_id: int, since: int, until: int) -> Coverage | None:
    """A stream's own coverage, whatever the keywords."""
    with reading(engine) as connection:
        found = connection.execute(select(streams).where(streams.c.id == stream_id)).mappings()
        stream = found.first()
        if stream is None:
            return None
        return _coverage(connection, stream, None, since, until)


def of_streams(engine: Engine, since: int, until: int) -> list[Coverage]:
    """The coverage of every stream that has minutes, whatever the keywords."""
    with reading(engine) as connection:
        now = known.now(connection)
        return [
            _coverage(connection, stream, None, since, min(until, now))
            for stream in known.streams(connection)
            if counts(stream)
        ]


def counts(stream: RowMapping) -> bool:
    """Whether a stream has minutes that can be covered."""
    used = stream["covered_until"] or stream["wanted"]
    return bool(used) and stream["network"] not in WITHOUT_TIME


def _coverage(
    connection: Connection, stream: RowMapping, keyword: _Row | None, since: int, until: int
) -> Coverage:
    # What a stream did before there was the keyword is covered up below.
    known_from = 0 if keyword is None else keyword.created_at
    line = line_of(connection, stream["id"], since, until, known_from=known_from)
    if keyword is not None:
        pauses = keyword_ledger.of_keyword(connection, keyword.id, since, until)
        line = over(line, of_pauses(pauses, stream["network"], keyword.created_at, until))
        had = look_backs(connection, stream["id"])
        line = over(line, [stretch for ids, stretch in had if keyword.id in ids])
        kept, whose = known.kept(connection), (keyword.id, keyword.created_at, keyword.keep_days)
        line = over(line, deleted(kept, *whose, stream["network"]))
    return _summed(stream["name"], stream["network"], line)


def _summed(stream: str, network: str, line: list[Stretch]) -> Coverage:
    sums = {"covered": 0, "missed": 0, "not_followed": 0}
    for stretch in line:
        sums[stretch.verdict] += stretch.until - stretch.since
    in_seconds = {f"{name}_s": us / 1e6 for name, us in sums.items()}
    return Coverage(stream=stream, network=network, stretches=line, **in_seconds)


def between(found: Iterable[Coverage], since: int, until: int) -> list[Coverage]:
    """What was found of a longer time, of this part of it."""
    return [
        _summed(
            one.stream,
            one.network,
            [
                _clipped(stretch, max(stretch.since, since), min(stretch.until, until))
                for stretch in one.stretches
                if stretch.since < until and stretch.until > since
            ],
        )
        for one in found
    ]


def _of_intervals(found: Iterable[Interval], until: int) -> list[Stretch]:
    return [
        Stretch(
            verdict=_verdict(interval),
            state=interval.state,
            outcome=interval.outcome,
            words=" ".join(part for part in (interval.cause, interval.repair) if part),
            since=interval.started_at,
            until=until if interval.ended_at is None else interval.ended_at,
            repaired_posts=interval.repaired_posts,
        )
        for interval in found
    ]


def _verdict(interval: Interval) -> str:
    if interval.state == ledger.LIVE or interval.outcome in HAD_LATER:
        return "covered"
    if interval.outcome == "" and interval.ended_at is not None:
        return "not_followed"  # before its first connection
    return "missed"


def of_pauses(pauses: Sequence[Pause], network: str, created_at: int, until: int) -> list[Stretch]:
    """What a keyword's own ledger, and its beginning, lay over a stream's line."""
    found = [
        Stretch(
            verdict="not_followed" if pause.state in ("paused", "removed") else "missed",
            state=pause.state,
            outcome="",
            words=pause.cause,
            since=pause.started_at,
            until=until if pause.ended_at is None else pause.ended_at,
        )
        for pause in pauses
        if pause.network in ("", network)
    ]
    before = Stretch(
        verdict="not_followed",
        state="before",
        outcome="",
        words=say("The keyword did not exist yet."),
        since=0,
        until=created_at,
    )
    return [*found, before]


def deleted(
    kept: Kept, keyword_id: int, created_at: int, keep_days: int, network: str
) -> list[Stretch]:
    """The time of which a keyword's posts on a network are deleted: it lies over all else."""
    until = kept.since(keyword_id, created_at, keep_days, (network,))
    if until == created_at:
        return []
    words = say("Posts of then were deleted, as old as they are.")
    gone = _unfollowed(created_at, until)
    return [msgspec.structs.replace(gone, state="deleted", words=words)]


def look_backs(connection: Connection, stream_id: int) -> list[tuple[set[int], Stretch]]:
    """Finished look-backs, with their keywords: they make covered what was before these."""
    return once(connection, ("look_backs", stream_id), lambda: _look_backs(connection, stream_id))


def _look_backs(connection: Connection, stream_id: int) -> list[tuple[set[int], Stretch]]:
    rows = connection.execute(_looked_back, {"stream": stream_id})
    found = []
    for row in rows:
        options = msgspec.json.decode(row.options)
        if options["until_us"] > options["began_us"]:
            stretch = Stretch(
                verdict="covered",
                state="looked_back",
                outcome="",
                words=say("The network was asked for the past."),
                since=options["began_us"],
                until=options["until_us"],
            )
            found.append((set(options.get("keywords", ())), stretch))
    return found


_looked_back = select(jobs.c.options).where(
    jobs.c.kind == "look_back", jobs.c.subject == bindparam("stream"), jobs.c.state == "done"
)


def line_of(
    connection: Connection, stream_id: int, since: int, until: int, *, known_from: int = 0
) -> list[Stretch]:
    """A stream's own line over a range: where nothing is known, it was not followed.

    Its intervals never overlap and come in order, so this takes one pass however many there are.
    known_from: before it nothing is asked.
    """
    line, at = [], since
    first = max(since, known_from)
    found = ledger.between(connection, stream_id, first, until) if first < until else []
    for stretch in _of_intervals(found, until):
        begin, end = max(stretch.since, at), min(stretch.until, until)
        if end <= begin:
            continue
        if begin > at:
            line.append(_unfollowed(at, begin))
        line.append(_clipped(stretch, begin, end))
        at = end
    if until > at:
        line.append(_unfollowed(at, until))
    return _joined(line)


def _unfollowed(since: int, until: int) -> Stretch:
    return Stretch(
        verdict="not_followed",
        state="none",
        outcome="",
        words=say("The stream was not followed."),
        since=since,
        until=until,
    )


def over(line: list[Stretch], layers: Iterable[Stretch]) -> list[Stretch]:
    """Put stretches over a line, the later ones on top; neighbours that say the same are joined."""
    for top in layers:
        cut: list[Stretch] = []
        for below in line:
            if top.until <= below.since or top.since >= below.until:
                cut.append(below)
                continue
            if below.since < top.since:
                cut.append(_clipped(below, below.since, top.since))
            cut.append(_clipped(top, max(top.since, below.since), min(top.until, below.until)))
            if top.until < below.until:
                cut.append(_clipped(below, top.until, below.until))
        line = cut
    return _joined(line)


def _joined(line: Iterable[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for stretch in line:
        if joined and _same(joined[-1], stretch):
            joined[-1] = _clipped(joined[-1], joined[-1].since, stretch.until)
        elif stretch.until > stretch.since:
            joined.append(stretch)
    return joined


def _clipped(stretch: Stretch, since: int, until: int) -> Stretch:
    return msgspec.structs.replace(stretch, since=since, until=until)


def _same(one: Stretch, other: Stretch) -> bool:
    return _clipped(one, 0, 0) == _clipped(other, 0, 0)


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a strip for people: the worst of its time, and the keyword's posts in it."""

    since: int
    until: int
    verdict: str  # covered, quiet, missed, not_followed
    words: str
    posts: int


BARS = 96


def strips(
    engine: Engine, keyword_id: int, found: Sequence[Coverage], since: int, until: int
) -> list[list[Bar]]:
    """Each stream's coverage in BARS equal bars; a covered one without a post of the keyword is
    quiet."""
    width = max((until - since) // BARS, 1)
    size = next((n for n in reversed(TOTAL_SIZES) if width >= 3 * n * US), MINUTE)
    values = {
        "keyword": keyword_id,
        "seconds": size,
        "since": since // US - size,
        "until": until // US,
        "origin": since,
        "width": width,
    }
    with reading(engine) as connection:
        rows = connection.execute(_by_bar[size == MINUTE], values).all()
    counts: Counter[tuple[str, int]] = Counter()
    for network, bar, count in rows:
        counts[network, max(bar, 0)] += count
    return [
        [
            _bar(one.stretches, since + n * width, since + (n + 1) * width, counts[one.network, n])
            for n in range(BARS)
        ]
        for one in found
    ]


def _in_bars(table: Table) -> Select[Any]:
    """Posts by network and bar: a bar may take posts of the end of the one before it, for a sum
    counts where it begins."""
    begins = table.c.start * US - bindparam("origin", type_=BigInteger)
    number = (begins // bindparam("width", type_=BigInteger)).label("bar")
    return (
        select(table.c.network, number, cast(func.sum(table.c.posts + table.c.gone), BigInteger))
        .where(
            table.c.keyword_id == bindparam("keyword"),
            table.c.seconds == bindparam("seconds"),
            table.c.start >= bindparam("since"),
            table.c.start < bindparam("until"),
        )
        .group_by(table.c.network, number)
    )


_by_bar = {True: _in_bars(volumes), False: _in_bars(totals)}  # by whether of single minutes


def _bar(stretches: Sequence[Stretch], since: int, until: int, count: int) -> Bar:
    inside = [s for s in stretches if s.since < until and s.until > since]
    order = ("missed", "not_followed", "covered")
    worst = min(inside, key=lambda s: order.index(s.verdict), default=None)
    verdict = worst.verdict if worst else "not_followed"
    if verdict == "covered" and not count:
        verdict = "quiet"
    words = worst.words if worst else ""
    return Bar(since=since, until=until, verdict=verdict, words=words, posts=count)
