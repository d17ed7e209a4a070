"""Texts of strangers as they are shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweeter.harmless import MARKS, cell, harmless, one_line

ACUTE, ENCLOSED = "\u0301", "\u20dd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\x07b\x9bc", "a\ufffdb\ufffdc"),
        ("嵐が来る 🌊", "嵐が来る 🌊"),
        (f"e{ACUTE * MARKS}!", f"e{ACUTE * MARKS}!"),
        (f"e{ACUTE * 300}! e{ACUTE}", f"e{ACUTE * MARKS}! e{ACUTE}"),
        (f"嵐{(ACUTE + ENCLOSED) * 4}", f"嵐{(ACUTE + ENCLOSED) * (MARKS // 2)}"),
        ("\u202eright to left", "\u202eright to left"),
    ],
)
def test_control_characters_are_seen_and_stacked_marks_are_cut(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(st.sampled_from(f"a\n\x00{ACUTE}{ENCLOSED}\u0e34嵐\U0001f30a"), max_size=60))
def test_what_is_shown_has_no_long_run_of_marks_and_lacks_nothing_else(text: str) -> None:
    shown = harmless(text)
    marks = "".join("m" if unicodedata.category(c) in ("Mn", "Me") else "." for c in shown)
    assert "m" * (MARKS + 1) not in marks
    assert [c for c, m in zip(shown, marks, strict=True) if m == "."] == [
        "\ufffd" if c == "\x00" else c for c in text if unicodedata.category(c) not in ("Mn", "Me")
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("storm  嵐 🌊 مرحبا", "storm  嵐 🌊 مرحبا"),
        ("\x1b[2J\x1b]0;owned\x07", "\ufffd[2J\ufffd]0;owned\ufffd"),
        ("\x9b31mred\x00", "\ufffd31mred\ufffd"),
        ("one\r\ntwo\tthree\u2028four\x85five", "one  two three four five"),
        ("\u202eevil\u202c \u2066ok\u2069 a\u200fb", "evil ok a\u200fb"),
        ("\udcff", "\ufffd"),
        (f"e{ACUTE * 300}", f"e{ACUTE * MARKS}"),
    ],
)
def test_a_line_of_a_terminal_has_nothing_that_steers_it(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize("sign", [*"=+-@\t\r\n", *"＝＋－＠"])
def test_no_cell_is_a_formula(sign: str) -> None:
    assert cell(f"{sign}1+1") == f"'{sign}1+1"
    assert cell(f"1{sign}1") == f"1{sign}1"
