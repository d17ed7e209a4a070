"""What keywords are called is kept by a process: never longer than it is so."""

from sqlalchemy import Engine, event

from tweeter.store import expressions, keywords


def test_a_change_is_seen_at_once(engine: Engine) -> None:
    assert expressions.names(engine, [1, 2]) == {}
    assert expressions.newest(engine, 5) == []
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    assert expressions.names(engine, [storm, flood]) == {storm: "storm", flood: "flood"}
    assert expressions.newest(engine, 5) == [(flood, "flood"), (storm, "storm")]
    keywords.edit(engine, storm, "storms")
    assert expressions.names(engine, [storm, flood]) == {storm: "storms", flood: "flood"}
    keywords.set_state(engine, flood, "removed")
    assert expressions.names(engine, [storm, flood]) == {storm: "storms"}
    assert expressions.newest(engine, 1) == [(storm, "storms")]
    keywords.set_state(engine, flood, "active", restore=True)
    assert expressions.newest(engine, 1) == [(flood, "flood")]


def test_what_is_kept_is_not_read_again(engine: Engine) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    expressions.names(engine, [storm])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, text, *_: asked.append(text))
    expressions.names(engine, [storm])
    assert not [text for text in asked if "FROM keywords" in text]
    expressions.names(engine, [storm, flood])
    assert len([text for text in asked if "FROM keywords" in text]) == 1
