"""Search finds on each database what the keyword engine matches, and the index keeps up."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, select, text

from tests.store.posts import AT, post, removal, store, take
from tweeter.choices import BadFilter
from tweeter.errors import KeywordSyntaxError
from tweeter.filters import Filter, Question
from tweeter.keywords import Matcher, haystack
from tweeter.keywords.features import features
from tweeter.keywords.index_words import TOO_MANY, Wanted, is_exact, wanted, words
from tweeter.keywords.nodes import holds
from tweeter.keywords.parse import parse
from tweeter.records import AccountChange, IdentityChange, Keyword, Link, Post
from tweeter.store import (
    estimate,
    fulltext,
    identities,
    jobs,
    keywords,
    lately,
    migrate,
    removals,
    search_texts,
    walk,
)
from tweeter.store import search as searching
from tweeter.store.engine import reading, writing
from tweeter.store.filters import Query
from tweeter.store.fulltext import TookTooLong, limited
from tweeter.store.schema import posts
from tweeter.store.schema import search_texts as table
from tweeter.store.search import search

DAY_US = 86_400_000_000

TEXTS = [
    "A storm over the bay",
    "STORMS, storms; the stormy sea",
    "storms again, #猫",
    "no-storm zone, storm_warning",
    "New York is not new-york",
    "newly York, and New  York",
    "don't panic, don’t",
    "C++ and C# and .NET",
    "café cafe\u0301 CAFÉ",
    "cafe without an accent",
    "Straße STRASSE",
    "earth and www and zzall",
    "香港は今日も晴れです",
    "香 港",
    "港",
    "東京都と京都府",
    "สวัสดีครับ วันนี้ฝนตก",
    "안녕하세요 세계",
    "storm香港storm",
    "🌊 waves 🌊🌊",
    "❤️ and ☕",
    "Storm™, ´sea´ №5 10㎞ 1️⃣2️⃣",
    ":) and :-(",
    "#storm #猫好き #cat",
    "@alice.example hi, me@alice.example",
    "Погода сегодня хорошая",
    "погодам",
    "x" * 300,
    "x" * 290 + " storm",
    "100% of 3.5 $ and 1,000",
    "the who and for a it",
    "ｗｉｄｅ ｓｔｏｒｍ",
    "",
]
EXPRESSIONS = [
    "storm",
    "storm*",
    "storms NOT sea",
    "storm -zone -bay",
    "NOT sea storm*",
    '"new york"',
    '"new york" OR 香港',
    "(storm OR 東京) (bay OR 京都)",
    "don't",
    "C++",
    '"C#"',
    ".NET",
    "café",
    "cafe",
    "caf*",
    "strasse",
    "www",
    "zzall",
    "earth",
    "香港",
    "港",
    "京都",
    "京",
    "晴れ*",
    "ฝนตก",
    "วันนี้",
    "세계",
    "안녕",
    "🌊",
    "🌊🌊",
    "❤️",
    '":)"',
    "#storm",
    "#猫",
    "#猫好き",
    "@alice.example",
    "погода",
    "погод*",
    "x" * 300,
    f"{'x' * 100}*",
    "100%",
    "$",
    "the",
    "who a",
    "wide",
    "from:alice",
    "from:did:plc:b storm",
    "from:bob.example",
    "from:Alice OR 港",
    "url:example.org",
    "url:news.example.org storm",
    "lang:en storm",
    "lang:pt storm",
    "is:reply storm",
    "has:link storm",
    "(has:media OR has:link) storm",
    "storm NOT lang:en",
    "storm NOT from:alice",
    "nothing",
    "1️⃣",
    "№5 OR 10㎞",
    '"storm™"',
]


def corpus() -> Iterator[Post]:
    for number, words_ in enumerate(TEXTS):
        yield post(number, words_, author_id="did:plc:a", lang="en")
    more: list[dict[str, Any]] = [
        {"author_id": "did:plc:b", "lang": "pt-BR"},
        {"author_id": "77", "author_handle": "Alice", "network": "x", "lang": "iw"},
        {
            "links": (Link(url="https://news.example.org/a"),),
            "also": ("https://news.example.org/a",),
        },
        {"kind": "reply", "traits": ("reply", "media")},
        {"also": ("#storm", "waves 猫"), "tags": ("storm", "Bay")},
        {"warning": "storm", "also": ("storm",), "text": "covered"},
        {"sensitive": True, "occurred_at": AT - 40 * DAY_US},
        {"occurred_at": AT + 3 * DAY_US},
    ]
    for number, fields in enumerate(more, len(TEXTS)):
        yield post(number, **({"text": "a storm"} | fields))


@pytest.fixture
def filled(engine: Engine) -> Engine:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *corpus())
    gone = post(900, "storm gone")
    store(engine, lease, gone, post(901, "storm hidden", author_id="did:plc:h"))
    status = AccountChange(
        network="bluesky", author_id="did:plc:h", status="suspended", occurred_at=AT
    )
    name = IdentityChange(
        network="bluesky", author_id="did:plc:b", handle="bob.example", occurred_at=AT
    )
    store(engine, lease, removal(900), status)
    with writing(engine) as connection:
        identities.apply(connection, [name])
    return engine


def ids(engine: Engine, chosen: Filter, size: int = 1000, **more: Any) -> list[str]:
    """The network's ids of all hits, in order, page by page."""
    found, older = [], ""
    while True:
        page = search(engine, chosen, older=older, limit=size, counting=False, **more)
        found += [one.post_id for one in page.posts]
        older = page.older
        if not older:
            return found


