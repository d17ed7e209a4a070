"""What the scheduler does in a tick, and hands out between two."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, text

from tests.store.posts import post, store, take
from tests.store.test_scale import begin, loaded
from tweeter import config as configuration
from tweeter import imports as reading
from tweeter.records import now_us
from tweeter.scheduler import RESEND_S, Scheduler
from tweeter.store import keywords, posts, streams
from tweeter.store.engine import writing
from tweeter.store.leases import owner
from tweeter.store.schema import tombstones


def test_a_file_is_handed_out_at_the_next_look_by_the_one_who_leads(
    engine: Engine, tmp_path: Path
) -> None:
    sent: list[tuple[str, int]] = []
    running = Scheduler(engine, loaded(tmp_path), lambda kind, number: sent.append((kind, number)))
    file = tmp_path / "posts.jsonl"
    file.write_text('{"data": {"id": "1", "text": "a storm"}}\n')
    stream_id = begin(engine, file, 10**6)
    running.look(99.0)
    assert sent == [], "it does not lead yet"
    running.tick(100.0)
    running.look(100.5)
    assert sent.count(("import", stream_id)) == 1
    running.look(101.0)
    assert sent.count(("import", stream_id)) == 1, "it was sent just now"
    running.look(100.0 + RESEND_S)
    assert sent.count(("import", stream_id)) == 2
    reading.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False)
    running.look(200.0)
    assert sent.count(("import", stream_id)) == 2
    other = tmp_path / "more.jsonl"
    other.write_text(file.read_text())
    second = begin(engine, other, 10**6)
    running.look(200.5)
    assert sent[-1] == ("import", second)
    with writing(engine) as connection:
        connection.execute(text("UPDATE leaders SET owner = 'elsewhere|boot|1|1'"))
    running.tick(220.0)
    running.look(240.0)
    assert sent.count(("import", second)) == 1, "another leads now"


def test_a_tick_removes_what_overtook_its_removal(engine: Engine, tmp_path: Path) -> None:
    keywords.add(engine, "storm")
    sent = post(1)
    store(engine, take(engine), sent)
    with writing(engine) as connection:
        grave = {"network": sent.network, "key": sent.key, "reason": "deleted", "at": now_us()}
        connection.execute(tombstones.insert().values(grave))
    Scheduler(engine, loaded(tmp_path), lambda *_: None).tick(100.0)
    may_happen = engine.dialect.name != "sqlite"
    assert [found.text == "" for found in posts.every(engine)] == [may_happen]


def test_a_network_is_off_only_until_a_server_of_it_is_named(
    engine: Engine, tmp_path: Path
) -> None:
    def ticks(**more: str) -> list[str]:
        environ = {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""}
        made = configuration.load(environ | {f"TWEETER_MASTODON_{k}": v for k, v in more.items()})
        Scheduler(engine, made, lambda *_: None).tick(100.0)
        return [s.name for s in streams.list_all(engine) if s.network == "mastodon"]

    assert ticks() == ["mastodon"]
    server = "mastodon:one.example"
    for _ in range(2):
        assert ticks(URL="https://one.example", TOKEN="t") == [server]
    streams.claim(engine, owner(), networks=["mastodon"])
    assert ticks() == [server], "another host follows it"
    with writing(engine) as connection:
        connection.execute(text("UPDATE streams SET lease_until = 0"))
    assert ticks() == [server], "its host died, and is missed"
    with writing(engine) as connection:
        connection.execute(text("UPDATE streams SET owner = ''"))
    assert ticks() == [server, "mastodon"], "nobody does"


def test_a_server_that_no_settings_name_any_more_is_off_and_comes_back(
    engine: Engine, tmp_path: Path
) -> None:
    server = "mastodon:one.example"

    def ticks(*names: str) -> tuple[bool, str]:
        lines = "\n".join(f"https://{name}.example t" for name in names)
        environ = {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""}
        made = configuration.load(environ | {"TWEETER_MASTODON_SERVERS": lines})
        Scheduler(engine, made, lambda *_: None).tick(100.0)
        (found,) = [one for one in streams.list_all(engine) if one.name == server]
        return found.wanted, found.state

    def held_at(us: int, lease_until: int, owner: str = "") -> None:
        with writing(engine) as connection:
            moments = "since = :at, heartbeat_at = :at, lease_until = :until, owner = :owner"
            how = {"at": us, "until": lease_until, "owner": owner}
            connection.execute(text(f"UPDATE streams SET {moments}"), how)

    assert ticks("one", "two") == (True, "waiting")
    assert ticks("two") == (True, "waiting"), "its host may just start again"
    held_at(1, now_us() + 60_000_000)
    assert ticks("two") == (True, "waiting"), "another host follows it"
    died = "elsewhere|boot|1|1"
    held_at(now_us() - 600_000_000, 0, died)
    assert ticks("two") == (True, "waiting"), "another host died, and is missed"
    held_at(1, 0, died)
    assert ticks("two") == (False, "off"), "it has not come back"
    assert ticks("one") == (True, "waiting")
    held_at(1, 0)
    assert ticks("two") == (False, "off")
    assert ticks() == (False, "off")
    assert ticks("one") == (True, "waiting")


def test_a_tick_asks_no_more_for_a_network_that_is_off(engine: Engine, tmp_path: Path) -> None:
    asked: list[str] = []

    def count(**environ: str) -> int:
        made = configuration.load({"TWEETER_DATA_DIR": str(tmp_path)} | environ)
        scheduler = Scheduler(engine, made, lambda *_: None)
        scheduler.tick(100.0)
        event.listen(engine, "before_cursor_execute", note)
        scheduler.tick(102.0)
        event.remove(engine, "before_cursor_execute", note)
        return sum("FROM streams" in one for one in asked)

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    on = count()
    asked.clear()
    assert count(TWEETER_BLUESKY_URL="") == on
