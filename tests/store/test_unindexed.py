"""Posts stored without the search's index are found all the same, and get into it later."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from tests.store.posts import AT, post, removal, store, take
from tests.store.test_search import EXPRESSIONS, corpus, engine_says, ids
from tweeter import config as configuration
from tweeter.filters import Filter
from tweeter.records import IdentityChange, now_us
from tweeter.scheduler import Scheduler
from tweeter.store import estimate, identities, keywords, removals, search_texts, unindexed
from tweeter.store.engine import reading, writing
from tweeter.store.schema import positions, posts
from tweeter.store.schema import search_texts as table
from tweeter.store.search import search
from tweeter.store.unindexed import Stretch, Unindexed


def words(engine: Engine) -> dict[int, str]:
    with reading(engine) as connection:
        return {row.post_id: row.words for row in connection.execute(select(table))}


def lacking(engine: Engine) -> Stretch | None:
    with reading(engine) as connection:
        return unindexed.stretch(connection)


def is_whole(engine: Engine) -> bool:
    """Whether every post that is not removed has its words, and none other."""
    with reading(engine) as connection:
        expected = search_texts.expected(connection)
    return words(engine) == expected and lacking(engine) is None


def told(engine: Engine, q: str = "storm", **more: str) -> Unindexed | None:
    return search(engine, Filter(q=q, **more)).unindexed  # type: ignore[arg-type]


def test_without_the_index_nothing_is_written_and_all_is_found(engine: Engine) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), *corpus(), indexed=False)
    with writing(engine) as connection:
        name = IdentityChange(
            network="bluesky", author_id="did:plc:b", handle="bob.example", occurred_at=AT
        )
        identities.apply(connection, [name])
    assert words(engine) == {}
    oldest = min(one.occurred_at for one in corpus())
    assert lacking(engine) == Stretch(oldest, unindexed.OPEN)
    for expression in EXPRESSIONS:
        assert ids(engine, Filter(q=expression)) == engine_says(expression), expression
    assert ids(engine, Filter(q="storm"), 1) == engine_says("storm")
    found = search(engine, Filter(q="storm", tag=("bay",)))
    assert found.unindexed == Unindexed(oldest, 0)
    assert found.counts is not None
    assert (found.counts.counted, found.counts.about, found.counts.partial) == (1, 0, False)
    assert told(engine, "") is None  # nothing that the index knows is asked for


def test_the_index_is_asked_for_time_that_it_has(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(3)))
    store(engine, lease, *(post(n) for n in range(5, 8)), indexed=False)
    store(engine, lease, post(9))
    assert lacking(engine) == Stretch(AT + 5, unindexed.OPEN)
    assert ids(engine, Filter(q="storm")) == ["9", "7", "6", "5", "2", "1", "0"]
    assert told(engine) == Unindexed(AT + 5, 0)
    with writing(engine) as connection:  # so that only an index that is asked finds nothing
        connection.execute(table.delete())
    until = search(engine, Filter(q="storm", until="2026-11-18T11:06:40.000004Z"))
    assert (until.posts, until.unindexed) == ([], None)
    older = search(engine, Filter(q="storm"), older=f"{AT + 4}.0")
    assert older.posts == []
    assert len(search(engine, Filter(q="storm"), older=f"{AT + 6}.0").posts) == 4


def test_a_count_is_estimated_from_posts_without_words(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "PLACES", 5)
    monkeypatch.setattr(estimate, "POSTS", 20)
    monkeypatch.setattr("tweeter.store.search.DESCRIBED", 50)
    monkeypatch.setattr("tweeter.store.search.COUNTED", 60)
    keywords.add(engine, "storm")
    lease = take(engine)
    for start in range(0, 600, 200):
        some = [post(n, ("storm", "sea")[n % 3 > 0]) for n in range(start, start + 200)]
        store(engine, lease, *some, indexed=False)
    counts = search(engine, Filter(q="storm")).counts
    assert counts is not None
    assert 150 <= counts.about <= 250  # 200
    assert not counts.partial


def test_posts_get_into_the_index_in_steps_newest_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_texts, "FILLED", 4)
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(3)))
    same = [post(n, occurred_at=AT + 20) for n in range(20, 29)]  # of one moment
    store(engine, lease, *(post(n) for n in range(10, 16)), *same, indexed=False)
    store(engine, lease, removal(12))
    before = ids(engine, Filter(q="storm"))
    assert len(before) == 3 + 5 + 9
    assert search_texts.fill(engine) == 4
    assert lacking(engine) == Stretch(AT + 10, AT + 21)
    assert ids(engine, Filter(q="storm")) == before
    assert told(engine) == Unindexed(AT + 10, AT + 21)
    for left in (4, 4, 2, 0):
        assert search_texts.fill(engine) == left
        assert ids(engine, Filter(q="storm")) == before
    assert told(engine) is None
    assert is_whole(engine)
    assert search_texts.fill(engine) == 0


def test_what_others_store_without_it_meanwhile_is_not_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_texts, "FILLED", 2)
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(10, 16)), indexed=False)
    search_texts.fill(engine)
    store(engine, lease, post(30), post(5), indexed=False)
    assert lacking(engine) == Stretch(AT + 5, unindexed.OPEN)
    assert len(ids(engine, Filter(q="storm"))) == 8
    while search_texts.fill(engine):
        pass
    assert is_whole(engine)
    store(engine, lease, post(40), indexed=False)
    assert lacking(engine) == Stretch(AT + 40, unindexed.OPEN)


def test_words_follow_edits_and_removals_while_it_is_off(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), post(2))
    store(engine, lease, post(3), indexed=False)

    def edit(number: int, text: str) -> None:
        edited = post(number, text, version="1", operation="update")
        store(engine, lease, edited, indexed=False)

    edit(1, "a flood")
    assert ids(engine, Filter(q="flood")) == ["1"]
    there = words(engine)
    assert len(there) == 2
    assert ["zzflood" in there[n] for n in sorted(there)] == [True, False]
    edit(3, "a flood")
    edit(4, "a flood that was not stored")
    assert len(words(engine)) == 2
    store(engine, lease, removal(1), removal(3), indexed=False)
    assert len(words(engine)) == 1
    assert ids(engine, Filter(q="flood")) == ["4"]
    while search_texts.fill(engine):
        pass
    assert is_whole(engine)
    assert ids(engine, Filter(q="flood")) == ["4"]


def waits_for(engine: Engine, other: Callable[[], object]) -> None:
    """`fill` waits for a transaction that does this."""
    with ThreadPoolExecutor(1) as pool:
        with writing(engine) as connection:
            other(connection)  # type: ignore[call-arg]
            filling = pool.submit(search_texts.fill, engine)
            time.sleep(0.3)
            assert not filling.done()
        filling.result(timeout=20)


def test_a_post_that_is_removed_meanwhile_gets_no_words(engine: Engine) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1), post(2), indexed=False)
    waits_for(engine, lambda c: removals.apply(c, [removal(1)], AT))  # type: ignore[call-arg]
    assert len(words(engine)) == 1
    assert is_whole(engine)


def test_a_post_that_is_stored_meanwhile_is_not_passed_over(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), indexed=False)
    waits_for(engine, lambda c: unindexed.leave_out(c, [AT + 9]))  # type: ignore[call-arg]
    assert is_whole(engine)
    with writing(engine) as connection:
        unindexed.leave_out(connection, [AT + 9])
        assert unindexed.stretch(connection) == Stretch(AT + 9, unindexed.OPEN)


def size(engine: Engine) -> int:
    """Bytes of the table and its index; of SQLite: of the file."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return Path(engine.url.database or "").stat().st_size
        if engine.dialect.name == "postgresql":
            asked = "SELECT pg_total_relation_size('search_texts')"
        else:
            connection.execute(text("ANALYZE TABLE search_texts"))
            asked = (
                "SELECT data_length + index_length FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_name = 'search_texts'"
            )
        return int(connection.execute(text(asked)).scalar_one())


