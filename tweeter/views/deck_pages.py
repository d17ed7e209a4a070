"""The live deck: its columns with what is stored, and the forms that change them.

The address says it all: `?deck=3`, or the columns themselves while they are not kept under a
name. Every change is a form, so it works without JavaScript; live.js adds what moves.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

import flask
from flask import jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tweeter import choices, columns
from tweeter.choices import KINDS, STATES, of_values
from tweeter.columns import COLUMNS, BadColumn, Column, fold
from tweeter.errors import TweeterError
from tweeter.filters import MANY
from tweeter.store import backlog, decks, feed, keywords, questions, searches
from tweeter.store.decks import Deck
from tweeter.store.posts import StoredPost
from tweeter.store.questions import Meaning
from tweeter.texts import joined, say
from tweeter.views import words
from tweeter.views.pages import Answer, engine, names_of, pages, row_id
from tweeter.views.search_show import NETWORKS, label

FEW = 4  # columns that begin with MANY_POSTS each
MANY_POSTS, FEW_POSTS = 50, 25


class State(NamedTuple):
    """What is shown: the deck it is kept as, if it is."""

    columns: tuple[Column, ...]
    deck: Deck | None

    @property
    def query(self) -> str:
        """What says it in an address."""
        return f"deck={self.deck.id}" if self.deck else columns.to_query(self.columns)

    def address(self, **more: str) -> str:
        """Where it is shown."""
        rest = urlencode({name: value for name, value in more.items() if value})
        return f"{url_for('pages.live')}?{self.query}{'&' if rest else ''}{rest}"


class Card(NamedTuple):
    """A post, and those after it in the column that say the same."""

    post: StoredPost
    fold: str
    same: list[StoredPost]


class View(NamedTuple):
    """A column as it is drawn."""

    number: int
    column: Column
    title: str
    query: str  # of its filter, for the stream
    says: str  # its filter in words
    cards: list[Card]
    older: str
    trouble: str  # why it shows nothing
    networks: str  # that its posts may be of, joined by a space


def _args() -> dict[str, list[str]]:
    query = request.query_string.decode("ascii", "replace")
    return parse_qs(query, keep_blank_values=True)


def _state() -> State:
    """What the address asks for; raises BadColumn, DeckNotFound and KeywordNotFound."""
    deck_id, chosen = row_id("deck"), row_id("keyword")
    if deck_id is not None:
        deck = decks.get(engine(), deck_id)
        return State(deck.columns, deck)
    if chosen is not None:
        keywords.get(engine(), chosen)
        return State((Column(of=f"keyword:{chosen}"),), None)
    return State(columns.from_query(_args()) or (Column(),), None)


@pages.get("/live")
def live() -> Answer:
    """New posts as they arrive, in columns."""
    return _show(_state(), request.args.get("edit", ""))


def _show(
    state: State,
    edit: str,
    given: Mapping[str, Sequence[str]] | None = None,
    error: TweeterError | None = None,
    stale: str = "",
) -> Answer:
    """The page; given: what a form said, error: what is wrong with that, stale: with its token."""
    after = feed.last(engine())  # before the posts are read: what comes between comes twice
    rows = keywords.list_all(engine())
    names = names_of(rows)
    followed = {row.id: row.networks.split() for row in rows}
    meanings = questions.of_columns(engine(), state.columns)
    both = zip(state.columns, meanings, strict=True)
    views = [_view(n, *one, len(state.columns), names, followed) for n, one in enumerate(both, 1)]
    page = render_template(
        "live.html",
        state=state,
        query=columns.to_query(state.columns),
        views=views,
        rows=rows,
        names=names,
        keyword_states={row.id: row.state for row in rows},
        after=after,
        decks=decks.list_all(engine()),
        edit=edit if _place(edit, state.columns) is not None else "",
        given=given or _given(state.columns, edit),
        error=words.of_error(error) if error else "",
        where=_where(error) if error else "",
        name_error=error is not None and not edit,
        name_back=not edit and (error is not None or stale != ""),
        stale=stale,
        networks={name: words.told(label) for name, label in NETWORKS.items()},
        kinds=KINDS,
        states=STATES,
        saved=searches.list_all(engine()),
        most=COLUMNS,
        wall=request.args.get("wall") == "1",
        every=request.args.get("every") == "1",
    )
    return (page, 422) if error else page


def _where(error: TweeterError) -> str:
    """The field of the form of a column that is wrong; a hashtag has one of its own there."""
    has_hashtag = request.form.get("hashtag", "").strip() and error.field in ("of", "tag")
    return "hashtag" if has_hashtag else error.field


def _view(
    number: int,
    column: Column,
    meaning: Meaning,
    count: int,
    names: Mapping[int, str],
    followed: Mapping[int, Sequence[str]],
) -> View:
    limit = MANY_POSTS if count <= FEW else FEW_POSTS
    found, trouble = backlog.Older([], ""), meaning.trouble
    if meaning.question is not None:
        found = backlog.newest(engine(), meaning.question, limit=limit)
    asked = column.subject.keyword or column.filter.keyword
    wanted = [int(one) for one in asked if not one.startswith("-")]
    if wanted and not names.keys() & set(wanted):
        trouble = say("There is no such keyword any more.")
    return View(
        number,
        column,
        column.title or title(column, names, meaning.name),
        urlencode(column.shown.to_args(), safe=":,"),
        in_words(column, names),
        fold_all(found.posts),
        found.older,
        trouble,
        " ".join(_networks(meaning, followed.get(column.keyword_id or 0, ()))),
    )


def _networks(meaning: Meaning, followed: Sequence[str]) -> list[str]:
    """What a column's posts may be of; followed: its keyword's networks, () for all."""
    filters = meaning.question.filters if meaning.question else ()
    chosen = [of_values(one.network) for one in filters]
    return [
        name
        for name in followed or choices.NETWORKS
        if all(choice.has((name,)) for choice in chosen)
    ]


def title(column: Column, names: Mapping[int, str], search: str = "") -> str:
    """What a column is called that has no name of its own; search: the saved search's."""
    kind, _, value = column.of.partition(":")
    if kind == "search":
        return search or say("search %(number)s", number=value)
    return label(kind, value, names) if value else say("Everything")


