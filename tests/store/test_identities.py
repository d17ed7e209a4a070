"""What accounts are called: from events, from asking, and shown where a post does not say it."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select

from tests.store.posts import AT, post, removal, store, take
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import NO_HANDLE, AccountChange, IdentityChange, RawEvent
from tweeter.store import batches, identities, keywords, posts
from tweeter.store.engine import reading, writing
from tweeter.store.identities import Known
from tweeter.store.leases import Lease
from tweeter.store.schema import identities as table

DID = "did:plc:a"


def change(handle: str, at: int = AT, did: str = DID) -> IdentityChange:
    return IdentityChange(network="bluesky", author_id=did, handle=handle, occurred_at=at)


def enter(engine: Engine, *changes: IdentityChange) -> int:
    with writing(engine) as connection:
        return identities.apply(connection, changes)


def handle_of(engine: Engine, did: str = DID) -> str | None:
    with reading(engine) as connection:
        found = identities.known(connection, {("bluesky", did)})
        return found[("bluesky", did)].handle if found else None


def keep(engine: Engine, *items: Any) -> Lease:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(items or (post(1),)))
    return lease


def test_the_newest_event_wins_in_any_order_and_counts_once(engine: Engine) -> None:
    keep(engine)
    assert enter(engine, change("one.example", AT + 1)) == 1
    assert enter(engine, change("one.example", AT + 1)) == 0
    assert enter(engine, change("three.example", AT + 3), change("two.example", AT + 2)) == 2
    assert handle_of(engine) == "three.example"
    assert enter(engine, change("two.example", AT + 2)) == 0
    assert enter(engine, change(NO_HANDLE, AT + 4)) == 1
    assert handle_of(engine) == ""


def test_the_same_handle_again_changes_nothing_but_outlives_older_news(engine: Engine) -> None:
    keep(engine)
    enter(engine, change("one.example", AT + 1))
    assert enter(engine, change("one.example", AT + 9)) == 0
    assert enter(engine, change("older.example", AT + 5)) == 0
    assert handle_of(engine) == "one.example"


def test_an_event_without_a_handle_makes_it_asked_again(engine: Engine) -> None:
    keep(engine)
    identities.remember(engine, [DID], {DID: Known("ann.example", "Ann")})
    assert identities.stale(engine, limit=9) == []
    later = AT + 10**15
    assert enter(engine, change("", later)) == 1
    assert enter(engine, change("", later)) == 0
    assert identities.stale(engine, limit=9) == [DID]
    assert handle_of(engine) == "ann.example"


def test_strangers_are_not_kept(engine: Engine) -> None:
    keep(engine)
    assert enter(engine, change("stranger.example", did="did:plc:stranger")) == 0
    assert handle_of(engine, "did:plc:stranger") is None


def test_who_waits_for_a_handle_hears_of_it(engine: Engine) -> None:
    keywords.add(engine, "from:wanted.example")
    assert enter(engine, change("wanted.example", did="did:plc:w")) == 1
    assert identities.account_of(engine, "wanted.example") == "did:plc:w"


def test_events_are_counted_as_applied_or_ignored_and_the_counts_add_up(engine: Engine) -> None:
    lease = keep(engine)
    lines: list[dict[str, Any]] = [
        {"did": DID, "time_us": AT + 5, "kind": "identity", "identity": {"did": DID, "seq": 1}},
        {"did": "did:plc:x", "time_us": AT + 6, "kind": "identity", "identity": {"handle": "x.y"}},
        {"did": "bad\x00", "time_us": AT + 6, "kind": "identity", "identity": {}},
        {"did": DID, "time_us": AT + 7, "kind": "identity", "identity": {"handle": "Ann.Example"}},
    ]
    v2 = {"$type": "network.bsky.jetstream.subscribeEvents#identity", "did": DID, "seq": 9}
    v2 |= {"time": "2026-11-24T05:00:00.000000Z", "identity": {"did": DID, "handle": "new.example"}}
    lines.append({"$type": "message", "payload": v2})
    raw = [RawEvent("bluesky", json.dumps(x).encode(), received_at=AT + 10**14) for x in lines]
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    batch = digest(raw, Matcher(()), revision)
    outcome = batches.commit(engine, lease, batch)
    assert (outcome.applied, outcome.ignored, len(batch.rejected)) == (2, 2, 1)
    assert batch.counts["events"] == 5
    assert handle_of(engine) == "new.example"


def test_a_post_without_a_name_shows_what_the_account_is_called(engine: Engine) -> None:
    lease = keep(engine, post(1), post(2, author_id="did:plc:b", author_handle="its.own"))
    identities.remember(engine, [DID, "did:plc:b"], {DID: Known("ann.example", "Ann")})
    (own, ann) = posts.latest(engine)
    assert (own.author_handle, own.author_name) == ("its.own", "")
    assert (ann.author_handle, ann.author_name) == ("ann.example", "Ann")
    store(engine, lease, removal(1))
    (_, ann) = posts.latest(engine)
    assert (ann.author_handle, ann.author_name) == ("ann.example", "")


def test_the_name_of_a_deleted_account_goes_with_its_posts(engine: Engine) -> None:
    lease = keep(engine)
    identities.remember(engine, [DID], {DID: Known("ann.example", "Ann")})
    gone = AccountChange(network="bluesky", author_id=DID, status="deleted", occurred_at=AT)
    store(engine, lease, gone)
    assert handle_of(engine) is None
    assert identities.unknown_lately(engine, 0, limit=9).author_ids == []


def test_unknown_authors_come_newest_first_and_each_once(engine: Engine) -> None:
    lease = keep(engine, *(post(n, author_id=f"did:plc:{n % 5}") for n in range(1, 11)))
    found = identities.unknown_lately(engine, 0, limit=100)
    assert found.author_ids == [f"did:plc:{n}" for n in (0, 4, 3, 2, 1)]
    assert not found.is_more
    identities.remember(engine, ["did:plc:4"], {})
    assert "did:plc:4" not in identities.unknown_lately(engine, 0, limit=100).author_ids
    assert identities.unknown_lately(engine, found.position, limit=100).author_ids == []
    few = identities.unknown_lately(engine, 0, limit=2)
    assert (few.position, few.is_more) == (0, True)
    store(engine, lease, post(50, author_id="did:plc:new"))
    assert identities.unknown_lately(engine, found.position, limit=9).author_ids == ["did:plc:new"]


def test_a_sweep_goes_down_through_all_posts_and_ends(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "SWEEP_POSTS", 4)
    keep(engine, *(post(n, author_id=f"did:plc:{n}") for n in range(1, 11)), post(11, network="x"))
    found: list[str] = []
    position, steps = (1 << 63) - 1, 0
    while position:
        step = identities.unknown_before(engine, position, limit=3)
        identities.remember(engine, step.author_ids, {})
        found += step.author_ids
        position, steps = step.position, steps + 1
    assert found == [f"did:plc:{n}" for n in range(10, 0, -1)]
    assert steps < 10


def test_what_is_asked_replaces_what_was_known(engine: Engine) -> None:
    identities.remember(engine, [DID], {DID: Known("old.example", "")})
    identities.remember(engine, [DID], {DID: Known("new.example", "Ann")})
    with reading(engine) as connection:
        (row,) = connection.execute(select(table)).all()
    assert (row.handle, row.name) == ("new.example", "Ann")
    assert row.due_at == row.at + identities.KEPT_US
