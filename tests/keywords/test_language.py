"""The fast engine equals the obvious one; what is printed parses to the same; nothing crashes."""

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.keywords.posts import post
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import (
    Matcher,
    NotForX,
    canonical,
    compile_for_x,
    haystack,
    parse,
    print_expression,
)
from tweeter.keywords.boundaries import is_word
from tweeter.keywords.features import features
from tweeter.keywords.nodes import And, Field, Mention, Node, Not, Or, Prefix, Tag, Word, holds
from tweeter.keywords.normalise import _APOSTROPHES, _EVEN, _INVISIBLE, _SIGN, _set_apart, normalise
from tweeter.keywords.printing import in_order
from tweeter.records import Keyword, Link, Post

LETTERS = "Ⓐ-ⓩ🄰-🅏"  # circled and squared: signs to Unicode, letters to people and to us
LOW_LINES = "＿︳︴﹍-﹏"  # compared as "_", which is of a word

# Few letters, so that words meet; with what makes boundaries hard.
PIECES = ["a", "b", "cat", "Cat", "é", "e\u0301", "猫", "ๆ", "한", "#", "@", "_", "'", "’", "+"]
PIECES += [
    "™",
    "´",
    "№",
    "\u20e3",
    "-",
    ".",
    " ",
    "  ",
    "\u200b",
    "🔥",
    "1",
    "ß",
    "ﬁ",
    "\u0301",
    '"',
    "\n",
    "(",
    "*",
]

words = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def parsed(expression: str) -> Node | None:
    try:
        return parse(expression)
    except KeywordSyntaxError:
        return None


def quoted(text: str) -> str:
    return '"' + text.replace('"', "") + '"'


FIELDS = ["lang:en", "lang:en-GB", "lang:pt", "is:reply", "is:quote", "is:repost", "has:link"]
FIELDS += ["has:media", "from:ann", "from:@Bob", "url:a.org", "domain:www.a.org", "from:did:x:1"]

atoms = words.map(quoted) | words | words.map("#{}".format) | words.map("@{}".format)
atoms |= words.map("{}*".format) | st.sampled_from(FIELDS)
posts = st.builds(
    lambda parts, **fields: post(parts[0], *parts[1:], **fields),
    st.lists(texts, min_size=1, max_size=4),
    lang=st.sampled_from(["", "en", "en-GB", "en_us", "pt", "in"]),
    kind=st.sampled_from(["post", "reply", "repost", "quote"]),
    traits=st.lists(st.sampled_from(["reply", "quote", "media"]), max_size=2).map(tuple),
    author_id=st.sampled_from(["", "1", "did:x:1"]),
    author_handle=st.sampled_from(["", "Ann", "bob"]),
    links=st.lists(
        st.sampled_from([Link("https://a.org/b"), Link("http://www.a.org"), Link("b.com/x")]),
        max_size=2,
    ).map(tuple),
)
expressions = st.recursive(
    atoms,
    lambda inner: (
        st.tuples(inner, inner).map(" ".join)
        | st.tuples(inner, inner).map(" OR ".join)
        | inner.map("({})".format)
        | inner.map("NOT ({})".format)
        | st.tuples(inner, atoms).map(" -".join)
    ),
    max_leaves=6,
)


@given(st.lists(expressions, min_size=1, max_size=8), posts)
def test_the_fast_engine_equals_the_obvious_one(found: list[str], seen: Post) -> None:
    nodes = {n: node for n, text in enumerate(found) if (node := parsed(text)) is not None}
    matcher = Matcher(Keyword(id=n, expression=found[n]) for n in nodes)
    hits = {m.keyword_id for m in matcher.match(seen)}
    assert matcher.ids(seen) == hits
    hay, traits = haystack(seen), features(seen)
    assert hits == {n for n, node in nodes.items() if holds(node, hay, traits)}


