"""Where the words of a keyword are marked in a text as it was written, and at what cost."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tweeter.keywords.highlight import marks
from tweeter.keywords.normalise import normalise
from tweeter.keywords.parse import parse

STORM = parse("storm")


@pytest.mark.parametrize(
    "text, found",
    [
        ("A Storm™, a ＳＴＯＲＭ.", ["Storm", "ＳＴＯＲＭ"]),
        ("sto\u200brm ﷺ storm", ["sto\u200brm", "storm"]),
        ("  storm \n\n storm’s storms", ["storm", "storm"]),
        ("a stormy night", []),
    ],
)
def test_words_are_marked_as_they_are_written(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in marks(text, STORM)] == found


@given(st.lists(st.sampled_from(["storm", "STORM", " ", "\n", "™", "ﷺ", "é", "\u0301", "\u200b"])))
@example(["™", "storm", "™"])
def test_each_mark_holds_the_word(pieces: list[str]) -> None:
    text = "".join(pieces)
    for start, end in marks(text, STORM):
        assert normalise(text[start:end]) == "storm"


@pytest.mark.parametrize(
    "odd", ["™", "ﷺ", "a\u0301\u0323", "storm™ ", "™ﷺ storm ", "’storm’\u200b"]
)
def test_no_text_takes_long(odd: str) -> None:
    text = f"storm {odd * 2_000}"
    began = time.process_time()
    assert marks(text, STORM)[0] == (0, 5)
    assert time.process_time() - began < 0.5