def in_order(found: list[Post]) -> list[str]:
    def place(one: Post) -> tuple[int, int]:
        return one.occurred_at, one.sort_us

    return [one.post_id for one in sorted(found, key=place, reverse=True)]


def engine_says(expression: str) -> list[str]:
    accounts = (("bob.example", "did:plc:b"),)
    matcher = Matcher([Keyword(id=1, expression=expression, accounts=accounts)])
    return in_order([one for one in corpus() if matcher.match(one)])


@pytest.mark.parametrize(
    ("few", "along"),
    [(walk.FEW, 0), (1, 0), (walk.FEW, 8), (1, 8), (1, 1_000)],
    ids=["sorted at once", "by days", "along, sorted", "along, by days", "along"],
)
def test_hits_are_what_the_engine_matches(
    filled: Engine, few: int, along: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "FEW", few)
    if along:
        monkeypatch.setattr(walk, "PIECE", 4)
        monkeypatch.setattr(walk, "MOST_ALONG", along)
        monkeypatch.setattr(walk.Walk, "_are_most", True)
    counts = {e: len(engine_says(e)) for e in EXPRESSIONS}
    assert sum(counts.values()) > 100
    assert [e for e, count in counts.items() if not count] == ["nothing"]
    for expression in EXPRESSIONS:
        assert ids(filled, Filter(q=expression)) == engine_says(expression), expression


def test_pages_join_to_the_whole_and_removed_posts_are_in_none(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "IDS", 4)
    monkeypatch.setattr(walk, "PIECE", 3)
    everything = in_order(list(corpus()))
    assert ids(filled, Filter(), 5) == ids(filled, Filter()) == everything
    for chosen in (Filter(q="storm"), Filter(q='":)" OR storm'), Filter(keyword=("1",))):
        whole = ids(filled, chosen)
        assert len(whole) > 7
        assert ids(filled, chosen, 2) == whole
        monkeypatch.setattr(walk, "FEW", 3)
        assert ids(filled, chosen, 2) == whole


