"""Processes that run for months beside the others load only what their work takes."""

import subprocess
import sys

import pytest

DATABASE = ("sqlalchemy", "alembic")
PAGES = ("flask", "tornado", "jinja2")
QUEUE = ("celery", "kombu")
SERVER = ("sqlalchemy.dialects.postgresql",)  # with SQLite: 40 ms of each command
NETWORKS = ("aiohttp", "picows", "tweepy", "requests")


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("tweeter.__main__", ("asyncio", "click", *DATABASE, *PAGES, *QUEUE)),
        ("tweeter.supervisor", ("click", *DATABASE, *PAGES, *QUEUE)),
        ("tweeter.broker", ("asyncio", "click", *DATABASE, *PAGES, *QUEUE)),
        ("tweeter.cli", ("alembic", *SERVER, *PAGES, *QUEUE, *NETWORKS)),
        ("tweeter.cli_web, tweeter.server", ("alembic", *SERVER, *QUEUE, *NETWORKS)),
        ("tweeter.views.flask_tasks, tweeter.keeper", ("alembic", *SERVER, *PAGES)),
        ("tweeter.helper", (*SERVER, *PAGES)),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module: str, without: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*(set({without!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
