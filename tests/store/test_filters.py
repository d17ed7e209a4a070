"""A question has one answer: of one post in memory, of many at once, and of the database."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from tests.store.posts import AT, post, store, take
from tweeter import choices, links
from tweeter.choices import HOUR_US, BadFilter, hour_of_week
from tweeter.columns import Column
from tweeter.errors import KeywordSyntaxError
from tweeter.filters import Filter, Question, Sieve
from tweeter.followable import NotFollowable, as_keyword
from tweeter.records import IdentityChange, Link, Match, Post
from tweeter.store import (
    backlog,
    batches,
    identities,
    keywords,
    questions,
    search,
    searches,
    walk,
)
from tweeter.store import posts as stored
from tweeter.store.batches import Batch
from tweeter.store.engine import reading, writing
from tweeter.store.filters import Query
from tweeter.store.schema import posts, search_texts

DAY_US = 86_400_000_000
LONG = f"https://www.example.org/{'long,' * 60}?utm_source=x"
# Of the posts whose number, divided by 7, leaves its place: links that are one, if compared.
LINKS = (
    ("https://news.example.org/a",),
    ("http://www.news.example.org/a/?fbclid=1", "https://b.example.org/a,b c"),
    (LONG, "https://b.example.org/A,b c"),
)
LANGUAGES = ("en", "en-GB", "pt_BR", "pt-BR-x1", "iw", "he", "", "und", "zh-Hant")
TEXTS = ("a storm", "storm sale", "calm #sea", "嵐 storm", "nothing, at length")

# Every third of a trait, so that no two go together always.
POSTS = [
    post(
        n,
        TEXTS[n % 5],
        network=("bluesky", "x", "mastodon", "demo")[n % 4],
        key=f"at://did:plc:a/app.bsky.feed.post/{n}" if n % 4 == 0 else f"key:{n}",
        lang=LANGUAGES[n % 9],
        kind=("post", "reply", "repost", "quote")[n // 2 % 4],
        traits=((), ("media",), ("reply", "media"))[n % 3],
        links=tuple(Link(url=url) for url in LINKS[n % 7]) if n % 7 < 3 else (),
        tags=((), ("Sea",), ("sea", "storm"), ("猫",))[n // 3 % 4],
        sensitive=n % 11 == 0,
        edited_at=AT if n % 6 == 0 else 0,
        author_id=("did:plc:a", "did:plc:b")[n // 4 % 2],
        author_handle="alice" if n % 4 == 1 else "",
        occurred_at=AT - n * DAY_US // 5,
        received_at=AT,
        sort_us=AT - n * DAY_US // 5,
    )
    for n in range(72)
]
EXPRESSIONS = (
    "storm",
    "storm NOT sale",
    "storm OR calm",
    "#sea OR nothing",
    "嵐",
    "sto*",
    "storm lang:en",
    "from:alice",
    "from:bob.example",
    "has:link storm",
    "absent",
)


def some_of(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    one = st.sampled_from([*values, *(f"-{value}" for value in values)])
    return st.lists(one, max_size=3, unique=True).map(tuple)


CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "q": st.sampled_from(EXPRESSIONS),
    "without": st.sampled_from(EXPRESSIONS),
    "network": some_of("x", "bluesky", "mastodon"),
    "lang": some_of("en", "en-gb", "pt", "pt-br", "he", "iw", "und", "zh"),
    "kind": some_of(*choices.KINDS),
    "keyword": some_of("1", "2", "9"),
    "state": some_of(*choices.STATES),
    "tag": some_of("sea", "storm", "猫"),
    "link": some_of(*{links.compared(url) for urls in LINKS for url in urls}, "https://else.org"),
    "hour": some_of(*{str(hour_of_week(one.occurred_at)) for one in POSTS[:9]}),
    "only": st.sampled_from(choices.ONLY),
    "since": st.sampled_from(("7d", "2026-11-10")),
    "until": st.sampled_from(("3d", "2026-11-16T00:00Z")),
}
CHOSEN = (
    st.lists(st.sampled_from(list(CHOICES)), max_size=3, unique=True)
    .flatmap(lambda names: st.fixed_dictionaries({name: CHOICES[name] for name in names}))
    .map(lambda values: Filter(**values))
)


@pytest.fixture
def filled(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The posts, each matched by one of two keywords; the clock stands at AT."""
    monkeypatch.setattr(search, "now_us", lambda: AT)
    rows = [keywords.add(engine, expression) for expression in ("storm", "calm")]
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    found = {row.id: (Match(row.id, row.version),) for row in rows}
    items = [(one, found[keywords_of(one)[0]]) for one in POSTS]
    counts: Counter[str] = Counter()
    batch = Batch(items=items, counts=counts, rejected=[], revision=revision, cursor="")
    batches.commit(engine, take(engine), batch)
    heard = IdentityChange(
        network="bluesky", author_id="did:plc:b", handle="bob.example", occurred_at=AT
    )
    with writing(engine) as connection:
        identities.apply(connection, [heard])
    return engine