FILTERS = [
    Filter(network=("x",)),
    Filter(network=("-x",), q="storm"),
    Filter(lang=("pt",)),
    Filter(lang=("he",)),
    Filter(lang=("-en", "-und")),
    Filter(lang=("und",), q="storm"),
    Filter(lang=("iw",)),
    Filter(kind=("reply", "quote")),
    Filter(kind=("-reply",), q="storm"),
    Filter(state=("sensitive",)),
    Filter(state=("-sensitive", "-edited"), q="storm"),
    Filter(keyword=("1",), q="storm"),
    Filter(keyword=("-1",)),
    Filter(keyword=("1", "2")),
    Filter(tag=("storm",)),
    Filter(tag=("-storm",), q="storm"),
    Filter(tag=("storm", "cat")),
    Filter(since="2026-11-18", until="2026-11-19"),
    Filter(since="2026-11-19T00:00:00Z", q="storm"),
    Filter(until="2026-11-01", q="storm"),
    Filter(without="storm OR 港"),
    Filter(without="storms NOT sea", q="storms", lang=("en",)),
    Filter(lang=("pt-br", "he")),
    Filter(lang=("-pt-br",), q="storm"),
    Filter(only="media"),
    Filter(only="link", q="storm"),
]


def test_a_filter_says_of_one_post_what_the_database_says(filled: Engine) -> None:
    assert keywords.add(filled, "unseen").id == 2
    some = 0
    for chosen in FILTERS:
        expected = in_order([one for one in corpus() if chosen.matches(one, {1})])
        assert ids(filled, chosen) == expected, chosen
        some += 0 < len(expected) < len(TEXTS) + 8
    assert some >= len(FILTERS) - 4
    assert Filter(q="storm").matches(post(1))
    assert not Filter(keyword=("1",)).matches(post(1))


def test_a_filter_is_an_address_and_back() -> None:
    for chosen in FILTERS:
        args: dict[str, list[str]] = {}
        for name, value in chosen.to_args():
            args.setdefault(name, []).append(value)
        assert Filter.from_args(args | {"older": ["1.2"]}) == chosen
    assert Filter.from_args({"tag": ["#Ｓtorm"]}).tag == ("storm",)
    wide = Filter(lang=("en",)).having("lang", "-en").having("lang", "fr").lacking("lang", "-en")
    assert wide.to_args() == [("lang", "fr")]
    for wrong in ({"network": ["y"]}, {"lang": ["1"]}, {"keyword": ["x"]}, {"tag": ["a b"]}):
        with pytest.raises(BadFilter):
            Filter.from_args(wrong)
    with pytest.raises(KeywordSyntaxError):
        Query(Question((Filter(q="storm OR"),)), AT)


