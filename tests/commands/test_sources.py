"""`tweeter source`, `status`, `gaps`, `quarantine`: what they print, and a check's exit codes."""

import json
import re

import pytest
from sqlalchemy import update

from tests.commands.conftest import Person, follow
from tests.simulators.served import Served
from tests.simulators.x import XSimulator
from tests.sources.test_check import CASES, TOKEN
from tests.store.posts import AT, store
from tweeter.sources.check import TODO
from tweeter.store import keywords, streams
from tweeter.store.engine import writing
from tweeter.store.installation import installation_id
from tweeter.store.quarantine import Rejected, put
from tweeter.store.schema import streams as table
from tweeter.views.show import clock, exact

CODES = {"plan": 4, "credits": 5, "rate": 5, "occupied": 5, "clock": 1, "no rules": 0, "fine": 0}


@pytest.mark.parametrize("case", CODES)
def test_a_check_ends_with_the_code_of_its_cause(
    case: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(XSimulator(TOKEN)) as served:
        served.it.heartbeat_s = 0.05
        CASES[case][0](served.it)
        monkeypatch.setenv("TWEETER_X_API_BASE", served.it.url)
        monkeypatch.setenv("TWEETER_X_BEARER_TOKEN", TOKEN)
        result = person.run("source", "check", "x", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == CODES[case], rows
    assert all(row["todo"] for row in rows if row["verdict"] == "failed")


def test_a_check_knows_which_rules_at_x_are_ours(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = (f"tweeter:{installation_id(person.engine)}", "tweeter:0", "")
    with Served(XSimulator(TOKEN)) as served:
        served.it.rules = {str(n): {"value": "storm", "tag": tag} for n, tag in enumerate(tags)}
        served.it.heartbeat_s = 0.05
        monkeypatch.setenv("TWEETER_X_API_BASE", served.it.url)
        monkeypatch.setenv("TWEETER_X_BEARER_TOKEN", TOKEN)
        result = person.run("source", "check", "x")
    assert "1 rule of ours, 2 of other programs." in result.stdout


def test_a_missing_token_and_a_server_that_is_away(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = person.run("source", "check", "x")
    assert result.exit_code == 4
    assert f"next: {TODO['credentials']}" in result.stdout
    monkeypatch.setenv("TWEETER_MASTODON_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TWEETER_MASTODON_TOKEN", "t")
    result = person.run("source", "check", "mastodon")
    assert (result.exit_code, "cannot reach" in result.stdout) == (1, True)


def test_sources_are_listed_with_state_and_since(person: Person) -> None:
    follow(person.engine)
    text = person.run("source", "list").stdout
    assert "test" in text
    assert "since" in text
    (row,) = person.json("source", "list")
    assert row["since"].endswith("Z")
    assert row["counts"]["stored"] == 0


def test_the_status_for_programs_has_moments_as_text(person: Person) -> None:
    follow(person.engine)
    (status,) = person.json("status")
    (stream,) = status["overview"]["streams"]
    assert stream["last_post_at"] is None
    assert [stream] == person.json("source", "list")


def test_files_that_were_read_to_their_end_are_one_line_of_the_status(person: Person) -> None:
    for number, state in enumerate(("done", "failed", "done", "done")):
        stream = streams.ensure(person.engine, f"replay:/a/{number}.jsonl:1", "replay", {})
        with writing(person.engine) as connection:
            values = {"state": state, "stored": 700}
            connection.execute(update(table).where(table.c.id == stream).values(values))
    text = person.run("status").stdout
    assert re.findall(r"^replay:/a/(\d)", text, re.MULTILINE) == ["1"]
    assert "3 files read to the end, 2,100 stored:" in text
    assert person.run("source", "list").stdout.count("replay:/a/") == 4


def test_gaps_name_their_cause_and_what_became_of_them(person: Person) -> None:
    row = keywords.add(person.engine, "storm")
    follow(person.engine, gap_s=(60, 120))
    since = str(exact(AT))
    for more in ((), ("--keyword", str(row.id)), ("--stream", "test")):
        (gap,) = person.json("gaps", "list", "--since", since, *more)
        assert (gap["stream"], gap["outcome"], gap["state"]) == ("test", "lost", "down")
        assert gap["words"] == "The server closed."
        assert (gap["since"], gap["until"]) == (exact(AT + 60_000_000), exact(AT + 120_000_000))
    assert "  60 s  test" in person.run("gaps", "list", "--since", since).stdout
    assert "No gap since" in person.run("gaps", "list", "--since", "1s").stderr
    wrong = person.run("gaps", "list", "--since", "yesterday")
    assert (wrong.exit_code, "expected 2d" in wrong.stderr) == (2, True)


def test_a_gap_of_less_than_a_second_is_not_said_to_be_nothing(person: Person) -> None:
    follow(person.engine, gap_s=(60, 60.3))
    assert "  <1 s  test" in person.run("gaps", "list", "--since", str(exact(AT))).stdout


def test_quarantine_shows_the_reason(person: Person) -> None:
    lease = follow(person.engine)
    store(person.engine, lease)
    assert "Everything could be read" in person.run("quarantine", "list").stderr
    rejected = Rejected(b"\xff{", "not JSON", "byte 0", "posts.jsonl line 12")
    with writing(person.engine) as connection:
        put(connection, lease.stream_id, rejected, AT)
    (kept,) = person.json("quarantine", "list")
    assert (kept["stream"], kept["reason"], kept["place"]) == (
        "test",
        "not JSON",
        "posts.jsonl line 12",
    )
    once = person.run("quarantine", "list", "--stream", "test").stdout
    assert "1x  not JSON: byte 0\n" in once
    with writing(person.engine) as connection:
        put(connection, lease.stream_id, rejected, AT + 3_600_000_000)
    (kept,) = person.json("quarantine", "list")
    assert (kept["first_at"], kept["last_at"]) == (exact(AT), exact(AT + 3_600_000_000))
    again = person.run("quarantine", "list").stdout
    assert f"2x  not JSON: byte 0 (since {clock(AT)})\n" in again
