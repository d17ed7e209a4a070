"""Versions of a post that come in the wrong order, where the newest of them matches nothing."""

import json
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine, select

from tests.simulators.mastodon import iso, status
from tests.store.posts import post, removal, store, take
from tweeter.decode import DECODERS
from tweeter.records import Post, RawEvent, now_us
from tweeter.store import batches, keywords, overtaken, posts, removals
from tweeter.store.batches import Batch, Outcome
from tweeter.store.engine import reading, writing
from tweeter.store.leases import Lease
from tweeter.store.schema import tombstones


def shown(engine: Engine) -> list[str]:
    return sorted(found.text for found in posts.every(engine))


def edit(number: int, version: str, text: str = "nothing of it", **more: Any) -> Post:
    return post(number, text, version=version, operation="update", **more)


def store_unmatched(engine: Engine, lease: Lease, *items: Any) -> Outcome:
    """The same as `store`, of posts that no keyword matches."""
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    found = [(item, ()) if isinstance(item, Post) else item for item in items]
    return batches.commit(
        engine, lease, Batch(items=found, counts=Counter(), rejected=[], revision=revision)
    )


def test_an_edit_that_matched_nothing_wins_over_an_older_version_that_comes_later(
    engine: Engine,
) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    outcome = store_unmatched(engine, lease, edit(1, "5"), edit(1, "3"), edit(2, "2"))
    assert (outcome.unmatched, outcome.ignored) == (2, 1)
    late = store(engine, lease, post(1), post(1, version="4"), edit(1, "4"), post(3))
    assert (late.stored, late.ignored) == (1, 3)
    same = store(engine, lease, post(1, "it matches now", version="5"))
    assert same.stored == 1, "the version itself, asked for again for a new keyword"
    store(engine, lease, edit(2, "3", "newer"))
    assert shown(engine) == ["a storm", "it matches now", "newer"]
    store(engine, lease, edit(2, "2.5", "between"), edit(2, "4", "newest"))
    assert shown(engine) == ["a storm", "it matches now", "newest"]


def test_a_page_of_statuses_brings_the_edit_of_one_that_is_stored(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine, "m", "mastodon")
    live = status(1, "a storm")
    newer = live | {"content": "<p>a storm, corrected</p>", "edited_at": iso(time.time() + 60)}
    store(engine, lease, *asked(live))
    assert store(engine, lease, *asked(newer)).applied == 1
    store(engine, lease, *asked(live))
    assert shown(engine) == ["a storm, corrected"]


def asked(one: dict[str, Any]) -> list[Any]:
    """A status as the API answers it."""
    body = json.dumps(one).encode()
    raw = RawEvent(shape="mastodon", body=body, received_at=now_us(), origin="sim.example")
    return DECODERS["mastodon"](raw)


def test_of_edits_that_matched_nothing_the_newest_is_kept(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    for version in ("3", "5", "4"):
        store_unmatched(engine, lease, edit(1, version))
    assert store(engine, lease, post(1, version="4")).ignored == 1
    assert store(engine, lease, post(1, version="5")).stored == 1


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_a_removal_wins_over_an_edit_that_matched_nothing(
    engine: Engine, is_one_batch: bool
) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    items = edit(1, "5"), removal(1), removal(2), edit(2, "5")
    for some in [items] if is_one_batch else [[item] for item in items]:
        store_unmatched(engine, lease, *some)
    assert store(engine, lease, *(post(n, version="6") for n in (1, 2))).ignored == 2
    with reading(engine) as connection:
        rows = connection.execute(select(tombstones.c.reason, tombstones.c.version)).all()
    assert [tuple(row) for row in rows] == [("deleted", "")] * 2


def test_a_post_is_not_removed_because_an_older_version_of_it_is_refused(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store_unmatched(engine, lease, edit(1, "5"))
    store(engine, lease, post(1, "it matches now", version="6"))
    overtaken.settle(engine)
    assert shown(engine) == ["it matches now"]


def test_an_edit_that_matched_nothing_is_forgotten_as_removals_are(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store_unmatched(engine, lease, edit(1, "5"), edit(2, "5"), removal(3))
    store(engine, lease, post(1, version="5"), post(4))
    store(engine, lease, removal(4))
    with writing(engine) as connection:
        assert removals.prune(connection, 1 << 62) == 3
        assert len(connection.execute(select(tombstones)).all()) == 1, "of the post that is stored"
    assert store(engine, lease, post(2, version="4")).stored == 1


def test_an_edit_that_does_not_say_its_version_is_older_than_none(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store_unmatched(engine, lease, edit(1, ""))
    assert store(engine, lease, post(1)).stored == 1
