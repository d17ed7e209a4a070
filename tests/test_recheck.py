"""Removals that nobody announced, found by looking stored posts up: real jobs, real servers."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select, update

from tests.simulators.bluesky_posts import BlueskyPostsSimulator
from tests.simulators.jetstream import account_event, post_event
from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.served import Served
from tests.simulators.x import XSimulator, post
from tests.simulators.x_reading import id_at
from tests.store.test_hostile import forbid
from tweeter import config as configuration
from tweeter import recheck
from tweeter.config import Config
from tweeter.errors import LeaseLost
from tweeter.pipeline import REFUSED, KeywordBook, Pipeline
from tweeter.records import RawEvent, now_us
from tweeter.sources.inbox import Taken
from tweeter.store import (
    batches,
    deletions,
    feed,
    keywords,
    ledger,
    past,
    posts,
    quarantine,
    reads,
    rechecks,
    streams,
)
from tweeter.store.engine import reading, writing
from tweeter.store.leases import Lease, owner
from tweeter.store.ledger import Turn
from tweeter.store.schema import jobs
from tweeter.store.schema import posts as post_table
from tweeter.store.schema import reads as read_table
from tweeter.store.schema import streams as stream_table

DAY_US = 86_400_000_000


def settings(tmp_path: Path, **more: str) -> Config:
    given = {"DATA_DIR": str(tmp_path), "BLUESKY_URL": ""} | more
    return configuration.load({f"TWEETER_{name}": value for name, value in given.items()})


def take(engine: Engine, name: str, network: str) -> Lease:
    stream_id = streams.ensure(engine, name, network, {})
    ((_, lease),) = streams.claim(engine, owner(), networks=[network], only=stream_id)
    with writing(engine) as connection:
        connection.execute(
            update(stream_table)
            .where(stream_table.c.id == stream_id)
            .values(covered_until=now_us())
        )
    return lease


def receive(engine: Engine, lease: Lease, events: list[RawEvent]) -> None:
    """As if the live stream had brought them."""
    book = KeywordBook(engine)
    book.refresh()
    Pipeline(engine, lease, book).store(Taken(events, now_us()))


def x_line(found: dict[str, Any]) -> RawEvent:
    return RawEvent(shape="x", body=msgspec.json.encode(found), received_at=now_us())


def texts(engine: Engine) -> list[str]:
    return sorted(found.text for found in posts.every(engine) if found.removed_at is None)


def reasons(engine: Engine) -> dict[str, str]:
    return {p.post_id: p.removed_reason for p in posts.every(engine) if p.removed_at is not None}


def claim(engine: Engine, *, anew: bool = False) -> past.Past:
    """The waiting job; anew: although somebody of ours seems to hold it, or it waits."""
    if anew:
        with writing(engine) as connection:
            connection.execute(update(jobs).values(owner="", lease_until=0, retry_at=0))
    (job_id,) = past.waiting(engine)
    job = past.claim(engine, job_id, owner())
    assert job is not None
    return job


def die_after_commits(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if killed at the next commit after so many."""
    commit, left = batches.commit, [count]

    def dies(*given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return commit(*given)

    monkeypatch.setattr(batches, "commit", dies)


def state(engine: Engine) -> Any:
    with reading(engine) as connection:
        return connection.execute(select(jobs).where(jobs.c.kind == "recheck")).one()


@pytest.fixture
def x_sim() -> Iterator[Served[XSimulator]]:
    with Served(XSimulator()) as served:
        yield served


def publish(sim: XSimulator, count: int) -> list[dict[str, Any]]:
    begin = now_us() - 3_600_000_000
    found = [post(id_at(begin + n * 1000), f"storm {n}") for n in range(count)]
    sim.posts.update({one["data"]["id"]: one for one in found})
    return found


def x_settings(tmp_path: Path, sim: XSimulator, **more: str) -> Config:
    return settings(tmp_path, X_API_BASE=sim.url, X_BEARER_TOKEN=sim.token, **more)


def test_what_is_gone_at_x_is_gone_here_with_its_reason_and_readers_hear_of_it(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    keyword = keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    found = publish(sim, 250)
    ids = [one["data"]["id"] for one in found]
    receive(engine, lease, [x_line(one) for one in found])
    before = reads.used(engine, "x")[reads.EVERYTHING].day
    for post_id, why in ((ids[3], "deleted"), (ids[120], "suspended"), (ids[249], "protected")):
        sim.reading.removed[post_id] = why
    sim.reading.removed[ids[7]] = "broken"  # X could not tell: nothing is removed
    (unknown,) = deletions.unknown(engine)
    assert not unknown.checking
    seq = feed.last(engine)
    rechecks.ask(engine, lease.stream_id)
    assert rechecks.ask(engine, lease.stream_id) == state(engine).id  # not a second one
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert state(engine).state == "done", state(engine).words
    assert "250 posts looked up, 3 were gone" in state(engine).words
    gone = {ids[3]: "not found", ids[120]: "suspended", ids[249]: "protected"}
    assert reasons(engine) == gone
    assert len(texts(engine)) == 247
    changes = [entry.kind for entry in feed.since(engine, seq)]
    assert changes == ["remove"] * 3
    assert reads.used(engine, "x")[reads.EVERYTHING].day == before + 250
    assert keywords.get(engine, keyword.id).posts == 250  # tombstones still count, as announced
    (unknown,) = deletions.unknown(engine)  # again from now on: X announces none
    assert unknown.last_us == unknown.since == state(engine).created_at
    receive(engine, lease, [x_line(found[3])])  # X sends it once more: the tombstone wins
    assert reasons(engine) == gone


def test_an_edit_at_x_is_found_and_the_older_text_goes(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    first, other = publish(sim, 2)
    receive(engine, lease, [x_line(first), x_line(other)])
    newer = str(int(first["data"]["id"]) + (60_000 << 22))
    history = [first["data"]["id"], newer]
    sim.posts[newer] = post(int(newer), "storm mended", edit_history_tweet_ids=history)
    sim.posts[first["data"]["id"]] = post(
        int(first["data"]["id"]), "storm 0", edit_history_tweet_ids=history
    )
    changed = post(int(other["data"]["id"]), "storm one, longer now")
    sim.posts[other["data"]["id"]] = changed
    rechecks.ask(engine, lease.stream_id)
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert texts(engine) == ["storm mended", "storm one, longer now"]
    assert reasons(engine) == {first["data"]["id"]: "edited"}


def test_a_recheck_goes_on_past_what_the_database_refuses(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    found = publish(sim, 5)
    ids = [one["data"]["id"] for one in found]
    receive(engine, lease, [x_line(one) for one in found])
    forbid(engine, "poison", before="UPDATE")
    for n, words in ((0, "storm poison"), (1, "storm mended"), (3, "storm mended too")):
        sim.posts[ids[n]] = post(int(ids[n]), words)
    sim.reading.removed[ids[2]] = "deleted"
    rechecks.ask(engine, lease.stream_id)
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert (state(engine).state, state(engine).done) == ("done", 5)
    assert texts(engine) == ["storm 0", "storm 4", "storm mended", "storm mended too"]
    assert reasons(engine) == {ids[2]: "not found"}
    assert quarantine.by_reason(engine, lease.stream_id) == {REFUSED: 1}
    with reading(engine) as connection:
        assert min(connection.execute(select(post_table.c.checked_at)).scalars()) > 0


def test_a_recheck_stops_at_the_budget_and_goes_on_the_next_day(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    found = publish(sim, 150)
    receive(engine, lease, [x_line(one) for one in found])  # 150 reads
    sim.reading.removed[found[0]["data"]["id"]] = "deleted"  # the last to be looked up
    config = x_settings(tmp_path, sim, X_DAY_POSTS="270")
    rechecks.ask(engine, lease.stream_id)
    recheck.work(engine, config, claim(engine))
    assert sum(map(len, sim.reading.asked)) == 120
    waiting = state(engine)
    assert waiting.state == "waiting"
    assert "budget of 270 posts a day is used up" in waiting.words
    assert waiting.retry_at // DAY_US == now_us() // DAY_US + 1  # midnight UTC
    assert waiting.retry_at % DAY_US < 5_000_000
    assert past.waiting(engine) == []
    recheck.work(engine, config, claim(engine, anew=True))  # too early: it costs nothing
    assert sum(map(len, sim.reading.asked)) == 120
    with writing(engine) as connection:  # the next day
        connection.execute(read_table.update().values(day=read_table.c.day - 1))
    recheck.work(engine, config, claim(engine, anew=True))
    assert state(engine).state == "done"
    asked = [post_id for call in sim.reading.asked for post_id in call]
    assert len(asked) == len(set(asked)) == 150
    assert len(texts(engine)) == 149


def test_a_recheck_that_is_killed_in_the_middle_goes_on_where_it_was(
    engine: Engine,
    tmp_path: Path,
    x_sim: Served[XSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed after X answered and before anything of it was stored: the page is asked again."""
    sim = x_sim.it
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    found = publish(sim, 350)
    receive(engine, lease, [x_line(one) for one in found])
    for one in found[::50]:
        sim.reading.removed[one["data"]["id"]] = "deleted"
    rechecks.ask(engine, lease.stream_id)
    die_after_commits(2, monkeypatch)
    old = claim(engine)
    with pytest.raises(KeyboardInterrupt):
        recheck.work(engine, x_settings(tmp_path, sim), old)
    monkeypatch.undo()
    assert state(engine).done == 200
    job = claim(engine, anew=True)
    recheck.work(engine, x_settings(tmp_path, sim), job)
    assert state(engine).state == "done"
    assert state(engine).done == 350
    assert len(sim.reading.asked) == 5  # one page twice
    assert len(texts(engine)) == 343
    with pytest.raises(LeaseLost):  # whoever was thought dead writes nothing
        past_commit(engine, old)


def past_commit(engine: Engine, job: past.Past) -> None:
    from collections import Counter

    with reading(engine) as connection:
        revision = keywords.revision(connection)
    empty = batches.Batch(items=[], counts=Counter(), rejected=[], revision=revision)
    batches.commit(engine, job.lease, empty)


def test_x_rate_limits_are_obeyed_by_header_and_by_429(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    sim = x_sim.it
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    receive(engine, lease, [x_line(one) for one in publish(sim, 350)])
    sim.reading.limits["look_up"] = sim.reading.left["look_up"] = 2
    rechecks.ask(engine, lease.stream_id)
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine))
    assert len(sim.reading.asked) == 2  # the second answer said that nothing is left
    wait_s = (state(engine).retry_at - now_us()) / 1e6
    assert 800 < wait_s < 901
    assert state(engine).version == 0  # no failure
    used = reads.used(engine, "x")[reads.EVERYTHING].day
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))  # too early: a 429
    assert "limits our rate until" in state(engine).words
    assert (state(engine).retry_at - now_us()) / 1e6 > 800
    assert reads.used(engine, "x")[reads.EVERYTHING].day == used  # a refusal costs nothing
    sim.reading._reset_at = time.time()
    sim.reading.limits["look_up"] = 100
    recheck.work(engine, x_settings(tmp_path, sim), claim(engine, anew=True))
    assert state(engine).state == "done"


def test_x_is_looked_up_every_so_many_days_and_only_if_a_person_wants_that(
    engine: Engine, tmp_path: Path, x_sim: Served[XSimulator]
) -> None:
    keywords.add(engine, "storm")
    lease = take(engine, "x", "x")
    receive(engine, lease, [x_line(one) for one in publish(x_sim.it, 3)])
    assert rechecks.start_due(engine, x_days=0, networks=["x"]) == 0
    assert rechecks.start_due(engine, x_days=2, networks=["x"]) == 0  # all are younger
    with writing(engine) as connection:
        connection.execute(update(post_table).values(received_at=now_us() - 3 * DAY_US))
    assert rechecks.start_due(engine, x_days=2, networks=["bluesky"]) == 0
    assert rechecks.start_due(engine, x_days=2, networks=["x"]) == 1
    assert rechecks.start_due(engine, x_days=2, networks=["x"]) == 0
    recheck.work(engine, x_settings(tmp_path, x_sim.it), claim(engine))
    assert rechecks.start_due(engine, x_days=2, networks=["x"]) == 0
    with writing(engine) as connection:
        connection.execute(update(jobs).values(created_at=now_us() - 3 * DAY_US))
    assert rechecks.start_due(engine, x_days=2, networks=["x"]) == 1


def mastodon(sim: MastodonSimulator, lease_engine: Engine) -> Lease:
    return take(lease_engine, f"mastodon:127.0.0.1:{sim.port}", "mastodon")


def gap(engine: Engine, lease: Lease, outcome: str) -> int:
    """An hour ago the stream broke for a minute; returns when."""
    at = now_us() - 3_600_000_000
    ledger.enter(engine, lease, Turn(state="live", cause="", at=at - 1_000_000))
    ledger.enter(engine, lease, Turn(state="down", cause="closed", at=at))
    up = Turn(state="live", cause="", at=at + 60_000_000, outcome=outcome)
    ledger.enter(engine, lease, up)
    with writing(engine) as connection:
        connection.execute(update(post_table).values(received_at=at - 5_000_000))
    return at


@pytest.mark.parametrize("many", [True, False], ids=["4.3", "older"])
def test_after_a_gap_mastodons_deletions_and_edits_are_found_within_its_limits(
    engine: Engine, tmp_path: Path, many: bool
) -> None:
    keywords.add(engine, "storm")
    with Served(MastodonSimulator()) as served:
        sim = served.it
        sim.many, sim.calls = many, 10
        config = settings(tmp_path, MASTODON_URL=sim.url, MASTODON_TOKEN=sim.token)
        lease = mastodon(sim, engine)
        host = f"127.0.0.1:{sim.port}"
        sim.statuses = [status(n, f"storm {n}") for n in range(45)]
        receive(
            engine,
            lease,
            [
                RawEvent(
                    shape="mastodon",
                    body=msgspec.json.encode(found),
                    received_at=now_us(),
                    origin=host,
                )
                for found in sim.statuses
            ],
        )
        assert deletions.unknown(engine) == []
        at = gap(engine, lease, "repaired")
        (unknown,) = deletions.unknown(engine)
        assert unknown.since == at
        sim.deleted |= {sim.statuses[0]["id"], sim.statuses[44]["id"]}
        sim.statuses[10] |= {
            "content": "<p>storm edited</p>",
            "edited_at": "2026-11-24T05:00:00.000Z",
        }
        assert rechecks.start_due(engine, x_days=0, networks=["mastodon"]) == 1
        assert rechecks.start_due(engine, x_days=0, networks=["mastodon"]) == 0
        (unknown,) = deletions.unknown(engine)
        assert unknown.checking
        assert "0 of 45" in unknown.words
        parts = 0
        while state(engine).state == "waiting" and parts < 20:
            recheck.work(engine, config, claim(engine, anew=True))
            parts += 1
            time.sleep(1.01)
        assert state(engine).state == "done", state(engine).words
        assert parts == 1 if many else parts >= 5  # 8 calls of 10 a second are ours
        assert sim.refusals == 0
        assert set(reasons(engine).values()) == {"not found"}
        assert len(texts(engine)) == 43
        assert "storm edited" in texts(engine)
        assert deletions.unknown(engine) == []


def bluesky_event(event: dict[str, Any]) -> RawEvent:
    return RawEvent(shape="bluesky", body=msgspec.json.encode(event), received_at=now_us())


def test_bluesky_tells_a_deleted_post_from_an_account_that_is_only_hidden(
    engine: Engine, tmp_path: Path
) -> None:
    keywords.add(engine, "storm")
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        config = settings(tmp_path, BLUESKY_API=sim.url)
        lease = take(engine, "bluesky", "bluesky")
        events = [
            post_event(f"storm {n}", n, did=f"did:plc:{'ab'[n % 2]}", time_us=now_us())
            for n in range(30)
        ]
        uris = [sim.keep(event) for event in events]
        receive(engine, lease, [bluesky_event(event) for event in events])
        gap(engine, lease, "replayed")
        assert deletions.unknown(engine) == []  # all was sent again
        gap(engine, lease, "lost")
        sim.hidden.add("did:plc:b")
        sim.deleted.add(uris[0])
        sim.records[uris[2]]["text"] = "storm rewritten"
        assert rechecks.start_due(engine, x_days=0, networks=["bluesky"]) == 1
        recheck.work(engine, config, claim(engine))
        assert state(engine).state == "done", state(engine).words
        assert all(len(call) <= 25 for call in sim.asked)
        assert reasons(engine) == {uris[0]: "not found"}
        assert len(texts(engine)) == 14  # the even ones but the first; the odd ones are hidden
        assert "storm rewritten" in texts(engine)
        with reading(engine) as connection:
            statement = select(post_table.c.hidden).where(post_table.c.author_id == "did:plc:b")
            assert set(connection.execute(statement).scalars()) == {"unavailable"}
        assert deletions.unknown(engine) == []


def test_an_account_that_came_back_in_a_gap_is_shown_again(engine: Engine, tmp_path: Path) -> None:
    keywords.add(engine, "storm")
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        config = settings(tmp_path, BLUESKY_API=sim.url)
        lease = take(engine, "bluesky", "bluesky")
        back, resting, gone, there = (f"did:plc:{name}" for name in "brgt")
        said = [
            post_event(f"storm {n}", n, did=(back, resting, gone, there)[n % 4], time_us=now_us())
            for n in range(120)
        ]
        uris = [sim.keep(event) for event in said]
        receive(engine, lease, [bluesky_event(event) for event in said])
        away = [account_event(back, "deactivated"), account_event(resting, "deactivated")]
        receive(
            engine,
            lease,
            [bluesky_event(event) for event in [*away, account_event(gone, "takendown")]],
        )
        assert len(texts(engine)) == 30
        gap(engine, lease, "lost")
        sim.deleted.add(uris[0])  # of the one that came back
        sim.resting, sim.hidden = {resting}, {gone}
        assert rechecks.start_due(engine, x_days=0, networks=["bluesky"]) == 1
        recheck.work(engine, config, claim(engine))
        assert state(engine).state == "done", state(engine).words
        assert reasons(engine) == {uris[0]: "not found"}
        assert len(texts(engine)) == 59
        assert sorted(sim.profiles) == [back, gone, resting]  # each once
        with reading(engine) as connection:
            which = select(post_table.c.hidden).where(post_table.c.author_id.in_([resting, gone]))
            assert set(connection.execute(which).scalars()) == {"deactivated", "takendown"}
        receive(engine, lease, [bluesky_event(away[0])])  # it was before that
        assert len(texts(engine)) == 59


def test_an_account_that_a_recheck_hid_is_shown_by_the_next_one(
    engine: Engine, tmp_path: Path
) -> None:
    keywords.add(engine, "storm")
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        config = settings(tmp_path, BLUESKY_API=sim.url)
        lease = take(engine, "bluesky", "bluesky")
        said = post_event("storm", 1, time_us=now_us())
        sim.keep(said)
        receive(engine, lease, [bluesky_event(said)])
        for hidden, expected in (({said["did"]}, []), (set(), ["storm"])):
            sim.hidden = hidden
            rechecks.ask(engine, lease.stream_id)
            recheck.work(engine, config, claim(engine))
            assert texts(engine) == expected


def test_a_network_that_fails_again_and_again_leaves_deletions_unknown(
    engine: Engine, tmp_path: Path
) -> None:
    keywords.add(engine, "storm")
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        lease = take(engine, "bluesky", "bluesky")
        event = post_event("storm", 1, time_us=now_us())
        body = msgspec.json.encode(event)
        receive(engine, lease, [RawEvent(shape="bluesky", body=body, received_at=now_us())])
        gap(engine, lease, "lost")
        rechecks.start_due(engine, x_days=0, networks=["bluesky"])
        sim.answers = [(502, {}, {"error": "UpstreamFailure"})] * past.TRIES
        for _ in range(past.TRIES):
            recheck.work(engine, settings(tmp_path, BLUESKY_API=sim.url), claim(engine, anew=True))
        assert state(engine).state == "failed"
        assert "502" in state(engine).words
        assert texts(engine) == ["storm"]
        (unknown,) = deletions.unknown(engine)
        assert not unknown.checking
        assert rechecks.start_due(engine, x_days=0, networks=["bluesky"]) == 0  # an hour's rest


def test_repairs_go_before_a_recheck_of_the_same_stream(engine: Engine) -> None:
    lease = take(engine, "mastodon:a", "mastodon")
    first = rechecks.ask(engine, lease.stream_id)
    gap(engine, lease, "repairing")
    past.start_repairs(engine)
    (job_id,) = past.waiting(engine)
    assert job_id != first


def test_the_official_client_reads_the_simulators_search_and_look_up() -> None:
    from xdk import Client

    async def work() -> None:
        async with XSimulator() as sim:
            found = publish(sim, 30)
            sim.reading.removed[found[0]["data"]["id"]] = "deleted"
            client = Client(base_url=sim.url, bearer_token=sim.token)
            ids = [one["data"]["id"] for one in found[:5]]
            answer = await asyncio.to_thread(client.posts.get_by_ids, ids=ids)
            assert len(answer.data or []) == 4
            assert [e.resource_id for e in answer.errors or []] == [ids[0]]

            def pages() -> list[Any]:
                every = client.posts.search_recent(query="storm", max_results=10)
                return [one for page in every for one in page.data or []]

            assert len(await asyncio.to_thread(pages)) == 29

    asyncio.run(work())