def test_the_index_can_be_deleted_and_made_again(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    some = [" ".join(f"w{n}x{m}" for m in range(100)) for n in range(300)]
    store(engine, lease, *(post(n, f"storm {one}") for n, one in enumerate(some)))
    store(engine, lease, removal(7))
    before = ids(engine, Filter(q="storm"))

    at_first = size(engine)
    search_texts.wipe(engine)
    assert words(engine) == {}
    assert size(engine) < at_first * 0.7
    assert ids(engine, Filter(q="storm")) == before
    assert told(engine) == Unindexed(AT, 0)
    store(engine, lease, post(400), removal(8))
    while search_texts.fill(engine):
        pass
    assert is_whole(engine)
    with reading(engine) as connection:
        removed = connection.execute(select(posts.c.id).where(posts.c.removed_at.is_not(None)))
        assert not set(words(engine)) & set(removed.scalars())
    assert ids(engine, Filter(q="storm")) == ["400", *(one for one in before if one != "8")]


def test_the_scheduler_makes_it_only_where_it_is_on(sqlite_engine: Engine, tmp_path: Path) -> None:
    keywords.add(sqlite_engine, "storm")
    store(sqlite_engine, take(sqlite_engine), post(1, occurred_at=now_us()), indexed=False)
    settings = {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""}
    for on in ("false", "true"):
        config = configuration.load({**settings, "TWEETER_SEARCH_INDEX": on})
        Scheduler(sqlite_engine, config, lambda kind, job_id: None).tick(0.0)
        assert is_whole(sqlite_engine) == (on == "true")


def test_posts_without_it_are_about_so_many(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    day_us = 86_400_000_000
    store(engine, lease, *(post(n, occurred_at=AT - day_us) for n in range(3)))
    store(engine, lease, *(post(n) for n in range(10, 15)), indexed=False)
    with reading(engine) as connection:
        stretch = unindexed.told(connection, unindexed.stretch(connection))
        assert stretch is not None
        assert unindexed.about(connection, stretch) == 5


def make_old(engine: Engine, words: str) -> None:
    """As an older version of tweeter left the database, which made these words of every post."""
    with writing(engine) as connection:
        connection.execute(table.update().values(words=words))
        connection.execute(positions.delete().where(positions.c.name == search_texts.RENEWED))


def test_words_of_older_rules_are_made_anew_in_steps_newest_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(search_texts, "FILLED", 4)
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n, f"storm™ {n}") for n in range(10)), post(10, ""), removal(3))
    make_old(engine, "zzstormtm")
    assert ids(engine, Filter(q="storm")) == []
    assert search_texts.renew(engine) == 4
    assert ids(engine, Filter(q="storm")) == ["9", "8", "7"]
    store(engine, lease, post(11), indexed=False)
    store(engine, lease, post(12))
    monkeypatch.setattr(search_texts, "FILLED", 200)
    environ = {"TWEETER_DATA_DIR": str(tmp_path)}
    scheduler = Scheduler(engine, configuration.load(environ), lambda *_: None)
    scheduler.tick(100.0)
    assert is_whole(engine)
    assert search_texts.renew(engine) == 0
    make_old(engine, "zzstormtm")
    scheduler.tick(110.0)
    assert not is_whole(engine), "a process has one set of rules"
    Scheduler(engine, configuration.load(environ), lambda *_: None).tick(120.0)
    assert is_whole(engine)


def test_a_post_that_is_removed_while_its_words_are_made_anew_has_none(engine: Engine) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1), post(2))
    make_old(engine, "zzold")
    with ThreadPoolExecutor(1) as pool:
        with writing(engine) as connection:
            removals.apply(connection, [removal(1)], AT)
            renewing = pool.submit(search_texts.renew, engine)
            time.sleep(0.3)
            assert not renewing.done()
        renewing.result(timeout=20)
    assert is_whole(engine)