def in_words(column: Column, names: Mapping[int, str]) -> str:
    """A column's filter for people; "" if it has none."""
    parts: list[str] = []
    for name in MANY:
        values = getattr(column, name)
        wanted = [label(name, one, names) for one in values if not one.startswith("-")]
        parts.append(_either(wanted))
        parts += [
            say("not %(value)s", value=label(name, one[1:], names))
            for one in values
            if one.startswith("-")
        ]
    parts += [
        say("with %(expression)s", expression=column.q) if column.q else "",
        say("without %(expression)s", expression=column.without) if column.without else "",
        _ONLY.get(column.only, ""),
        say("since %(moment)s", moment=column.since) if column.since else "",
        say("until %(moment)s", moment=column.until) if column.until else "",
    ]
    return joined(*parts, between=" · ") if any(parts) else ""


_ONLY = {
    "media": say("only with media"),
    "link": say("only with links"),
    "-media": say("only without media"),
    "-link": say("only without links"),
}


def _either(words: Sequence[str]) -> str:
    found, *more = words or [""]
    for one in more:
        found = say("%(first)s or %(second)s", first=found, second=one)
    return found


def fold_all(found: Sequence[StoredPost]) -> list[Card]:
    """Posts with the same text become one card, where the first of them stands."""
    marked = [(fold(p.network, p.text) or f"id {p.id}", n, p) for n, p in enumerate(found)]
    cards = []
    for same, group in groupby(sorted(marked, key=lambda m: m[:2]), key=lambda m: m[0]):
        first, *rest = list(group)
        mark = "" if same.startswith("id ") else same
        cards.append((first[1], Card(first[2], mark, [one[2] for one in rest])))
    return [card for _, card in sorted(cards, key=lambda c: c[0])]


# Changes.


def _place(word: str, present: Sequence[Column]) -> int | None:
    """A column's number from 0, of "1" or "new"; None if there is none."""
    if word == "new":
        return len(present) if len(present) < COLUMNS else None
    if word.isascii() and word.isdigit() and 0 < int(word[:4]) <= len(present):
        return int(word) - 1
    return None


def _given(present: Sequence[Column], edit: str) -> dict[str, list[str]]:
    place = _place(edit, present)
    column = present[place] if place is not None and place < len(present) else Column()
    return {name: [value] for name, value in column.to_args()}


def _moved(present: list[Column], place: int, by: int) -> list[Column]:
    to = min(max(place + by, 0), len(present) - 1)
    present.insert(to, present.pop(place))
    return present