def test_counts_facets_and_histogram_are_of_all_hits_also_on_an_older_page(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(filled, Filter(q="storm"), limit=2)
    assert first.counts
    assert first.counts.counted == len(engine_says("storm"))
    assert (first.counts.about, first.counts.partial) == (0, False)
    facets = {name: dict(found) for name, found in first.counts.facets.items()}
    assert sum(facets["network"].values()) == first.counts.counted
    assert facets["network"]["x"] == facets["lang"]["he"] == facets["lang"]["pt"] == 1
    assert facets["tag"] == {"storm": 1, "bay": 1}
    assert facets["keyword"] == {"1": first.counts.counted}
    assert sum(bar.hits for bar in first.counts.histogram.bars) == first.counts.counted
    second = search(filled, Filter(q="storm"), limit=2, older=first.older)
    assert second.counts == first.counts
    monkeypatch.setattr(searching, "DESCRIBED", 3)
    monkeypatch.setattr(searching, "COUNTING_S", 0.0)
    exact, looked_at = (search(filled, Filter(q=q), limit=2).counts for q in ("storm", "storm*"))
    assert exact
    assert looked_at
    counted = exact.counted, exact.described, exact.about, exact.partial
    assert counted == (first.counts.counted, 3, 0, False)
    assert (looked_at.counted, looked_at.described, looked_at.partial) == (3, 3, False)
    assert looked_at.about > 3
    monkeypatch.setattr(searching, "COUNTED", 4)
    cut = search(filled, Filter(q="storm"), limit=2).counts
    assert cut
    assert (cut.counted, cut.described, cut.partial) == (4, 3, False)
    assert cut.about == first.counts.counted


def test_hits_of_many_posts_are_estimated_from_a_sample(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords.add(engine, "sea")
    lease = take(engine)
    texts = ["sea storm", "sea", "sea", "sea calm"]
    for start in range(0, 1_200, 400):  # of a day for each three of two days
        items = [
            post(n, texts[n % 4], **at_time(AT - (n % 400 % 3 == 0) * 2 * DAY_US - n * 40_000_000))
            for n in range(start, start + 400)
        ]
        store(engine, lease, *items)
    monkeypatch.setattr(estimate, "PLACES", 12)
    monkeypatch.setattr(estimate, "POSTS", 40)
    for q, share in (("storm", 0.25), ("sea NOT storm", 0.75), ("stor*", 0.25)):
        found = estimated(engine, Filter(q=q))
        assert found.is_sure
        assert abs(found.about - 1_200 * share) < 60, q
    assert estimated(engine, Filter(network=("x",))).seen == 0
    assert not estimated(engine, Filter(q="nothing")).is_sure
    one_day = Filter(q="storm", since="2026-11-18")
    assert estimated(engine, one_day).about < 300
    monkeypatch.setattr(searching, "COUNTED", 100)
    monkeypatch.setattr(searching, "DESCRIBED", 50)
    counts = search(engine, Filter(q="storm"), limit=10).counts
    assert counts
    assert (counts.counted, counts.described) == (100, 50)
    assert 240 < counts.about < 360


def at_time(moment: int) -> dict[str, int]:
    return {"created_at": moment, "occurred_at": moment, "received_at": moment, "sort_us": moment}


def estimated(engine: Engine, chosen: Filter) -> estimate.Estimate:
    query = Query(Question((chosen,)), AT)
    with reading(engine) as connection:
        return estimate.Estimate(
            lambda statement, values: connection.execute(statement, values).mappings().all(),
            query,
            query.wanted(),
        )


def test_a_search_ends_in_time_and_says_how_far_it_came(filled: Engine) -> None:
    lease = take(filled, "more")
    for start in range(1_000, 3_000, 500):
        store(filled, lease, *(post(n, f"calm {n} sea") for n in range(start, start + 500)))
    old = str(TEXTS.index(":) and :-("))
    chosen = Filter(q='":-("')  # no index knows it, and only the oldest post has it
    assert ids(filled, chosen) == [old]
    found, steps, older = [], 0, ""
    while True:
        page = search(filled, chosen, older=older, limit_s=0.004 * steps)
        found += [one.post_id for one in page.posts]
        steps += 1
        if not page.older:
            break
        assert page.counts
        assert page.searched_until_us
        assert page.counts.partial
        older = page.older
    assert found == [old]
    assert steps > 1


def test_a_statement_that_takes_too_long_is_stopped(engine: Engine) -> None:
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(60)",
    }.get(engine.dialect.name, "SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b")
    soon = time.monotonic() + 0.1
    with (
        pytest.raises(TookTooLong),
        reading(engine) as connection,
        limited(connection, soon),
    ):
        connection.execute(text(slow)).all()
    assert keywords.list_all(engine) == []


def test_a_post_of_too_many_words_is_still_found(engine: Engine) -> None:
    keywords.add(engine, "storm")
    long = " ".join(f"w{n}" for n in range(30_000)) + " storm"
    lease = take(engine)
    store(engine, lease, post(1, long), post(2, "storm"))
    with reading(engine) as connection:
        kept = connection.execute(select(table.c.words)).scalars().all()
    assert sum(f" {TOO_MANY} " in one for one in kept) == 1
    assert ids(engine, Filter(q="w7 w29999")) == ["1"]
    assert ids(engine, Filter(q="storm")) == ["2", "1"]
    assert ids(engine, Filter(q="storm NOT w7")) == ["2"]


def test_an_upgrade_gives_words_to_the_posts_that_are_there(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk.Walk, "_are_most", False)  # asked is the index
    lease = take(filled, "more")
    store(filled, lease, *(post(n, f"storm {n}") for n in range(2_000, 3_200)))
    migrate.downgrade(filled, "0003")
    migrate.upgrade(filled)
    with reading(filled) as connection:
        rows = {row.post_id: row.words for row in connection.execute(select(table))}
        assert rows == search_texts.expected(connection)
    assert len(ids(filled, Filter(q="storm"))) == 1_200 + len(engine_says("storm"))
    with writing(filled) as connection:  # as a process of the older version leaves them
        connection.execute(table.delete().where(table.c.words.like("%zzstorm%")))
    while search_texts.mend(filled, AT + 2_000):
        assert len(ids(filled, Filter(q="storm"))) > 0
    assert len(ids(filled, Filter(q="storm"))) == 1_201
    assert search_texts.mend(filled, 0) > 0


PIECES = st.sampled_from([*TEXTS, "storm", "sea", "港", "🌊", "C++", "_", "'", "\u0301", "#", "@"])


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=5), st.sampled_from(["", " "]), st.sampled_from(EXPRESSIONS))
def test_the_index_never_hides_a_hit(pieces: list[str], between: str, expression: str) -> None:
    one = post(1, between.join(pieces), author_handle="alice")
    node = parse(expression)
    there = words((one.text,), (one.author_id, one.author_handle), (), (), AT).split()
    may_match = is_let(wanted(node), there)
    assert may_match or not holds(node, haystack(one), features(one))
    if is_exact(node):
        assert may_match == holds(node, haystack(one), features(one))
    assert all(3 <= len(word) <= 84 and word.isascii() and word.isalnum() for word in there)


