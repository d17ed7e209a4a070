"""Notes on the axis of time: kept, changed, removed, and gone with their keyword."""

import pytest
from sqlalchemy import Engine

from tests.store.posts import AT
from tweeter.store import annotations, keywords, migrate, revisions
from tweeter.store.annotations import EVERY, AnnotationNotFound, BadAnnotation
from tweeter.store.engine import writing
from tweeter.store.keywords import KeywordNotFound

HOUR = 3_600_000_000


def texts(engine: Engine, *times: int, keyword_id: int | None = None) -> list[str]:
    return [one.text for one in annotations.between(engine, *times, keyword_id=keyword_id)]


def test_notes_are_found_by_what_they_touch(engine: Engine) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    annotations.add(engine, storm, "a  speech\n", AT)
    annotations.add(engine, EVERY, "an outage 🌪", AT - 2 * HOUR, AT - HOUR)
    annotations.add(engine, flood, "the dam", AT + 5 * HOUR)
    assert texts(engine) == ["an outage 🌪", "a speech", "the dam"]
    assert texts(engine, keyword_id=storm) == ["an outage 🌪", "a speech"]
    assert texts(engine, AT, AT + 1) == ["a speech"]
    assert texts(engine, AT - HOUR, AT) == ["an outage 🌪"]  # its end is inside
    assert texts(engine, AT - 2 * HOUR, AT - 2 * HOUR + 1) == ["an outage 🌪"]
    assert texts(engine, AT - HOUR + 1, AT) == texts(engine, AT + 1, AT + HOUR) == []


def test_a_note_is_changed_as_far_as_it_is_named(engine: Engine) -> None:
    storm = keywords.add(engine, "storm").id
    made = annotations.add(engine, storm, "a speech", AT, AT + HOUR)
    changed = annotations.change(engine, made.id, text="the speech")
    assert (changed.text, changed.since, changed.until) == ("the speech", AT, AT + HOUR)
    assert changed.changed_at > made.changed_at
    assert annotations.change(engine, made.id, until=0).last == AT
    assert annotations.change(engine, made.id, keyword_id=EVERY).keyword_id == EVERY
    assert annotations.remove(engine, made.id).text == "the speech"
    for act in (annotations.get, annotations.remove):
        with pytest.raises(AnnotationNotFound):
            act(engine, made.id)


def test_what_is_no_note_is_refused_and_changes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = keywords.add(engine, "storm").id
    for text, until in ((" \n", 0), ("x" * 501, 0), ("x", AT), ("x", AT - 1)):
        with pytest.raises(BadAnnotation):
            annotations.add(engine, storm, text, AT, until)
    with pytest.raises(KeywordNotFound):
        annotations.add(engine, storm + 1, "x", AT)
    made = annotations.add(engine, storm, "x" * 500, AT)
    with pytest.raises(BadAnnotation, match="before it begins"):
        annotations.change(engine, made.id, until=AT)
    with pytest.raises(KeywordNotFound):
        annotations.change(engine, made.id, keyword_id=storm + 1)
    monkeypatch.setattr(annotations, "MOST", 1)
    with pytest.raises(BadAnnotation, match="remove one"):
        annotations.add(engine, storm, "another", AT)
    other = annotations.add(engine, EVERY, "of all", AT)
    with pytest.raises(BadAnnotation, match="remove one"):
        annotations.change(engine, other.id, keyword_id=storm)
    assert annotations.get(engine, other.id) == other
    assert texts(engine) == ["x" * 500, "of all"]


def test_notes_go_with_their_keyword(engine: Engine) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    for whose in (storm, flood, EVERY):
        annotations.add(engine, whose, f"of {whose}", AT)
    with writing(engine) as connection:
        keywords.forget(connection, storm)
    assert texts(engine) == [f"of {flood}", "of 0"]


def test_the_step_goes_down_and_up(engine: Engine) -> None:
    storm = keywords.add(engine, "storm").id
    annotations.add(engine, storm, "gone with the table", AT)
    migrate.downgrade(engine, "0006")
    assert migrate.upgrade(engine) == ("0006", revisions.newest())
    annotations.add(engine, storm, "a new one", AT)
    assert texts(engine) == ["a new one"]
