"""Decks: named sets of columns, kept so that they survive the browser."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from tweeter import harmless
from tweeter.columns import COLUMNS, BadColumn, Column
from tweeter.errors import TweeterError
from tweeter.store.engine import insert_new, read_clock, reading, repeated, writing
from tweeter.store.schema import decks
from tweeter.texts import say

NAME_CHARACTERS = 100


class Deck(msgspec.Struct, frozen=True, kw_only=True):
    """A deck as kept; changed_at tells one state of it from another."""

    id: int
    name: str
    columns: tuple[Column, ...]
    changed_at: int


class DeckNotFound(TweeterError):
    """No deck has this id."""

    def __init__(self, deck_id: int) -> None:
        super().__init__(say("There is no deck %(number)s.", number=deck_id))


class DeckExists(TweeterError):
    """Another deck has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(say("Another deck is called “%(name)s”: choose another name.", name=name))


class DeckChanged(TweeterError):
    """Somebody else changed the deck since it was read."""

    def __init__(self, name: str) -> None:
        super().__init__(
            say(
                "“%(name)s” was changed elsewhere meanwhile: look at it, then try again.", name=name
            )
        )


def _deck(row: Row[tuple[object, ...]]) -> Deck:
    columns = msgspec.json.decode(row.columns, type=tuple[Column, ...])
    return Deck(id=row.id, name=row.name, columns=columns, changed_at=row.changed_at)


def _get(connection: Connection, deck_id: int, *, lock: bool = False) -> Deck:
    statement = select(decks).where(decks.c.id == deck_id)
    if lock:  # two changes at once: the second one sees the first (SQLite: the write lock does it)
        statement = statement.with_for_update()
    row = connection.execute(statement).first()
    if row is None:
        raise DeckNotFound(deck_id)
    return _deck(row)


def _checked(name: str) -> str:
    name = harmless.name(name)
    if not 0 < len(name) <= NAME_CHARACTERS:
        raise BadColumn(
            "name", say("A name has from 1 to %(most)s characters.", most=NAME_CHARACTERS)
        )
    return name


def _as_json(columns: Sequence[Column]) -> str:
    if not 0 < len(columns) <= COLUMNS:
        raise BadColumn("of", say("A deck has from 1 to %(most)s columns.", most=COLUMNS))
    return msgspec.json.encode([column.checked() for column in columns]).decode()


def list_all(engine: Engine) -> list[Deck]:
    """All decks by name."""
    with reading(engine) as connection:
        return [_deck(row) for row in connection.execute(select(decks).order_by(decks.c.name))]


def get(engine: Engine, deck_id: int) -> Deck:
    """One deck; raises DeckNotFound."""
    with reading(engine) as connection:
        return _get(connection, deck_id)


@repeated
def add(engine: Engine, name: str, columns: Sequence[Column]) -> Deck:
    """Keep a deck; raises BadColumn and DeckExists."""
    name, text = _checked(name), _as_json(columns)
    with writing(engine) as connection:
        row = {"name": name, "columns": text, "changed_at": read_clock(connection)}
        if not insert_new(connection, decks, [row], unique=("name",)):
            raise DeckExists(name)
        found = connection.execute(select(decks.c.id).where(decks.c.name == name))
        return _get(connection, int(found.scalar_one()))


@repeated
def change(
    engine: Engine,
    deck_id: int,
    *,
    name: str | None = None,
    columns: Sequence[Column] | None = None,
    seen_at: int = 0,
) -> Deck:
    """Give a deck another name or other columns; None leaves them as they are.

    seen_at: its changed_at when it was read (0: whatever it is now). Raises BadColumn,
    DeckNotFound, DeckExists and DeckChanged.
    """
    with writing(engine) as connection:
        deck = _get(connection, deck_id, lock=True)
        if seen_at not in (0, deck.changed_at):
            raise DeckChanged(deck.name)
        name = deck.name if name is None else _checked(name)
        same = select(decks.c.id).where(decks.c.name == name, decks.c.id != deck_id)
        if connection.execute(same).first():
            raise DeckExists(name)
        values = {
            "name": name,
            "columns": _as_json(deck.columns if columns is None else columns),
            "changed_at": max(read_clock(connection), deck.changed_at + 1),
        }
        try:
            connection.execute(update(decks).where(decks.c.id == deck_id).values(values))
        except IntegrityError as error:  # another was faster
            raise DeckExists(name) from error
        return _get(connection, deck_id)


@repeated
def remove(engine: Engine, deck_id: int) -> Deck:
    """Forget a deck, and return it: `add` brings it back. Raises DeckNotFound."""
    with writing(engine) as connection:
        deck = _get(connection, deck_id)
        connection.execute(delete(decks).where(decks.c.id == deck_id))
        return deck
