"""Every line of every recorded file is accounted for, and a second reading stores nothing."""

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tweeter.cli import cli

# Events that may be counted as malformed, by file: only the line that was cut off on purpose.
BROKEN = {"x_v2_stream_broken.jsonl": 1}


def recorded(samples: Path) -> list[Path]:
    found = [*samples.glob("*.jsonl"), *samples.glob("*.jsonl.gz"), *samples.glob("*.txt")]
    return sorted(found)


@pytest.fixture
def tweeter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TWEETER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TWEETER_LOG_LEVEL", "ERROR")
    runner = CliRunner()

    def run(*words: str) -> str:
        done = runner.invoke(cli, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    run("init")
    return run


def lines_in(path: Path) -> int:
    data = path.read_bytes()
    return len((gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines())


def counts(run: Any, path: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads(
        run("replay", str(path), "--speed", "max", "--wait", "--json").splitlines()[-1]
    )
    return found


@pytest.mark.timeout(600)
def test_each_recorded_file_is_accounted_for(samples: Path, tweeter: Any) -> None:
    tweeter("keyword", "add", "the OR covid OR der OR love OR 香港 OR 日本 OR a")
    stored = 0
    for path in recorded(samples):
        found = counts(tweeter, path)
        parts = sum(found[name] for name in found if name not in ("lines", "events"))
        assert parts == found["events"], path.name
        assert found["lines"] == lines_in(path), path.name
        assert found["quarantined"] == BROKEN.get(path.name, 0), path.name
        stored += found["stored"]
    assert stored > 5_000
    assert len(tweeter("posts", "--json").splitlines()) >= stored * 0.98
    again = counts(tweeter, recorded(samples)[0])
    assert again["stored"] == 0


def test_posts_are_printed_with_what_was_promised(tmp_path: Path, tweeter: Any) -> None:
    added = json.loads(tweeter("keyword", "add", "storm", "--json"))
    post = {"data": {"id": "123", "text": "a storm", "created_at": "2024-05-06T07:08:09.000Z"}}
    file = tmp_path / "posts.jsonl"
    file.write_text(json.dumps(post) + "\n\n" + json.dumps(post) + "\nrubbish\n")
    assert counts(tweeter, file) == {
        "lines": 4,
        "events": 4,
        "stored": 1,
        "unmatched": 0,
        "applied": 0,
        "ignored": 1,
        "duplicates": 1,
        "quarantined": 1,
    }
    (line,) = tweeter("posts", "--keyword", str(added["id"]), "--json").splitlines()
    printed = json.loads(line)
    assert printed["network"] == "x"
    assert printed["post_id"] == "123"
    assert printed["text"] == "a storm"
    assert printed["created_at"] == "2024-05-06T07:08:09.000000Z"
    assert printed["keywords"] == [added["id"]]


@pytest.mark.parametrize("speed", ["max", "5000x"])  # read in parts, and by a slot
def test_what_is_read_without_the_index_is_found_all_the_same(
    tmp_path: Path, tweeter: Any, monkeypatch: pytest.MonkeyPatch, speed: str
) -> None:
    monkeypatch.setenv("TWEETER_SEARCH_INDEX", "false")
    tweeter("keyword", "add", "storm")
    file = tmp_path / "posts.jsonl"
    at = "2024-05-06T07:08:09.000Z"
    some = [{"data": {"id": f"1{n}", "text": f"storm {n}", "created_at": at}} for n in range(3)]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in some))
    tweeter("replay", str(file), "--speed", speed, "--wait")
    assert len(tweeter("search", "storm -1", "--json").splitlines()) == 2
    with sqlite3.connect(tmp_path / "data" / "tweeter.db") as database:
        assert database.execute("SELECT count(*) FROM search_texts").fetchone() == (0,)
    database.close()
