"""Commands as a person gives them, on a database of their own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, update

from tests.store.posts import AT, take
from tweeter.cli import cli
from tweeter.cli_ground import PROGRAM
from tweeter.store import ledger
from tweeter.store.engine import make_engine, writing
from tweeter.store.leases import Lease
from tweeter.store.ledger import Turn
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table


class Person:
    """Gives commands; `engine` looks into the same database."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def run(self, *words: str, given: str | bytes = "") -> Result:
        return CliRunner().invoke(cli, list(words), input=given, prog_name=PROGRAM)

    def json(self, *words: str, given: str | bytes = "") -> list[Any]:
        result = self.run(*words, "--json", given=given)
        assert result.exit_code == 0, result.stderr
        return [json.loads(line) for line in result.stdout.split("\n")[:-1]]


@pytest.fixture
def person(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Person]:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("TWEETER_DATA_DIR", str(folder))
    monkeypatch.setenv("TWEETER_BLUESKY_URL", "")
    shutil.copy(sqlite_template, folder / "tweeter.db")
    engine = make_engine(f"sqlite:///{folder / 'tweeter.db'}")
    yield Person(engine, folder)
    engine.dispose()


def follow(engine: Engine, *, gap_s: tuple[float, float] | None = None) -> Lease:
    """A stream that is live from AT on, with a gap of these seconds; keywords began at AT."""
    lease = take(engine)
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=AT))
        connection.execute(update(stream_table).values(covered_until=AT))
    ledger.enter(engine, lease, Turn(state="live", cause="", at=AT))
    if gap_s:
        begin, end = (AT + int(s * 1_000_000) for s in gap_s)
        down = Turn(state="down", cause="The server closed.", at=begin, kind="closed")
        ledger.enter(engine, lease, down)
        ledger.enter(engine, lease, Turn(state="live", cause="", at=end, outcome="lost"))
    return lease
