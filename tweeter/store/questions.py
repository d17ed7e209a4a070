"""What is asked for at present: names of accounts by their ids, saved searches as they are kept."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from tweeter.columns import Column
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.filters import Filter, Question
from tweeter.keywords import accounts, network_of
from tweeter.store import followed, identities, keywords, searches
from tweeter.texts import say


class Meaning(NamedTuple):
    """What a column shows now. question None: nothing, and trouble says why.

    name: of the saved search, "" for other columns.
    """

    question: Question | None
    name: str = ""
    trouble: str = ""


def of_filters(engine: Engine, *filters: Filter) -> Question:
    """Posts that pass all of the filters; raises KeywordSyntaxError."""
    expressions = (text for one in filters for text in (one.q, one.without))
    return Question(
        tuple(one for one in filters if one != Filter()), _accounts(engine, expressions)
    )


def refuse_unknown(engine: Engine, chosen: Filter) -> None:
    """Raises KeywordNotFound for a keyword of the filter that there is not."""
    for value in chosen.keyword:
        try:
            keywords.get(engine, int(value.removeprefix("-")))
        except keywords.KeywordNotFound as error:
            error.at("keyword")
            raise


def refuse_unknown_column(engine: Engine, column: Column) -> None:
    """The same of a column, and of what it is of; raises KeywordNotFound and SearchNotFound."""
    refuse_unknown(engine, column.subject)
    refuse_unknown(engine, column.filter)
    if column.search_id is not None:
        searches.get(engine, column.search_id)


def _accounts(engine: Engine, expressions: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The ids of the accounts that expressions name, where posts carry no names (Bluesky)."""
    asked = filter(followed.may_name, expressions)
    names = dict.fromkeys(name for text in asked for name in accounts(text))
    return tuple(
        (name, identities.account_of(engine, name))
        for name in names
        if network_of(name) == identities.NETWORK
    )


def is_fixed(column: Column) -> bool:
    """Whether what a column shows can never become another: the store is asked about it once."""
    words = f"{column.q} {column.without}"
    return column.search_id is None and not followed.may_name(words)


def of_columns(engine: Engine, columns: Sequence[Column]) -> list[Meaning]:
    """What each column shows."""
    return [_of_column(engine, column) for column in columns]


def _of_column(engine: Engine, column: Column) -> Meaning:
    if _is_of_no_keyword(engine, column):
        return Meaning(None, trouble=say("There is no such keyword any more."))
    if column.search_id is None:
        return Meaning(of_filters(engine, column.subject, column.filter))
    try:
        row = searches.get(engine, column.search_id)
    except searches.SearchNotFound:
        return Meaning(None, trouble=say("The saved search that this column shows was deleted."))
    try:
        found = Filter.from_args(searches.args_of(row.query))
        found.read()
    except (KeywordSyntaxError, TweeterError) as error:
        return Meaning(
            None, row.name, say("The saved search cannot be read: %(error)s", error=error.args[0])
        )
    return Meaning(of_filters(engine, found, column.filter), row.name)


def _is_of_no_keyword(engine: Engine, column: Column) -> bool:
    """Whether it wants posts of keywords alone of which there is none (any more)."""
    asked = column.subject.keyword or column.filter.keyword
    wanted = [int(one) for one in asked if not one.startswith("-")]
    return bool(wanted) and not any(_is_there(engine, one) for one in wanted)


def _is_there(engine: Engine, keyword_id: int) -> bool:
    """Also one that is removed: what it matched is stored until it is deleted for good."""
    try:
        keywords.get(engine, keyword_id)
    except keywords.KeywordNotFound:
        return False
    return True
