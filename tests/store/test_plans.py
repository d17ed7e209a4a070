"""What SQLite does for many keys at once: it looks into an index, and never reads all of one."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, event, select

from tweeter.store import removals
from tweeter.store.engine import among, make_engine, there, writing
from tweeter.store.migrate import upgrade
from tweeter.store.schema import metadata, posts

NAMES = [("bluesky", "a"), ("bluesky", "b"), ("x", "a")]


@pytest.fixture
def connection(tmp_path: object) -> Iterator[Connection]:
    engine = make_engine(f"sqlite:///{tmp_path}/plans.db")
    upgrade(engine)
    with writing(engine) as found:
        yield found
    engine.dispose()


def plans_of(connection: Connection, work: object) -> list[str]:
    """The steps of every SELECT that the work makes."""
    asked: list[tuple[str, object]] = []

    def note(*seen: object) -> None:
        asked.append((str(seen[2]), seen[3]))

    event.listen(connection, "before_cursor_execute", note)
    work()  # type: ignore[operator]
    event.remove(connection, "before_cursor_execute", note)
    assert asked
    return [
        str(row[3])
        for words, values in asked
        if words.startswith("SELECT")
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)  # type: ignore[arg-type]
    ]


def whole_tables(steps: list[str]) -> list[str]:
    assert steps
    names = set(metadata.tables) | {"there"}
    return [step for step in steps if step.startswith("SCAN") and step.split()[1] in names]


def test_names_are_looked_up_in_an_index(connection: Connection) -> None:
    steps = plans_of(connection, lambda: there(connection, posts, ("network", "key"), NAMES))
    assert whole_tables(steps) == [], steps
    which = among(connection, (posts.c.network, posts.c.key), NAMES)
    steps = plans_of(connection, lambda: connection.execute(select(posts.c.id).where(which)))
    assert whole_tables(steps) == [], steps


def test_what_comes_with_each_batch_reads_no_whole_table(connection: Connection) -> None:
    names = set(NAMES)
    for work in (removals.known, removals.hidden_authors):
        steps = plans_of(connection, lambda work=work: work(connection, names))  # type: ignore[misc]
        assert whole_tables(steps) == [], steps


def test_the_obvious_way_would_read_all_of_it(connection: Connection) -> None:
    obvious = "SELECT key FROM posts WHERE (network, key) IN (VALUES ('x', 'a'), ('x', 'b'))"
    steps = plans_of(connection, lambda: connection.exec_driver_sql(obvious))
    assert whole_tables(steps), "SQLite has learned it: `among` and `there` may become simpler"
