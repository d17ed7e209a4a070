"""Retention against a model that is a dict: the same posts stay, and the counters are exact."""

import random
import threading
from collections import Counter
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, func, select

from tests.store.posts import post, take
from tweeter.records import Match, Post, Removal, now_us
from tweeter.store import batches, feed, jobs, keywords, posts, retention
from tweeter.store.batches import Batch
from tweeter.store.engine import reading
from tweeter.store.leases import Lease, owner
from tweeter.store.schema import matches, post_aliases
from tweeter.store.schema import posts as post_table

DAY_US = 86_400_000_000
NETWORKS = ("x", "bluesky", "mastodon")


def aged(number: int, days: float, network: str = "bluesky", **more: Any) -> Post:
    """A post of so many days ago."""
    at = now_us() - int(days * DAY_US)
    moments = dict.fromkeys(("created_at", "occurred_at", "received_at", "sort_us"), at)
    alias = f"host:{number}" if network == "mastodon" else ""
    key = f"{network}-{number}"
    return post(number, network=network, key=key, alias=alias, **(moments | more))


def commit(engine: Engine, lease: Lease, *items: Any) -> None:
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    batch = Batch(items=list(items), counts=Counter(), rejected=[], revision=revision)
    batches.commit(engine, lease, batch)


def stored(engine: Engine) -> dict[str, set[int]]:
    """Keys of the posts, and the keywords that match them."""
    with reading(engine) as connection:
        found: dict[str, set[int]] = {
            key: set() for key in connection.execute(select(post_table.c.key)).scalars()
        }
        pairs = select(post_table.c.key, matches.c.keyword_id).join_from(
            matches, post_table, post_table.c.id == matches.c.post_id, isouter=True
        )
        for key, keyword_id in connection.execute(pairs):
            found[key].add(keyword_id)  # fails for a match without its post
    return found


def exact(engine: Engine) -> None:
    with reading(engine) as connection:
        counts = select(matches.c.keyword_id, func.count()).group_by(matches.c.keyword_id)
        true = {row[0]: row[1] for row in connection.execute(counts)}
        names = connection.execute(select(func.count()).select_from(post_aliases)).scalar_one()
        mine = select(func.count()).where(post_table.c.network == "mastodon")
        assert names == connection.execute(mine).scalar_one()
    for row in keywords.list_all(engine):
        assert row.posts == true.get(row.id, 0)