@given(expressions)
def test_what_is_printed_parses_to_the_same(expression: str) -> None:
    node = parsed(expression)
    if node is not None:
        assert parse(print_expression(node)) == node


@given(expressions, posts)
@example("cat NOT (-dog -dog)", post("cat"))
def test_operands_in_order_match_the_same(expression: str, seen: Post) -> None:
    node = parsed(expression)
    if node is not None:
        hay, traits = haystack(seen), features(seen)
        assert holds(in_order(node), hay, traits) == holds(node, hay, traits)
        assert canonical(print_expression(in_order(node))) == canonical(expression)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("climate OR #climate", "#Climate OR climate OR CLIMATE"),
        ("cat (dog OR NOT bird)", "(NOT bird OR dog) cat cat"),
        ('"new york" lang:en', 'lang:en "New York"'),
        ("cat NOT (-dog -dog)", "cat dog"),
        ("aa (a b OR b a)", "b aa a"),
        ("aa NOT (-(a b) -(b a))", "a aa b"),
        ("ｓｔｏｒｍ OR storm", "STORM"),
        ("cafe\u0301 #cafe\u0301", "café #café"),
        ("@ｎａｓａ sto\u200drm*", "@nasa storm*"),
        ('"storm™" it’s', 'it\'s "Storm TM"'),
        ("ｌａｎｇ：ｅｎ", '"lang:en"'),
        ("AND＊", '"and*"'),
    ],
)
def test_order_repetition_and_writing_make_no_other_keyword(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat OR dog", "cat dog"),
        ("bread OR water", "bread or water"),
        ("a NOT z", "a not z"),
        ('"NOT" z a', "a NOT z"),
        ("storm*", "storm＊"),
        ("＃storm", '"＃storm"'),
        ("a™*", "a tm*"),
    ],
)
def test_what_matches_otherwise_is_another_keyword(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(expressions, posts)
def test_the_canonical_text_matches_the_same(expression: str, seen: Post) -> None:
    node = parsed(expression)
    if node is not None:
        hay, traits = haystack(seen), features(seen)
        same = parse(canonical(expression))
        assert holds(same, hay, traits) == holds(node, hay, traits)


@given(st.text(max_size=60) | expressions)
def test_parsing_raises_nothing_but_a_position_in_the_expression(expression: str) -> None:
    try:
        parse(expression)
    except KeywordSyntaxError as error:
        assert 0 <= error.position <= len(expression)
        assert error.message


@given(expressions)
def test_no_keyword_that_parses_is_unmatchable(expression: str) -> None:
    node = parsed(expression)
    if node is None:
        return
    matcher = Matcher([Keyword(id=1, expression=expression)])
    assert any(matcher.match(needed(way)) for way in ways(node))


def needed(way: tuple[Node, ...]) -> Post:
    """A post with just these words and fields."""
    signs = {Word: "", Tag: "#", Mention: "@", Prefix: ""}
    parts = [signs[type(a)] + a.text for a in way if isinstance(a, Word | Tag | Mention | Prefix)]
    of: dict[str, list[str]] = {}
    for atom in way:
        if isinstance(atom, Field):
            of.setdefault(atom.name, []).append(atom.value)
    links = [Link(f"https://{domain}/") for domain in of.get("url", [])]
    if "link" in of.get("has", []) and not links:
        links = [Link("https://elsewhere.example/")]
    media = ["media"] * ("media" in of.get("has", []))
    return post(
        "",
        *parts,
        lang=max(of.get("lang", [""]), key=len),
        kind="post",
        traits=(*of.get("is", []), *media),
        author_handle=of.get("from", [""])[0],
        links=tuple(links),
    )


def ways(node: Node, negate: bool = False) -> list[tuple[Node, ...]]:
    """The atoms that each way to match needs, found without the engine's own code."""
    if isinstance(node, Not):
        return ways(node.node, not negate)
    if isinstance(node, And | Or):
        inner = [ways(child, negate) for child in node.nodes]
        if isinstance(node, And) == negate:
            return [way for found in inner for way in found]
        joined: list[tuple[Node, ...]] = [()]
        for found in inner:
            joined = [one + way for one in joined for way in found]
        return joined
    return [()] if negate else [(node,)]


@given(expressions, texts)
def test_a_rule_for_x_asks_for_at_least_what_matches(expression: str, text: str) -> None:
    """In a model of X's rules that finds words as we do (X's own tokens are X's matter)."""
    node = parsed(expression)
    if node is None:
        return
    try:
        rules = compile_for_x(node)
    except NotForX:
        return
    assert all(len(value) <= 1024 for value in rules.pieces)
    if not plain(node):
        return
    hay = haystack(post(text))
    if holds(node, hay):
        assert any(holds(parse(value), hay) for value in rules.pieces)


def plain(node: Node) -> bool:
    """Only words of ASCII letters: where X and we agree on what a word is."""
    if isinstance(node, Not):
        return plain(node.node)
    if isinstance(node, And | Or):
        return all(plain(child) for child in node.nodes)
    return isinstance(node, Word) and node.text.isascii() and node.text.isalnum()


@pytest.mark.parametrize(
    ("expression", "pieces", "dropped"),
    [
        ("storm lang:en", ["storm lang:en"], []),
        ("storm lang:eo", ["storm"], ["lang:eo"]),
        ("storm* flood", ["flood"], ["storm*"]),
        ("storm NOT has:link", ["storm"], ["NOT has:link"]),
        ("storm is:repost has:media", ["storm is:retweet has:media"], []),
        ("storm NOT is:reply", ["storm -is:reply"], []),
        ("from:ann OR from:ann.bsky.social", ["from:ann"], []),
        ("from:ann.bsky.social", [], []),
        ("url:example.org lang:de", ['url:"example.org" lang:de'], []),
        ("storm OR (flood lang:en) OR @ann", ["storm", "flood lang:en", "@ann"], []),
        ("(storm OR flood) from:ann", ["(storm OR flood) from:ann"], []),
    ],
)
def test_what_x_is_asked_and_what_is_filtered_here(
    expression: str, pieces: list[str], dropped: list[str]
) -> None:
    rules = compile_for_x(parse(expression))
    assert list(rules.pieces) == pieces
    assert list(rules.dropped) == dropped


@pytest.mark.parametrize("expression", ["storm*", "storm* lang:en", '":)" has:link'])
def test_what_x_cannot_search_for_is_said(expression: str) -> None:
    with pytest.raises(NotForX):
        compile_for_x(parse(expression))


def test_long_expressions_become_several_rules_or_wider_ones() -> None:
    node = parse(" OR ".join(f"word{n}" for n in range(90)))
    rules = compile_for_x(node, limit=100)
    assert len(rules.pieces) > 5
    assert all(len(value) <= 100 for value in rules.pieces)
    long = parse('"' + "long " * 100 + '" NOT short')
    rules = compile_for_x(long, limit=100)
    assert len(rules.pieces[0]) <= 100
    assert "NOT short" in rules.dropped


def test_a_post_found_by_several_keywords_names_each_once() -> None:
    matcher = Matcher(
        [Keyword(id=2, expression="cat", version=3), Keyword(id=1, expression="cat OR dog")]
    )
    found = matcher.match(post("cat dog cat", "cat"))
    assert [(match.keyword_id, match.keyword_version) for match in found] == [(1, 1), (2, 3)]


def test_a_phrase_never_spans_two_parts_of_a_post() -> None:
    matcher = Matcher([Keyword(id=1, expression='"night train"')])
    assert not matcher.match(post("night", "train"))
    assert not matcher.match(post("", "night", "train"))
    assert matcher.match(post("", "x", "night train"))


def test_a_broken_stored_keyword_does_not_stop_the_others() -> None:
    matcher = Matcher([Keyword(id=1, expression="(("), Keyword(id=2, expression="cat")])
    assert list(matcher.broken) == [1]
    assert [match.keyword_id for match in matcher.match(post("cat"))] == [2]


def test_no_keywords_match_nothing() -> None:
    assert Matcher([]).match(post("anything")) == ()


@pytest.mark.parametrize(
    "hostile",
    ["a" + "\u0301" * 100_000, "\u0316\u0301" * 50_000, "<" * 100_000, "#" * 100_000, "ﷺ" * 5_000],
)
def test_hostile_texts_take_time_that_grows_with_their_length(hostile: str) -> None:
    matcher = Matcher([Keyword(id=1, expression="cat"), Keyword(id=2, expression="#")])
    began_at = time.monotonic()
    matcher.match(post(hostile, hostile))
    assert time.monotonic() - began_at < 2


def test_ten_thousand_keywords_are_one_engine() -> None:
    matcher = Matcher(Keyword(id=n, expression=f"word{n} OR w{n}x") for n in range(10_000))
    found = matcher.match(post("word77 and w9999x and word100000"))
    assert [match.keyword_id for match in found] == [77, 9999]


def test_what_is_no_letter_ends_a_word_also_where_folding_makes_letters_of_it() -> None:
    matcher = Matcher([Keyword(id=1, expression="storm")])
    others = re.compile(f"[{LETTERS}{LOW_LINES}]")
    for code in (*range(0xD800), *range(0xE000, sys.maxunicode + 1)):
        character = chr(code)
        if is_word(character) or normalise(character) == character or others.match(character):
            continue
        if not _INVISIBLE.match(character):
            assert matcher.match(post(f"{character}storm{character}")), hex(code)


def test_what_is_not_odd_needs_no_more_than_folding() -> None:
    """Of no other character anything invisible, an apostrophe or a stack of marks can come."""
    for code in (*range(0xD800), *range(0xE000, sys.maxunicode + 1)):
        character = chr(code)
        if _EVEN.fullmatch(character):
            folded = unicodedata.normalize("NFKC", character).casefold()
            folded = unicodedata.normalize("NFKC", folded)
            assert not _INVISIBLE.search(folded), hex(code)
            assert not _APOSTROPHES.search(folded), hex(code)
            assert not _SIGN.match(character), hex(code)
            assert unicodedata.category(character) not in ("Mn", "Me"), hex(code)
            assert {c for c in folded if c.isspace()} <= {" ", "\n"}, hex(code)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text("aé \n\t\r\x85\xa0\u2028\u3000\x00", max_size=10)
)
def test_the_short_way_gives_what_the_long_one_does(text: str) -> None:
    long = _SIGN.sub(_set_apart, _INVISIBLE.sub("", text))
    long = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", long).casefold())
    assert normalise(text) == " ".join(_APOSTROPHES.sub("'", long).split())


def test_no_visible_character_becomes_an_invisible_one() -> None:
    """So it is enough that they go at first."""
    for code in (*range(0xD800), *range(0xE000, sys.maxunicode + 1)):
        character = chr(code)
        if not _INVISIBLE.match(character):
            assert not _INVISIBLE.search(normalise(character)), hex(code)


def test_a_matcher_made_after_another_is_as_one_made_anew() -> None:
    first = [Keyword(id=1, expression="storm"), Keyword(id=2, expression="from:ann.example.org")]
    named = (("ann.example.org", "did:plc:ann"),)
    then = [Keyword(id=2, expression="from:ann.example.org", accounts=named)]
    then += [Keyword(id=3, expression="storm", version=7), Keyword(id=4, expression='"')]
    before = Matcher(first)
    again, anew = Matcher(then, before=before), Matcher(then)
    assert again.broken == anew.broken
    assert again.broken.keys() == {4}
    for one in (post("a storm"), post("calm", author_id="did:plc:ann")):
        assert again.match(one) == anew.match(one) != ()
