"""R19: the tables change under a running tweeter: the old one ends with a reason, nothing is lost.

The new version is a copy of the program with one more step, started beside the old one on the
same database, as on another machine: its start brings the tables up to date, the old processes
see it and end, and the streams move.
"""

import itertools
import shutil
import time
from pathlib import Path

from tests.integration.running import Running, wait_for
from tests.prove.beside import Beside
from tests.prove.flow import Flow, audit
from tests.prove.harness import Run
from tests.prove.poison import _Database
from tests.prove.slow_db import server_url
from tests.prove.world import World

POSTS_A_S, FULL_POSTS_A_S = 500, 2_000
BEFORE_S, AFTER_S = 8, 12
ENDED_S = 15
PAUSE_S = 5
MUST_END = 78
STEP = '''"""A step of a later version, for a check only."""
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"


def upgrade() -> None:
    column = sa.Column("later", sa.Integer(), nullable=False, server_default="0")
    op.add_column("posts", column)
    op.create_index("ix_posts_later", "posts", ["later", "occurred_at"])


def downgrade() -> None:
    op.drop_index("ix_posts_later", "posts")
    op.drop_column("posts", "later")
'''


def run(run: Run) -> None:
    new_root = later_version(run.root, run.folder / "later")
    shared = run.folder / "shared.db"
    _upgraded(run, "sqlite", f"sqlite:///{shared}", new_root)
    server = server_url()
    if server:
        with _Database(server) as database:
            _upgraded(run, "postgresql", database.url, new_root)
    else:
        run.figures["postgresql"] = "left out: set TWEETER_TEST_PG_URL"
    run.fired(upgraded=2 if server else 1)


def later_version(root: Path, target: Path) -> Path:
    """A copy of the program with one more step."""
    target.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "tweeter", target / "tweeter", ignore=ignore)
    steps = target / "tweeter" / "store" / "migrations" / "versions"
    head = sorted(path.stem.partition("_")[0] for path in steps.glob("0*.py"))[-1]
    name = f"{int(head) + 1:04d}"
    (steps / f"{name}_later.py").write_text(STEP.format(revision=name, head=head))
    return target


class _Pauses(Beside):
    """Notes when the number of posts grows, ten times a second."""

    def __init__(self, tweeter: Running) -> None:
        super().__init__()
        self._tweeter = tweeter
        self.grown: list[float] = []

    def work(self) -> None:
        last = -1
        while not self.ended.wait(0.1):
            now = self._tweeter.sql("SELECT max(value) FROM positions WHERE name = 'feed'")[0][0]
            if now != last:
                self.grown.append(time.monotonic())
                last = now

    def longest_s(self, since_s: float) -> float:
        """The longest time without a new post after a moment."""
        later = [since_s, *(at for at in self.grown if at > since_s)]
        return max(b - a for a, b in itertools.pairwise(later))


def _upgraded(run: Run, name: str, url: str, new_root: Path) -> None:
    rate = FULL_POSTS_A_S if run.full else POSTS_A_S
    with World(["bluesky"]) as world:
        settings = {"DATABASE_URL": url, **world.settings()}
        new = run.tweeter(f"{name}_new", **settings)
        new.root = new_root
        with run.tweeter(f"{name}_old", **settings) as old:
            old.add("storm")
            wait_for(lambda: world.connected("bluesky"), 60, "for Bluesky")
            with Flow(world, rate) as flow, _Pauses(old) as pauses:
                time.sleep(BEFORE_S)
                began_s = time.monotonic()
                with new:
                    run.fault("upgraded")
                    _old_ends(run, name, old, began_s)
                    time.sleep(AFTER_S)
                    run.figure(f"{name}_pause_s", pauses.longest_s(began_s), most=PAUSE_S)
                    flow.end()
                    audit(run, new, flow.keys, name)
                    _old_is_refused(old)


def _old_ends(run: Run, name: str, old: Running, began_s: float) -> None:
    process = old.process
    assert process is not None
    wait_for(lambda: process.poll() is not None, ENDED_S, "for the old version to end")
    run.figure(f"{name}_old_ended_s", time.monotonic() - began_s, most=ENDED_S)
    run.figure(f"{name}_old_exit_code", process.returncode, least=MUST_END, most=MUST_END)
    log = old.log_text()
    assert "Start the new version" in log, log[-2000:]
    run.figure(f"{name}_tracebacks", log.count("Traceback (most recent call last)"), most=0)


def _old_is_refused(old: Running) -> None:
    """The old version does not touch tables of a later one, and says why."""
    words = old.cli("init", check=False)
    assert "used by a newer one" in words, words
