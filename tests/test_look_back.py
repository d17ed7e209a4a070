"""Look-backs over lines that are slow, silent or limited: done only when all was read."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select, update

from tests.simulators.jetstream import JetstreamSimulator, account_event, post_event
from tests.simulators.mastodon import MastodonSimulator, iso, status
from tests.simulators.served import Served
from tests.test_recheck import claim, mastodon, receive, settings, take, texts
from tweeter import look_back
from tweeter.config import Config
from tweeter.errors import LONGEST_WAIT_US, SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources import past as networks
from tweeter.sources.opening import can_follow
from tweeter.store import coverage, keywords, look_backs, past, streams
from tweeter.store.engine import reading, writing
from tweeter.store.leases import owner
from tweeter.store.schema import jobs
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

HOUR_US = 3_600_000_000
POSTS = 400


@pytest.fixture
def jetstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served[JetstreamSimulator]]:
    """A server that talks fast, so that its silences may be short."""
    monkeypatch.setattr(networks, "QUIET_S", 1.0)
    monkeypatch.setattr(networks, "FIRST_S", 3.0)
    with Served(JetstreamSimulator()) as served:
        yield served


def row(engine: Engine) -> Any:
    with reading(engine) as connection:
        return connection.execute(select(jobs).where(jobs.c.kind == "look_back")).one()


def a_look_back(engine: Engine, served: Served[JetstreamSimulator], posts: int = POSTS) -> int:
    """A keyword that asks for two hours; the posts are of an hour ago."""
    begun = now_us() - HOUR_US
    said = [post_event(f"storm {n:03}", n, time_us=begun + n * 10_000) for n in range(posts)]
    served.do(served.it.publish(said))
    keyword = keywords.add(engine, "storm")
    take(engine, "bluesky", "bluesky")
    assert look_backs.ask_for_new_keywords(engine, 2) == 1
    return keyword.id


def work(engine: Engine, tmp_path: Path, served: Served[JetstreamSimulator]) -> None:
    config = settings(tmp_path, BLUESKY_URL=served.it.url, HELPERS="0")
    look_back.work(engine, config, claim(engine, anew=True))


def test_a_server_that_falls_silent_in_the_middle_is_asked_again(
    engine: Engine, tmp_path: Path, jetstream: Served[JetstreamSimulator]
) -> None:
    a_look_back(engine, jetstream)
    jetstream.it.falls_silent = [150]
    work(engine, tmp_path, jetstream)
    assert row(engine).state == "done", row(engine).words
    assert len(texts(engine)) == POSTS
    assert len(jetstream.it.connects) >= 3  # silent; silent after the last one; that one again


@pytest.mark.parametrize("hides", [True, False])
def test_what_became_of_an_account_meanwhile_is_not_undone_by_an_older_event(
    engine: Engine, tmp_path: Path, jetstream: Served[JetstreamSimulator], hides: bool
) -> None:
    begun = now_us() - HOUR_US
    said = [post_event(f"storm {n}", n, time_us=begun + n * 1_000_000) for n in range(4)]
    statuses = ("", "takendown") if hides else ("deactivated", "")
    older = account_event(said[0]["did"], statuses[0], time_us=begun + 1_500_000)
    jetstream.do(jetstream.it.publish([*said[:2], older, *said[2:]]))
    keywords.add(engine, "storm")
    lease = take(engine, "bluesky", "bluesky")
    assert look_backs.ask_for_new_keywords(engine, 2) == 1
    live = (said[0], account_event(said[0]["did"], statuses[1]))
    bodies = [msgspec.json.encode(one) for one in live]
    events = [RawEvent(shape="bluesky", body=body, received_at=now_us()) for body in bodies]
    receive(engine, lease, events)
    work(engine, tmp_path, jetstream)
    assert row(engine).state == "done", row(engine).words
    assert ("storm 0" in texts(engine)) is not hides


def test_a_server_that_sends_nothing_is_asked_later_and_nothing_is_covered(
    engine: Engine, tmp_path: Path, jetstream: Served[JetstreamSimulator]
) -> None:
    keyword = a_look_back(engine, jetstream)
    jetstream.it.falls_silent = [0]
    work(engine, tmp_path, jetstream)
    assert (row(engine).state, row(engine).version) == ("waiting", 1)
    assert "fell silent before" in row(engine).words
    assert covered_s(engine, keyword) == 0
    work(engine, tmp_path, jetstream)
    assert row(engine).state == "done", row(engine).words
    assert len(texts(engine)) == POSTS
    assert covered_s(engine, keyword) > 0


def covered_s(engine: Engine, keyword: int) -> float:
    since = now_us() - HOUR_US // 2
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=now_us()))
    return sum(one.covered_s for one in coverage.of_keyword(engine, keyword, since))


def test_a_server_without_any_event_ends_a_look_back_in_words(
    sqlite_engine: Engine,
    tmp_path: Path,
    jetstream: Served[JetstreamSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "FIRST_S", 0.2)
    a_look_back(sqlite_engine, jetstream, posts=0)
    for _ in range(past.TRIES):
        work(sqlite_engine, tmp_path, jetstream)
    assert row(sqlite_engine).state == "failed"
    assert "fell silent before" in row(sqlite_engine).words


def test_a_look_back_that_waits_for_a_silent_server_is_not_given_to_another_worker(
    engine: Engine,
    tmp_path: Path,
    jetstream: Served[JetstreamSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look_back, "RENEW_S", 0.1)
    a_look_back(engine, jetstream, posts=0)
    job = claim(engine)
    with writing(engine) as connection:
        connection.execute(update(jobs).values(lease_until=1))  # it has run out
    waiting: list[list[int]] = []

    def look() -> bool:
        waiting.append(past.waiting(engine))
        return False

    config = settings(tmp_path, BLUESKY_URL=jetstream.it.url, HELPERS="0")
    look_back.work(engine, config, job, should_stop=look)
    assert waiting
    assert waiting == [[]] * len(waiting)


def test_a_look_back_that_is_broken_off_still_knows_from_when_on_there_was_something(
    engine: Engine, tmp_path: Path, jetstream: Served[JetstreamSimulator]
) -> None:
    a_look_back(engine, jetstream)
    jetstream.it.falls_silent = [150, 0]
    work(engine, tmp_path, jetstream)
    assert row(engine).state == "waiting"
    assert f'"began_us":{jetstream.it.events[0][0]},' in row(engine).options
    work(engine, tmp_path, jetstream)
    assert row(engine).state == "done", row(engine).words
    assert f'"began_us":{jetstream.it.events[0][0]},' in row(engine).options


def limited(config: Config, engine: Engine, sim: MastodonSimulator, reset_s: float) -> Any:
    sim.answers = [(429, {"X-RateLimit-Reset": iso(reset_s)} if reset_s else {}, {"error": "x"})]
    look_back.work(engine, config, claim(engine, anew=True))
    return row(engine)


def test_a_rate_limit_is_no_failure_of_a_look_back(engine: Engine, tmp_path: Path) -> None:
    with Served(MastodonSimulator()) as served:
        sim = served.it
        config = settings(tmp_path, MASTODON_URL=sim.url, MASTODON_TOKEN=sim.token, HELPERS="0")
        keywords.add(engine, "storm")
        mastodon(sim, engine)
        assert look_backs.ask_for_new_keywords(engine, 2) == 1
        for _ in range(past.TRIES + 1):
            now = now_us()
            waits = limited(config, engine, sim, now / 1e6 + 1800)
            assert (waits.state, waits.version) == ("waiting", 0)
            assert 1700 < (waits.retry_at - now) / 1e6 < 1900
        silent = limited(config, engine, sim, 0)  # it does not say how long
        assert (silent.retry_at - now_us()) / 1e6 > past.LIMITED_S - 60
        assert silent.version == 0


def test_the_page_with_which_a_limit_is_used_up_is_stored(engine: Engine, tmp_path: Path) -> None:
    with Served(MastodonSimulator()) as served:
        sim = served.it
        said = [status(n, f"storm {n:02}", at_s=time.time() - 60 - n) for n in range(60)]
        served.do(sim.publish(said))
        config = settings(tmp_path, MASTODON_URL=sim.url, MASTODON_TOKEN=sim.token, HELPERS="0")
        keywords.add(engine, "storm")
        mastodon(sim, engine)
        assert look_backs.ask_for_new_keywords(engine, 2) == 1
        sim.pages_left = 1  # the first page brings the word that there is no other one now
        look_back.work(engine, config, claim(engine, anew=True))
        assert (row(engine).state, row(engine).version) == ("waiting", 0)
        assert "limits our rate" in row(engine).words
        assert texts(engine) == [f"storm {n:02}" for n in range(40)]
        sim.pages_left = 300
        look_back.work(engine, config, claim(engine, anew=True))
        assert row(engine).state == "done", row(engine).words
        assert len(texts(engine)) == 60


def test_who_lacks_a_server_leaves_its_past_to_others(engine: Engine, tmp_path: Path) -> None:
    keywords.add(engine, "storm")
    server = {"url": "https://server.example"}
    take(engine, "mastodon:server.example", "mastodon")
    streams.ensure(engine, "mastodon:server.example", "mastodon", server)
    assert look_backs.ask_for_new_keywords(engine, 2) == 1
    before = row(engine)
    its = settings(tmp_path, MASTODON_URL=server["url"], MASTODON_TOKEN="a")
    other = settings(tmp_path, MASTODON_URL="https://other.example", MASTODON_TOKEN="a")
    without = partial(can_follow, other)
    assert past.claim(engine, before.id, owner(), can_follow=without) is None
    assert row(engine) == before
    found = past.claim(engine, before.id, owner(), can_follow=partial(can_follow, its))
    assert found is not None
    assert found.tries == 0
    past.pause(engine, found, "Under way.")
    with writing(engine) as connection:  # nobody has it: then the job ends, with the reason
        connection.execute(update(stream_table).values(wanted=False))
    assert past.claim(engine, before.id, owner(), can_follow=without) is not None


def test_a_wrong_clock_of_a_network_puts_a_job_off_by_a_day_at_most(engine: Engine) -> None:
    keywords.add(engine, "storm")
    take(engine, "bluesky", "bluesky")
    assert look_backs.ask_for_new_keywords(engine, 2) == 1
    error = SourceError("limited", "Too much.", retry_at=now_us() + 365 * LONGEST_WAIT_US)
    past.put_off(engine, claim(engine), error, 5.0)
    assert row(engine).retry_at <= now_us() + LONGEST_WAIT_US
