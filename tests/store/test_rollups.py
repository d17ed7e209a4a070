"""The sums of the statistics: equal to a recount whatever happens, on every database."""

import random
import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import DBAPIError

from tests.store.posts import AT, post, take
from tests.store.sums import sums_are_a_recount
from tweeter import links
from tweeter.keywords import Matcher
from tweeter.records import AccountChange, Link, Post, Removal, now_us
from tweeter.store import batches, cells, demo, jobs, keywords, migrate, retention, rollups
from tweeter.store.batches import Batch
from tweeter.store.engine import reading, writing
from tweeter.store.leases import Lease, owner
from tweeter.store.schema import posts as post_table

HOUR_US = 3_600_000_000
WORDS = ("storm", "flood", "fire")


def commit(engine: Engine, lease: Lease, *items: Any) -> None:
    """As the pipeline: posts are matched with the keywords of now."""
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    matcher = Matcher(keywords.active(engine)[1])
    given_items = [(i, tuple(matcher.match(i))) if isinstance(i, Post) else i for i in items]
    batches.commit(
        engine, lease, Batch(items=given_items, counts=Counter(), rejected=[], revision=revision)
    )


def match_again(engine: Engine) -> None:
    for job_id in jobs.waiting(engine):
        job = jobs.claim(engine, job_id, owner())
        assert job is not None
        jobs.work(engine, job, Matcher([keywords.one(engine, job.subject)]).match)


def said(dice: random.Random, number: int, **more: Any) -> Post:
    at = AT - dice.randrange(200) * HOUR_US // 2
    values = {
        "tags": tuple(dice.sample(["Storm", "STORM", "香港", "fire"], dice.randrange(3))),
        "links": (Link(dice.choice(["https://www.a.org/x/?utm_source=b", "https://b.org/?id=3"])),),
        "lang": dice.choice(["en", "pt-BR", "", "in"]),
        "kind": dice.choice(["post", "reply"]),
        "traits": dice.choice([(), ("media",)]),
        "author_id": f"did:plc:{dice.randrange(3)}",
        "occurred_at": at,
    }
    text = " ".join(dice.sample(WORDS, dice.randrange(1, 4))) + dice.choice(["", " @Ann.bsky.app"])
    return post(number, text, **(values | more))


def test_sums_follow_posts_edits_removals_accounts_and_keywords(engine: Engine) -> None:
    dice = random.Random(7)
    lease = take(engine)
    for word in WORDS[:2]:
        keywords.add(engine, word)
    for turn in range(12):
        items: list[Any] = [said(dice, dice.randrange(60)) for _ in range(12)]
        items += [
            said(dice, dice.randrange(60), operation="update", version=f"{turn:03d}")
            for _ in range(4)
        ]
        key = f"at://did:plc:a/app.bsky.feed.post/{dice.randrange(60)}"
        items.append(Removal(network="bluesky", key=key, occurred_at=AT))
        status = dice.choice(["suspended", "active", "active"])
        who = f"did:plc:{dice.randrange(3)}"
        change = AccountChange(network="bluesky", author_id=who, status=status, occurred_at=AT)
        commit(engine, lease, *items, *([change] if turn % 3 else []))
        sums_are_a_recount(engine)
    third = keywords.add(engine, WORDS[2]).id
    match_again(engine)
    seen, found = sums_are_a_recount(engine)
    assert any(key[0] == third for key in seen)
    assert {("tag", "香港"), ("domain", "a.org"), ("link", "https://a.org/x")} <= {
        (key[1], key[4]) for key in found
    }
    keywords.edit(engine, third, "fire AND flood")
    match_again(engine)
    sums_are_a_recount(engine)
    keywords.set_state(engine, third, "removed", purge=True)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE keywords SET purge_at = 1 WHERE purge_at > 0")
    assert jobs.start_due_purges(engine) == 1
    for job_id in jobs.waiting(engine):
        job = jobs.claim(engine, job_id, owner())
        assert job is not None
        jobs.work(engine, job, Matcher([]).match)
    seen, _ = sums_are_a_recount(engine)
    assert all(key[0] != third for key in seen)


def test_what_is_too_old_leaves_the_sums(engine: Engine) -> None:
    lease = take(engine)
    keyword = keywords.add(engine, "storm")
    old = [post(n, occurred_at=now_us() - (20 + n) * 24 * HOUR_US) for n in range(20)]
    commit(engine, lease, *old)
    assert sum(1 for key in sums_are_a_recount(engine)[0] if key[0] == keyword.id) == 60
    retention.run(engine, {"bluesky": 30})
    seen, _ = sums_are_a_recount(engine)
    assert sum(seen.values()) == 2 * 3 * 10


def test_the_demo_leaves_no_sums(engine: Engine) -> None:
    demo.start(engine, ["storm"])
    lease = take(engine)
    commit(engine, lease, *(post(n, network="demo", key=f"d{n}") for n in range(5)))
    assert sums_are_a_recount(engine)[0]
    demo.remove(engine)
    assert sums_are_a_recount(engine) == (Counter(), Counter())


