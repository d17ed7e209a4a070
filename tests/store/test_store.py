"""The store's promises, on each database: once, fenced, exact, in the order of commits."""

import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, inspect, select, text

from tests.store.posts import AT, post, removal, store, take
from tests.store.sums import sums_are_a_recount
from tweeter.columns import Column
from tweeter.errors import LeaseLost, StoreError, TweeterError
from tweeter.filters import Filter
from tweeter.keywords import Matcher
from tweeter.records import AccountChange, Keyword, Match, Media, now_us
from tweeter.store import (
    batches,
    decks,
    demo,
    feed,
    jobs,
    keyword_ledger,
    keywords,
    migrate,
    posts,
    quarantine,
    revisions,
    searches,
    streams,
    sums,
)
from tweeter.store.batches import Batch, KeywordsChanged
from tweeter.store.engine import LOG_PAGES, make_engine, one_moment, reading, writing
from tweeter.store.leases import Lease, is_dead, owner
from tweeter.store.schema import hidden_authors, matches, metadata, tombstones
from tweeter.store.schema import posts as post_table


def counted(engine: Engine, keyword_id: int) -> tuple[int, int]:
    """A keyword's counter, and the true number of its matches."""
    with reading(engine) as connection:
        true = connection.execute(
            select(func.count()).select_from(matches).where(matches.c.keyword_id == keyword_id)
        ).scalar_one()
    return keywords.get(engine, keyword_id).posts, true


def shown(engine: Engine) -> list[str]:
    return sorted(found.text for found in posts.every(engine))


def test_the_migrations_make_the_tables_of_the_schema(engine: Engine) -> None:
    found = inspect(engine)
    for table in metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {c.name: c.nullable for c in table.columns}, table.name
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        assert {str(index.name) for index in table.indexes} <= indexes, table.name
    assert migrate.upgrade(engine) == (revisions.newest(), revisions.newest())


def test_a_cursor_never_goes_back_but_from_a_moment_that_is_still_to_come(engine: Engine) -> None:
    """After a reconnect events come again: each break would have begun further back."""
    lease = take(engine)
    far = str(now_us() + 3_600_000_000)
    for cursor, kept in (
        ("500", "500"),
        ("300", "500"),
        ("501", "501"),
        (far, far),
        ("502", "502"),
    ):
        store(engine, lease, cursor=cursor)
        (stream,) = streams.list_all(engine)
        assert stream.cursor == kept


