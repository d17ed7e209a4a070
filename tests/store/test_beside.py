"""Two transactions at the same moment: what one of them cannot see is made good."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update

from tests.store.posts import AT, post, removal, store, take
from tests.store.sums import sums_are_a_recount
from tweeter.keywords import Matcher
from tweeter.records import AccountChange, Post, Removal, now_us
from tweeter.store import feed, jobs, keywords, overtaken, past
from tweeter.store.engine import reading, writing
from tweeter.store.leases import owner
from tweeter.store.schema import feed as feed_rows
from tweeter.store.schema import jobs as job_rows
from tweeter.store.schema import matches, posts

BLOCKED_S = 1.5  # for another that waits for us: no database can do both at once


@contextmanager
def held_before(engine: Engine, words: str, go: threading.Event) -> Iterator[threading.Event]:
    """The first statement with these words waits for `go`; the event given says that it does."""
    reached = threading.Event()

    def wait(*seen: Any) -> None:
        if words in seen[2] and not reached.is_set():
            reached.set()
            go.wait(BLOCKED_S)

    event.listen(engine, "before_cursor_execute", wait)
    yield reached
    event.remove(engine, "before_cursor_execute", wait)


def beside(engine: Engine, words: str, first: Any, second: Any) -> None:
    """Do the second while the first is about to say the words."""
    go = threading.Event()
    with held_before(engine, words, go) as reached, ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert reached.wait(10)
        other = pool.submit(second)
        other.add_done_callback(lambda _: go.set())
        one.result(20)
        other.result(20)


@pytest.mark.parametrize(
    ("sent", "gone"),
    [
        (post(1), removal(1)),
        (
            post(1, network="mastodon", key="https://m.example/1", alias="m.example:1"),
            Removal(network="mastodon", key="", alias="m.example:1", occurred_at=AT),
        ),
        *(
            (
                post(1),
                AccountChange(
                    network="bluesky", author_id="did:plc:a", status=status, occurred_at=AT
                ),
            )
            for status in ("deleted", "suspended")
        ),
    ],
    ids=["removal", "alias", "deleted", "suspended"],
)
def test_a_post_that_overtook_its_removal_goes(engine: Engine, sent: Post, gone: Any) -> None:
    keywords.add(engine, "storm")
    ours, others = take(engine, "a"), take(engine, "b")
    since = overtaken.settle(engine)
    beside(
        engine,
        "INTO posts",
        lambda: store(engine, ours, sent),
        lambda: store(engine, others, gone),
    )
    with writing(engine) as connection:  # an account's posts are looked at when all have ended
        earlier = feed_rows.c.at - overtaken.SETTLED_US - 1
        connection.execute(update(feed_rows).values(at=earlier))
    overtaken.settle(engine, since - overtaken.SETTLED_US)
    with reading(engine) as connection:
        row = connection.execute(select(posts)).one()
    assert (row.removed_at is not None, row.text == "") == (row.hidden != "suspended",) * 2
    assert row.removed_at or row.hidden
    sums_are_a_recount(engine)
    told = feed.since(engine, 0)
    assert told[-1].kind == "remove"
    overtaken.settle(engine, since - overtaken.SETTLED_US)
    assert feed.since(engine, 0) == told


@pytest.mark.parametrize(
    ("words", "status", "hidden"),
    [
        ("INTO posts", "active", ""),
        ("UPDATE posts", "active", ""),
        ("INTO posts", "deactivated", "deactivated"),
        ("UPDATE posts", "deactivated", "deactivated"),
    ],
)
def test_a_post_stored_as_its_account_changes_follows_it(
    engine: Engine, words: str, status: str, hidden: str
) -> None:
    keywords.add(engine, "storm")
    ours, others = take(engine, "a"), take(engine, "b")
    was, now = (
        AccountChange(network="bluesky", author_id="did:plc:a", status=one, occurred_at=AT)
        for one in ("suspended", status)
    )
    store(engine, others, post(1), was)
    both = [lambda: store(engine, ours, post(2)), lambda: store(engine, others, now)]
    beside(engine, words, *(both if words == "INTO posts" else reversed(both)))
    with reading(engine) as connection:
        assert connection.execute(select(posts.c.hidden)).scalars().all() == [hidden] * 2
    sums_are_a_recount(engine)


def test_a_look_at_what_was_overtaken_leaves_accounts_alone_that_came_back(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    away, back = (
        AccountChange(network="bluesky", author_id="did:plc:a", status=status, occurred_at=AT)
        for status in ("suspended", "active")
    )
    store(engine, lease, post(1), away)
    store(engine, lease, back, post(2))
    with writing(engine) as connection:
        earlier = feed_rows.c.at - overtaken.SETTLED_US - 1
        connection.execute(update(feed_rows).values(at=earlier))
    told = feed.since(engine, 0)
    overtaken.settle(engine)
    assert feed.since(engine, 0) == told
    with reading(engine) as connection:
        assert connection.execute(select(posts.c.hidden)).scalars().all() == ["", ""]


def claimed(engine: Engine, subject: int) -> jobs.Job:
    """The waiting job about that."""
    its = select(job_rows.c.id).where(job_rows.c.subject == subject, job_rows.c.state == "waiting")
    with reading(engine) as connection:
        number = connection.execute(its).scalar_one()
    job = jobs.claim(engine, number, owner())
    assert job is not None
    return job


def edit_and_match(engine: Engine, keyword_id: int) -> None:
    keywords.edit(engine, keyword_id, "rain")
    matcher = Matcher([keywords.one(engine, keyword_id)])
    assert jobs.work(engine, claimed(engine, keyword_id), matcher.match)


@pytest.mark.parametrize("subject", ["one", "all", "all, later"])
def test_an_old_match_of_stored_posts_does_not_outlive_an_edit(
    engine: Engine, subject: str
) -> None:
    keywords.add(engine, "harbour")
    lease = take(engine)
    store(engine, lease, *(post(n, "a storm in the harbour") for n in range(5)))
    added = keywords.add(engine, "storm")
    with writing(engine) as connection:
        jobs.start_rematch_of_all(connection, now_us())
    old = claimed(engine, added.id if subject == "one" else jobs.ALL)
    matcher = Matcher([keywords.one(engine, added.id)])

    def match() -> None:
        jobs.work(engine, old, matcher.match)

    if subject == "all, later":
        edit_and_match(engine, added.id)
        match()
    else:
        beside(engine, "INTO matches", match, lambda: edit_and_match(engine, added.id))
    with reading(engine) as connection:
        its = matches.c.keyword_id == added.id
        assert connection.execute(select(matches.c.version).where(its)).all() == []
    assert keywords.get(engine, added.id).posts == 0
    sums_are_a_recount(engine)


def test_a_keyword_that_is_restored_as_its_purge_begins_is_not_purged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "UNDO_S", -1)
    added = keywords.add(engine, "storm")
    keywords.set_state(engine, added.id, "removed", purge=True)
    beside(
        engine,
        "INTO jobs",
        lambda: jobs.start_due_purges(engine),
        lambda: keywords.set_state(engine, added.id, "active", restore=True),
    )
    with reading(engine) as connection:
        its = select(job_rows.c.kind).where(job_rows.c.subject == added.id)
        assert connection.execute(its).scalars().all() == ["rematch"]


def test_who_lost_a_job_over_the_past_neither_puts_it_back_nor_ends_it(engine: Engine) -> None:
    lease = take(engine)
    times = {"since_us": 1, "began_us": 1, "until_us": 2}
    with writing(engine) as connection:
        number = past.start(connection, "look_back", lease.stream_id, times, now_us())
        connection.execute(update(job_rows).values(version=past.TRIES - 1))
    lost = past.claim(engine, number, owner())
    assert lost is not None
    with writing(engine) as connection:
        connection.execute(update(job_rows).values(owner="", lease_until=0))
    assert past.claim(engine, number, owner()) is not None
    past.pause(engine, lost, "It failed.", failed=True)
    past.finish(engine, lost)
    with reading(engine) as connection:
        row = connection.execute(select(job_rows)).one()
    assert (row.state, row.owner, row.version) == ("waiting", owner(), past.TRIES - 1)
