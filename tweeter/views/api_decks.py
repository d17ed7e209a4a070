"""The API's routes about decks, and what a column of one shows that is already stored."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from flask import Response, request, url_for

from tweeter import cards, columns
from tweeter.columns import Column
from tweeter.store import backlog, decks, questions
from tweeter.store.decks import Deck
from tweeter.store.searches import SearchNotFound
from tweeter.texts import plain
from tweeter.views.api import MOST, Nothing, answer, api, body_of, number, only, paging
from tweeter.views.pages import engine

PAGE = 50


class GivenColumn(Column, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column as a program sends it: a name that there is not would filter nothing."""

    @property
    def column(self) -> Column:
        """As it is kept."""
        return Column(**msgspec.structs.asdict(self))


class NewDeck(msgspec.Struct, forbid_unknown_fields=True):
    """The body that keeps a deck."""

    name: str
    columns: tuple[GivenColumn, ...]


class ChangedDeck(msgspec.Struct, forbid_unknown_fields=True):
    """The body that changes one: what is not named stays."""

    name: str | None = None
    columns: tuple[GivenColumn, ...] | None = None


def _refuse_empty(given: Sequence[Column], known: Sequence[Column] = ()) -> None:
    """Columns that are new and can show nothing; what was a keyword or a search once may stay."""
    for column in (one.checked() for one in given):
        if column not in known:
            column.refuse_turned()
            questions.refuse_unknown_column(engine(), column)


def _one(deck: Deck, status: int = 200, **headers: str) -> Response:
    return answer({"deck": deck}, status, **headers)


@api.get("/decks")
def list_decks() -> Response:
    """All decks, by name."""
    return answer({"decks": decks.list_all(engine())})


@api.post("/decks")
def add_deck() -> Response:
    """Keep a deck."""
    body = body_of(NewDeck)
    given = [one.column for one in body.columns]
    _refuse_empty(given)
    deck = decks.add(engine(), body.name, given)
    return _one(deck, 201, Location=url_for("api.one_deck", deck_id=deck.id))


@api.get("/decks/<int:deck_id>")
def one_deck(deck_id: int) -> Response:
    """One deck."""
    return _one(decks.get(engine(), deck_id))


@api.patch("/decks/<int:deck_id>")
def change_deck(deck_id: int) -> Response:
    """Change its name or its columns; what is not named stays."""
    body = body_of(ChangedDeck)
    given = None if body.columns is None else [one.column for one in body.columns]
    if given is not None:
        _refuse_empty(given, decks.get(engine(), deck_id).columns)
    return _one(decks.change(engine(), deck_id, name=body.name, columns=given))


@api.delete("/decks/<int:deck_id>")
def remove_deck(deck_id: int) -> Response:
    """Forget it; the answer has what it was."""
    body_of(Nothing)
    return _one(decks.remove(engine(), deck_id))


@api.get("/decks/posts")
def column_posts() -> Response:
    """Stored posts of the column ?c1=…: the newest, or older than ?older=.

    With ?after= and ?before=, numbers of the live stream: those published between the two.
    """
    args = parse_qs(request.query_string.decode("ascii", "replace"), keep_blank_values=True)
    found = columns.from_query(args, 1)
    only(*columns.names_of(args), "limit", "older", "after", "before")
    _refuse_empty(found)
    (meaning,) = questions.of_columns(engine(), found or (Column(),))
    if meaning.question is None:
        raise SearchNotFound(meaning.trouble)
    wanted = meaning.question
    limit = number("limit", PAGE, 1, MOST)
    before = number("before", 0, 0, 1 << 62)
    if before:
        after = number("after", 0, 0, 1 << 62)
        return _with_cards(backlog.between(engine(), wanted, after, before, limit=limit))
    with paging():
        older = request.args.get("older", "")
        page = backlog.newest(engine(), wanted, older=older, limit=limit)
    return _with_cards(page)


def _with_cards(found: Any) -> Response:
    """Posts, each with the card that the page draws; its moments are microseconds."""
    value = msgspec.to_builtins(found, enc_hook=plain)
    for one, post in zip(value["posts"], found.posts, strict=True):
        card = msgspec.to_builtins(cards.card(post), enc_hook=plain)
        one["card"] = card | {"removed_us": card.pop("removed_at")}
    return answer(value)