def test_a_newer_database_is_refused_in_words(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for ask in (migrate.upgrade, revisions.check, lambda one: migrate.downgrade(one, "0009")):
        with pytest.raises(StoreError, match="used by a newer one"):
            ask(engine)


def test_a_batch_that_comes_twice_counts_once(engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    lease = take(engine)
    first = store(engine, lease, post(1), post(2), post(1), cursor="7")
    again = store(engine, lease, post(1), post(2))
    assert (first.stored, first.duplicates) == (2, 1)
    assert (again.stored, again.duplicates) == (0, 2)
    assert counted(engine, keyword.id) == (2, 2)
    stream = streams.get(engine, lease.stream_id)
    assert stream is not None
    assert stream.cursor == "7"
    assert stream.counts["stored"] == 2


def test_two_posts_that_hash_to_one_id_are_both_stored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    true = batches.row_id
    monkeypatch.setattr(
        batches, "row_id", lambda at, key, salt=0: 5 if salt == 0 else true(at, key, salt)
    )
    store(engine, lease, post(1, "one"))
    store(engine, lease, post(2, "two"))
    assert shown(engine) == ["one", "two"]


def test_who_lost_the_lease_writes_nothing(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    streams.release(engine, lease)
    newer = take(engine)
    assert newer.epoch == lease.epoch + 1
    with pytest.raises(LeaseLost):
        store(engine, lease, post(1))
    with pytest.raises(LeaseLost):
        streams.set_state(engine, lease, "live", "")
    assert streams.renew(engine, [lease, newer], {}) == {newer.stream_id}
    assert shown(engine) == []


def test_only_one_of_many_gets_a_stream(engine: Engine) -> None:
    stream_id = streams.ensure(engine, "one", "bluesky", {})

    def claim(number: int) -> int:
        return len(streams.claim(engine, f"w{number}", networks=["bluesky"], only=stream_id))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_workers_that_make_a_stream_at_once_make_one(engine: Engine) -> None:
    """At the first start of an installation each worker's first tick does so."""

    def make(name: str, together: threading.Barrier) -> int:
        together.wait(10)
        return streams.ensure(engine, name, "bluesky", {})

    with ThreadPoolExecutor(4) as pool:
        for name in ("one", "two", "three"):
            made = pool.map(make, [name] * 4, [threading.Barrier(4)] * 4)
            assert len(set(made)) == 1
    assert [found.name for found in streams.list_all(engine)] == ["one", "two", "three"]


def test_a_name_that_two_take_at_once_is_refused_to_one_in_words(engine: Engine) -> None:
    saved = [searches.save(engine, name, Filter(q="storm")).id for name in ("a", "b")]
    kept = [decks.add(engine, name, [Column()]).id for name in ("a", "b")]
    tries: list[list[Callable[[], object]]] = [
        [partial(searches.save, engine, "mine", Filter(q="storm"))] * 2,
        [partial(searches.rename, engine, number, "ours") for number in saved],
        [partial(decks.change, engine, number, name="ours") for number in kept],
    ]
    together = threading.Barrier(2)

    def begin(one: Callable[[], object]) -> None:
        together.wait(10)
        one()

    with ThreadPoolExecutor(2) as pool:
        for both in tries * 3:
            begun = [pool.submit(begin, one) for one in both]
            errors = [one.exception(20) for one in begun]
            wrong = [e for e in errors if e and not isinstance(e, TweeterError)]
            assert not wrong
            for row in searches.list_all(engine):
                if row.name == "mine":
                    searches.remove(engine, row.id)
            searches.rename(engine, saved[0], "a")
            searches.rename(engine, saved[1], "b")
            decks.change(engine, kept[0], name="a")
            decks.change(engine, kept[1], name="b")


def test_a_batch_matched_with_old_keywords_is_matched_again(engine: Engine) -> None:
    lease = take(engine)
    old = Batch(items=[(post(1), ())], counts=Counter(), rejected=[], revision=0)
    keywords.add(engine, "storm")
    with pytest.raises(KeywordsChanged):
        batches.commit(engine, lease, old)


def at_once(engine: Engine, *changes: Callable[[], object]) -> None:
    """All of them wait, one after the other, for a batch under way; then they go on."""
    with ThreadPoolExecutor(len(changes)) as pool:
        with writing(engine) as connection:
            keywords.revision(connection, lock=True)
            waiting = []
            for change in changes:
                waiting.append(pool.submit(change))
                time.sleep(0.2)
        for one in waiting:
            one.result()


@pytest.mark.parametrize("is_edit_first", [True, False])
def test_a_keyword_that_is_edited_and_resumed_at_once_is_matched_as_it_is_now(
    engine: Engine, *, is_edit_first: bool
) -> None:
    keyword = keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1, "a storm"), post(2, "a storm and a flood"))
    work_off(engine)
    keywords.set_state(engine, keyword.id, "paused")
    changes = [
        partial(keywords.edit, engine, keyword.id, "flood"),
        partial(keywords.set_state, engine, keyword.id, "active"),
    ]
    at_once(engine, *(changes if is_edit_first else changes[::-1]))
    work_off(engine)
    row = keywords.get(engine, keyword.id)
    assert (row.expression, row.version, row.state) == ("flood", 2, "active")
    assert row.complete_at
    assert counted(engine, keyword.id) == (1, 1)
    sums_are_a_recount(engine)


def test_two_edits_at_once_are_two_versions(engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    at_once(
        engine,
        partial(keywords.edit, engine, keyword.id, "flood"),
        partial(keywords.edit, engine, keyword.id, "fire"),
    )
    row = keywords.get(engine, keyword.id)
    began = sums.edits(engine, keyword.id, (0, 1 << 40))
    assert [version for _, version, _ in began] == [1, 2, 3]
    assert (row.version, row.expression) == began[-1][1:]


def test_a_removal_wins_also_over_a_post_that_comes_later(engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    lease = take(engine)
    picture = Media("picture", "a lighthouse", "https://a.example/1.jpg")
    store(engine, lease, post(1, "early", media=(picture,)))
    assert posts.latest(engine)[0].media == [picture]
    outcome = store(engine, lease, removal(1), removal(2), post(2, "late"), post(1, "again"))
    assert (outcome.applied, outcome.ignored) == (2, 2)
    assert shown(engine) == [""]
    assert posts.latest(engine)[0].media == []
    assert counted(engine, keyword.id) == (1, 1)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(tombstones)).scalar_one() == 2


def test_edits_arrive_in_any_order_and_the_newest_stays(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1, "v1", version="1"))
    for version in ("3", "2"):
        edited = post(1, f"v{version}", version=version, operation="update")
        store(engine, lease, edited)
    assert shown(engine) == ["v3"]
    store(engine, lease, post(1, "v?", operation="update"))
    assert shown(engine) == ["v3"], "one that does not say its version is not newer"
    store(engine, lease, post(2, "w1"))
    for words in ("w2", "w3"):
        store(engine, lease, post(2, words, operation="update"))
    assert shown(engine) == ["v3", "w3"], "without versions the last one is the newest"


@pytest.mark.parametrize("state", ["paused", "removed"])
def test_an_edit_leaves_the_posts_of_keywords_that_are_not_followed(
    engine: Engine, state: str
) -> None:
    cat, dog = keywords.add(engine, "cat"), keywords.add(engine, "dog")
    lease = take(engine)
    store(engine, lease, post(1, "a cat and a dog"))
    keywords.set_state(engine, cat.id, state)
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    edited = post(1, "nothing of it", operation="update")
    batches.commit(
        engine, lease, Batch(items=[(edited, ())], counts=Counter(), rejected=[], revision=revision)
    )
    assert counted(engine, cat.id) == (1, 1)
    assert counted(engine, dog.id) == (0, 0)
    sums_are_a_recount(engine)


@pytest.mark.parametrize("state", ["paused", "removed"])
def test_a_keyword_that_is_followed_again_leaves_what_was_edited_away_meanwhile(
    engine: Engine, state: str
) -> None:
    cat = keywords.add(engine, "cat")
    lease = take(engine)
    store(engine, lease, *(post(n, f"cat {n}") for n in range(4)))
    work_off(engine)
    keywords.set_state(engine, cat.id, state)
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    batch = Batch(items=[], counts=Counter(), rejected=[], revision=revision)
    for number, words in ((1, "a dog"), (2, "a cat still"), (3, "a dog"), (3, "a cat again")):
        batch.items.append((post(number, words, operation="update"), ()))
    batches.commit(engine, lease, batch)
    assert counted(engine, cat.id) == (4, 4)
    for _ in range(2):
        keywords.set_state(engine, cat.id, "active", restore=True)
        assert work_off(engine) == 1
        assert counted(engine, cat.id) == (3, 3)
        sums_are_a_recount(engine)
        keywords.set_state(engine, cat.id, "paused")


def test_an_account_hides_its_posts_and_may_show_them_again(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), post(2, "other", author_id="did:plc:b"))

    def account(status: str) -> AccountChange:
        return AccountChange(
            network="bluesky", author_id="did:plc:a", status=status, occurred_at=AT
        )

    store(engine, lease, account("deactivated"), post(3, "while hidden"))
    assert shown(engine) == ["other"]
    store(engine, lease, account("active"))
    assert shown(engine) == ["a storm", "other", "while hidden"]
    store(engine, lease, account("deleted"))
    store(engine, lease, account("active"), post(4, "after deletion"))
    assert shown(engine) == ["other"]