def is_let(asked: Wanted, there: Sequence[str]) -> bool:
    """Whether a post with these words is one of those that are wanted."""

    def has(word: str) -> bool:
        if word.endswith("*"):
            return any(other.startswith(word[:-1]) for other in there)
        return word in there

    if any(map(has, asked.never)):
        return False
    return TOO_MANY in there or all(any(map(has, clause)) for clause in asked.clauses)


def test_words_are_looked_up_without_the_index_as_with_it(filled: Engine) -> None:
    long = f"storm {' '.join(f'w{n}' for n in range(30_000))}"
    store(filled, take(filled, "more"), post(1_000, long), post(1_001, f"stormy {long}"))
    with reading(filled) as connection:
        rows = connection.execute(select(table.c.post_id, table.c.words))
        there = {row.post_id: row.words for row in rows}
        for asked in (Wanted(), *(wanted(parse(expression)) for expression in EXPRESSIONS)):
            expected = {n for n, words in there.items() if is_let(asked, words.split())}
            proposed = select(table.c.post_id).where(fulltext.proposed(asked))
            assert set(connection.execute(proposed).scalars()) == expected, asked
            if asked.clauses:
                by_index = fulltext.matching(filled.dialect.name, asked)
                assert set(connection.execute(by_index).scalars()) == expected, asked


