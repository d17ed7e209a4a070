"""A person's notes on the axis of time: a moment or a range, and a line of text.

A note is a keyword's, or everybody's (keyword 0). It goes with its keyword when that is forgotten.
"""

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from tweeter.errors import TweeterError
from tweeter.harmless import harmless, mend
from tweeter.store import keywords
from tweeter.store.engine import read_clock, reading, repeated, writing
from tweeter.store.schema import annotations
from tweeter.store.schema import keywords as keyword_table
from tweeter.texts import say

CHARACTERS = 500
MOST = 500  # of one keyword, and of all keywords together: so many a chart can hold
EVERY = 0  # keyword_id of a note that stands on every chart
LAST = (1 << 63) - 1


class AnnotationNotFound(TweeterError):
    """No note has this id."""


class BadAnnotation(TweeterError):
    """A note that cannot be kept: without text, too long, ending before it begins, or too many."""


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """A note; moments in microseconds. until: 0 for a note of one moment. keyword_id 0: of all."""

    id: int
    keyword_id: int
    text: str
    since: int
    until: int
    created_at: int
    changed_at: int

    @property
    def last(self) -> int:
        """The end of its range, or its moment."""
        return self.until or self.since


def between(
    engine: Engine, since: int = 0, until: int = LAST, *, keyword_id: int | None = None
) -> list[Annotation]:
    """Notes that touch [since, until), in order of time. keyword_id: its own and those of all."""
    values = {"since": since, "until": until}
    statement = _touching
    if keyword_id is not None:
        statement, values = _its_touching, values | {"keyword": keyword_id}
    with reading(engine) as connection:
        return [_of(row) for row in connection.execute(statement, values).mappings()]


_touching = (
    select(annotations)
    .where(
        annotations.c.started_at < bindparam("until"),
        func.coalesce(annotations.c.ended_at, annotations.c.started_at) >= bindparam("since"),
    )
    .order_by(annotations.c.started_at, annotations.c.id)
)
_its_touching = _touching.where(annotations.c.keyword_id.in_([bindparam("keyword"), EVERY]))


def get(engine: Engine, annotation_id: int) -> Annotation:
    """One; raises AnnotationNotFound."""
    with reading(engine) as connection:
        return _get(connection, annotation_id)


def _get(connection: Connection, annotation_id: int, *, lock: bool = False) -> Annotation:
    statement = select(annotations).where(annotations.c.id == annotation_id)
    if lock:  # two changes at once: the second one sees the first (SQLite: the write lock does it)
        statement = statement.with_for_update()
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise AnnotationNotFound(
            say("There is no note %(number)s: it may have been removed.", number=annotation_id)
        )
    return _of(row)


def _of(row: RowMapping) -> Annotation:
    return Annotation(
        id=row["id"],
        keyword_id=row["keyword_id"],
        text=row["words"],
        since=row["started_at"],
        until=row["ended_at"] or 0,
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


@repeated
def add(engine: Engine, keyword_id: int, text: str, since: int, until: int = 0) -> Annotation:
    """Keep a note; until 0: it is of one moment. Raises BadAnnotation and KeywordNotFound."""
    words = _checked(text, since, until)
    with writing(engine) as connection:
        _make_room(connection, keyword_id)
        now = read_clock(connection)
        values = {"words": words, "started_at": since, "ended_at": until or None}
        made = connection.execute(
            insert(annotations).values(
                keyword_id=keyword_id, created_at=now, changed_at=now, **values
            )
        )
        assert made.inserted_primary_key is not None  # noqa: S101
        return _get(connection, made.inserted_primary_key[0])


@repeated
def change(
    engine: Engine,
    annotation_id: int,
    *,
    keyword_id: int | None = None,
    text: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> Annotation:
    """Change what is given; None leaves it. Raises AnnotationNotFound and as `add`."""
    with writing(engine) as connection:
        found = _get(connection, annotation_id, lock=True)
        if keyword_id not in (None, found.keyword_id):
            _make_room(connection, keyword_id or EVERY)
        since = found.since if since is None else since
        until = found.until if until is None else until
        now = read_clock(connection)
        values = {
            "keyword_id": found.keyword_id if keyword_id is None else keyword_id,
            "words": _checked(found.text if text is None else text, since, until),
            "started_at": since,
            "ended_at": until or None,
            "changed_at": max(now, found.changed_at + 1),
        }
        mine = annotations.c.id == annotation_id
        connection.execute(update(annotations).where(mine).values(values))
        return _get(connection, annotation_id)


@repeated
def remove(engine: Engine, annotation_id: int) -> Annotation:
    """Forget a note; returns what it was. Raises AnnotationNotFound."""
    with writing(engine) as connection:
        found = _get(connection, annotation_id)
        connection.execute(delete(annotations).where(annotations.c.id == annotation_id))
        return found


def _checked(text: str, since: int, until: int) -> str:
    words = harmless(mend(" ".join(text.split())))
    if not words:
        raise BadAnnotation(say("The note needs a text.")).at("text")
    if len(words) > CHARACTERS:
        raise BadAnnotation(
            say(
                "A note has at most %(characters)s characters; these are %(count)s.",
                characters=CHARACTERS,
                count=len(words),
            )
        ).at("text")
    if until and until <= since:
        raise BadAnnotation(say("The note ends before it begins.")).at("until")
    return words


def _make_room(connection: Connection, keyword_id: int) -> None:
    """That the keyword is there and stays until the end of the transaction, with room for one."""
    if keyword_id != EVERY:
        row = select(keyword_table.c.id).where(keyword_table.c.id == keyword_id)
        if connection.execute(row.with_for_update(read=True)).first() is None:
            raise keywords.KeywordNotFound(keyword_id)
    kept = select(func.count()).where(annotations.c.keyword_id == keyword_id)
    if int(connection.execute(kept).scalar_one()) >= MOST:
        raise BadAnnotation(
            say("%(most)s notes are kept here already: remove one first.", most=MOST)
        )