def account(status: str, at: int, who: str = "a") -> AccountChange:
    return AccountChange(
        network="bluesky", author_id=f"did:plc:{who}", status=status, occurred_at=at
    )


def test_an_older_event_of_an_account_changes_nothing(engine: Engine) -> None:
    """Look-backs, repairs and files bring again, or late, what the live stream went beyond."""
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), account("active", AT), account("takendown", AT + 60))
    told = feed.last(engine)
    store(engine, lease, account("active", AT))
    store(engine, lease, account("takendown", AT + 60))
    assert shown(engine) == []
    assert feed.last(engine) == told
    store(engine, lease, account("active", AT + 120))
    store(engine, lease, account("active", AT + 120), account("active", AT + 130))
    assert feed.last(engine) == told + 1
    store(engine, lease, account("takendown", AT + 60), post(2, "since then"))
    assert shown(engine) == ["a storm", "since then"]
    store(engine, lease, account("suspended", AT + 150), account("deactivated", AT + 140))
    assert shown(engine) == []
    store(engine, lease, account("active", AT + 170), account("deactivated", AT + 160))
    assert shown(engine) == ["a storm", "since then"]
    sums_are_a_recount(engine)


def test_an_account_that_was_never_hidden_is_not_hidden_by_an_older_event(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), account("active", AT + 60), account("active", AT + 60, "else"))
    store(engine, lease, account("deactivated", AT))
    assert shown(engine) == ["a storm"]
    with reading(engine) as connection:  # a network shows many that have no posts here
        names = connection.execute(select(hidden_authors.c.author_id)).scalars().all()
    assert names == ["did:plc:a"]


