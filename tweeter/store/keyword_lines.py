"""Keywords as a list: by a piece of their text and their state, in an order, a page at a time.

What is asked for is looked up among all of them, of which each is a short row; without a question
the newest are read alone, so that their number does not matter.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Engine, Select, bindparam, cast, func, select

from tweeter.keywords.normalise import normalise
from tweeter.store.cells import HOUR
from tweeter.store.engine import reading
from tweeter.store.schema import keywords, totals

STATES = ("active", "paused")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword as it stands in the list; last_hour: posts of the last whole hour, UTC."""

    id: int
    expression: str
    state: str
    demo: bool
    networks: str
    posts: int
    last_hour: int


SORTS: dict[str, Callable[[Line], Any]] = {
    "new": lambda line: -line.id,
    "name": lambda line: (normalise(line.expression), line.id),
    "posts": lambda line: (-line.posts, -line.id),
    "hour": lambda line: (-line.last_hour, -line.posts, -line.id),
    "state": lambda line: (line.state == "active", normalise(line.expression), line.id),
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is asked for. find: a piece of the expression; state: one of STATES or "";
    sort: one of SORTS; page: from 1 on; older: an id, where the newest go on without a question.
    """

    find: str = ""
    state: str = ""
    sort: str = "new"
    page: int = 1
    older: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it is the newest that are asked for, and nothing else."""
        return not (self.find or self.state) and self.sort == "new" and self.page == 1


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the list. found and every: how many are found, of how many; None: not counted.

    older: of the next page of the newest, 0 at the end.
    """

    lines: list[Line]
    found: int | None = None
    every: int | None = None
    older: int = 0


def lines(engine: Engine, asked: Asked, now_s: int, *, limit: int) -> Lines:
    """Keywords that are not removed, as asked for; one question. now_s: seconds."""
    statement = _newest(limit + 1) if asked.is_plain else _all
    values = {"hour": now_s - now_s % HOUR - HOUR}
    if asked.is_plain:
        values["older"] = asked.older or 1 << 62
    with reading(engine) as connection:
        rows = connection.execute(statement, values).mappings()
        every = [Line(**row) for row in rows]
    if asked.is_plain:
        older = every[limit - 1].id if len(every) > limit else 0
        return Lines(lines=every[:limit], older=older)
    wanted = normalise(asked.find)
    found = [
        line
        for line in every
        if asked.state in ("", line.state) and wanted in normalise(line.expression)
    ]
    found.sort(key=SORTS[asked.sort])
    first = (asked.page - 1) * limit
    return Lines(lines=found[first : first + limit], found=len(found), every=len(every))


_hour = (
    select(cast(func.coalesce(func.sum(totals.c.posts), 0), BigInteger))
    .where(
        totals.c.keyword_id == keywords.c.id,
        totals.c.seconds == HOUR,
        totals.c.start == bindparam("hour"),
    )
    .scalar_subquery()
)
_all = select(
    *(keywords.c[name] for name in Line.__struct_fields__ if name in keywords.c),
    _hour.label("last_hour"),
).where(keywords.c.state != "removed")


def _newest(limit: int) -> Select[Any]:
    before = keywords.c.id < bindparam("older")
    return _all.where(before).order_by(keywords.c.id.desc()).limit(limit)
