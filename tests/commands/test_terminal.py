"""What strangers wrote is printed to people without anything that steers their terminal."""

import re

import pytest
from sqlalchemy import update

from tests.commands.conftest import Person, follow
from tests.store.posts import AT, post, store
from tweeter.moments import iso
from tweeter.store import annotations, keywords
from tweeter.store.engine import writing
from tweeter.store.quarantine import Rejected, put
from tweeter.store.schema import intervals, streams
from tweeter.store.schema import keywords as keyword_table

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u202c\r\nforged line"
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def evil(person: Person) -> Person:
    """Everything that comes from outside holds EVIL."""
    engine = person.engine
    keywords.add(engine, "storm")
    lease = follow(engine, gap_s=(60, 120))
    more = {"author_handle": f"evil{EVIL}", "lang": "en"}
    store(engine, lease, post(1, f"storm {EVIL} #tag{EVIL}", **more))
    annotations.add(engine, 0, "seen", AT, 0)
    with writing(engine) as connection:
        put(connection, lease.stream_id, Rejected(b"\x1b[2J", "not JSON", EVIL, EVIL), AT)
        connection.execute(update(streams).values(reason=EVIL))
        connection.execute(update(intervals).values(cause=EVIL))
        connection.execute(update(keyword_table).values(expression=f'"storm {EVIL}"'))
    return person


@pytest.mark.parametrize(
    "words",
    [
        "posts",
        "search storm",
        "status",
        "source list",
        f"gaps list --since {iso(AT)}",
        "quarantine list",
        "keyword list",
        "keyword show 1",
        "keyword preview storm",
        f"stats 1 --since {iso(AT)} --until {iso(AT + 3_600_000_000)}",
        "annotation list",
    ],
)
def test_no_command_prints_what_steers_a_terminal(evil: Person, words: str) -> None:
    done = evil.run(*words.split())
    assert done.exit_code == 0, done.stderr
    assert done.stdout
    assert not STEERS.findall(done.stdout + done.stderr)
    assert not re.search("^forged", done.stdout, re.MULTILINE)


def test_errors_and_data_for_programs(evil: Person) -> None:
    wrong = evil.run("keyword", "add", f"(storm {EVIL}")
    assert wrong.exit_code == 2
    assert not STEERS.findall(wrong.stderr)
    (found,) = evil.json("posts")
    assert found["text"].startswith(f"storm {EVIL}")  # as it was written