def test_the_deletion_of_an_account_is_final_whenever_it_was(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), account("active", AT + 60))
    store(engine, lease, account("deleted", AT), account("active", AT + 120), post(2))
    store(engine, lease, account("active", AT + 180), post(3))
    assert shown(engine) == []
    with reading(engine) as connection:
        assert connection.execute(select(post_table.c.text)).scalars().all() == [""]


def test_a_network_whose_clock_is_ahead_does_not_hide_an_account_for_good(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1), account("suspended", now_us() + 3_600_000_000))
    assert shown(engine) == []
    store(engine, lease, account("active", now_us()))
    assert shown(engine) == ["a storm"]


def test_a_new_keyword_finds_what_was_stored_before_and_an_edit_follows(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n, f"storm {'cat' if n % 3 else 'dog'}") for n in range(1200)))
    keyword = keywords.add(engine, "cat")
    assert work_off(engine) >= 1
    assert counted(engine, keyword.id) == (800, 800)
    assert keywords.get(engine, keyword.id).complete_at
    keywords.edit(engine, keyword.id, "dog")
    work_off(engine)
    assert counted(engine, keyword.id) == (400, 400)


def work_off(engine: Engine) -> int:
    """Do all jobs, as the tasks do."""
    done = 0
    for job_id in jobs.waiting(engine):
        job = jobs.claim(engine, job_id, owner())
        assert job is not None
        row = keywords.get(engine, job.subject)
        matcher = Matcher([Keyword(id=row.id, expression=row.expression)])
        assert jobs.work(engine, job, matcher.match)  # type: ignore[misc]
        done += 1
    return done


def test_a_purge_takes_only_what_no_other_keyword_matches(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "UNDO_S", 0)
    storm, cat = keywords.add(engine, "storm"), keywords.add(engine, "cat")
    lease = take(engine)
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    both = (Match(storm.id, 1), Match(cat.id, 1))
    items: list[Any] = [(post(1, "both"), both), (post(2, "only storm"), both[:1])]
    batch = Batch(items=items, counts=Counter(), rejected=[], revision=revision)
    batches.commit(engine, lease, batch)
    work_off(engine)
    keywords.set_state(engine, storm.id, "removed", purge=True)
    time.sleep(0.01)
    assert jobs.start_due_purges(engine) == 1
    work_off(engine)
    assert shown(engine) == ["both"]
    assert counted(engine, cat.id) == (1, 1)
    gone = batches.row_id(post(2).sort_us, f"bluesky:{post(2).key}")
    told = [(entry.kind, entry.post_id) for entry in feed.since(engine, 0)]
    assert told[2:] == [("remove", gone)]


