"""tweeter as a person runs it, on each database."""

from pathlib import Path

import pytest

from tests.integration.running import Running, wait_for
from tweeter.errors import MUST_END
from tweeter.store import revisions


@pytest.fixture
def running(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Running:
    folder = tmp_path_factory.mktemp("running")
    return Running(folder, DATABASE_URL=database_url)


@pytest.fixture(params=["postgresql", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    name = {"postgresql": "pg_url", "mariadb": "mariadb_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


def counted(tweeter: Running) -> int:
    return int(tweeter.sql("SELECT count(*) FROM posts")[0][0])


def test_the_demo_is_stored_and_its_counters_are_exact(running: Running) -> None:
    with running as tweeter:
        tweeter.cli("demo")
        wait_for(lambda: counted(tweeter) > 15, 40, "for the demo's posts")
    rows = tweeter.sql("SELECT id, posts FROM keywords")
    found = dict(tweeter.sql("SELECT keyword_id, count(*) FROM matches GROUP BY keyword_id"))
    assert {n: count for n, count in rows if count} == found


def test_processes_of_an_older_version_end_with_a_reason_when_the_schema_becomes_newer(
    running: Running,
) -> None:
    with running as tweeter:
        tweeter.cli("demo")
        wait_for(lambda: counted(tweeter) > 5, 40, "for the demo's posts")
        tweeter.sql("UPDATE alembic_version SET version_num = '9999'")
        assert tweeter.process is not None
        assert tweeter.process.wait(timeout=25) == MUST_END
        assert "brought to revision 9999 by another version of tweeter" in tweeter.log_text()
        assert "Traceback" not in tweeter.log_text()
        tweeter.sql(f"UPDATE alembic_version SET version_num = '{revisions.newest()}'")
        before = counted(tweeter)
        assert tweeter.sql("SELECT count(*) FROM streams WHERE owner <> ''") == [(0,)]
        tweeter.start()
        wait_for(lambda: counted(tweeter) > before, 40, "for more posts")


def test_a_running_installation_moves_to_a_server_and_goes_on_there(
    server_url: str, tmp_path: Path
) -> None:
    with Running(tmp_path) as tweeter:
        tweeter.cli("demo")
        wait_for(lambda: counted(tweeter) > 10, 40, "for the demo's posts")
        words = tweeter.cli("db", "move", "--to", server_url)
        assert "equal" in words
        assert tweeter.process is not None
        assert tweeter.process.wait(timeout=25) == MUST_END
        assert "moved to a server by `python -m tweeter db move`" in tweeter.log_text()
        assert "Traceback" not in tweeter.log_text()
        old = tweeter.sql("SELECT count(*) FROM posts")[0][0]
        tweeter.env["TWEETER_DATABASE_URL"] = server_url
        assert counted(tweeter) == old
        tweeter.start()
        wait_for(lambda: counted(tweeter) > old + 5, 60, "for more posts")
        assert tweeter.health()
    rows = dict(tweeter.sql("SELECT id, posts FROM keywords"))
    found = dict(tweeter.sql("SELECT keyword_id, count(*) FROM matches GROUP BY keyword_id"))
    assert {n: count for n, count in rows.items() if count} == found