def test_the_index_is_never_asked_where_only_the_order_may_be(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[fulltext.Order] = []
    asked: list[bool] = []
    are_there, order = fulltext.are_there, fulltext.Order

    def made(connection: Connection) -> fulltext.Order:
        orders.append(order(connection))
        return orders[-1]

    def noted(connection: Connection, word: str) -> bool:
        asked.append(orders[-1].is_kept)
        return are_there(connection, word)

    monkeypatch.setattr(fulltext, "Order", made)
    monkeypatch.setattr(fulltext, "are_there", noted)
    monkeypatch.setattr(walk.Walk, "_are_most", True)
    for chosen in (Filter(), Filter(q="storm")):
        assert ids(filled, chosen)
    assert asked
    assert not any(asked)


def test_postgresql_looks_candidates_up_whatever_it_believes(filled: Engine) -> None:
    if filled.dialect.name != "postgresql":
        pytest.skip("of PostgreSQL's planner")

    def settings(connection: Connection) -> dict[str, str]:
        return {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in expected}

    expected = {
        "enable_hashjoin": "off",  # of all posts
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
    }
    with reading(filled) as connection, limited(connection, time.monotonic() + 10):
        assert settings(connection) == expected
    with reading(filled) as connection:
        before = settings(connection)
    assert before == {name: "on" if "enable" in name else off for name, off in expected.items()}


def test_the_order_is_asked_for_only_when_it_changes(filled: Engine) -> None:
    asked: list[str] = []

    def note(*seen: Any) -> None:
        asked.append(seen[2])

    event.listen(filled, "before_cursor_execute", note)
    ids(filled, Filter(q="storm"))
    event.remove(filled, "before_cursor_execute", note)
    told = [words for words in asked if "enable_sort" in words]
    assert len(told) == (2 if filled.dialect.name == "postgresql" else 0)


def test_a_sample_is_read_at_its_places_whatever_time_is_asked_for(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filled.dialect.name != "sqlite":
        pytest.skip("of SQLite's planner")
    plans: list[str] = []

    def note(connection: Any, _: Any, statement: str, values: Any, *__: Any) -> None:
        if "looked_at" in statement and not statement.startswith("EXPLAIN"):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in rows)

    monkeypatch.setattr(estimate, "POSTS", 0)
    monkeypatch.setattr(walk, "FEW", 0)
    event.listen(filled, "before_cursor_execute", note)
    ids(filled, Filter(q="storm", since="2020-01-01", until="2030-01-01"))
    event.remove(filled, "before_cursor_execute", note)
    assert [plan for plan in plans if "SEARCH posts" in plan]
    assert not [plan for plan in plans if "occurred_at" in plan]


def test_who_asks_again_is_not_told_what_was_there_before(filled: Engine) -> None:
    """How candidates come is remembered for a moment; which there are is not."""
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    before = ids(filled, Filter(q="bay"))
    event.listen(filled, "before_cursor_execute", note)
    assert ids(filled, Filter(q="bay")) == before
    again = sum("AS count" in words for words in asked)
    event.remove(filled, "before_cursor_execute", note)
    assert again == 0
    store(filled, take(filled, "more"), post(950, "a storm in another bay"))
    assert ids(filled, Filter(q="bay")) == ["950", *before]


def test_what_is_remembered_of_a_search_is_bounded_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = iter(range(100))
    monkeypatch.setattr(lately, "MOST", 2)
    monkeypatch.setattr(lately, "_known", {})
    assert [lately.remembered(key, lambda: next(given)) for key in "aabca"] == [0, 0, 1, 2, 3]
    monkeypatch.setattr(lately, "KEPT_S", 0.0)
    assert [lately.remembered(key, lambda: next(given)) for key in "aa"] == [4, 5]


def test_the_index_follows_edits_removals_and_deletions(filled: Engine) -> None:
    def check(expression: str, *expected: str) -> None:
        assert ids(filled, Filter(q=expression)) == list(expected)
        with reading(filled) as connection:
            rows = {row.post_id: row.words for row in connection.execute(select(table))}
            assert rows == search_texts.expected(connection)
            asked = fulltext.matching(filled.dialect.name, wanted(parse(expression)))
            assert len(connection.execute(asked).all()) == len(expected)  # gone, not only hidden

    lease = take(filled, "more")
    check("bay", "0")
    edited = post(1, "the bay, edited", version="1", operation="update")
    store(filled, lease, edited)
    check("bay", "1", "0")
    check("stormy")
    store(filled, lease, removal(1))
    check("bay", "0")
    gone = AccountChange(network="x", author_id="77", status="deleted", occurred_at=AT)
    store(filled, lease, gone)
    check("from:alice")
    keywords.add(filled, "flood")
    with writing(filled) as connection:
        stored = connection.execute(select(posts.c.id, posts.c.post_id)).all()
        jobs.forget(connection, [row.id for row in stored if row.post_id != "0"])
    check("bay", "0")


def test_an_edit_that_waits_for_a_removal_puts_no_text_back(filled: Engine) -> None:
    lease = take(filled, "more")
    edited = post(0, "a storm again", version="1", operation="update")
    with ThreadPoolExecutor(1) as pool:
        with writing(filled) as connection:
            removals.apply(connection, [removal(0)], AT)
            waiting = pool.submit(store, filled, lease, edited)
            time.sleep(0.3)  # it has looked the post up, and waits for its row
            assert not waiting.done()
        waiting.result(timeout=20)
    with reading(filled) as connection:
        row = connection.execute(select(posts).where(posts.c.post_id == "0")).one()
        assert (row.text, row.removed_at) == ("", AT)
        rows = {row.post_id: row.words for row in connection.execute(select(table))}
        assert rows == search_texts.expected(connection)
