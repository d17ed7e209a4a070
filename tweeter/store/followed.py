"""The accounts that keywords name by `from:`: rows beside a keyword's, its id where it is known.

A keyword saved before this table was there, or by a part that asks no network, gets its rows
with no id; the periodic step (`tweeter.names`) asks for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select, update

from tweeter.keywords import accounts, network_of
from tweeter.store.engine import reading
from tweeter.store.schema import followed_names, identities

LEARNED = "X is not asked: its id is learned from its first post. Until then the name counts."


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a network said of a name: its id; or there is none (gone); or why it is not known."""

    author_id: str = ""
    gone: bool = False
    words: str = ""
    retry_at: int = 0  # unix microseconds before which it must not be asked again


Answers = Mapping[str, Answer]  # by name
NONE: Answers = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a keyword follows. handle: what it is called now, "" if that is unknown."""

    name: str
    network: str
    author_id: str
    words: str
    handle: str = ""


def may_name(expression: str) -> bool:
    """Whether it may name accounts, at a look: False only if it names none."""
    return "from:" in expression.casefold()


def names(expression: str, networks: Sequence[str]) -> dict[str, str]:
    """The names of an expression with their networks, those of the chosen networks only."""
    if not may_name(expression):
        return {}
    found = {name: network_of(name) for name in accounts(expression)}
    return {name: net for name, net in found.items() if not networks or net in networks}


def rows(
    keyword_id: int, wanted: Mapping[str, str], answers: Answers, now: int
) -> list[dict[str, Any]]:
    """New rows for a keyword's names."""
    found = []
    for name, network in wanted.items():
        answer = answers.get(name, Answer(words=LEARNED if network == "x" else ""))
        values = {"keyword_id": keyword_id, "name": name, "network": network, "tries": 0}
        values |= {"author_id": answer.author_id, "words": answer.words, "retry_at": now}
        found.append(values | {"at": now if answer.author_id else 0})
    return found


def insert_all(connection: Connection, found: Sequence[dict[str, Any]]) -> None:
    """Insert rows as `rows` makes them."""
    if found:
        connection.execute(insert(followed_names), list(found))


def sync(
    connection: Connection, keyword_id: int, wanted: Mapping[str, str], answers: Answers, now: int
) -> None:
    """After an edit: names that stay keep their account, others go, new ones come."""
    mine = followed_names.c.keyword_id == keyword_id
    statement = select(followed_names.c.name, followed_names.c.author_id).where(mine)
    before = {row.name: row.author_id for row in connection.execute(statement)}
    gone = [name for name in before if name not in wanted]
    for name in gone:
        connection.execute(delete(followed_names).where(mine, followed_names.c.name == name))
    for name, author_id in before.items():
        answer = answers.get(name)
        if name in wanted and not author_id and answer is not None and answer.author_id:
            values = {"author_id": answer.author_id, "words": "", "at": now}
            connection.execute(
                update(followed_names).where(mine, followed_names.c.name == name).values(values)
            )
    new = {name: network for name, network in wanted.items() if name not in before}
    insert_all(connection, rows(keyword_id, new, answers, now))


def ids(
    connection: Connection, keyword_id: int | None = None
) -> dict[int, tuple[tuple[str, str], ...]]:
    """(name, id) by keyword, as `Keyword.accounts` has them; of one keyword or of all."""
    statement = select(
        followed_names.c.keyword_id, followed_names.c.name, followed_names.c.author_id
    ).order_by(followed_names.c.keyword_id, followed_names.c.name)
    if keyword_id is not None:
        statement = statement.where(followed_names.c.keyword_id == keyword_id)
    found: dict[int, list[tuple[str, str]]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.keyword_id, []).append((row.name, row.author_id))
    return {number: tuple(pairs) for number, pairs in found.items()}


def of_keyword(engine: Engine, keyword_id: int) -> list[Account]:
    """The accounts of a keyword, by name."""
    statement = (
        select(followed_names, identities.c.handle)
        .outerjoin(
            identities,
            (identities.c.network == followed_names.c.network)
            & (identities.c.author_id == followed_names.c.author_id),
        )
        .where(followed_names.c.keyword_id == keyword_id)
        .order_by(followed_names.c.name)
    )
    with reading(engine) as connection:
        return [
            Account(
                name=row.name,
                network=row.network,
                author_id=row.author_id,
                words=row.words,
                handle=row.handle or "",
            )
            for row in connection.execute(statement)
        ]
