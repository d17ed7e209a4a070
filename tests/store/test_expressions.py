"""What keywords are called is kept by a process: never longer than it is so."""

from sqlalchemy import Engine, event

from tweeter.store import expressions, keywords
from tweeter.store.engine import reading


def all_of(engine: Engine) -> dict[int, str]:
    with reading(engine) as connection:
        return dict(expressions.of_all(connection))


def test_a_change_is_seen_at_once(engine: Engine) -> None:
    assert all_of(engine) == {}
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    assert list(all_of(engine).items()) == [(flood, "flood"), (storm, "storm")]
    keywords.edit(engine, storm, "storms")
    assert keywords.names(engine, [storm, flood]) == {storm: "storms", flood: "flood"}
    keywords.set_state(engine, flood, "removed")
    assert all_of(engine) == {storm: "storms"}
    keywords.set_state(engine, flood, "active")
    assert expressions.newest(engine, 1) == [(flood, "flood")]


def test_what_is_kept_is_not_read_again(engine: Engine) -> None:
    keywords.add(engine, "storm")
    all_of(engine)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, text, *_: asked.append(text))
    all_of(engine)
    assert not [text for text in asked if "FROM keywords" in text]
