"""What a number of posts stands for: how much of the time it counts was covered.

A total over time with a gap in it is a lower bound, and every place that shows one says so.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from tweeter.store import keyword_ledger, known
from tweeter.store.coverage import (
    Coverage,
    Stretch,
    counts,
    deleted,
    line_of,
    look_backs,
    of_pauses,
    over,
)
from tweeter.store.engine import chunks, reading
from tweeter.store.keyword_ledger import Pause
from tweeter.store.known import Kept
from tweeter.store.schema import keywords
from tweeter.texts import counted, of_posts


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """covered is the share of the time in which a keyword was followed, of all its streams
    together; None if none followed it, and nothing can be said.
    """

    covered: float | None

    @property
    def is_whole(self) -> bool:
        """Whether the number is all there was, as far as anybody can say."""
        return self.covered is None or self.covered >= 1

    @property
    def percent(self) -> str:
        """The share as "96.2": cut, never rounded up, for only the whole is 100."""
        return f"{math.floor(1000 * (self.covered or 0)) / 10:.1f}"

    def words(self, posts: int) -> str:
        """Either "12,480 posts", or "≥ 12,480 posts, 96.2 % covered"."""
        if self.is_whole:
            return of_posts(posts)
        return counted(
            "≥ %(count)s post, %(percent)s %% covered",
            "≥ %(count)s posts, %(percent)s %% covered",
            posts,
            percent=self.percent,
        )


NOTHING_SAID = Figure(covered=None)


def of_coverage(found: Sequence[Coverage]) -> Figure:
    """What the stretches of a keyword's streams come to; () says nothing."""
    covered = sum(one.covered_s for one in found)
    whole = covered + sum(one.missed_s for one in found)
    return Figure(covered=covered / whole if whole else None)


class _Line:
    """A stream over the whole range. before[n]: covered and missed time before stretch n (us)."""

    def __init__(
        self, network: str, stretches: list[Stretch], looked_back: list[tuple[set[int], Stretch]]
    ) -> None:
        self.network, self.looked_back = network, looked_back
        self._stretches = stretches
        self._before = [(0, 0)]
        for stretch in stretches:
            covered, missed = self._before[-1]
            length = stretch.until - stretch.since
            covered += length * (stretch.verdict == "covered")
            missed += length * (stretch.verdict == "missed")
            self._before.append((covered, missed))

    def between(self, since: int, until: int) -> tuple[int, int]:
        """Covered and missed time between two moments."""
        (covered, missed), (covered_then, missed_then) = self._until(until), self._until(since)
        return covered - covered_then, missed - missed_then

    def _until(self, moment: int) -> tuple[int, int]:
        number = bisect.bisect_right(self._stretches, moment, key=lambda stretch: stretch.since)
        if number == 0:
            return 0, 0
        last, (covered, missed) = self._stretches[number - 1], self._before[number - 1]
        length = min(moment, last.until) - last.since
        return (
            covered + length * (last.verdict == "covered"),
            missed + length * (last.verdict == "missed"),
        )


def of_keywords(
    engine: Engine, keyword_ids: Sequence[int], since: int = 0, until: int = 0
) -> dict[int, Figure]:
    """How much of each keyword's time was covered; each stream is looked at once for all.

    since 0: from each keyword's beginning; until 0: to now.
    """
    with reading(engine) as connection:
        now = known.now(connection)
        until = min(until or now, now)
        rows = _rows(connection, keyword_ids)
        first = since or min((row["created_at"] for row in rows), default=until)
        lines = [
            _Line(
                stream["network"],
                line_of(connection, stream["id"], first, until),
                look_backs(connection, stream["id"]),
            )
            for stream in known.streams(connection)
            if counts(stream)
        ]
        pauses = keyword_ledger.of_keywords(connection, keyword_ids, first, until)
        kept = known.kept(connection)
    found = {}
    for row in rows:
        begin = since or row["created_at"]
        found[row["id"]] = _figure(row, (begin, until), lines, pauses.get(row["id"], []), kept)
    return found


def of_keyword(engine: Engine, keyword_id: int, since: int = 0, until: int = 0) -> Figure:
    """The same for one keyword."""
    return of_keywords(engine, [keyword_id], since, until).get(keyword_id, NOTHING_SAID)


def _rows(connection: Connection, keyword_ids: Sequence[int]) -> list[Mapping[Any, Any]]:
    if len(keyword_ids) == 1:
        one = known.keyword(connection, keyword_ids[0])
        return [one] if one is not None else []
    found: list[Mapping[Any, Any]] = []
    for some in chunks(keyword_ids):
        names = "id", "networks", "created_at", "keep_days"
        statement = select(*(keywords.c[name] for name in names))
        found += connection.execute(statement.where(keywords.c.id.in_(some))).mappings().all()
    return found


def _figure(
    row: Mapping[Any, Any],
    times: tuple[int, int],
    lines: Sequence[_Line],
    pauses: Sequence[Pause],
    kept: Kept,
) -> Figure:
    networks, covered, missed = row["networks"].split(), 0, 0
    for line in lines:
        if networks and line.network not in networks:
            continue
        gone = deleted(kept, row["id"], row["created_at"], row["keep_days"], line.network)
        for piece in over(_own(row, line, times, pauses), gone):
            if piece.state == _THE_STREAMS:
                more = line.between(piece.since, piece.until)
            else:
                length = piece.until - piece.since
                more = (length * (piece.verdict == "covered"), length * (piece.verdict == "missed"))
            covered, missed = covered + more[0], missed + more[1]
    whole = covered + missed
    return Figure(covered=covered / whole if whole else None)


_THE_STREAMS = "as the stream was"


def _own(
    row: Mapping[Any, Any], line: _Line, times: tuple[int, int], pauses: Sequence[Pause]
) -> list[Stretch]:
    """What the keyword's own ledger says of the range: a few pieces, the rest is the stream's."""
    since, until = times
    rest = Stretch(verdict="", state=_THE_STREAMS, outcome="", words="", since=since, until=until)
    own = over(
        [rest] if until > since else [],
        of_pauses(pauses, line.network, row["created_at"], until),
    )
    return over(own, [stretch for ids, stretch in line.looked_back if row["id"] in ids])
