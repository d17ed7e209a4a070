"""X is asked for what a keyword means, or more: in the simulator's reading of X's language."""

import re
from typing import Any

import pytest

from tests.keywords.posts import post
from tests.simulators.x_language import compile_rule, seen_by_rules
from tweeter.keywords import Matcher, NotForX, compile_for_x, parse
from tweeter.records import Keyword


def matches(expression: str, text: str) -> bool:
    return bool(Matcher([Keyword(id=1, expression=expression)]).match(post(text)))


def is_delivered(expression: str, text: str, **entities: Any) -> bool:
    """Whether X, asked by the rules of a keyword, delivers a post."""
    data = {"id": "1", "text": text, "author_id": "5", "entities": entities}
    users = [{"id": "5", "username": "eve"}]
    seen = seen_by_rules({"data": data, "includes": {"users": users}})
    return any(compile_rule(piece)(seen) for piece in compile_for_x(parse(expression)).pieces)


@pytest.mark.parametrize(
    ("expression", "text", "mentioned"),
    [
        ("storm -@storm.example.org", "storm warning: storm.example.org", ""),
        ("storm -@ann-b", "storm, says Ann (b)", ""),
        ("storm -@ann", "storm @ann-marie", "ann"),
        ('storm -"night train"', "storm at night. Train delayed", ""),
        ('storm -"night train"', "a storm hit the night-train", ""),
    ],
)
def test_x_leaves_out_no_post_that_matches(expression: str, text: str, mentioned: str) -> None:
    assert matches(expression, text)
    mentions = [{"username": mentioned}] if mentioned else []
    assert is_delivered(expression, text, mentions=mentions)


@pytest.mark.parametrize("expression", ["storm -sale", "storm -ｓａｌｅ", "storm -#sale"])
def test_what_x_finds_as_we_do_is_left_out_there(expression: str) -> None:
    assert not is_delivered(expression, "storm sale #sale", hashtags=[{"tag": "sale"}])
    assert not compile_for_x(parse(expression)).dropped


@pytest.mark.parametrize(
    ("expression", "piece"),
    [
        ("ＡＩ", "AI"),
        ('"ＮＨＫ ニュース"', '"NHK ニュース"'),
        ("＠Ａｎｎ", "@Ann"),
        ("st\u00adorm", "storm"),
        ("cafe\u0301", "café"),
        ("ﬁre", "fire"),
        ("don’t", '"don\'t"'),
        ("ＮＯＴ", '"NOT"'),
        ("-#a\ufe0f storm", "storm -#a"),
        ("Straße", "(Straße OR strasse)"),
        ("C++", '"C++"'),
        ("❤", '"❤"'),
        # Whether an emoji is one with what joins it is X's matter.
        ("❤\ufe0f", '("❤" OR "❤\ufe0f")'),
    ],
)
def test_x_is_asked_for_letters_as_they_are_compared(expression: str, piece: str) -> None:
    assert compile_for_x(parse(expression)).pieces == (piece,)


def test_a_word_that_is_too_long_for_a_rule_is_not_cut() -> None:
    with pytest.raises(NotForX, match="too long"):
        compile_for_x(parse("ﷺ" * 1_000))


@pytest.mark.parametrize(
    "expression",
    [
        "sto* lang:en",
        "sto* (cat OR lang:en)",
        "(storm OR is:repost) sto*",
        "sto* has:media (cat OR is:reply)",
        '(C++ OR lang:en) "→"',
        "storm OR (flo* (cat OR lang:en))",
    ],
)
def test_x_is_never_asked_for_what_many_posts_are(expression: str) -> None:
    with pytest.raises(NotForX):
        compile_for_x(parse(expression))


def test_what_is_too_long_for_a_rule_does_not_leave_what_many_posts_are() -> None:
    words = [f"word{number}" for number in range(30)]
    pieces = compile_for_x(parse(f"({' OR '.join(words)}) lang:en has:link"), limit=100).pieces
    assert all(len(piece) <= 100 and piece.endswith(" lang:en has:links") for piece in pieces)
    asked = {word for piece in pieces for word in re.findall(r"word\d+", piece)}
    assert asked == set(words)
    rules = compile_for_x(parse(f'"{" ".join(words)}" lang:en'), limit=100)
    assert rules.pieces == (f'"{" ".join(words[:7])}" lang:en',)
    with pytest.raises(NotForX, match="too long"):
        compile_for_x(parse(f"{'ß' * 60} lang:en"), limit=100)


def test_deep_expressions_become_rules_in_time() -> None:
    deep = "storm"
    for number in range(24):
        deep = f"a{number} (b{number} OR {deep})"
    assert compile_for_x(parse(deep)).pieces == (deep,)
