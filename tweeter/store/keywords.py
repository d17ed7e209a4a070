"""Keywords: rows that pages and commands write and workers obey.

Each change raises the revision in `positions`. A batch of posts is stored only if it was
matched with the current revision (`batches.commit`), so every post committed after a keyword
is matched with it; posts stored before are matched again by a job.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, delete, insert, select, update

from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.keywords import parse, print_expression
from tweeter.records import Keyword
from tweeter.store import jobs
from tweeter.store.engine import db_now, reading, writing
from tweeter.store.schema import keyword_versions, keywords, positions

UNDO_S = 600  # a removed keyword's posts are purged no sooner than this


class KeywordRow(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword as kept; `posts` is exact, complete_at None while stored posts are rematched."""

    id: int
    expression: str
    canonical: str
    version: int
    state: str
    demo: bool
    created_at: int
    changed_at: int
    purge_at: int | None
    complete_at: int | None
    posts: int


class KeywordNotFound(TweeterError):
    """No keyword has this id."""

    def __init__(self, keyword_id: int) -> None:
        super().__init__(f"There is no keyword {keyword_id}. List them: tweeter keyword list")


class KeywordExists(TweeterError):
    """Another keyword says the same; `keyword_id` is its id."""

    def __init__(self, keyword_id: int, expression: str, state: str) -> None:
        self.keyword_id = keyword_id
        super().__init__(f"Keyword {keyword_id} ({expression}, {state}) already says the same.")


class TooManyKeywords(TweeterError):
    """The installation's limit is reached."""


def canonical(expression: str) -> str:
    """The expression printed from its tree, case folded; raises KeywordSyntaxError."""
    return print_expression(parse(expression)).casefold()


def _row(row: RowMapping) -> KeywordRow:
    return KeywordRow(**row)


def _get(connection: Connection, keyword_id: int) -> KeywordRow:
    found = connection.execute(select(keywords).where(keywords.c.id == keyword_id)).mappings()
    row = found.first()
    if row is None:
        raise KeywordNotFound(keyword_id)
    return _row(row)


def _bump(connection: Connection) -> None:
    """Raise the revision; on databases with row locks this waits for batches under way."""
    connection.execute(
        update(positions).where(positions.c.name == "keywords").values(value=positions.c.value + 1)
    )


def _refuse_twin(connection: Connection, text: str, but: int = 0) -> None:
    twin = connection.execute(
        select(keywords).where(
            keywords.c.canonical == text, keywords.c.state != "removed", keywords.c.id != but
        )
    ).first()
    if twin is not None:
        raise KeywordExists(twin.id, twin.expression, twin.state)


def _record_version(connection: Connection, row: KeywordRow, at: int) -> None:
    connection.execute(
        insert(keyword_versions).values(
            keyword_id=row.id, version=row.version, expression=row.expression, at=at
        )
    )


def add(
    engine: Engine, expression: str, *, demo: bool = False, max_keywords: int = 0
) -> KeywordRow:
    """Add a keyword and start matching stored posts again.

    Raises KeywordSyntaxError, KeywordExists, and TooManyKeywords (max_keywords 0: no limit).
    """
    expression = expression.strip()
    text = canonical(expression)
    with writing(engine) as connection:
        _bump(connection)
        _refuse_twin(connection, text)
        if max_keywords:
            living = select(keywords.c.id).where(keywords.c.state != "removed")
            if len(connection.execute(living).all()) >= max_keywords:
                raise TooManyKeywords(
                    f"This installation follows at most {max_keywords} keywords"
                    " (TWEETER_MAX_KEYWORDS). Remove one first."
                )
        now = connection.execute(select(db_now(connection))).scalar_one()
        values: dict[str, Any] = {
            "expression": expression,
            "canonical": text,
            "version": 1,
            "state": "active",
            "demo": demo,
            "created_at": now,
            "changed_at": now,
            "purge_at": None,
            "complete_at": None,
            "posts": 0,
        }
        result = connection.execute(insert(keywords).values(values))
        new_id = result.inserted_primary_key[0]  # type: ignore[index]
        row = _get(connection, int(new_id))
        _record_version(connection, row, now)
        jobs.start_rematch(connection, row.id, row.version, now)
        return _get(connection, row.id)


