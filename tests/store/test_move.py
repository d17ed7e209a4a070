"""`tweeter db move`: a running SQLite installation comes to a server whole, killed anywhere."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from tests.conftest import ROOT
from tests.store.posts import post, removal, store, take
from tweeter.errors import Held, MustEnd, StoreError
from tweeter.store import (
    batches,
    changes,
    held,
    keywords,
    migrate,
    move,
    posts,
    quarantine,
    revisions,
    streams,
)
from tweeter.store.engine import make_engine, reading, writing
from tweeter.store.leases import Lease, owner
from tweeter.store.schema import matches
from tweeter.store.schema import posts as post_table

WIDE = "storm 🌪 " + "x" * 300


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "data").mkdir()
    engine = make_engine(f"sqlite:///{tmp_path / 'data' / 'tweeter.db'}")
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["postgresql", "mariadb"])
def target_url(request: pytest.FixtureRequest) -> str:
    name = {"postgresql": "pg_url", "mariadb": "mariadb_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


def fill(engine: Engine, count: int) -> Lease:
    keywords.add(engine, "storm")
    lease = take(engine)
    for start in range(0, count, 500):
        store(engine, lease, *(post(n, WIDE, key=f"é{n}") for n in range(start, start + 500)))
    store(engine, lease, removal(7), post(8, "storm 香港", key="a "), post(9, "storm", key="A"))
    rejected = quarantine.Rejected(bytes(range(256)), "not JSON", "", "")
    with writing(engine) as connection:
        quarantine.put(connection, 1, rejected, 5)
    return lease


def content(engine: Engine) -> dict[str, list[Any]]:
    """Every row of every table that is moved."""
    found = {}
    with reading(engine) as connection:
        for table in move.TABLES:
            rows = connection.execute(select(table)).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


class Writer(threading.Thread):
    """Goes on following: new posts, edits, removals, purges; until nothing may be written."""

    def __init__(self, engine: Engine, lease: Lease) -> None:
        super().__init__()
        self.engine, self.lease, self.stored = engine, lease, 0
        self.stop, self.error = threading.Event(), ""
        self.held = 0

    def run(self) -> None:
        number = 1_000_000
        while not self.stop.is_set():
            number += 10
            try:
                fresh = [post(number + n, WIDE) for n in range(10)]
                edited = post(number - 5, f"storm {number}", version="1", operation="update")
                outcome = store(self.engine, self.lease, *fresh, edited, removal(number - 7))
                self.stored += outcome.stored
                self._replace(number + 5)
            except MustEnd:
                self.error = "moved"
                return
            except Held:
                self.held += 1
            time.sleep(0.01)

    def _replace(self, number: int) -> None:
        """A post goes and comes again under another row id."""
        key = post(number).key
        with writing(self.engine) as connection:
            row = connection.execute(select(post_table).where(post_table.c.key == key)).mappings()
            values = dict(row.one())
            connection.execute(delete(post_table).where(post_table.c.key == key))
            connection.execute(delete(matches).where(matches.c.post_id == values["id"]))
            values["id"] = batches.row_id(number, key, 1)
            connection.execute(post_table.insert().values(values))


def command(source: Engine, *words: str) -> list[str]:
    return [sys.executable, "-m", "tweeter", "db", "move", *words]


def environment(source: Engine) -> dict[str, str]:
    assert source.url.database
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
    return kept | {"TWEETER_DATA_DIR": str(Path(source.url.database).parent)}


def test_a_move_that_is_killed_again_and_again_while_posts_are_stored_loses_nothing(
    source: Engine, target_url: str
) -> None:
    lease = fill(source, 20_000)
    writer = Writer(source, lease)
    writer.start()
    try:
        for number, words in enumerate(("feed:", "matches:", "posts:", "catching", "compared", "")):
            with subprocess.Popen(
                command(source, "--to", target_url),
                cwd=ROOT,
                env=environment(source),
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            ) as process:
                assert process.stderr is not None
                said = []
                for line in process.stderr:
                    said.append(line)
                    if words and words in line:
                        process.send_signal(signal.SIGKILL)
            assert ("Going on with the move that was begun.\n" in said) == (number > 0), said
            assert process.returncode == (-signal.SIGKILL if words else 0), said
            changes.free_if_abandoned(source)  # as a worker's keeper does
        writer.join(timeout=20)
        assert writer.error == "moved"
        assert writer.held
    finally:
        writer.stop.set()
        writer.join()
    target = make_engine(target_url)
    revisions.check(target)
    assert content(target) == content(source)
    assert len(content(target)["posts"]) == 20_002 + writer.stored
    again = take_over(target, lease)
    assert store(target, again, post(99, "storm")).stored == 1
    assert keywords.add(target, "flood").id == 2  # counts on
    target.dispose()


def take_over(engine: Engine, lease: Lease) -> Lease:
    """The stream goes on in the new database, with a newer epoch."""
    streams.release(engine, lease)
    newer = take(engine)
    assert newer == Lease(lease.stream_id, lease.epoch + 1)
    return newer


def test_a_move_that_is_cancelled_at_its_end_does_not_end(
    source: Engine, target_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = fill(source, 50)
    target = make_engine(target_url)
    verify = move.Move._verify

    def cancelled(self: move.Move) -> dict[str, move.Summed]:
        found = verify(self)
        move.cancel(source)
        assert store(source, lease, post(77)).stored == 1
        return found

    monkeypatch.setattr(move.Move, "_verify", cancelled)
    with pytest.raises(StoreError, match="was cancelled"):
        move.Move(source, target, lambda _: None).run()
    assert held.state(source) == held.FREE
    assert store(source, lease, post(78)).stored == 1
    target.dispose()


def test_after_a_move_nothing_is_written_to_the_old_database_until_it_is_cancelled(
    source: Engine, target_url: str
) -> None:
    lease = fill(source, 500)
    target = make_engine(target_url)
    said: list[str] = []
    sums = move.Move(source, target, said.append).run()
    assert sums["posts"].rows == 502
    assert any("posts" in words for words in said)
    with pytest.raises(MustEnd, match="TWEETER_DATABASE_URL"):
        store(source, lease, post(77))
    with pytest.raises(MustEnd):
        revisions.refuse_change(source)
    assert len(list(posts.every(source))) == 502  # it can be read
    assert move.Move(source, target, said.append).run() == {}
    assert said[-1] == "This database was moved before."
    with pytest.raises(StoreError, match="has ended"):
        move.cancel(source)
    assert held.state(source) == held.MOVED
    move.cancel(source, ended=True)
    assert store(source, lease, post(77)).stored == 1
    assert not move.cancel(source)
    target.dispose()


def test_a_copy_that_differs_is_not_switched_to(
    source: Engine, target_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = fill(source, 500)
    target = make_engine(target_url)
    whole = move.Move._follow

    def spoil(self: move.Move) -> None:
        whole(self)
        with writing(target) as connection:
            where = post_table.c.key == "é33"
            connection.execute(update(post_table).where(where).values(text="another"))

    monkeypatch.setattr(move.Move, "_follow", spoil)
    with pytest.raises(StoreError, match="copies of posts differ"):
        move.Move(source, target, lambda _: None).run()
    assert held.state(source) == held.FREE
    assert store(source, lease, post(77)).stored == 1
    with pytest.raises(StoreError, match="move into this database is not finished"):
        revisions.check(target)
    monkeypatch.undo()
    move.Move(source, target, lambda _: None).run()
    assert content(target) == content(source)
    target.dispose()


def test_a_hold_ends_with_the_process_that_asked_for_it(source: Engine) -> None:
    lease = fill(source, 500)
    living, dead = owner(os.getppid()), owner().rpartition("|")[0] + "|1"
    for mover, freed in ((living, False), (dead, True)):
        with changes.mover(source) as connection:
            if not changes.is_on(connection):
                changes.switch_on(connection, move.TABLES, "token")
            changes.note(connection, changes.OWNER, mover)
            held.set_state(connection, held.HOLD)
        with pytest.raises(Held, match="goes on by itself"):
            store(source, lease, post(77))
        assert changes.free_if_abandoned(source) is freed
    assert store(source, lease, post(77)).stored == 1


def test_a_move_goes_only_into_an_empty_database_and_never_two_at_once(
    source: Engine, target_url: str
) -> None:
    fill(source, 500)
    target = make_engine(target_url)
    migrate.upgrade(target)
    with pytest.raises(StoreError, match="empty it"):
        move.Move(source, target, lambda _: None).run()
    with writing(source) as connection:
        changes.note(connection, changes.OWNER, owner(os.getppid()))
    with pytest.raises(StoreError, match="Another `python -m tweeter db move`"):
        move.Move(source, target, lambda _: None).run()
    with pytest.raises(StoreError, match="being moved"):
        migrate.downgrade(source, "0001")
    target.dispose()
