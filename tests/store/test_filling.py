"""The benchmark's quick way to fill a database makes the tables that storing makes."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from bench import filling
from tests.store.sums import sums_are_a_recount
from tweeter.store import keywords, migrate
from tweeter.store.engine import make_engine, reading
from tweeter.store.schema import metadata, posts

POSTS = 600
CLOCK = {
    "at",
    "last_post_at",
    "heartbeat_at",
    "lease_until",
    "owner",
    "created_at",
    "changed_at",
} | {
    "complete_at",
    "since",
    "started_at",
}


def tables(engine: Engine) -> dict[str, list[Any]]:
    """All rows of all tables, without the moments at which this test ran."""
    found = {}
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            kept = [
                column
                for column in table.columns
                if table.name == "posts" or column.name not in CLOCK
            ]
            found[table.name] = sorted(map(repr, connection.execute(select(*kept))))
    return found


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(filling, "KEYWORDS", 20)
    monkeypatch.setattr(filling, "PIECE", 250)
    monkeypatch.setattr(filling, "_bring_to_now", lambda *_: None)
    engine = make_engine(f"sqlite:///{tmp_path / f'{POSTS}.db'}")
    filling.fill(engine, POSTS, tmp_path)
    return engine


def test_filling_quickly_makes_the_tables_that_storing_makes(
    filled: Engine, tmp_path: Path
) -> None:
    stored = make_engine(f"sqlite:///{tmp_path / 'stored.db'}")
    migrate.upgrade(stored)
    inventor = filling.Inventor(filling.followed(stored), seed=0)
    lease = filling.take(stored)
    filling.put(stored, lease, [inventor.post(n, at) for n, at in enumerate(moments(filled))])
    assert tables(filled) == tables(stored)
    assert schema(filled) == schema(stored)
    sums_are_a_recount(filled)
    for engine in (filled, stored):
        assert fulltext(engine) == POSTS


def test_a_server_is_filled_with_the_same(filled: Engine, pg_url: str, tmp_path: Path) -> None:
    server = make_engine(pg_url)
    migrate.upgrade(server)
    before = schema(server)
    filling.fill(server, POSTS, tmp_path)
    assert tables(filled) == tables(server)
    assert schema(server) == before
    keyword_id = keywords.add(server, "the next").id
    assert keyword_id == max(row.id for row in keywords.list_all(filled)) + 1


def moments(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return list(connection.execute(select(posts.c.occurred_at).order_by(posts.c.id)).scalars())


def schema(engine: Engine) -> list[Any]:
    wanted = (
        "SELECT type, name, sql FROM sqlite_master"
        if engine.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    with reading(engine) as connection:
        return sorted(map(repr, connection.exec_driver_sql(wanted)))


def fulltext(engine: Engine) -> int:
    """Posts that the index finds, of a word that all have in this time."""
    with reading(engine) as connection:
        days = {f"zd{at // filling.DAY_US}" for at in moments(engine)}
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM search_index WHERE search_index MATCH ?",
            (" OR ".join(sorted(days)),),
        )
        return int(found.scalar_one())
