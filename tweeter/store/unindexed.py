"""Which posts the search index lacks: those of a stretch of time, kept in `positions`.

Where the setting search_index is off posts are stored without their words. The moment of each such
post, while it is not removed, lies in the stretch: who stores one widens it in the same transaction
(`leave_out`), and `search_texts.fill` narrows it from its end. So a search knows for which posts
the index speaks, whatever the settings of its own process are, and of the one that stored.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from tweeter.store.cells import HOUR, US
from tweeter.store.engine import insert_new
from tweeter.store.schema import positions, posts, totals

OPEN = 1 << 62  # as an end: more may come
_SINCE, _UNTIL = "unindexed_since", "unindexed_until"
_NAMED = positions.c.name.in_((_SINCE, _UNTIL))


class Stretch(NamedTuple):
    """[since, until) in microseconds; until: OPEN while posts are stored without the index."""

    since: int
    until: int

    @property
    def is_open(self) -> bool:
        """Whether posts are stored without the index now, as far as was seen."""
        return self.until == OPEN

    def has_some_of(self, since: int, until: int) -> bool:
        """Whether it has moments of [since, until); until: 0 if that has no end."""
        return since < self.until and (not until or until > self.since)


def stretch(connection: Connection) -> Stretch | None:
    """The stretch as of now; None: every post is in the index."""
    return _of(connection.execute(_asked).all())


def hold(connection: Connection, *, read: bool = False) -> Stretch | None:
    """The same, which stays so until the transaction ends. read: with others who hold it so."""
    # One row stands for both, by its key alone: MariaDB going along the table for two would wait
    # for other positions, too.
    begin = select(positions.c.value).where(positions.c.name == _SINCE)
    connection.execute(begin.with_for_update(read=read)).scalar()
    return stretch(connection)


_asked = select(positions.c.name, positions.c.value).where(_NAMED).order_by(positions.c.name)


def _of(rows: Sequence[Row[str, int]]) -> Stretch | None:
    found = {row.name: row.value for row in rows}
    if not found or found[_UNTIL] <= found[_SINCE]:
        return None
    return Stretch(found[_SINCE], found[_UNTIL])


def leave_out(connection: Connection, moments: Sequence[int]) -> None:
    """Posts of these moments are stored without words in this transaction."""
    if not moments:
        return
    first = min(moments)
    held = hold(connection, read=True)
    if held is None:
        insert_new(connection, positions, _rows(Stretch(0, 0)), unique=("name",))
        held = hold(connection, read=True)  # another may have begun it just now
    if held is None:
        put(connection, Stretch(first, OPEN))
    elif first < held.since or not held.is_open:
        put(connection, Stretch(min(first, held.since), OPEN))


def put(connection: Connection, lacking: Stretch | None) -> None:
    """Enter a stretch, whose rows are there; None: every post is in the index."""
    for row in _rows(lacking or Stretch(0, 0)):
        which = positions.c.name == row["name"]
        connection.execute(update(positions).where(which).values(value=row["value"]))


def put_all(connection: Connection) -> None:
    """No post is in the index any more, and none is added to it meanwhile by `fill`."""
    insert_new(connection, positions, _rows(Stretch(0, 0)), unique=("name",))
    hold(connection)
    put(connection, Stretch(0, OPEN))


def _rows(lacking: Stretch) -> list[dict[str, str | int]]:
    return [
        {"name": _SINCE, "value": lacking.since},
        {"name": _UNTIL, "value": lacking.until},
    ]


class Unindexed(msgspec.Struct, frozen=True):
    """A stretch as people are told it. until_us: 0 while posts are stored without the index."""

    since_us: int
    until_us: int


def told(connection: Connection, lacking: Stretch | None) -> Unindexed | None:
    """The same, from the oldest stored post on at the earliest."""
    if lacking is None:
        return None
    oldest = connection.execute(select(func.min(posts.c.occurred_at))).scalar() or 0
    return Unindexed(max(lacking.since, int(oldest)), 0 if lacking.is_open else lacking.until)


def about(connection: Connection, lacking: Unindexed) -> int:
    """How many posts lie in it, by the sums of whole hours: at most so many lack their words."""
    since, until = lacking.since_us // US, lacking.until_us // US
    statement = select(func.sum(totals.c.posts)).where(
        totals.c.keyword_id == 0,
        totals.c.seconds == HOUR,
        totals.c.start >= since - since % HOUR,
        *([totals.c.start <= until] if until else []),
    )
    return int(connection.execute(statement).scalar() or 0)