@pytest.mark.parametrize("seed", range(6))
def test_what_stays_is_what_the_days_say_whatever_came_before(
    engine: Engine, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_POSTS", 7)
    dice = random.Random(seed)
    days = {name: dice.choice((0, 0, 3, 8)) for name in NETWORKS}
    options = [keywords.Options(keep_days=dice.choice((0, 0, 2, 6))) for _ in range(4)]
    rows = [keywords.add(engine, f"word{n}", chosen) for n, chosen in enumerate(options)]
    lease = take(engine)
    model: dict[str, tuple[Post, set[int]]] = {}
    number = 0
    for _ in range(6):
        new = []
        for _ in range(dice.randrange(25)):
            number += 1
            network = dice.choice(NETWORKS)
            chosen = dice.sample(rows, dice.randrange(1, 5))
            one = aged(number, dice.uniform(0, 10), network)
            new.append((one, tuple(Match(row.id, 1) for row in chosen)))
            model[one.key] = one, {row.id for row in chosen}
        commit(engine, lease, *new)
        for key in dice.sample(sorted(model), min(len(model), 4)):
            one, found = model[key]
            if dice.random() < 0.5:  # its network takes it away: the tombstone stays
                commit(engine, lease, Removal(network=one.network, key=key, occurred_at=0))
            else:  # an edit after which another keyword matches
                row = dice.choice(rows)
                newer = aged(0, 0, one.network, operation="update", version="2")
                edited = {"key": key, "alias": one.alias, "post_id": one.post_id}
                newer = msgspec.structs.replace(newer, **edited)
                with reading(engine) as connection:
                    gone = connection.execute(
                        select(post_table.c.removed_at).where(post_table.c.key == key)
                    ).scalar_one()
                commit(engine, lease, (newer, (Match(row.id, 1),)))
                if gone is None and one.version != "2":
                    one = msgspec.structs.replace(one, version="2")
                    found = {row.id}
                model[key] = one, found
        seq = feed.last(engine)
        visible = {p.key: p.id for p in posts.every(engine) if p.removed_at is None}
        assert retention.run(engine, days, run_s=60)[1]
        keep = {row.id: row.keep_days for row in rows}
        model = expected(model, days, keep)
        assert stored(engine) == {key: found for key, (_, found) in model.items()}
        exact(engine)
        told = [entry.post_id for entry in feed.since(engine, seq) if entry.kind == "remove"]
        assert sorted(told) == sorted(n for key, n in visible.items() if key not in model)
        assert retention.run(engine, days, run_s=60) == (0, True)


def expected(
    model: dict[str, tuple[Post, set[int]]], days: dict[str, int], keep: dict[int, int]
) -> dict[str, tuple[Post, set[int]]]:
    left = {}
    for key, (one, found) in model.items():
        age_days = (now_us() - one.occurred_at) / DAY_US
        if days[one.network] and age_days > days[one.network]:
            continue
        kept = {n for n in found if not keep[n] or age_days <= keep[n]}
        if kept:
            left[key] = one, kept
    return left


def test_it_stops_in_time_and_goes_on_the_next_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_POSTS", 10)
    row = keywords.add(engine, "storm", keywords.Options(keep_days=2))
    lease = take(engine)
    items = [(aged(n, 5), (Match(row.id, 1),)) for n in range(35)]
    commit(engine, lease, *items)
    assert retention.run(engine, {}, run_s=0) == (10, False)
    assert keywords.get(engine, row.id).posts == 25
    assert retention.run(engine, {}) == (25, True)
    exact(engine)
    assert stored(engine) == {}


def test_a_match_that_comes_while_a_post_goes_leaves_no_trace(engine: Engine) -> None:
    """Posts are matched again for a new keyword while others delete them: no match without post."""
    old = keywords.add(engine, "storm")
    lease = take(engine)
    items = [(aged(n, 5, network="x"), (Match(old.id, 1),)) for n in range(1500)]
    commit(engine, lease, *items)
    new = keywords.add(engine, "a")
    ids = jobs.waiting(engine)

    def match_again() -> None:
        for job_id in ids:
            job = jobs.claim(engine, job_id, owner())
            if job is not None:
                jobs.work(engine, job, lambda _, n=job.subject: (Match(n, 1),))

    worker = threading.Thread(target=match_again)
    worker.start()
    while not retention.run(engine, {"x": 3}, run_s=0)[1]:
        pass
    worker.join()
    retention.run(engine, {"x": 3})
    assert stored(engine) == {}
    exact(engine)
    assert keywords.get(engine, new.id).posts == 0


def test_the_page_is_told_what_goes_and_when(engine: Engine) -> None:
    lease = take(engine)
    row = keywords.add(engine, "storm", keywords.Options(keep_days=5))
    commit(
        engine,
        lease,
        (aged(1, 4.5, "x"), (Match(row.id, 1),)),
        (aged(2, 1, "x"), (Match(row.id, 1),)),
        (aged(3, 1, "bluesky"), (Match(row.id, 1),)),
    )
    rules = {
        rule.network: rule
        for rule in retention.rules(engine, keywords.get(engine, row.id), {"x": 7, "bluesky": 2})
    }
    assert (rules["x"].days, rules["x"].whose, rules["x"].within_a_day) == (5, "keyword", 1)
    assert rules["x"].next_at == pytest.approx(now_us() + DAY_US // 2, abs=60_000_000)
    assert (rules["bluesky"].days, rules["bluesky"].whose) == (2, "network")
    assert rules["bluesky"].next_at == pytest.approx(now_us() + DAY_US, abs=60_000_000)
    other = keywords.add(engine, "calm")
    assert retention.rules(engine, keywords.get(engine, other.id), {"x": 0}) == []
