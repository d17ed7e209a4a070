"""Searches that a person keeps: a name, and the query of the page's address."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from tweeter import harmless
from tweeter.errors import TweeterError
from tweeter.filters import Filter
from tweeter.store.engine import insert_new, read_clock, reading, repeated, writing
from tweeter.store.schema import positions, searches
from tweeter.texts import say

NAME_CHARACTERS = 100
QUERY_CHARACTERS = 4_000
MOST = 500  # kept


class SearchNotFound(TweeterError):
    """No search has this id."""


class SearchExists(TweeterError):
    """Another search has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(say("Another search is called “%(name)s”.", name=name))


class BadSearch(TweeterError):
    """A search that cannot be kept: without a name, or too long."""


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A row of searches. query: as in the address of the page, "" for everything."""

    id: int
    name: str
    query: str
    created_at: int
    changed_at: int


def query_of(chosen: Filter) -> str:
    """A filter as the query of an address."""
    return urlencode(chosen.to_args())


def args_of(query: str) -> Mapping[str, Sequence[str]]:
    """The query of an address, by name."""
    return parse_qs(query, keep_blank_values=True)


def list_all(engine: Engine) -> list[SavedSearch]:
    """All, by name."""
    with reading(engine) as connection:
        rows = connection.execute(select(searches).order_by(searches.c.name, searches.c.id))
        return [SavedSearch(**row) for row in rows.mappings()]


def get(engine: Engine, search_id: int) -> SavedSearch:
    """One; raises SearchNotFound."""
    with reading(engine) as connection:
        return _get(connection, search_id)


def _get(connection: Connection, search_id: int) -> SavedSearch:
    statement = select(searches).where(searches.c.id == search_id)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise SearchNotFound(say("There is no saved search %(number)s.", number=search_id))
    return SavedSearch(**row)


@repeated
def save(engine: Engine, name: str, chosen: Filter) -> SavedSearch:
    """Keep a search under a name of its own.

    Raises SearchExists, BadSearch, KeywordSyntaxError, BadMoment.
    """
    chosen.read()
    values: dict[str, Any] = {"name": _checked(name), "query": query_of(chosen)}
    if len(values["query"]) > QUERY_CHARACTERS:
        raise BadSearch(say("The search is too long to be kept."))
    with writing(engine) as connection:
        _refuse_twin(connection, values["name"])
        now = read_clock(connection)
        row = values | _next_id(connection) | {"created_at": now, "changed_at": now}
        if not insert_new(connection, searches, [row], unique=("name",)):
            raise SearchExists(row["name"])  # another was faster
        made = connection.execute(select(searches.c.id).where(searches.c.name == row["name"]))
        return _get(connection, made.scalar_one())


@repeated
def rename(engine: Engine, search_id: int, name: str) -> SavedSearch:
    """Give a search another name. Raises SearchNotFound, SearchExists, BadSearch."""
    name = _checked(name)
    with writing(engine) as connection:
        _get(connection, search_id)
        _refuse_twin(connection, name, but=search_id)
        now = read_clock(connection)
        mine = searches.c.id == search_id
        try:
            connection.execute(update(searches).where(mine).values(name=name, changed_at=now))
        except IntegrityError as error:  # another was faster
            raise SearchExists(name) from error
        return _get(connection, search_id)


@repeated
def remove(engine: Engine, search_id: int) -> SavedSearch:
    """Forget a search; returns what it was. Raises SearchNotFound."""
    with writing(engine) as connection:
        found = _get(connection, search_id)
        connection.execute(delete(searches).where(searches.c.id == search_id))
        _remember(connection, search_id)
        return found


# SQLite alone gives the id of a deleted row again, and a column may still ask for that search.


def _next_id(connection: Connection) -> dict[str, int]:
    if connection.dialect.name != "sqlite":
        return {}
    highest = connection.execute(select(func.max(searches.c.id))).scalar() or 0
    return {"id": max(highest, _removed_id(connection)) + 1}


def _removed_id(connection: Connection) -> int:
    statement = select(positions.c.value).where(positions.c.name == "searches")
    return connection.execute(statement).scalar() or 0


def _remember(connection: Connection, search_id: int) -> None:
    insert_new(connection, positions, [{"name": "searches", "value": 0}], unique=("name",))
    value = max(search_id, _removed_id(connection))
    mine = positions.c.name == "searches"
    connection.execute(update(positions).where(mine).values(value=value))


def _checked(name: str) -> str:
    name = harmless.name(name)
    if not name:
        raise BadSearch(say("The search needs a name."))
    if len(name) > NAME_CHARACTERS:
        raise BadSearch(say("A name has at most %(most)s characters.", most=NAME_CHARACTERS))
    return name


def _refuse_twin(connection: Connection, name: str, but: int = 0) -> None:
    rows = connection.execute(select(searches.c.id, searches.c.name)).all()
    if any(row.name == name and row.id != but for row in rows):
        raise SearchExists(name)
    if not but and len(rows) >= MOST:
        raise BadSearch(say("%(most)s searches are kept already: delete one first.", most=MOST))