def purging(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> int:
    """A removed keyword with a post, whose purge waits for a worker."""
    monkeypatch.setattr(keywords, "UNDO_S", 0)
    keyword = keywords.add(engine, "storm")
    store(engine, take(engine), post(1))
    work_off(engine)
    keywords.set_state(engine, keyword.id, "removed", purge=True)
    time.sleep(0.01)
    assert jobs.start_due_purges(engine) == 1
    return keyword.id


def test_a_change_of_a_removed_keyword_leaves_its_purge(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = purging(engine, monkeypatch)
    with pytest.raises(keywords.KeywordRemoved):
        keywords.edit(engine, number, "storm OR flood")
    with pytest.raises(keywords.KeywordRemoved):
        keywords.set_state(engine, number, "paused")
    work_off(engine)
    assert shown(engine) == []
    assert counted(engine, number) == (0, 0)
    keywords.set_state(engine, number, "active", restore=True)
    assert work_off(engine) == 1
    assert keywords.get(engine, number).complete_at


def test_a_keyword_that_is_brought_back_as_paused_is_not_purged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = purging(engine, monkeypatch)
    keywords.set_state(engine, number, "paused", restore=True)
    assert work_off(engine) == 0
    assert shown(engine) == ["a storm"]
    assert counted(engine, number) == (1, 1)


def test_feed_misses_nothing_with_slow_commits(engine: Engine) -> None:
    """Writers that hold their transaction open after numbering; a reader that polls meanwhile."""
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        position = 0
        while not stop.is_set() or feed.last(engine) > position:
            for entry in feed.since(engine, position):
                seen.append(entry.post_id)
                position = entry.seq

    def write(writer: int) -> None:
        for n in range(25):
            with writing(engine) as connection:
                feed.publish(connection, [("post", writer * 1000 + n)], AT)
                time.sleep(0.002 * ((writer + n) % 4))

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    stop.set()
    reader.join()
    assert sorted(seen) == sorted(w * 1000 + n for w in range(4) for n in range(25))


def test_writers_side_by_side_lose_and_double_nothing(database_url: str) -> None:
    engine = make_engine(database_url)
    migrate.upgrade(engine)
    keyword = keywords.add(engine, "storm")
    leases = [take(engine, f"s{n}") for n in range(4)]

    def write(lease: Lease) -> None:
        for start in range(0, 200, 20):  # all write the same posts
            store(engine, lease, *(post(n) for n in range(start, start + 20)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, leases))
    assert counted(engine, keyword.id) == (200, 200)
    with reading(engine) as connection:
        count = connection.execute(select(func.count()).select_from(post_table)).scalar_one()
    assert count == 200
    engine.dispose()


def test_pages_neither_repeat_nor_skip_while_posts_arrive(engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n, str(n)) for n in range(100, 130)))
    first = posts.page(engine, keyword_id=keyword.id, limit=10)
    store(engine, lease, *(post(n, str(n)) for n in range(130, 140)))
    second = posts.page(engine, keyword_id=keyword.id, older=first.older, limit=10)
    assert [p.text for p in first.posts + second.posts] == [str(n) for n in range(129, 109, -1)]
    with pytest.raises(ValueError):
        posts.page(engine, older="rubbish")


def test_quarantine_keeps_a_sample_counts_the_rest_and_is_bounded(engine: Engine) -> None:
    with writing(engine) as connection:
        for n in range(60):
            body = b"%d" % (n % 30) + b"x" * 100_000
            quarantine.put(connection, 1, quarantine.Rejected(body, "not JSON", "", ""), AT + n)
    assert quarantine.by_reason(engine) == {"not JSON": 60}
    with writing(engine) as connection:
        assert quarantine.trim(connection, rows=20, size_bytes=10**9) == 10
        assert quarantine.trim(connection, rows=20, size_bytes=5 * quarantine.BODY_BYTES) == 15


def test_the_demo_goes_without_a_trace_and_leaves_what_is_a_persons_own(engine: Engine) -> None:
    own = keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(2, "real storm"))
    ids = demo.start(engine, ["harbour", "storm"])
    assert demo.start(engine, ["harbour", "storm"]) == ids
    store(engine, lease, post(1, network="demo", key="d1"))
    assert [row.posts for row in keywords.list_all(engine)] == [1, 1, 2]
    before = feed.last(engine)
    assert demo.remove(engine) == demo.Removed(posts=1, kept={})
    assert shown(engine) == ["real storm"]
    assert [(row.id, row.posts) for row in keywords.list_all(engine)] == [(own.id, 1)]
    assert not demo.running(engine)
    assert [entry.kind for entry in feed.since(engine, before)] == ["remove"]