def keywords_of(one: Post) -> list[int]:
    return [1 + int(one.post_id) % 2]


def in_database(engine: Engine, question: Question, size: int = 25) -> list[str]:
    found, older = [], ""
    while True:
        page = search.newest(engine, question, older=older, limit=size, limit_s=20)
        found += [one.post_id for one in page.posts]
        older = page.older
        if not older:
            return found


@pytest.mark.parametrize("most", [True, False], ids=["along the time", "by the index"])
def test_memory_and_database_give_one_answer(
    filled: Engine, most: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk.Walk, "_are_most", most)
    sizes: list[int] = []

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(st.lists(CHOSEN, max_size=2), st.integers(1, 30))
    def agree(chosen: list[Filter], size: int) -> None:
        question = questions.of_filters(filled, *chosen)
        others = [Question(), questions.of_filters(filled, Filter(q="storm", without="sale"))]
        sieve = Sieve([question, *others])
        alone = [one for one in POSTS if question.passes(one, keywords_of(one))]
        among = [one for one in POSTS if question in sieve.passing(one, keywords_of(one))]
        assert alone == among
        assert in_database(filled, question, size) == [one.post_id for one in alone], question
        sizes.append(len(alone))

    agree()
    assert sum(0 < size < len(POSTS) for size in sizes) > 20


def test_a_stored_post_is_asked_as_it_came(filled: Engine) -> None:
    with reading(filled) as connection:
        rows = connection.execute(posts.select()).all()
    came = {one.post_id: one for one in POSTS}
    single: list[dict[str, Any]] = [{"only": one} for one in choices.ONLY]
    single += [{"state": (one,)} for one in choices.STATES]
    single += [
        {"link": (links.compared(LONG),)},
        {"tag": ("sea",)},
        {"lang": ("pt-br",)},
        {"kind": ("reply",)},
        {"q": "嵐"},
    ]
    for one in single:
        wanted = Filter(**one)
        passing = [row.post_id for row in rows if wanted.matches(stored.as_post(row))]
        assert passing
        assert set(passing) == {n for n, each in came.items() if wanted.matches(each)}, one


def test_a_column_of_a_saved_search_means_what_the_search_means(filled: Engine) -> None:
    chosen = Filter(q="storm OR from:bob.example", lang=("-pt",), since="7d")
    row = searches.save(filled, "storms", chosen)
    column = Column(of=f"search:{row.id}", kind=("reply", "quote"))
    (meaning,) = questions.of_columns(filled, [column])
    assert (meaning.name, meaning.trouble) == ("storms", "")
    assert meaning.question
    shown = [one.post_id for one in backlog.newest(filled, meaning.question).posts]
    hits = search.search(filled, chosen, limit=100).posts
    assert shown == [one.post_id for one in hits if one.kind in column.kind]
    assert 0 < len(shown) < len(hits)
    searches.rename(filled, row.id, "other")
    assert questions.of_columns(filled, [column])[0].name == "other"

    searches.remove(filled, row.id)
    (gone,) = questions.of_columns(filled, [column])
    assert gone.question is None
    assert "was deleted" in gone.trouble
    # SQLite would give the number again, and the column would show another search.
    assert searches.save(filled, "calm", Filter(q="calm")).id != row.id
    assert questions.of_columns(filled, [column]) == [gone]


