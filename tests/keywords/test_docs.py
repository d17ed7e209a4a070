"""docs/keywords.md is true: each of its examples is run."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.keywords.posts import post
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import Matcher, automaton, parse
from tweeter.records import Keyword, Link, Post

PAGE = (Path(__file__).parents[2] / "docs" / "keywords.md").read_text()


def rows(kind: str) -> list[tuple[str, str, str]]:
    found = []
    for block in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            first, second, third = (part.strip() for part in line.split(" | "))
            found.append((first, second, third))
    return found


def test_there_are_at_least_sixty_examples() -> None:
    assert len(rows("examples")) >= 60


@pytest.mark.parametrize("package", ["ahocorasick_rs", None])
@pytest.mark.parametrize(("expression", "text", "expected"), rows("examples"))
def test_example(
    expression: str, text: str, expected: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not package:
        monkeypatch.setattr(automaton, "ahocorasick_rs", None)
    text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    matcher = Matcher([Keyword(id=1, expression=expression)])
    assert bool(matcher.match(read(text))) == (expected == "yes")


def read(text: str) -> Post:
    """A post as the page writes it: its text, then what else it has in braces."""
    text, _, rest = text.partition(" {")
    fields: dict[str, Any] = {}
    for part in rest.rstrip("}").split():
        name, _, value = part.partition("=")
        if name == "link":
            fields["links"] = (Link(value),)
        elif name == "kind":
            fields |= {"kind": value.split("+")[0], "traits": tuple(value.split("+"))}
        elif name == "media":
            fields["traits"] = (*fields.get("traits", ()), "media")
        else:
            fields[{"by": "author_handle", "lang": "lang"}[name]] = value
    return post(text, **fields)


@pytest.mark.parametrize(("expression", "character", "words"), rows("errors"))
def test_error(expression: str, character: str, words: str) -> None:
    with pytest.raises(KeywordSyntaxError) as caught:
        parse(expression)
    assert words in caught.value.message
    assert caught.value.position == int(character) - 1
