"""Each database's full-text index over search_texts: asked in its own words, for posts.id.

All three find the same, because the words are plain for all of them (keywords.index_words).
SQLite: an FTS5 table with the row number posts.id. PostgreSQL: GIN over the words as they are,
past its parser of texts. MariaDB and MySQL: FULLTEXT in boolean mode.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    cast,
    column,
    literal,
    literal_column,
    not_,
    or_,
    select,
    table,
    text,
    true,
)
from sqlalchemy.exc import DBAPIError

from tweeter.errors import TweeterError
from tweeter.keywords.index_words import TOO_MANY, Wanted
from tweeter.store import mysql
from tweeter.store.schema import search_texts

_TIMED_OUT = {"57014"}  # PostgreSQL: query_canceled
_TIMED_OUT_MYSQL = (1969, 3024)  # MariaDB, MySQL
_STEPS = 5_000  # of SQLite's machine between two looks at the clock

# PostgreSQL, until the transaction ends. Its estimate of how many posts have a word is a guess, and
# a wrong one reads them all: candidates are looked up one by one, never joined with all posts. A
# plan made for any words and moments, as it makes one of a statement that was asked ten times, may
# take thirty times as long as one made for these.
_SEARCHING = text(
    "SELECT set_config('statement_timeout', :timeout, true),"
    " set_config('enable_seqscan', 'off', true),"
    " set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true)"
)


class TookTooLong(TweeterError):
    """The database was stopped in the middle of a question; its transaction is of no use now."""


def matching(dialect: str, wanted: Wanted, days: Sequence[str] = ()) -> "Select[tuple[int]]":
    """posts.id, in no order, of the posts that have what is wanted; days: and one of these.

    There must be a clause.
    """
    clauses = [(*clause, TOO_MANY) for clause in wanted.clauses]
    if dialect == "postgresql":
        # The days by themselves: GIN goes on in steps to where both have posts. In one with the
        # words it looks at every post of these days.
        asked = [_has(_tsquery(clauses, wanted.never))]
        asked += [_has(_tsquery([days], ()))] if days else []
        return select(search_texts.c.post_id).where(*asked)
    clauses += [tuple(days)] if days else []
    if dialect == "sqlite":
        index = table("search_index", column("rowid"), column("search_index"))
        asked_fts5 = index.c.search_index.op("MATCH")(_fts5(clauses, wanted.never))
        # "+ 0": joined with posts, the words are asked for once, and not again for each post.
        return select((index.c.rowid + 0).label("post_id")).where(asked_fts5)
    found = text("MATCH (search_texts.words) AGAINST (:words IN BOOLEAN MODE)")
    asked_mysql = found.bindparams(words=_boolean(clauses, wanted.never))
    return select(search_texts.c.post_id).where(asked_mysql)


_vector: ColumnElement[str] = literal_column(
    "array_to_tsvector(string_to_array(search_texts.words, ' '))"
)


def _has(tsquery: str) -> ColumnElement[bool]:
    """PostgreSQL: as the index was made, or it is not used."""
    from sqlalchemy.dialects.postgresql import TSQUERY  # not where another database is used

    return _vector.op("@@", is_comparison=True)(cast(tsquery, TSQUERY))


def are_there(connection: Connection, word: str) -> bool:
    """Whether any post has this word."""
    found = matching(connection.dialect.name, Wanted(((word,),))).limit(1)
    return connection.execute(found).first() is not None


def proposed(wanted: Wanted) -> ColumnElement[bool]:
    """Whether the index proposes a row of search_texts, looked up in its words instead."""
    words = literal(" ") + search_texts.c.words + literal(" ")

    def has(word: str) -> ColumnElement[bool]:
        return words.contains(f" {word[:-1]}" if word.endswith("*") else f" {word} ")

    clauses = (or_(*map(has, clause)) for clause in wanted.clauses)
    never = (not_(has(word)) for word in wanted.never)
    return and_(true(), *never, or_(has(TOO_MANY), and_(true(), *clauses)))


def _fts5(clauses: Sequence[Sequence[str]], never: Sequence[str]) -> str:
    asked = " AND ".join(f"({' OR '.join(clause)})" for clause in clauses)
    return f"({asked}) NOT ({' OR '.join(never)})" if never else asked


def _tsquery(clauses: Sequence[Sequence[str]], never: Sequence[str]) -> str:
    parts = [
        "(" + " | ".join(word.replace("*", ":*") for word in clause) + ")" for clause in clauses
    ]
    return " & ".join([*parts, *(f"!{word}" for word in never)])


def _boolean(clauses: Sequence[Sequence[str]], never: Sequence[str]) -> str:
    return " ".join([*(f"+({' '.join(c)})" for c in clauses), *(f"-{word}" for word in never)])


@contextmanager
def limited(connection: Connection, deadline: float) -> Iterator[None]:
    """No statement in it runs for longer than until the deadline (time.monotonic).

    Raises TookTooLong for the one that would.
    """
    left_s = max(deadline - time.monotonic(), 0.05)
    name = connection.dialect.name
    _limit(connection, left_s, deadline)
    try:
        yield
    except DBAPIError as error:
        if not _is_timeout(error):
            raise
        raise TookTooLong("The search took too long.") from error
    finally:
        if name != "postgresql":  # there it ends with the transaction
            _limit(connection, 0, 0)


class Order:
    """Whether PostgreSQL goes along an index and sorts nothing, in a transaction of `limited`.

    Without statistics, as after a large import, it would sort all that is older for each piece.
    Is told only what changes: a question that takes 1 ms takes another when others are at work.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.is_kept = False

    def keep(self, is_kept: bool) -> None:
        """Of the statements that follow."""
        if is_kept != self.is_kept and self._connection.dialect.name == "postgresql":
            self._connection.execute(_ORDER, {"way": "off" if is_kept else "on"})
        self.is_kept = is_kept


_ORDER = text(
    "SELECT set_config('enable_bitmapscan', :way, true), set_config('enable_sort', :way, true)"
)


def _limit(connection: Connection, seconds: float, deadline: float) -> None:
    if connection.dialect.name == "sqlite":
        raw = connection.connection.dbapi_connection
        assert raw is not None  # noqa: S101
        stop = (lambda: int(time.monotonic() > deadline)) if seconds else None
        raw.set_progress_handler(stop, _STEPS)
    elif connection.dialect.name == "postgresql":
        connection.execute(_SEARCHING, {"timeout": str(int(seconds * 1000))})
    elif getattr(connection.dialect, "is_mariadb", False):
        connection.execute(text(f"SET SESSION max_statement_time = {seconds:.3f}"))
    else:
        connection.execute(text(f"SET SESSION max_execution_time = {int(seconds * 1000)}"))


def _is_timeout(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _TIMED_OUT:
        return True
    return mysql.code(error) in _TIMED_OUT_MYSQL or str(error.orig) == "interrupted"
