"""`tweeter annotation`: notes on the axis of time in the terminal."""

from tests.commands.conftest import Person
from tests.store.posts import AT
from tweeter.store import annotations, keywords
from tweeter.views.show import exact

HOUR = 3_600_000_000


def test_a_note_from_its_first_to_its_last_line(person: Person) -> None:
    keywords.add(person.engine, "storm")
    since, until = exact(AT) or "", exact(AT + HOUR) or ""
    (made,) = person.json("annotation", "add", "a speech", "--keyword", "1", "--since", since)
    assert (made["keyword_id"], made["since"], made["until"]) == (1, since, None)
    person.run("annotation", "add", "of all")
    (changed,) = person.json("annotation", "edit", "1", "--until", until)
    assert (changed["text"], changed["until"]) == ("a speech", until)
    (changed,) = person.json("annotation", "edit", "1", "--moment", "--text", "the speech")
    assert (changed["text"], changed["until"]) == ("the speech", None)
    shown = person.run("annotation", "list", "--keyword", "1").stdout
    assert "keyword 1: the speech" in shown
    assert "all keywords: of all" in shown
    assert len(person.json("annotation", "list", "--until", until)) == 1
    assert "Note: " in person.run("stats", "1", "--range", "hour").stdout
    assert "Removed: the speech" in person.run("annotation", "remove", "1").stderr
    assert [one.text for one in annotations.between(person.engine)] == ["of all"]


def test_what_cannot_be_noted_is_said(person: Person) -> None:
    assert person.run("annotation", "add", "x", "--keyword", "9").exit_code == 7
    assert person.run("annotation", "edit", "9", "--text", "x").exit_code == 7
    assert person.run("annotation", "remove", "9").exit_code == 7
    assert person.run("annotation", "add", " ").exit_code == 2
    assert person.run("annotation", "edit", "9", "--moment", "--until", "1h").exit_code == 2


def test_a_note_that_is_no_text_is_mended(person: Person) -> None:
    (made,) = person.json("annotation", "add", "storm\udcff")
    assert made["text"] == "storm\ufffd"
