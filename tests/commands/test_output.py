"""Where output goes that nobody reads or that is full, and wrong arguments for programs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Person, follow
from tests.conftest import ROOT
from tests.store.posts import post, store
from tweeter.store import keywords

MANY = 1_500  # posts: more than a pipe holds


@pytest.fixture
def filled(person: Person) -> Person:
    keywords.add(person.engine, "storm")
    store(person.engine, follow(person.engine), *(post(n, "storm " * 30) for n in range(MANY)))
    return person


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", ["search storm -o csv --limit 1500", "search storm --limit 1500", "posts --json"]
)
def test_a_pipe_that_closes_early_is_no_failure(
    filled: Person, words: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    argv = [sys.executable, "-m", "tweeter", *words.split()]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(30) == 0, said
    assert "Error" not in said
    assert "Exception" not in said


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["posts", "search storm -o csv", "--help", "posts --help"])
def test_output_on_a_full_disk_is_said_in_a_sentence(
    filled: Person, words: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    argv = [sys.executable, "-m", "tweeter", *words.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert done.returncode == 1
    assert done.stderr.endswith("The output cannot be written: No space left on device.\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "detail"),
    [
        ("posts --json --since foo", "bad_moment", "'--since'"),
        ("posts --since foo --json", "bad_moment", "'--since'"),
        ("posts --keyword -3 --json", "bad_request", "'--keyword'"),
        ("posts --nothing --json", "bad_request", "--nothing"),
        ("nothing --json", "bad_request", "nothing"),
        ("keyword show --json", "bad_request", "ID"),
    ],
)
def test_wrong_arguments_are_problem_documents_for_programs(
    person: Person, words: str, code: str, detail: str
) -> None:
    done = person.run(*words.split())
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    problem = json.loads(line)
    assert problem["code"] == code
    assert detail in problem["detail"]
    plain = person.run(*words.replace("--json", "").split())
    assert (plain.exit_code, "Usage: " in plain.stderr) == (2, True)


def test_a_word_that_is_no_utf_8_is_told_as_a_problem(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def problem(*words: str) -> dict[str, Any]:
        result = person.run(*words, "--json")
        assert isinstance(result.exception, SystemExit), result.exception
        found: dict[str, Any] = json.loads(result.stderr)
        return found

    for words in (("gaps", "list", "--stream"), ("quarantine", "list", "--stream"), ("replay",)):
        assert "\ufffd" in problem(*words, "a\udcff")["detail"], words
    monkeypatch.setenv("TWEETER_LOG_LEVEL", "\udcff")
    assert "expected DEBUG" in problem("status")["faults"][0]


def test_a_range_that_ends_before_it_begins_is_said(person: Person) -> None:
    keywords.add(person.engine, "storm")
    store(person.engine, follow(person.engine), post(1))
    for words in (
        ("posts", "--since", "1d", "--until", "2d"),
        ("annotation", "list", "--since", "1d", "--until", "2d"),
        ("gaps", "list", "--since", "2999-01-01"),
        ("search", "--since", "1d", "--until", "2d"),
    ):
        result = person.run(*words)
        assert (result.exit_code, result.stdout) == (2, ""), words
        assert "The range ends before it begins." in result.stderr
    for words in ("posts", "search"):
        assert person.run(words, "--until", "1969-12-31").stdout == ""
        assert len(person.json(words)) == 1