def test_a_search_that_cannot_be_asked_is_not_kept_and_a_column_of_one_says_why(
    filled: Engine,
) -> None:
    with pytest.raises(KeywordSyntaxError):
        searches.save(filled, "wrong", Filter(q="storm OR"))
    row = searches.save(filled, "was right once", Filter(q="storm"))
    with writing(filled) as connection:
        connection.execute(update(searches.searches).values(query="q=storm+OR"))
    (meaning,) = questions.of_columns(filled, [Column(of=f"search:{row.id}")])
    assert meaning.question is None
    assert meaning.trouble.startswith("The saved search cannot be read: ")


def test_values_are_compared_as_they_are_meant() -> None:
    args = {"network": ["X,bluesky"], "lang": ["EN, -pt-BR"], "tag": ["#Sea,-Storm"]}
    found = Filter.from_args(args | {"keyword": ["007"], "only": ["media"], "other": ["1"]})
    assert (found.network, found.lang) == (("x", "bluesky"), ("en", "-pt-br"))
    assert (found.tag, found.keyword, found.only) == (("sea", "-storm"), ("7",), "media")
    wrong = {"lang": "e!", "kind": "poem", "keyword": "x", "tag": "a b", "hour": "168"}
    wrong |= {"link": "a.org/x, b.org/y"}
    for name, value in (*wrong.items(), ("lang", "english")):
        with pytest.raises(BadFilter, match="expected") as refused:
            Filter.from_args({name: [value]})
        assert refused.value.field == name
    with pytest.raises(BadFilter):
        Filter.from_args({"only": ["text"]})
    for name in ("link", "tag", "lang"):
        with pytest.raises(BadFilter, match="more than 8000 characters"):
            Filter.from_args({name: ["a" * 8_001]})
    for separators in (" ," * 50_000, "x" + "," * 50_000 + "y"):
        with pytest.raises(BadFilter, match="more than 8000 characters"):  # at once
            Filter.from_args({"link": [separators]})
    with pytest.raises(BadFilter, match="more than 50"):
        Filter.from_args({"keyword": [",".join(map(str, range(51)))]})


def test_links_are_compared_as_the_statistics_count_them() -> None:
    given = ["https://WWW.a.org/x/?utm_source=y,-http://b.org/1,2 -https://a.org/x y", LONG]
    found = Filter.from_args({"link": given})
    long = links.short(links.tidy(LONG)[0])
    assert found.link == ("https://a.org/x", "-https://b.org/1,2", "-https://a.org/x%20y", long)
    assert Filter.from_args({"link": [long]}).link == (long,)  # as a page of the statistics has it
    column = Column.of_search(found)
    assert Column.from_args(parse_qs(urlencode(column.to_args()))) == column
    assert Filter.from_args(parse_qs(urlencode(found.to_args()))) == found


def test_one_link_among_many_is_asked_of_the_index(filled: Engine) -> None:
    wanted = Query(Question((Filter(link=("https://b.example.org/a,b%20c",)),)), AT).wanted()
    with reading(filled) as connection:
        words = connection.execute(select(search_texts.c.words)).scalars().all()
    (clause,) = wanted.clauses
    proposed = [text for text in words if not set(clause).isdisjoint(text.split())]
    assert len(proposed) == sum(n % 7 in (1, 2) for n in range(len(POSTS)))
    cut = links.short(f"https://{'a.' * 200}org/")  # shortened in its domain: no word for it
    assert not Query(Question((Filter(link=(cut,)),)), AT).wanted().clauses


def test_hours_of_the_week_are_those_of_the_calendar() -> None:
    for n in range(0, 168 * 3, 5):
        moment = datetime(2026, 11, 2, 0, 59, 59, 999_999, UTC) + timedelta(hours=n)  # a Monday
        us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert hour_of_week(us) == moment.weekday() * 24 + moment.hour


