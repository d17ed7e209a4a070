"""`tweeter db`: the commands that could cost a database, on one with something in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.commands.conftest import Person, follow
from tests.conftest import ROOT
from tests.store.posts import post, store
from tweeter.cli import cli
from tweeter.cli_ground import PROGRAM
from tweeter.store import held, keywords, move, posts
from tweeter.store.changes import mover


@pytest.fixture
def filled(person: Person) -> Person:
    keywords.add(person.engine, "storm")
    store(person.engine, follow(person.engine), post(1), post(2))
    return person


def test_a_backup_never_takes_the_place_of_the_database(
    filled: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = filled.folder / "tweeter.db"
    (tmp_path / "link").symlink_to(database)
    (tmp_path / "folder").symlink_to(filled.folder)
    os.link(database, tmp_path / "same")
    monkeypatch.chdir(tmp_path)
    own = [str(database), "data/tweeter.db", "data/../data/tweeter.db", "link", "same"]
    own += [f"folder/tweeter.db{end}" for end in ("", "-wal", "-shm", "-journal")]
    for name in own:
        done = filled.run("db", "backup", name)
        assert done.exit_code == 2, name
        assert f"{name} is the database itself, or a part of it" in done.stderr
    assert len(list(posts.every(filled.engine))) == 2
    assert filled.run("db", "backup", "data/tweeter.db.copy").exit_code == 0


def test_a_backup_of_nothing_leaves_the_one_that_there_is(
    filled: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled.folder / "kept.db"
    assert filled.run("db", "backup", str(file)).exit_code == 0
    before = file.read_bytes()
    monkeypatch.setenv("TWEETER_DATA_DIR", str(filled.folder / "elsewhere"))
    done = filled.run("db", "backup", str(file))
    assert (done.exit_code, "There is no database at" in done.stderr) == (2, True)
    assert file.read_bytes() == before


def test_a_backup_beside_a_database_that_is_called_part_leaves_it(
    filled: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEETER_DATABASE_URL", f"sqlite:///{filled.folder / 'odd.part'}")
    assert filled.run("init").exit_code == 0
    size = (filled.folder / "odd.part").stat().st_size
    done = filled.run("db", "backup", str(filled.folder / "odd"))
    assert (done.exit_code, "odd.part is the database itself" in done.stderr) == (2, True)
    assert (filled.folder / "odd.part").stat().st_size == size > 0


def test_a_move_that_has_ended_is_cancelled_only_by_who_knows(filled: Person) -> None:
    words = ("db", "move", "--cancel")
    assert filled.run(*words).stderr == "There was no move to cancel.\n"
    for more, given in (((), "y\n"), (("--yes",), "")):
        with mover(filled.engine) as connection:
            held.set_state(connection, held.MOVED)
        asked = filled.run(*words, given="n\n")
        assert asked.exit_code == 1
        assert "this file lacks what was stored on the server" in asked.stderr
        assert held.state(filled.engine) == held.MOVED
        done = filled.run(*words, *more, given=given)
        assert (done.exit_code, "The move had ended." in done.stderr) == (0, True)
        assert not move.has_ended(filled.engine)
        assert held.state(filled.engine) == held.FREE


def test_a_database_is_its_owners_wherever_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "open" / "posts.db"
    file.parent.mkdir(mode=0o755)
    environ = {
        "TWEETER_DATA_DIR": str(file.parent),
        "TWEETER_DATABASE_URL": f"sqlite:///{file}",
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-m", "tweeter", "init"]
    subprocess.run(command, env=environ, cwd=ROOT, umask=0o022, check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("keyword", "list"),
        ("web",),
        ("db", "downgrade", "0009", "--yes"),
        ("db", "drop-index", "--yes"),
        ("db", "backup", "kept.db"),
        ("db", "move", "--cancel"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("where", ["nothing", "a folder", "an empty file"])
def test_without_a_database_a_command_says_where_it_looked_and_leaves_nothing_there(
    words: tuple[str, ...], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    if where != "nothing":
        folder.mkdir()
    if where == "an empty file":
        (folder / "tweeter.db").touch()
    before = sorted((str(file), file.stat().st_size) for file in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWEETER_DATA_DIR", "elsewhere")
    monkeypatch.setenv("TWEETER_SEARCH_INDEX", "false")
    done = CliRunner().invoke(cli, list(words), prog_name=PROGRAM)
    assert done.exit_code == 2
    assert f"There is no database at {folder}/tweeter.db yet. Create it: python " in done.stderr
    assert sorted((str(file), file.stat().st_size) for file in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("which", ["pg_url", "mariadb_url"])
def test_of_an_empty_database_on_a_server_its_url_is_said_without_a_password(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: str = request.getfixturevalue(which)
    url = make_url(given)
    monkeypatch.setenv("TWEETER_DATABASE_URL", given)
    monkeypatch.setenv("TWEETER_DATA_DIR", str(tmp_path / "data"))
    for words in (("status",), ("db", "downgrade", "0009", "--yes")):
        done = CliRunner().invoke(cli, list(words), prog_name=PROGRAM)
        assert done.exit_code == 2
        assert f"/{url.database} is empty. Create it: python database_init.py" in done.stderr
        assert not url.password or url.password not in done.stderr
    assert not (tmp_path / "data").exists()
