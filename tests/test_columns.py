"""Columns of the deck: their filters, their addresses, and that both ways show the same posts."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, update

from tests.store.posts import AT, post, removal, store, take
from tweeter import columns
from tweeter.broadcast import Broadcast
from tweeter.changes import Change, OfColumns, Stretch
from tweeter.columns import BadColumn, Column, from_query, to_query
from tweeter.filters import Filter, Question, Sieve
from tweeter.records import Link
from tweeter.store import backlog, decks, keywords
from tweeter.store.engine import writing
from tweeter.store.schema import decks as deck_table

LINK = (Link("https://example.org/a"),)
POSTS: list[dict[str, Any]] = [
    {"text": "storm warning", "lang": "en"},
    {"text": "storm sale", "lang": "en-GB", "kind": "repost", "traits": ("repost",)},
    {"text": "tormenta", "lang": "es", "network": "mastodon", "links": LINK, "sensitive": True},
    {"text": "storm #sale", "kind": "reply", "traits": ("reply", "media"), "tags": ("Sale",)},
    {
        "text": "嵐 storm",
        "lang": "ja",
        "kind": "quote",
        "traits": ("reply", "quote"),
        "tags": ("sale", "嵐"),
    },
    {"text": "nothing", "also": ("a quoted storm",), "network": "x", "links": LINK},
]
CASES = [
    (Column(), {0, 1, 2, 3, 4, 5}),
    (Column(of="network:x"), {5}),
    (Column(of="network:x", network=("mastodon",)), set()),
    (Column(network=("mastodon", "x")), {2, 5}),
    (Column(of="keyword:1"), {0, 1, 2, 3, 4, 5}),
    (Column(of="keyword:9"), set()),
    (Column(of="tag:sale"), {3, 4}),
    (Column(of="tag:sale", tag=("-嵐",)), {3}),
    (Column(lang=("en",)), {0, 1}),
    (Column(lang=("en-gb", "und")), {1, 3, 5}),
    (Column(lang=("-en", "-und")), {2, 4}),
    (Column(kind=("reply",)), {3}),
    (Column(kind=("post", "quote")), {0, 2, 4, 5}),
    (Column(q="storm"), {0, 1, 3, 4, 5}),
    (Column(q="storm", without="sale OR #sale"), {0, 4, 5}),
    (Column(without="storm"), {2}),
    (Column(only="media"), {3}),
    (Column(only="link", q="torm*"), {2}),
    (Column(state=("sensitive",)), {2}),
    (Column(since="2030-01-01"), set()),
    (Column(since="999d", until="2030-01-01"), {0, 1, 2, 3, 4, 5}),
]
COLUMNS = [one for one, _ in CASES]


def asked(column: Column) -> Question:
    return Question((column.subject, column.filter))


QUESTIONS = [asked(one) for one in COLUMNS]


def made(number: int) -> Any:
    return post(number, **POSTS[number % len(POSTS)])


@pytest.mark.parametrize("wanted, passing", CASES)
def test_a_column_shows_what_it_says_alone_and_among_others(
    wanted: Column, passing: set[int]
) -> None:
    sieve = Sieve(QUESTIONS)
    for number in range(len(POSTS)):
        assert asked(wanted).passes(made(number), [1]) == (number in passing), POSTS[number]
        assert (asked(wanted) in sieve.passing(made(number), [1])) == (number in passing)


def test_a_column_comes_back_from_its_address_and_its_form() -> None:
    for wanted in COLUMNS:
        column = msgspec.structs.replace(wanted, width="l")
        assert Column.from_args(dict(column_args(column))) == column
        assert column.shown == wanted
        deck = (column, Column(title="a, b & c: ü", of="network:x"))
        assert from_query(parse_qs(to_query(deck))) == deck
    assert from_query(parse_qs("c2=all&c11=network:x&c1=keyword:3"))[0].keyword_id == 3
    assert to_query([Column(of="keyword:3", lang=("en", "fr"))]) == "c1=keyword:3&c1.lang=en,fr"
    assert to_query(from_query(parse_qs("c1=tag:%23Sea&c2=search:07"))) == "c1=tag:sea&c2=search:7"


def test_addresses_and_kept_decks_of_before_show_the_same(engine: Engine) -> None:
    address = (
        "c1=keyword:3&c1.network=bluesky,x&c1.lang=en,pt-br&c1.kind=reply&c1.with=a+OR+b"
        "&c1.without=sale&c1.only=media&c1.title=Mine&c1.width=l&c2=network:x&c3=all"
    )
    found = from_query(parse_qs(address))
    assert parse_qs(to_query(found)) == parse_qs(address)
    with writing(engine) as connection:
        values = {
            "name": "old",
            "changed_at": 1,
            "columns": """[
            {"of":"keyword:3","networks":["bluesky","x"],"languages":["en","pt-br"],
             "kinds":["reply"],"contains":"a OR b","excludes":"sale","only":"media",
             "title":"Mine","width":"l"},
            {"of":"network:x","networks":[],"languages":[],"kinds":[],"contains":"",
             "excludes":"","only":"","title":"","width":"m"}, {}]""",
        }
        connection.execute(insert(deck_table).values(values))
    (deck,) = decks.list_all(engine)
    assert deck.columns == found


def test_a_search_is_a_column() -> None:
    args = parse_qs("q=storm&without=sale&network=x&network=-demo&state=-edited&since=7d&only=link")
    column = Column.of_search(Filter.from_args(args))
    assert dict(column.to_args("c1")) == {
        "c1": "all",
        "c1.with": "storm",
        "c1.without": "sale",
        "c1.network": "-demo,x",
        "c1.state": "-edited",
        "c1.only": "link",
        "c1.since": "7d",
    }
    with pytest.raises(BadColumn, match="saved first"):
        Column.of_search(Filter(q="a" * 301))


def column_args(column: Column) -> Iterator[tuple[str, list[str]]]:
    for name, value in column.to_args():
        yield name, [value]


@pytest.mark.parametrize(
    "query, field",
    [
        ("c1=user:a", "of"),
        ("c1=tag:a+b", "tag"),
        ("c1=search:x", "of"),
        ("c1=keyword:x", "of"),
        ("c1=network:myspace", "of"),
        ("c1=all&c1.network=myspace", "network"),
        ("c1=all&c1.lang=e!", "lang"),
        ("c1=all&c1.lang=english", "lang"),
        ("c1=all&c1.lang=en,-german-at", "lang"),
        ("c1=all&c1.kind=like", "kind"),
        ("c1=all&c1.with=(storm", "with"),
        ("c1=all&c1.without=NOT+storm", "without"),
        ("c1=all&c1.since=soon", "since"),
        ("c1=all&c1.keyword=storm", "keyword"),
        (f"c1=all&c1.with={'a' * 301}", "with"),
        ("c1=all&c1.only=text", "only"),
        ("c1=all&c1.width=xl", "width"),
        (f"c1=all&c1.title={'a' * 61}", "title"),
        ("&".join(f"c{n}=all" for n in range(1, 14)), "of"),
    ],
)
def test_what_is_no_column_is_refused_by_its_field(query: str, field: str) -> None:
    with pytest.raises(BadColumn) as refused:
        from_query(parse_qs(query))
    assert refused.value.field == field


@given(st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=20), min_size=1)))
def test_no_address_does_harm(args: dict[str, list[str]]) -> None:
    try:
        found = from_query(args | {"c1": args.get("c1", ["all"])})
    except BadColumn:
        return
    assert from_query(parse_qs(to_query(found))) == found


def test_decks_are_kept_by_name(engine: Engine) -> None:
    deck = decks.add(engine, " Floods  today ", [Column(), Column(of="keyword:2", width="s")])
    assert deck.name == "Floods today"
    assert decks.list_all(engine) == [deck] == [decks.get(engine, deck.id)]
    with pytest.raises(decks.DeckExists):
        decks.add(engine, "Floods today", [Column()])
    other = decks.add(engine, "floods today", [Column()])
    with pytest.raises(decks.DeckExists):
        decks.change(engine, other.id, name=deck.name)
    changed = decks.change(engine, deck.id, columns=[Column()], seen_at=deck.changed_at)
    assert (changed.name, changed.columns) == (deck.name, (Column(),))
    with pytest.raises(decks.DeckChanged):
        decks.change(engine, deck.id, columns=[Column()], seen_at=deck.changed_at)
    for wrong in ((), [Column()] * 13, [Column(of="user:a")]):
        with pytest.raises(BadColumn):
            decks.change(engine, deck.id, columns=wrong)
    assert decks.remove(engine, deck.id).columns == (Column(),)
    with pytest.raises(decks.DeckNotFound):
        decks.get(engine, deck.id)


def test_two_changes_of_a_deck_at_once_do_not_undo_each_other(engine: Engine) -> None:
    deck = decks.add(engine, "Floods", [Column()])
    two = [Column(), Column(of="keyword:2")]
    with ThreadPoolExecutor(2) as pool:
        with writing(engine) as connection:
            connection.execute(update(deck_table).values(changed_at=deck_table.c.changed_at))
            changes = [
                pool.submit(decks.change, engine, deck.id, name="Storms", seen_at=deck.changed_at),
                pool.submit(decks.change, engine, deck.id, columns=two, seen_at=deck.changed_at),
            ]
            time.sleep(0.3)
        errors = [change.exception(timeout=20) for change in changes]
    assert sorted(type(error) for error in errors if error) == [decks.DeckChanged]
    found = decks.get(engine, deck.id)
    assert (found.name == "Storms") == (errors[0] is None)
    assert (len(found.columns) == 2) == (errors[1] is None)


def test_the_backlog_and_the_stream_show_the_same_posts_whatever_is_asked(engine: Engine) -> None:
    """Stored and streamed: 300 posts, each filter, in one column a reader and in all at once."""
    keywords.add(engine, "storm")
    lease = take(engine)
    together = OfColumns(tuple(QUESTIONS))
    alone = [OfColumns((one,)) for one in QUESTIONS]

    async def streamed() -> dict[Question, tuple[set[str], set[str]]]:
        found = {one: (set[str](), set[str]()) for one in QUESTIONS}
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join(together.questions)
            position = start = feed.head
            for first in range(0, 300, 100):
                new = [made(n) for n in range(first, first + 100)]
                await asyncio.to_thread(store, engine, lease, *new)
            while position < start + 300:
                changes = await arrived(feed, position)
                position = changes[-1].seq
                for event in events(feed.frames(together, feed.stretch(changes))):
                    for place in event["in"]:
                        found[QUESTIONS[place]][0].add(event["post"]["id"])
                for one, wanted in zip(alone, QUESTIONS, strict=True):
                    for event in events(feed.frames(one, feed.stretch(changes))):
                        found[wanted][1].add(event["post"]["id"])
            feed.leave(together.questions)
        return found

    live = asyncio.run(asyncio.wait_for(streamed(), 60))
    for wanted in QUESTIONS:
        stored = [str(one.id) for one in paged(engine, wanted)]
        assert len(stored) == len(set(stored))
        assert set(stored) == live[wanted][0] == live[wanted][1], wanted
        assert {str(one.id) for one in between(engine, wanted)} == set(stored)
    assert len(live[asked(Column(of="keyword:1"))][0]) == 300


async def arrived(feed: Broadcast, position: int) -> list[Change]:
    """What comes after a position, as soon as there is something."""
    while not (found := await feed.after(position)):
        await asyncio.sleep(0.01)
    return found


def paged(engine: Engine, wanted: Question) -> Iterator[Any]:
    older = ""
    while True:
        found = backlog.newest(engine, wanted, older=older, limit=7)
        yield from found.posts
        older = found.older
        if not older:
            return


def between(engine: Engine, wanted: Question) -> Iterator[Any]:
    before = 301
    while before:
        found = backlog.between(engine, wanted, 0, before, limit=13)
        assert not found.forgotten
        yield from found.posts
        before = found.before


def events(text: bytes) -> list[dict[str, Any]]:
    lines = text.decode().split("\n")
    return [e for e in (json.loads(x[6:]) for x in lines if x.startswith("data: {")) if "post" in e]


def test_a_post_is_tried_once_however_many_ask_for_the_same(
    sqlite_copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweeter.store.engine import make_engine

    tried: list[int] = []
    true = Sieve.passing

    def counted(self: Sieve, *args: Any) -> frozenset[Question]:
        tried.append(len(self.questions))
        return true(self, *args)

    monkeypatch.setattr(Sieve, "passing", counted)
    made_engine = make_engine(sqlite_copy)
    keywords.add(made_engine, "storm")
    lease = take(made_engine)
    many = [OfColumns((Question((Filter(q=f"storm OR word{n % 3}"),)),)) for n in range(60)]

    async def run() -> None:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(made_engine, executor)
            for one in many:
                await feed.join(one.questions)
            position = feed.head
            await asyncio.to_thread(store, made_engine, lease, *(post(n) for n in range(10)))
            changes = await arrived(feed, position)
            for one in many:
                assert len(events(feed.frames(one, feed.stretch(changes)))) == 10
            for one in many:
                feed.leave(one.questions)

    asyncio.run(run())
    assert tried == [3] * 10
    made_engine.dispose()


def test_removals_and_edits_reach_every_column_and_say_where_they_belong(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    chosen = (Filter(q="storm"), Filter(q="calm"), Filter(network=("x",)))
    wanted = OfColumns((*(Question((one,)) for one in chosen), None))

    async def run() -> list[tuple[str, list[int]]]:
        with ThreadPoolExecutor(2) as executor:
            feed = Broadcast(engine, executor)
            await feed.join(wanted.questions)
            position = feed.head
            edited = post(1, "calm", operation="update", version="2", edited_at=AT)
            for item in (post(1), edited, removal(1)):
                await asyncio.to_thread(store, engine, lease, item)
                changes = await arrived(feed, position)
                position = changes[-1].seq
                lines = feed.frames(wanted, feed.stretch(changes)).decode().split("\n")
                kinds = [line[7:] for line in lines if line.startswith("event: ")]
                data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
                told.extend((k, d["in"]) for k, d in zip(kinds, data, strict=True))
            feed.leave(wanted.questions)
        return told

    told: list[tuple[str, list[int]]] = []
    assert asyncio.run(asyncio.wait_for(run(), 30)) == [
        ("post", [0]),
        ("edit", [1]),
        ("remove", []),
    ]
    assert columns.COLUMNS == 12


def test_a_stretch_knows_what_passes_also_where_nothing_or_other_columns_were_asked() -> None:
    wanted, other = (Question((Filter(q=word),)) for word in ("storm", "calm"))
    sieve = Sieve((wanted, other))
    texts = ("storm", "calm", "storm and calm", "neither")

    def stretch() -> Stretch:
        posts = [post(n, text) for n, text in enumerate(texts)]
        return Stretch(
            [Change(n, "post", frozenset(), "", one, "", []) for n, one in enumerate(posts)]
        )

    tried, untried, mixed = stretch(), stretch(), stretch()
    tried.try_all(sieve)
    mixed.changes[2].memo.append((Sieve((other,)), frozenset({other})))
    mixed.try_all(sieve)
    for one in (tried, untried, mixed):
        assert one.passing(wanted) == 0b0101
        assert one.passing(other) == 0b0110
        assert one.passing(Question((Filter(network=("bluesky",)),))) == 0b1111