def _changed(present: tuple[Column, ...], act: str, word: str) -> tuple[Column, ...]:
    """The columns after an act of a form; raises BadColumn."""
    now = list(present)
    if act == "order":
        places = [int(one) - 1 for one in word.split(",") if one.isascii() and one.isdigit()]
        if sorted(places) != list(range(len(now))):
            raise BadColumn("of", say("The columns are others now: reload the page."))
        return tuple(now[place] for place in places)
    place = _place(word, present)
    if place is None:
        raise BadColumn(
            "of",
            say(
                "A deck has at most %(columns)s columns, and no column %(word)s.",
                columns=COLUMNS,
                word=word[:10],
            ),
        )
    if act == "put":
        put = Column.from_args(_of_put())
        put.refuse_turned()
        now[place : place + 1] = [put]
        return tuple(now)
    if act in columns.WIDTHS:
        now[place] = Column(**_fields(now[place]) | {"width": act})
        return tuple(now)
    if act == "remove" and len(now) > 1:
        return tuple(now[:place] + now[place + 1 :])
    if act in ("left", "right"):
        return tuple(_moved(now, place, -1 if act == "left" else 1))
    raise BadColumn("of", say("The last column stays: change what it shows instead."))


def _of_put() -> dict[str, list[str]]:
    """The column that a form puts; a hashtag that is written there is what it is of."""
    given = request.form.to_dict(flat=False)
    tag = request.form.get("hashtag", "").strip()
    return given | ({"of": [f"tag:{tag}"]} if tag else {})


def _fields(column: Column) -> dict[str, Any]:
    return {name: getattr(column, name) for name in Column.__struct_fields__}


def _of_form() -> State:
    """The state that a form was made from."""
    deck_id = min(max(request.form.get("deck", 0, int), 0), (1 << 63) - 1)  # there is no larger one
    if deck_id:
        deck = decks.get(engine(), deck_id)
        return State(deck.columns, deck)
    if "columns" not in request.form:  # a search becomes the first column
        return State((), None)
    args = parse_qs(request.form["columns"], keep_blank_values=True)
    return State(columns.from_query(args) or (Column(),), None)


def _from_script() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _go(state: State, **more: str) -> Answer:
    if _from_script():
        seen = state.deck.changed_at if state.deck else 0
        query = columns.to_query(state.columns)
        return jsonify(url=state.address(), columns=query, seen=str(seen))
    return redirect(state.address(**more), 303)


@pages.get("/live/change")
def changed_deck() -> Answer:
    """Where a form that was wrong was shown again: the address of the deck that it was of."""
    return redirect(f"{url_for('pages.live')}?{request.query_string.decode('ascii', 'replace')}")


@pages.post("/live/change")
def change_deck() -> Answer:
    """Do what the pressed button says: `act` is "left:2", "put:new", "save", …"""
    state = _of_form()
    act, _, word = request.form.get("act", "").partition(":")
    if act == "edit":
        return _go(state, edit=word)
    try:
        if act in _KEEPING:
            return _KEEPING[act](state)
        found = _changed(state.columns, act, word)
        if state.deck is None:
            return _go(State(found, None))
        seen = request.form.get("seen", 0, int)
        deck = decks.change(engine(), state.deck.id, columns=found, seen_at=seen)
        return _go(State(deck.columns, deck))
    except (BadColumn, decks.DeckExists, decks.DeckChanged) as error:
        if act == "put" and isinstance(error, BadColumn):
            return _show(state, word, request.form.to_dict(flat=False), error)
        if act in ("save", "rename") and not isinstance(error, decks.DeckChanged):
            return _show(state, "", error=error)
        flask.flash(words.of_error(error))
        if _from_script():  # the page is reloaded then, and shows what it says
            return words.of_error(error), 409
    return _go(state)


def again(why: str) -> Answer | None:
    """See `keyword_pages.again`."""
    act, _, word = request.form.get("act", "").partition(":")
    if request.endpoint != "pages.change_deck" or act not in ("put", "save", "rename"):
        return None
    return _show(_of_form(), word, request.form.to_dict(flat=False), stale=why)


def _save(state: State) -> Answer:
    deck = decks.add(engine(), request.form.get("name", ""), state.columns)
    words.flash("Kept as “%(name)s”.", name=deck.name)
    return _go(State(deck.columns, deck))


def _rename(state: State) -> Answer:
    if state.deck is None:
        return _save(state)
    deck = decks.change(engine(), state.deck.id, name=request.form.get("name", ""))
    return _go(State(deck.columns, deck))


def _forget(state: State) -> Answer:
    """What is shown stays, in the address: keeping it again is the way back."""
    if state.deck is not None:
        decks.remove(engine(), state.deck.id)
        words.flash("“%(name)s” is kept no more. Keep it again to undo this.", name=state.deck.name)
    return _go(State(state.columns, None))


_KEEPING: dict[str, Callable[[State], Response | Answer]] = {
    "save": _save,
    "rename": _rename,
    "forget": _forget,
}