def test_hours_of_the_week_from_before_1970_are_found(engine: Engine) -> None:
    keywords.add(engine, "storm")
    times = [(n * 24 + n % 24) * HOUR_US + 7 for n in (-21_000, -20, -9, -5, -1, 3)]
    made = [post(n, occurred_at=at, created_at=at, sort_us=at) for n, at in enumerate(times)]
    store(engine, take(engine), *made)
    for one in made:
        hour = hour_of_week(one.occurred_at)
        expected = {other.key for other in made if hour_of_week(other.occurred_at) == hour}
        found = search.search(engine, Filter(hour=(str(hour),))).posts
        assert {each.key for each in found} == expected


def test_all_that_is_chosen_can_be_followed() -> None:
    chosen = Filter(q="a OR b", without="c d", kind=("-repost",), only="link")
    assert as_keyword(chosen) == ("(a OR b) NOT (c d) NOT is:repost has:link", (), ())
    assert as_keyword(Filter(q="a", only="-media")).expression == "a NOT has:media"
    followed = as_keyword(
        Filter(q="a OR b", lang=("en", "-fr"), tag=("c",), network=("x", "-bluesky"))
    )
    assert followed[:2] == ("(a OR b) lang:en NOT lang:fr #c", ("x",))
    chosen = Filter(q="storm", without="sale OR 嵐", only="media")
    for one in POSTS:
        same = Filter(q=as_keyword(chosen).expression)
        assert chosen.matches(one) == same.matches(one)


def test_a_keyword_is_of_the_kinds_of_the_search() -> None:
    reply = post(5, "storm", kind="reply", traits=("reply", "quote"))  # one here, both there
    some = [post(n, "storm", kind=kind, traits=(kind,)) for n, kind in enumerate(choices.KINDS)]
    every = [*choices.KINDS, *(f"-{kind}" for kind in choices.KINDS)]
    for count in (1, 2, 3):
        for values in combinations(every, count):
            chosen = Filter(q="storm", kind=values)
            finds = [one for one in some if chosen.matches(one)]
            if not finds:
                with pytest.raises(NotFollowable):
                    as_keyword(chosen)
                continue
            followed = as_keyword(chosen)
            same = Filter(q=followed.expression)
            assert [one for one in some if same.matches(one)] == finds, values
            is_told = any("both for a keyword" in note for note in followed.notes)
            assert is_told or chosen.matches(reply) == same.matches(reply), values
    assert as_keyword(Filter(q="storm", kind=("-post",))).expression == (
        "storm (is:reply OR is:repost OR is:quote)"
    )
    assert as_keyword(Filter(q="storm", kind=("post", "reply"))).expression == (
        "storm NOT is:repost NOT is:quote"
    )


def test_what_no_keyword_can_say_is_said() -> None:
    for chosen, why in (
        (Filter(q="a", link=("https://b.org",)), "url:example.org"),
        (Filter(q="a", hour=("5",)), "hour of the week"),
        (Filter(q="a", state=("-edited",)), "edited or sensitive"),
        (Filter(q="a", keyword=("8",)), "posts of a keyword"),
        (Filter(q="a", lang=("-und",)), "whether a language is said"),
        (Filter(q="a", network=("demo",)), "invented"),
        (Filter(q="a", network=("x", "-x")), "No post can pass"),
        (Filter(q="a", without="a"), "No post can match"),
        (Filter(lang=("en",)), "alone"),
        (Filter(), "empty"),
    ):
        with pytest.raises(NotFollowable, match=why):
            as_keyword(chosen)
    of_some = as_keyword(Filter(q="a", network=("-x",), since="2d", tag=("b",)))
    assert of_some.networks == ("bluesky", "mastodon")
    assert [note.split()[1] for note in of_some.notes] == ["times", "invented", "keyword"]
    assert as_keyword(Filter(q="a", network=choices.NETWORKS)) == ("a", (), ())
    assert as_keyword(Filter(q="a", network=("-demo",))).networks == choices.NETWORKS[:3]
