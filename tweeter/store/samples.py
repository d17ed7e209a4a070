"""A few posts of a stretch, for what no sum can say: words, texts and the names of authors."""

from collections.abc import Collection, Sequence
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    RowMapping,
    Select,
    bindparam,
    select,
    union_all,
)

from tweeter.choices import NETWORKS
from tweeter.filters import Question
from tweeter.records import now_us
from tweeter.store.cells import US
from tweeter.store.engine import apart, chunks, one_of, reading
from tweeter.store.filters import Query
from tweeter.store.fulltext import TookTooLong, limited
from tweeter.store.schema import matches, posts
from tweeter.store.search import hits
from tweeter.store.walk import Walk


class Sampled(msgspec.Struct, frozen=True):
    """A visible post, as far as words and names are counted in it."""

    id: int
    text: str
    lang: str
    network: str
    author_id: str
    author_handle: str
    author_name: str


_SAMPLED = [posts.c[name] for name in Sampled.__struct_fields__]


def sample(
    engine: Engine, keyword_id: int, times: tuple[int, int], *, pieces: int = 8, limit: int = 400
) -> list[Sampled]:
    """Posts of a keyword from all over a stretch: the newest of each of its `pieces`.

    What some of them do not have, others may have more.
    """
    since, length = times[0] * US, (times[1] - times[0]) * US
    edges = [since + length * n // pieces for n in range(pieces + 1)]
    found: list[list[Sampled]] = [[] for _ in range(pieces)]
    most, full = limit // pieces, list(range(pieces))
    with reading(engine) as connection:
        while True:
            for n in full:
                values = {"keyword": keyword_id, "from": edges[n], "to": edges[n + 1]}
                rows = connection.execute(_newest, values | {"most": most})
                found[n] = [Sampled(*row) for row in rows]
            full = [n for n in full if len(found[n]) == most]
            room = limit - sum(map(len, found))
            if room < max(len(full), 1) or not full:
                return [one for some in found for one in some]
            most += room // len(full)


_is_shown = (posts.c.hidden == "", posts.c.removed_at.is_(None))


def _in_stretch(number: object = "") -> list[ColumnElement[bool]]:
    """Conditions for a keyword's posts; number: of the names of the stretch."""
    since: Any = bindparam(f"from{number}")
    until: Any = bindparam(f"to{number}")
    its = matches.c.keyword_id == bindparam("keyword")
    return [its, matches.c.occurred_at >= since, matches.c.occurred_at < until, *_is_shown]


_joined = matches, matches.c.post_id == posts.c.id
_NEWEST = matches.c.occurred_at.desc(), matches.c.post_id.desc()
_newest = (
    select(*_SAMPLED)
    .join(*_joined)
    .where(*_in_stretch())
    .order_by(*_NEWEST)
    .limit(bindparam("most"))
)


def every(
    engine: Engine, keyword_id: int, stretches: Sequence[tuple[int, int]]
) -> list[RowMapping]:
    """The visible posts of a keyword in these stretches as statistics count them; those of one
    stretch newest first.

    Each costs about as much as a search's candidate: ask first how many there are.
    """
    if not stretches:
        return []
    values = {"keyword": keyword_id}
    for number, (since, until) in enumerate(stretches):
        values |= {f"from{number}": since * US, f"to{number}": until * US}
    with reading(engine) as connection:
        return list(connection.execute(_every(len(stretches)), values).mappings())


_NAMES = "id text tags links lang kind network author_id traits removed_at hidden occurred_at"
COUNTED = tuple(posts.c[name] for name in _NAMES.split())  # what statistics are counted from


@cache
def _every(stretches: int) -> Select[Any] | CompoundSelect[Any]:
    of_each = [
        select(*COUNTED).join(*_joined).where(*_in_stretch(number)) for number in range(stretches)
    ]
    return of_each[0].order_by(*_NEWEST) if stretches == 1 else union_all(*of_each)


def passing(
    engine: Engine, question: Question, limit: int, deadline: float
) -> tuple[list[RowMapping], bool]:
    """The newest visible posts that the search finds, and whether there are no others.

    With the columns COUNTED and those of Sampled, as many as are found before the deadline
    (time.monotonic), in a transaction of their own.
    """
    query = Query(question, now_us())
    ids: list[int] = []
    is_over = False
    with apart():
        try:
            with reading(engine) as connection, limited(connection, deadline):
                walk = Walk(connection, query, deadline, hits=limit + 1)
                found = (row["id"] for row, is_hit in hits(walk, query, None) if is_hit)
                for post_id in islice(found, limit + 1):
                    ids.append(post_id)
        except TookTooLong:
            is_over = True
        return _counted(engine, ids[:limit]), len(ids) <= limit and not is_over


def _counted(engine: Engine, ids: Sequence[int]) -> list[RowMapping]:
    """Those of the posts that are visible, in this order."""
    if not ids:
        return []
    columns = dict.fromkeys((*COUNTED, *_SAMPLED))
    with reading(engine) as connection:
        asked = select(*columns).where(one_of(connection, posts.c.id, ids), *_is_shown)
        rows = {row["id"]: row for row in connection.execute(asked).mappings()}
    return [rows[post_id] for post_id in ids if post_id in rows]


def others(engine: Engine, keyword_id: int, *, limit: int = 400) -> list[Sampled]:
    """The newest visible posts that this keyword does not match.

    Looked at are the newest only, so that a keyword which matches everything costs no more; and
    by their ids, some at a time: of a table that grew fast PostgreSQL joins all of it.
    """
    found: list[Sampled] = []
    with reading(engine) as connection:
        newest = select(posts.c.id).order_by(posts.c.id.desc()).limit(10 * limit)
        for some in chunks(connection.execute(newest).scalars(), reverse=True):
            mine = select(matches.c.post_id).where(
                matches.c.keyword_id == keyword_id, matches.c.post_id.in_(some)
            )
            left = set(some) - set(connection.execute(mine).scalars())
            found += _visible(connection, left)
            if len(found) >= limit:
                break
    return found[:limit]


def _visible(connection: Connection, ids: Collection[int]) -> list[Sampled]:
    if not ids:
        return []
    statement = select(*_SAMPLED).where(posts.c.id.in_(ids), *_is_shown)
    return [Sampled(*row) for row in connection.execute(statement.order_by(posts.c.id.desc()))]


def names_of(engine: Engine, authors: Sequence[str]) -> dict[str, str]:
    """How authors (author_id) are called in their newest stored post, handle before name."""
    if not authors:
        return {}
    values = {f"author{number}": author_id for number, author_id in enumerate(authors)}
    with reading(engine) as connection:
        rows = connection.execute(_naming(len(authors)), values)
        return {author_id: handle or name for author_id, handle, name in rows}


@cache  # to put it together takes longer than to ask it
def _naming(count: int) -> CompoundSelect[Any]:
    """A post of each of so many authors, in one question."""
    posts_of = [
        select(posts.c.author_id, posts.c.author_handle, posts.c.author_name)
        .where(
            posts.c.network.in_(NETWORKS),  # all of them: the index begins with it
            posts.c.author_id == bindparam(f"author{number}"),
            posts.c.removed_at.is_(None),
        )
        .limit(1)
        .subquery()
        for number in range(count)
    ]
    return union_all(*map(select, posts_of))
