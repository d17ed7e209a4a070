"""The health page and /healthz: the verdict, its reasons, and that they come when things fail."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pymysql
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError, PendingRollbackError

from tests.integration.running import free_port
from tests.prove.proxy import Proxy
from tests.store.posts import AT, post, store, take
from tests.views.test_guard import serving
from tests.views.test_statistics import asked_of
from tweeter import config, server
from tweeter.records import now_us
from tweeter.store import (
    job_rows,
    jobs,
    keywords,
    ledger,
    name_jobs,
    past,
    streams,
    trouble,
    unindexed,
    workers,
)
from tweeter.store.engine import make_engine, writing
from tweeter.store.leases import owner
from tweeter.store.ledger import Turn
from tweeter.store.schema import jobs as job_table
from tweeter.store.schema import streams as stream_table
from tweeter.store.schema import workers as worker_table
from tweeter.web import create_app


def client_of(engine: Engine, folder: Path) -> FlaskClient:
    made = config.load({"TWEETER_DATA_DIR": str(folder), "TWEETER_SECRET_KEY": "k" * 32})
    return create_app(made, engine).test_client()


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> FlaskClient:
    return client_of(engine, tmp_path)


def asked(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/healthz").get_json()
    return found


def test_all_is_well_with_a_worker_and_a_stream(engine: Engine, client: FlaskClient) -> None:
    keywords.add(engine, "storm")
    workers.beat(engine, owner(), "worker1@here")
    lease = take(engine)
    streams.set_state(engine, lease, "live", "Live.")
    store(engine, lease, post(1))
    found = asked(client)
    assert (found["status"], found["workers"], found["problems"]) == ("ok", 1, [])
    (held,) = found["leases"]
    assert (held["stream"], held["owner"], held["epoch"]) == ("test", owner(), 1)
    assert 0 < held["left_s"] <= 15
    assert abs(found["clock_off_s"]) < 1
    assert found["storage"]["bytes"] > 0
    page = client.get("/health").get_data(as_text=True)
    assert "All is well: 1 stream is followed and stored." in page
    assert "today <b>0</b> gaps</span>" in page
    assert "the database and this machine agree" in page or "the database is" in page
    assert "is 0.0 s" not in page
    assert page.index("All is well") < page.index("<h2>"), "the verdict comes first"


def test_it_says_what_the_search_index_lacks(engine: Engine, client: FlaskClient) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, post(1))
    assert asked(client)["search_index"] == {"lacking": 0, "since_us": 0, "until_us": 0}
    assert "has every post" in client.get("/health").get_data(as_text=True)
    store(engine, lease, post(2), post(3), indexed=False)
    found = asked(client)
    assert found["search_index"] == {"lacking": 3, "since_us": AT + 2, "until_us": 0}  # by hours
    assert not any("index" in words for words in found["problems"]), "it was chosen"
    page = client.get("/health").get_data(as_text=True)
    assert "off: without about 3 posts, from" in page
    with writing(engine) as connection:
        unindexed.put(connection, unindexed.Stretch(AT + 2, AT + 3))
    page = client.get("/health").get_data(as_text=True)
    assert "is being made for about 3 posts, from" in page


def test_no_worker_is_said_and_is_no_failure_of_the_storing(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    found = answer.get_json()
    assert found["status"] == "attention"
    assert "No worker is running" in found["verdict"]


def test_gaps_quarantine_and_jobs_are_counted(engine: Engine, client: FlaskClient) -> None:
    keyword = keywords.add(engine, "storm")
    workers.beat(engine, owner(), "w")
    lease = take(engine)
    now = time.time_ns() // 1000
    outcomes = ("", "", "", "lost")  # before its first connection it was not followed
    states = (("down", now - 60), ("live", now - 50), ("down", now - 40), ("live", now - 10))
    for (state, at), outcome in zip(states, outcomes, strict=True):
        turn = Turn(state=state, cause="x", at=at, outcome=outcome)
        ledger.enter(engine, lease, turn)
    with writing(engine) as connection:
        jobs.start_rematch(connection, keyword.id, 1, now - 3_600_000_000)
    found = asked(client)
    if now % 86_400_000_000 > 1_000_000:  # not within a second of midnight
        assert (found["gaps_today"]["count"], found["gaps_today"]["lost"]) == (1, 1)
    assert found["jobs"]["waiting"] >= 1
    assert found["jobs"]["oldest_s"] > 3_500
    assert any("A job waits for 60 min" in words for words in found["problems"])
    page = client.get("/health").text
    assert "<b>1</b> job waits, for 36" in page
    if now % 86_400_000_000 > 1_000_000:
        assert "today <b>1</b> gap, &lt;1 s, <b>1</b> lost for good" in page


def test_a_job_that_was_put_off_waits_since_it_is_due(engine: Engine, client: FlaskClient) -> None:
    lease = take(engine)
    now = time.time_ns() // 1000
    times = {"since_us": 1, "began_us": 1, "until_us": 2}
    put_off = {"retry_at": now + 600_000_000}
    with writing(engine) as connection:
        past.start(connection, "look_back", lease.stream_id, times, now - 1_560_000_000, **put_off)
        job_rows.add(connection, name_jobs.KIND, 0, now - 9_000_000_000)  # it never ends
    found = asked(client)["jobs"]
    assert found == {"waiting": 0, "oldest_s": 0.0, "later": 1, "next_at": put_off["retry_at"]}
    page = client.get("/health").text
    assert "<b>0</b> jobs wait<" in page
    assert "<b>1</b> job waits for its next try, <time" in page
    with writing(engine) as connection:  # the moment came
        connection.execute(update(job_table).values(retry_at=now - 5_000_000))
    found = asked(client)["jobs"]
    assert (found["waiting"], found["later"], found["next_at"]) == (1, 0, 0)
    assert 4 < found["oldest_s"] < 120


def test_a_stream_that_is_down_is_named(engine: Engine, client: FlaskClient) -> None:
    workers.beat(engine, owner(), "w")
    lease = take(engine)
    streams.set_state(engine, lease, "down", "The network is away.")
    found = asked(client)
    assert found["status"] == "attention"
    assert found["verdict"] == "test: The network is away."


def test_a_failed_file_is_a_problem_until_it_is_read_again_or_for_a_week(
    engine: Engine, client: FlaskClient
) -> None:
    workers.beat(engine, owner(), "w")

    def end(name: str, state: str) -> int:
        stream_id = streams.ensure(engine, f"replay:{name}", "replay", {})
        ((_, lease),) = streams.claim(engine, owner(), networks=["replay"], only=stream_id)
        streams.finish(engine, lease, state, "It ends in the middle.")
        return stream_id

    end("/a.zst:1700000000000001", "failed")
    end("/b.zst:1700000000000002", "failed")
    end("/b.zst", "done")  # named in the settings
    end("/c.zst:1700000000000003", "done")
    late = end("/c.zst:1700000000000004", "failed")
    first = "replay:/a.zst:1700000000000001: It ends in the middle."
    last = "replay:/c.zst:1700000000000004: It ends in the middle."
    assert asked(client)["problems"] == [first, last]
    end("/a.zst:1700000000000005", "failed")
    assert first in asked(client)["problems"], "read again in vain"
    end("/a.zst:1700000000000006", "done")
    assert asked(client)["problems"] == [last]
    with writing(engine) as connection:
        week_us = 7 * 86_400_000_000
        old = update(stream_table).where(stream_table.c.id == late)
        connection.execute(old.values(since=stream_table.c.since - week_us))
    found = asked(client)
    assert (found["status"], found["problems"]) == ("ok", [])
    assert [s["state"] for s in found["streams"]].count("failed") == 4, "they stay in the list"


def test_a_dead_holder_is_seen_whatever_its_row_says(engine: Engine, client: FlaskClient) -> None:
    workers.beat(engine, owner(), "w")
    lease = take(engine)
    streams.set_state(engine, lease, "live", "Live.")
    gone = owner().rpartition("|")[0].rpartition("|")[0] + "|999999999|1"
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(owner=gone))
    found = asked(client)
    assert not found["leases"][0]["alive"]
    assert found["streams"][0]["state"] == "waiting"


def test_a_stream_that_no_worker_takes_is_told_though_one_is_running(
    engine: Engine, client: FlaskClient
) -> None:
    """As when a slot ended while the broker is away."""
    workers.beat(engine, owner(), "w")
    lease = take(engine)
    streams.set_state(engine, lease, "live", "Live.")
    streams.release(engine, lease)
    assert (asked(client)["status"], asked(client)["streams"][0]["state"]) == ("ok", "waiting")
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(heartbeat_at=1, since=1))
    assert asked(client)["status"] == "ok", "the worker has just begun"
    with writing(engine) as connection:
        connection.execute(update(worker_table).values(started_at=now_us() - 90_000_000))
    found = asked(client)
    assert (found["status"], found["streams"][0]["state"]) == ("attention", "down")
    assert found["verdict"].startswith("test: No worker has taken it for 9")


def test_a_full_disk_is_503_and_on_every_page(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "free_bytes", lambda _: 1_000)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "failing"
    assert "The disk is full" in client.get("/health").get_data(as_text=True)
    if engine.dialect.name == "sqlite":
        assert "The disk is full" in client.get("/").get_data(as_text=True)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    assert trouble.writes(tmp_path) == ""
    assert str(tmp_path / "gone") in trouble.writes(tmp_path / "gone")
    assert not list(tmp_path.iterdir()), "the probe is left behind"


def test_a_database_that_is_away_is_said_and_no_page_breaks(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/postgres"
    client = client_of(make_engine(url), tmp_path)
    for path in ("/", "/health", "/healthz", "/live", "/sources"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        text = answer.get_data(as_text=True)
        assert "The database does not answer: connection failed: " in text, path
        assert "Connection refused" in text, path
        assert "OperationalError" not in text, path
    detail = client.get("/api/v1/keywords").get_json()["detail"]
    assert detail == "Streams go on and store as soon as it is back."


def test_a_database_that_takes_questions_and_answers_none_is_said_in_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the pages' threads all wait for it."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    monkeypatch.setattr(server, "STOP_S", 60.0)

    async def work(proxy: Proxy, between: Engine) -> None:
        async with serving(between, tmp_path) as visit:
            assert (await visit("/healthz"))[0] == 200
            monkeypatch.setattr(server, "HEALTH_S", 1.0)
            proxy.hung = True
            pages = [asyncio.create_task(visit("/")) for _ in range(2 * server.PAGE_THREADS)]
            for _ in range(2):
                status, headers, body = await asyncio.wait_for(visit("/healthz"), 10)
                assert (status, headers["content-type"]) == (503, "application/json")
                assert json.loads(body)["verdict"].startswith("The database does not answer.")
            proxy.hung = False
            monkeypatch.setattr(server, "HEALTH_S", 30.0)
            assert {status for status, _, _ in await asyncio.gather(*pages)} == {200}
            while (await visit("/healthz"))[0] != 200:
                await asyncio.sleep(0.1)

    url = engine.url
    with Proxy(url.host or "127.0.0.1", url.port or 0) as proxy:
        between = url.set(host="127.0.0.1", port=proxy.port)
        asyncio.run(work(proxy, make_engine(between.render_as_string(hide_password=False))))


def test_what_a_database_said_is_told_and_nothing_where_it_said_nothing() -> None:
    away = trouble.words(PendingRollbackError("Can't reconnect until it is rolled back."))
    assert away == f"The database does not answer. {trouble.GOES_ON}"
    ends = trouble.words_of_end(PendingRollbackError("Can't reconnect until it is rolled back."))
    assert ends == "The database does not answer."
    cause = pymysql.err.OperationalError(2013, "Lost connection to the server.\nDETAIL: secret")
    lost = trouble.words(OperationalError("SELECT 1", {}, cause))
    said = "The database does not answer: Lost connection to the server."
    assert lost == f"{said} {trouble.GOES_ON}"


def test_a_log_is_told_of_what_fails_every_second_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    causes = [pymysql.err.OperationalError(2013, words) for words in ("Lost.", "Lost.", "Shut.")]
    lost, again, other = (OperationalError("SELECT 1", {}, cause) for cause in causes)
    assert trouble.news("tick", lost) == trouble.words(lost)
    assert trouble.news("tick", again) == ""
    assert trouble.news("tail", again) == trouble.words(lost)
    assert trouble.news("tick", other) == trouble.words(other)
    monkeypatch.setattr(trouble, "AGAIN_S", 0.0)
    assert trouble.news("tick", other) == trouble.words(other)


def test_a_locked_or_full_database_is_told_apart(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x BLOB)")
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        with pytest.raises(Exception, match="full") as caught:
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(1000000))")
        assert trouble.words(caught.value) == trouble.FULL
    other = make_engine(sqlite_url)
    with writing(engine), other.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
        with pytest.raises(Exception, match="locked") as caught:
            connection.exec_driver_sql("CREATE TABLE u (x)")
        assert "holds the lock" in trouble.words(caught.value)


def test_health_asks_nothing_of_tables_that_grow_with_posts(
    engine: Engine, client: FlaskClient
) -> None:
    """How long it takes is measured by `make bench-pages`."""
    keywords.add(engine, "storm")
    workers.beat(engine, owner(), "w")
    store(engine, take(engine), *(post(n) for n in range(3)))
    with asked_of(engine) as asked:
        client.get("/healthz")
    growing = {"posts", "search_texts", "matches", "feed", "volumes", "totals", "facets"}
    read = {name for text, _ in asked for name in re.findall(r"(?:FROM|JOIN) (\w+)", text)}
    assert "streams" in read
    assert not read & growing


def test_a_removed_keywords_jobs_are_gone_and_messages_about_them_do_nothing(
    engine: Engine,
) -> None:
    keyword = keywords.add(engine, "storm")
    lease = take(engine)
    store(engine, lease, *(post(n) for n in range(10)))
    keywords.set_state(engine, keyword.id, "paused")
    keywords.set_state(engine, keyword.id, "active")
    waiting = jobs.waiting(engine)
    assert waiting
    keywords.set_state(engine, keyword.id, "removed")
    assert jobs.waiting(engine) == []
    assert [jobs.claim(engine, waiting[0], owner()) for _ in range(100)] == [None] * 100
    with engine.connect() as connection:
        assert not connection.execute(job_table.select()).all()


def test_streams_that_we_follow_are_not_taken_anew_when_the_clock_jumps(engine: Engine) -> None:
    lease = take(engine)
    with writing(engine) as connection:  # an hour passed in a moment
        connection.execute(update(stream_table).values(lease_until=1))
    ours = [lease.stream_id]
    assert streams.claim(engine, owner(), networks=["bluesky"], besides=ours) == []
    assert streams.renew(engine, [lease], {}) == {lease.stream_id}
