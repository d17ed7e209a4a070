"""Look-ups that are answered wrongly: nothing is removed but what its network says is gone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from tests.simulators.bluesky_posts import BlueskyPostsSimulator
from tests.simulators.jetstream import account_event, post_event
from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.served import Served
from tests.test_recheck import (
    claim,
    gap,
    mastodon,
    reasons,
    receive,
    settings,
    state,
    take,
    texts,
)
from tweeter import recheck
from tweeter.config import Config
from tweeter.records import RawEvent, now_us
from tweeter.store import keywords, past, rechecks

POSTS = 30
PROXY = {
    "404 of a proxy": (404, "text/html", "<h1>404 Not Found</h1>"),
    "404 of a gateway": (404, "application/json", '{"error": "no such route"}'),
    "200 of a proxy": (200, "text/html", "<h1>Back soon</h1>"),
    "empty list": (200, "application/json", "[]"),
    "empty object": (200, "application/json", "{}"),
}


def raw(shape: str, value: dict[str, Any], origin: str = "") -> RawEvent:
    body = msgspec.json.encode(value)
    return RawEvent(shape=shape, body=body, received_at=now_us(), origin=origin)


def kept_by(engine: Engine, sim: MastodonSimulator) -> None:
    """The server's posts are stored, then there is a gap and a re-check is due."""
    keywords.add(engine, "storm")
    lease = mastodon(sim, engine)
    sim.statuses = [status(n, f"storm {n}") for n in range(POSTS)]
    host = f"127.0.0.1:{sim.port}"
    receive(engine, lease, [raw("mastodon", found, host) for found in sim.statuses])
    gap(engine, lease, "repaired")
    assert rechecks.start_due(engine, x_days=0, networks=["mastodon"]) == 1


def work(engine: Engine, config: Config) -> None:
    """Part by part, as many as it takes here."""
    while state(engine).state == "waiting":
        recheck.work(engine, config, claim(engine, anew=True))


@pytest.mark.parametrize("many", [True, False], ids=["4.3", "older"])
@pytest.mark.parametrize("instead", PROXY.values(), ids=list(PROXY))
def test_what_stands_before_a_mastodon_server_removes_nothing(
    sqlite_engine: Engine, tmp_path: Path, instead: tuple[int, str, str], many: bool
) -> None:
    with Served(MastodonSimulator()) as served:
        sim = served.it
        sim.many = many
        config = settings(tmp_path, MASTODON_URL=sim.url, MASTODON_TOKEN=sim.token)
        kept_by(sqlite_engine, sim)
        sim.instead = instead
        recheck.work(sqlite_engine, config, claim(sqlite_engine))
        assert state(sqlite_engine).state == "waiting"
        assert state(sqlite_engine).version == 1, "a failure, which is counted"
        assert len(texts(sqlite_engine)) == POSTS
        sim.instead = None
        sim.deleted.add(sim.statuses[3]["id"])
        work(sqlite_engine, config)
        assert state(sqlite_engine).state == "done", state(sqlite_engine).words
        assert len(texts(sqlite_engine)) == POSTS - 1


def test_a_mastodon_server_that_has_deleted_all_posts_is_believed(
    engine: Engine, tmp_path: Path
) -> None:
    with Served(MastodonSimulator()) as served:
        sim = served.it
        kept_by(engine, sim)
        sim.deleted = {found["id"] for found in sim.statuses}
        config = settings(tmp_path, MASTODON_URL=sim.url, MASTODON_TOKEN=sim.token)
        work(engine, config)
        assert state(engine).state == "done", state(engine).words
        assert texts(engine) == []
        assert set(reasons(engine).values()) == {"not found"}


def bluesky_kept_by(engine: Engine, sim: BlueskyPostsSimulator) -> list[str]:
    keywords.add(engine, "storm")
    lease = take(engine, "bluesky", "bluesky")
    events = [post_event(f"storm {n}", n, time_us=now_us()) for n in range(POSTS)]
    uris = [sim.keep(event) for event in events]
    receive(engine, lease, [raw("bluesky", event) for event in events])
    gap(engine, lease, "lost")
    assert rechecks.start_due(engine, x_days=0, networks=["bluesky"]) == 1
    return uris


@pytest.mark.parametrize("answer", [None, {}, {"did": "did:plc:other"}])
def test_an_answer_that_is_no_profile_shows_no_account_again(
    sqlite_engine: Engine, tmp_path: Path, answer: Any
) -> None:
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        keywords.add(sqlite_engine, "storm")
        lease = take(sqlite_engine, "bluesky", "bluesky")
        said = post_event("storm", 1, time_us=now_us())
        away = account_event(said["did"], "deactivated")
        receive(sqlite_engine, lease, [raw("bluesky", said), raw("bluesky", away)])
        rechecks.ask(sqlite_engine, lease.stream_id)
        sim.profile_instead = answer
        work(sqlite_engine, settings(tmp_path, BLUESKY_API=sim.url))
        assert state(sqlite_engine).state == "done", state(sqlite_engine).words
        assert texts(sqlite_engine) == []
        assert reasons(sqlite_engine) == {}


def test_an_app_view_that_leaves_out_what_is_there_removes_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        uris = bluesky_kept_by(engine, sim)
        sim.forgetful = True
        sim.deleted.add(uris[3])
        work(engine, settings(tmp_path, BLUESKY_API=sim.url))
        assert state(engine).state == "done", state(engine).words
        assert reasons(engine) == {uris[3]: "not found"}
        assert len(texts(engine)) == POSTS - 1


def test_an_app_view_that_knows_neither_posts_nor_accounts_hides_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        bluesky_kept_by(engine, sim)
        sim.answers = [(200, {}, {"posts": []}), (200, {}, {"profiles": []})]
        job = claim(engine)
        work(engine, settings(tmp_path, BLUESKY_API=sim.url))
        assert state(engine).state == "done", state(engine).words
        assert len(texts(engine)) == POSTS
        assert len(list(rechecks.page(engine, _again(job), 0, limit=POSTS + 1))) == POSTS


def _again(job: past.Past) -> past.Past:
    """As another re-check would look at it, made a moment from now."""
    return msgspec.structs.replace(job, until_us=now_us() + 1_000_000)


def test_an_app_view_whose_posts_are_all_deleted_is_believed(
    engine: Engine, tmp_path: Path
) -> None:
    with Served(BlueskyPostsSimulator()) as served:
        sim = served.it
        uris = bluesky_kept_by(engine, sim)
        sim.deleted = set(uris)
        work(engine, settings(tmp_path, BLUESKY_API=sim.url))
        assert state(engine).state == "done", state(engine).words
        assert texts(engine) == []
