"""`tweeter replay`: what is no recording is refused before anything is begun."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Person
from tweeter.store import quarantine, streams

PROSE = "# A title\n\nThis is a text, and no recording.\n\n\n- *nothing* in it is an event\n"
GOOD = {"data": {"id": "123", "text": "a storm", "created_at": "2024-05-06T07:08:09.000Z"}}


@pytest.mark.parametrize("more", [(), ("--wait",), ("--wait", "--speed", "5000x")])
@pytest.mark.parametrize(
    "body",
    [PROSE.encode(), gzip.compress(PROSE.encode()), b"[]\n3\n"],
    ids=["prose", "packed", "other JSON"],
)
def test_a_file_in_which_nothing_can_be_read_is_refused(
    person: Person, tmp_path: Path, body: bytes, more: Any
) -> None:
    good, prose = tmp_path / "good.jsonl", tmp_path / "prose.md"
    good.write_text(json.dumps(GOOD))
    prose.write_bytes(body)
    done = person.run("replay", str(good), str(prose), str(tmp_path / "none"), *more)
    assert done.exit_code == 2
    assert f"Nothing in {prose} can be read" in done.stderr
    assert "prose.md line 1: " in done.stderr
    assert "one JSON object a line" in done.stderr
    assert f"There is no file {tmp_path / 'none'}." in done.stderr
    assert streams.list_all(person.engine) == []


@pytest.mark.parametrize("more", [("--wait",), ("--wait", "--speed", "5000x")])
@pytest.mark.parametrize(
    ("body", "broken"),
    [
        (f"{PROSE}{json.dumps(GOOD)}\nrubbish\n", 4),
        (f"rubbish\n{json.dumps({'delete': {'status': {'id_str': '1'}}})}\n", 1),
        ("", 0),
        ("\n\n", 0),
    ],
    ids=["some", "a removal", "empty", "blank"],
)
def test_a_file_with_something_in_it_is_read(
    person: Person, tmp_path: Path, body: str, broken: int, more: Any
) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(body)
    (counts,) = person.json("replay", str(file), *more)
    assert counts["quarantined"] == broken == sum(quarantine.by_reason(person.engine).values())
    (stream,) = streams.list_all(person.engine)
    assert stream.state == "done"


def test_a_post_of_a_page_that_cannot_be_read_costs_no_other(
    person: Person, tmp_path: Path
) -> None:
    person.run("keyword", "add", "storm")
    file = tmp_path / "page.json"
    page = {"data": [GOOD["data"], {"id": "124"}, {"id": "125", "text": "calm"}]}
    file.write_text(json.dumps(page))
    (counts,) = person.json("replay", str(file), "--wait")
    expected = {"lines": 1, "events": 3, "stored": 1, "unmatched": 1, "quarantined": 1}
    assert {name: count for name, count in counts.items() if count} == expected
    (kept,) = quarantine.newest(person.engine, 1, limit=9)
    assert json.loads(kept.body) == {"id": "124"}
    assert kept.place == "page.json byte 0"


def test_a_damaged_file_says_so(person: Person, tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.gz"
    file.write_bytes(gzip.compress(PROSE.encode())[:-9])
    done = person.run("replay", str(file), "--wait")
    assert done.exit_code == 1
    assert "is damaged" in done.stderr


@pytest.mark.parametrize("speed", ["foo", "0x", "nanx", "-1/s", "fast/s", ""])
def test_a_speed_that_is_none_is_refused(person: Person, tmp_path: Path, speed: str) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(json.dumps(GOOD))
    done = person.run("replay", str(file), f"--speed={speed}")
    assert (done.exit_code, done.stderr) == (2, "--speed: expected max, 10x or 50/s.\n")
    assert streams.list_all(person.engine) == []


def test_what_is_there_and_no_file_is_called_what_it_is(person: Person, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    names = [str(tmp_path), "/dev/null", str(tmp_path / "file" / "in it"), "x" * 300]
    done = person.run("replay", *names)
    assert done.exit_code == 2
    folder, device, in_file, long = done.stderr.splitlines()
    assert folder == f"{tmp_path} is a folder. Give the files in it."
    assert device == "/dev/null is a device or a pipe, which cannot be read again. Give a file."
    assert in_file.startswith("There is no file")
    assert long.endswith("cannot be read: File name too long.")
