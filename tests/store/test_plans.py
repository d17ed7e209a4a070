"""What SQLite does for many keys at once: it looks into an index, and never reads all of one."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, event, select

from tests.store.posts import post, store, take
from tweeter.filters import Filter
from tweeter.store import keywords, removals, walk
from tweeter.store import posts as posts_page
from tweeter.store import search as search_page
from tweeter.store.engine import among, make_engine, reading, there, writing
from tweeter.store.migrate import upgrade
from tweeter.store.schema import metadata, posts
from tweeter.store.search import search

NAMES = [("bluesky", "a"), ("bluesky", "b"), ("x", "a")]


@pytest.fixture
def connection(tmp_path: object) -> Iterator[Connection]:
    engine = make_engine(f"sqlite:///{tmp_path}/plans.db")
    upgrade(engine)
    with writing(engine) as found:
        yield found
    engine.dispose()


def asked_by(place: Connection | Engine, work: object) -> list[tuple[str, object]]:
    """Every question that the work asks there, and its values."""
    asked: list[tuple[str, object]] = []

    def note(*seen: object) -> None:
        asked.append((str(seen[2]), seen[3]))

    event.listen(place, "before_cursor_execute", note)
    work()  # type: ignore[operator]
    event.remove(place, "before_cursor_execute", note)
    assert asked
    return [(words, values) for words, values in asked if words.startswith(("SELECT", "WITH"))]


def plans_of(connection: Connection, work: object) -> list[str]:
    """The steps of every SELECT that the work makes."""
    return steps_of(connection, asked_by(connection, work))


def steps_of(connection: Connection, asked: list[tuple[str, object]]) -> list[str]:
    return [
        str(row[3])
        for words, values in asked
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


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda e: posts_page.page(e, keyword_id=1, older="1795.5"), id="older"),
        pytest.param(posts_page.totals, id="totals"),
        pytest.param(lambda e: search(e, Filter(q="storm")), id="word"),
        pytest.param(
            lambda e: search(e, Filter(keyword=("1",), hour=("5",), until="2026-11-20")),
            id="times of a keyword",
        ),
        pytest.param(lambda e: search(e, Filter(q='"a storm"', network=("x",))), id="phrase"),
    ],
)
def test_pages_read_no_whole_table(
    tmp_path: object, work: Callable[[Engine], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/plans.db")
    upgrade(engine)
    keywords.add(engine, "storm")
    store(engine, take(engine), *(post(n) for n in range(20)))
    monkeypatch.setattr(walk, "FEW", 1)
    monkeypatch.setattr(walk.Walk, "_are_most", False)  # that reads the newest, and no more
    asked = asked_by(engine, lambda: work(engine))
    with reading(engine) as connection:
        steps = steps_of(connection, asked)
    small = {"keywords", "streams"}
    assert [step for step in whole_tables(steps) if step.split()[1] not in small] == []
    along = [step for step in steps if "ix_matches_keyword_id_occurred_at_post_id" in step]
    assert all("occurred_at<?" in step for step in along)
    engine.dispose()


@pytest.mark.parametrize(
    "chosen",
    [
        Filter(q="storm", network=("bluesky",)),
        Filter(q="storm", network=("bluesky",), since="2026-11-01"),
        Filter(q="storm", network=("bluesky",), keyword=("1",)),
        Filter(q='"a storm"', network=("bluesky",)),
        Filter(q="storm", since="2026-11-01", until="2026-11-20"),
    ],
)
@pytest.mark.parametrize("few", [1, walk.FEW], ids=["many", "few"])
def test_the_full_text_is_asked_once_and_not_for_each_post(
    tmp_path: object, chosen: Filter, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/plans.db")
    upgrade(engine)
    keywords.add(engine, "storm")
    store(engine, take(engine), *(post(n) for n in range(20)))
    monkeypatch.setattr(walk, "FEW", few)
    monkeypatch.setattr(walk.Walk, "_are_most", False)
    for name in ("COUNTED", "DESCRIBED"):  # the rest is counted by the database
        monkeypatch.setattr(search_page, name, 5)
    asked = asked_by(engine, lambda: search(engine, chosen))
    assert any("count(" in words and "posts JOIN" in words for words, _ in asked)
    with reading(engine) as connection:
        steps = steps_of(connection, asked)
    of_index = [step for step in steps if "VIRTUAL TABLE" in step]
    assert of_index
    assert [step for step in of_index if "=M" in step] == []  # "=": one post of the index
    engine.dispose()