def test_a_demo_keyword_follows_no_network_and_stays_if_a_person_changed_it(
    engine: Engine,
) -> None:
    harbour, flood, fog = demo.start(engine, ["harbour", "flood", "fog"])
    assert {row.networks for row in keywords.list_all(engine)} == {"demo"}
    assert not keyword_ledger.open_ones(engine, harbour)
    keywords.edit(engine, harbour, "harbour OR port")
    keywords.edit(engine, flood, "flood", keywords.Options(networks=("bluesky", "demo")))
    keywords.set_state(engine, fog, "paused")
    assert demo.remove(engine).kept == {harbour: "harbour OR port", flood: "flood"}
    assert [(row.id, row.demo) for row in keywords.list_all(engine)] == [
        (flood, False),
        (harbour, False),
    ]


def test_a_demo_keyword_that_is_changed_while_the_demo_goes_stays(engine: Engine) -> None:
    (harbour,) = demo.start(engine, ["harbour"])
    kept: list[dict[int, str]] = []
    edited = []

    def edit() -> None:
        with suppress(keywords.KeywordNotFound):  # SQLite lets in whom it likes
            edited.append(keywords.edit(engine, harbour, "harbour OR port"))

    at_once(engine, edit, lambda: kept.append(demo.remove(engine).kept))
    assert kept == [{row.id: row.expression for row in edited}]
    assert edited or engine.dialect.name == "sqlite"
    assert [row.version for row in keywords.list_all(engine)] == [2] * len(edited)


def test_the_same_keyword_twice_is_refused_with_its_number(engine: Engine) -> None:
    first = keywords.add(engine, "Storm  OR flood")
    with pytest.raises(keywords.KeywordExists) as caught:
        keywords.add(engine, "storm OR FLOOD")
    assert caught.value.keyword_id == first.id
    with pytest.raises(keywords.KeywordExists):
        keywords.add(engine, "\u202estorm OR flood\u202c ")  # nobody sees its ends
    with pytest.raises(keywords.KeywordExists):
        keywords.add(engine, "flood OR storm OR Flood")
    keywords.set_state(engine, first.id, "removed")
    second = keywords.add(engine, "storm OR flood")
    with pytest.raises(keywords.KeywordExists):
        keywords.set_state(engine, first.id, "active", restore=True)
    assert second.id != first.id


def test_only_restoring_undoes_a_removal(engine: Engine) -> None:
    storm = keywords.add(engine, "storm")
    removed = keywords.set_state(engine, storm.id, "removed", purge=True)
    for state in ("paused", "active"):
        with pytest.raises(keywords.KeywordRemoved):
            keywords.set_state(engine, storm.id, state)
    with pytest.raises(keywords.KeywordRemoved):
        keywords.edit(engine, storm.id, "storms", keywords.Options(keep_days=3))
    assert keywords.get(engine, storm.id) == removed, "its posts will be deleted as was said"
    restored = keywords.set_state(engine, storm.id, "active", restore=True)
    assert (restored.state, restored.purge_at) == ("active", None)


def test_an_engine_of_another_process_is_refused(sqlite_url: str) -> None:
    import os

    engine = make_engine(sqlite_url)
    migrate.upgrade(engine)
    child = os.fork()
    if child == 0:
        try:
            keywords.list_all(engine)
        except StoreError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_only_who_stores_in_floods_lets_the_log_of_sqlite_grow(sqlite_url: str) -> None:
    for in_floods, pages in ((False, 1_000), (True, LOG_PAGES)):
        with reading(make_engine(sqlite_url, in_floods=in_floods)) as connection:
            asked = {n: connection.exec_driver_sql(f"PRAGMA {n}").scalar() for n in PRAGMAS}
        assert asked == {"wal_autocheckpoint": pages, "synchronous": 2, "journal_mode": "wal"}


PRAGMAS = ("wal_autocheckpoint", "synchronous", "journal_mode")


def test_the_dead_are_told_from_the_living() -> None:
    me = owner()
    assert not is_dead(me)
    host, _, rest = me.rpartition("|")
    host = host.rpartition("|")[0]
    assert is_dead(f"{host}|999999999|1")
    assert is_dead(f"{me}9")  # the process id was used again
    assert not is_dead("elsewhere|boot|1|1")
    assert rest


events = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "delete", "hide", "show"]),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    max_size=14,
)


@pytest.fixture
def fresh(tmp_path: Path, sqlite_template: Path) -> Callable[[], Engine]:
    """Makes a migrated SQLite database, as often as it is asked."""

    def copied() -> Engine:
        file = tmp_path / f"{uuid.uuid4().hex}.db"
        shutil.copy(sqlite_template, file)
        return make_engine(f"sqlite:///{file}")

    return copied


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.integers(1, 5))
def test_any_order_of_events_keeps_counters_exact_and_removals_final(
    fresh: Callable[[], Engine], found: list[tuple[str, int, int]], size: int
) -> None:
    """In batches of any size, each of them twice."""

    def final(step: int) -> list[Any]:
        engine = fresh()
        keyword = keywords.add(engine, "storm")
        lease = take(engine)
        items = [as_item(event) for event in found]
        for start in range(0, len(items), step):
            store(engine, lease, *items[start : start + step])
            store(engine, lease, *items[start : start + step])  # and each batch twice
        with reading(engine) as connection:
            rows = connection.execute(
                select(post_table.c.key, post_table.c.text, post_table.c.hidden).order_by("key")
            ).all()
        counter, true = counted(engine, keyword.id)
        assert counter == true
        engine.dispose()
        return [tuple(row) for row in rows]

    whole = final(size)
    removed = {n for kind, n, _ in found if kind == "delete"}
    for key, text_, _ in whole:
        if int(key.rpartition("/")[2]) in removed:
            assert text_ == ""


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.integers(1, 5))
def test_rows_made_before_a_transaction_are_those_that_it_would_make(
    fresh: Callable[[], Engine], found: list[tuple[str, int, int]], size: int
) -> None:
    stored = []
    for prepared in (False, True):
        engine = fresh()
        keywords.add(engine, "storm")
        lease = take(engine)
        items = [as_item(event) for event in found]
        for start in range(0, len(items), size):
            store(engine, lease, *items[start : start + size], prepared=prepared)
        with reading(engine) as connection:
            columns = [
                column for column in post_table.c if column.name != "removed_at"
            ]  # a clock's
            rows = connection.execute(select(*columns).order_by("id")).all()
        stored.append(([tuple(row) for row in rows], sums_are_a_recount(engine)))
        engine.dispose()
    assert stored[0] == stored[1]


def test_an_edit_of_an_unknown_post_is_none_of_those_that_were_prepared(engine: Engine) -> None:
    """As many were inserted as were prepared, but not the same: one was stored already."""
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1))
    edit = post(3, "a storm, edited", operation="update", version="2")
    outcome = store(engine, lease, post(1), post(2), edit, prepared=True)
    assert (outcome.stored, outcome.duplicates) == (2, 1)
    assert sums_are_a_recount(engine)
    outcome = store(engine, lease, post(4), post(5), prepared=True)
    assert outcome.stored == 2
    assert sums_are_a_recount(engine)


def as_item(event: tuple[str, int, int]) -> Any:
    kind, number, version = event
    if kind == "delete":
        return removal(number)
    if kind in ("hide", "show"):
        status = "suspended" if kind == "hide" else "active"
        return AccountChange(
            network="bluesky", author_id="did:plc:a", status=status, occurred_at=AT
        )
    return post(number, f"v{version}", version=str(version), operation=kind)


def test_what_is_read_in_one_moment_is_of_one_moment(engine: Engine) -> None:
    with one_moment(engine):
        assert keywords.list_all(engine) == []
        with ThreadPoolExecutor(1) as other:
            other.submit(keywords.add, engine, "storm").result()
            assert len(other.submit(keywords.list_all, engine).result()) == 1
        assert keywords.list_all(engine) == []
    assert [row.expression for row in keywords.list_all(engine)] == ["storm"]


def test_totals_are_of_posts_that_readers_see(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(5)))
    store(engine, lease, removal(3))
    assert posts.totals(engine) == {"posts": 4, "demo": 0, "keywords": 1}
    store(engine, lease, *(post(9 + n, network="demo") for n in range(2)))
    assert posts.totals(engine) == {"posts": 4, "demo": 2, "keywords": 1}