def test_writers_side_by_side_lose_nothing(engine: Engine) -> None:
    """Two streams, a retention, edits and a rematch at once: the sums are still a recount."""
    keywords.add(engine, "storm")
    leases = [take(engine, name) for name in ("one", "two")]
    faults: list[BaseException] = []

    def write(number: int) -> None:
        dice = random.Random(number)
        try:
            for turn in range(15):
                some = [
                    said(
                        dice, dice.randrange(80), operation="update", version=f"{number}{turn:02d}"
                    )
                    for _ in range(10)
                ]
                commit(engine, leases[number], *some)
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    def take_off() -> None:
        try:
            for _ in range(15):
                retention.run(engine, {"bluesky": (now_us() - AT) // (24 * HOUR_US) + 3})
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    threads.append(threading.Thread(target=take_off))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    sums_are_a_recount(engine)


def test_an_edit_of_a_post_that_another_stores_at_this_moment_is_applied(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    keywords.add(engine, "storm")
    one, other = take(engine, "one"), take(engine, "other")
    edit = post(1, "storm, mended", operation="update", version="002")
    is_at_the_row = threading.Event()

    @event.listens_for(engine, "before_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread() is writer and "INTO posts" in statement:
            is_at_the_row.set()

    writer = threading.Thread(target=commit, args=(engine, other, edit))
    with reading(engine) as connection:
        batch = Batch(
            items=[
                (
                    post(1, "storm", version="001"),
                    tuple(Matcher(keywords.active(engine)[1]).match(edit)),
                )
            ],
            counts=Counter(),
            rejected=[],
            revision=keywords.revision(connection),
        )
    with writing(engine) as connection:
        batches._commit(connection, one, batch, 0)
        writer.start()
        assert is_at_the_row.wait(30)
    writer.join(30)
    with reading(engine) as connection:
        assert connection.execute(select(post_table.c.text)).scalars().all() == ["storm, mended"]
    sums_are_a_recount(engine)


def test_a_recount_makes_what_was_kept(engine: Engine) -> None:
    keywords.add(engine, "storm")
    dice = random.Random(3)
    commit(engine, take(engine), *(said(dice, n) for n in range(50)))
    before = sums_are_a_recount(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM volumes")
        connection.exec_driver_sql("DELETE FROM totals")
        connection.exec_driver_sql("UPDATE facets SET posts = 7")
        assert rollups.recount(connection) == len(connection.execute(select(post_table.c.id)).all())
    assert sums_are_a_recount(engine) == before


@pytest.mark.parametrize("revision", ["0007", "0002"])
def test_an_upgrade_makes_the_sums_of_what_is_there(engine: Engine, revision: str) -> None:
    keywords.add(engine, "storm")
    dice = random.Random(5)
    lease = take(engine)
    commit(engine, lease, *(said(dice, n) for n in range(60)))
    commit(
        engine,
        lease,
        AccountChange(network="bluesky", author_id="did:plc:1", status="suspended", occurred_at=AT),
    )
    before = sums_are_a_recount(engine)
    migrate.downgrade(engine, revision)
    migrate.upgrade(engine)
    assert sums_are_a_recount(engine) == before


def test_an_older_version_cannot_store_after_the_upgrade(engine: Engine) -> None:
    """It would keep no totals."""
    older = "INSERT INTO volumes (keyword_id, size, start, network, kind, lang, posts, gone)"
    with pytest.raises(DBAPIError), writing(engine) as connection:
        connection.exec_driver_sql(f"{older} VALUES (1, 60, 60, 'x', 'post', '', 1, 0)")


@pytest.mark.parametrize(
    "url,clean,domain",
    [
        ("https://www.a.org/b/?utm_source=x&id=1&fbclid=2", "https://a.org/b?id=1", "a.org"),
        ("http://A.org:80/b#c", "https://a.org/b", "a.org"),
        ("a.org/b?q=a%20b", "https://a.org/b?q=a+b", "a.org"),
        ("https://[::1/", "", ""),
        ("mailto:me", "", ""),
        ("https://localhost/x", "", ""),
    ],
)
def test_links_without_what_tracks_their_readers(url: str, clean: str, domain: str) -> None:
    assert links.tidy(url) == (clean, domain)


_PIECES = ["http://", "https://", "www.", "a.org", "A", "-", ".", "/", "?", "&", "=", "#", ":80"]
_PIECES += ["utm_source=x", "id=1", "%20", "+", ";", "@", "[", "]", "é", " ", "\n", "_", "~", '"']


@given(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join))
@example("https://www.com/a")
@example("https://a.org./b")
@example("https://a.org/b?x=1&utm_source=2")
def test_a_usual_link_is_tidied_as_any_other(url: str) -> None:
    assert links.tidy(url) == links._tidy_parsed(url)


@given(st.text(max_size=300))
def test_every_value_fits_its_key(value: str) -> None:
    made = links.short(value)
    assert len(made.encode()) <= links.LONGEST
    assert "\x00" not in made
    if len(value.encode("utf-8", "replace")) <= links.LONGEST and "\x00" not in value:
        assert made == value.encode("utf-8", "replace").decode()
    else:
        assert links.short(value) == made


def test_long_values_that_differ_at_the_end_stay_apart() -> None:
    assert links.short("a" * 300 + "b") != links.short("a" * 300 + "c")


@given(text=st.text(), tags=st.lists(st.text(), max_size=3), url=st.text(max_size=50))
def test_any_post_has_facets(text: str, tags: list[str], url: str) -> None:
    row = batches._row(post(1, text, tags=tuple(tags), links=(Link(url),)), "", 0)
    for facet, value in cells.facets(row):
        assert facet in cells.FACETS
        assert value or facet == "tag"


def test_old_processes_store_nothing_after_the_upgrade(engine: Engine) -> None:
    """They keep no sums: the column that they write to has another name."""
    with pytest.raises(Exception, match="keyword_version"), writing(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO matches (keyword_id, post_id, keyword_version, occurred_at)"
            " VALUES (1, 1, 1, 1)"
        )