def edit(engine: Engine, keyword_id: int, expression: str) -> KeywordRow:
    """Give a keyword another expression: a new version; its stored posts are matched again.

    The same expression again changes nothing. Raises as `add` does, and KeywordNotFound.
    """
    expression = expression.strip()
    text = canonical(expression)
    with writing(engine) as connection:
        row = _get(connection, keyword_id)
        if row.expression == expression:
            return row
        _bump(connection)
        _refuse_twin(connection, text, but=keyword_id)
        now = connection.execute(select(db_now(connection))).scalar_one()
        connection.execute(
            update(keywords)
            .where(keywords.c.id == keyword_id)
            .values(
                expression=expression,
                canonical=text,
                version=row.version + 1,
                changed_at=now,
                complete_at=None,
            )
        )
        row = _get(connection, keyword_id)
        _record_version(connection, row, now)
        jobs.start_rematch(connection, row.id, row.version, now)
        return _get(connection, keyword_id)


def set_state(engine: Engine, keyword_id: int, state: str, *, purge: bool = False) -> KeywordRow:
    """Make a keyword "active", "paused" or "removed"; purge=True also deletes its posts later.

    A purge waits UNDO_S, so that it can be undone by making the keyword active again.
    Raises KeywordNotFound, and KeywordExists if another one took its place meanwhile.
    """
    with writing(engine) as connection:
        row = _get(connection, keyword_id)
        if row.state == state and not purge:
            return row
        _bump(connection)
        now = connection.execute(select(db_now(connection))).scalar_one()
        values: dict[str, Any] = {"state": state, "changed_at": now, "purge_at": None}
        if state == "removed" and purge:
            values["purge_at"] = now + UNDO_S * 1_000_000
        if row.state == "removed" and state != "removed":
            _refuse_twin(connection, row.canonical, but=keyword_id)
        if state == "active":
            # What came for other keywords meanwhile belongs to this one too.
            values["complete_at"] = None
            jobs.start_rematch(connection, row.id, row.version, now)
        connection.execute(update(keywords).where(keywords.c.id == keyword_id).values(values))
        return _get(connection, keyword_id)


def get(engine: Engine, keyword_id: int) -> KeywordRow:
    """One keyword; raises KeywordNotFound."""
    with reading(engine) as connection:
        return _get(connection, keyword_id)


def list_all(engine: Engine, *, removed: bool = False) -> list[KeywordRow]:
    """All keywords but removed ones (or all), newest first."""
    statement = select(keywords).order_by(keywords.c.id.desc())
    if not removed:
        statement = statement.where(keywords.c.state != "removed")
    with reading(engine) as connection:
        return [_row(row) for row in connection.execute(statement).mappings()]


def revision(connection: Connection, *, lock: bool = False) -> int:
    """The revision of all keywords; lock=True holds changes back until the transaction ends."""
    statement = select(positions.c.value).where(positions.c.name == "keywords")
    if lock:
        statement = statement.with_for_update(read=True)  # SQLite: the write lock does it
    return int(connection.execute(statement).scalar_one())


def active(engine: Engine) -> tuple[int, list[Keyword]]:
    """The revision and the keywords to match with, as of the same moment."""
    with reading(engine) as connection:
        at = revision(connection)
        rows = connection.execute(select(keywords).where(keywords.c.state == "active"))
        return at, [
            Keyword(id=r.id, expression=r.expression, version=r.version, state=r.state)
            for r in rows
        ]


def forget(connection: Connection, keyword_id: int) -> None:
    """Delete a keyword's own rows (its matches must be gone)."""
    connection.execute(delete(keyword_versions).where(keyword_versions.c.keyword_id == keyword_id))
    connection.execute(delete(keywords).where(keywords.c.id == keyword_id))
    _bump(connection)


__all__ = ["KeywordRow", "KeywordSyntaxError", "active", "add", "edit", "get", "list_all"]
