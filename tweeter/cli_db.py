"""`tweeter db`: the database's steps up and down, its backup, and its move to a server."""

from pathlib import Path

import click
from sqlalchemy import Engine

from tweeter.checks import CHECKS, Fault
from tweeter.cli_ground import JSON, data, print_lines, say, set_up
from tweeter.errors import ConfigError, StoreError
from tweeter.store import migrate, move, revisions, search_texts, workers
from tweeter.store.engine import make_engine
from tweeter.texts import counted


def _refuse_beside_workers(engine: Engine) -> None:
    # Tables of another revision have no workers of this program.
    running = workers.alive(engine) if revisions.version(engine) == revisions.newest() else []
    if running:
        those = counted("%(count)s worker runs.", "%(count)s workers run.", len(running))
        raise StoreError(f"{those} Stop tweeter first.")


@click.group()
def db() -> None:
    """Upgrade, downgrade, back up and move the database."""


@db.command()
def upgrade() -> None:
    """Bring the tables to this version; the same as `python -m tweeter init`."""
    _, engine = set_up(check=None)
    before, now = migrate.upgrade(engine)
    say(f"The database is at revision {now}." if before == now else f"{before or 'none'} -> {now}")


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(revision: str, yes: bool) -> None:
    """Bring the tables back to REVISION; what only newer ones hold is deleted."""
    _, engine = set_up(check=revisions.refuse_absent)
    _refuse_beside_workers(engine)
    if not yes:
        click.confirm(f"Delete what revision {revision} has no place for?", abort=True, err=True)
    before, now = migrate.downgrade(engine, revision)
    say(f"{before} -> {now}")
    if engine.dialect.name == "sqlite" and before != now:
        say(f"As it was: {migrate.kept_at(engine, before)}")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Copy an SQLite database to FILE, also while tweeter runs."""
    _, engine = set_up(check=revisions.refuse_absent)
    migrate.backup(engine, file)
    say(f"Written: {file}")


@db.command(name="drop-index")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop_index(yes: bool) -> None:
    """Delete the search index, where it is switched off, and give its space back.

    Search goes on to work, by reading posts one after another. Switched on again, the index is
    made anew. An SQLite file is written anew: that takes as much free space as the posts need.
    """
    config, engine = set_up(check=revisions.refuse_absent)
    if config.search_index:
        raise StoreError("The search index is on. Set TWEETER_SEARCH_INDEX=false first.")
    _refuse_beside_workers(engine)
    if not yes:
        click.confirm("Delete the index of all posts?", abort=True, err=True)
    search_texts.wipe(engine)
    say("Deleted. Searches read posts one after another now.")


@db.command(name="move")
@click.option("--to", "url", help="postgresql://… or mysql://…, an empty database.")
@click.option("--cancel", is_flag=True, help="Give up a move; the SQLite file is used as before.")
@click.option("--yes", is_flag=True, help="Do not ask, with --cancel after the move has ended.")
@JSON
def run_move(url: str | None, cancel: bool, yes: bool, as_json: bool) -> None:
    """Move a running SQLite installation to a server.

    Run it again if it was interrupted: it goes on where it was. Writing is held back for seconds
    at the end; then tweeter stops by itself, to be started with the new TWEETER_DATABASE_URL.
    """
    _, source = set_up(check=revisions.refuse_absent)
    if source.dialect.name != "sqlite":
        raise StoreError("Only an SQLite database can be moved; TWEETER_DATABASE_URL is another.")
    if cancel:
        _cancel(source, yes)
        return
    target = make_engine(_checked(url))
    sums = move.Move(source, target, say).run()
    if as_json:
        data({n: s._asdict() for n, s in sums.items()})
    else:
        for name, found in sums.items():
            print_lines(f"{name:<20} {found.rows:>12,} rows  {found.checksum:016x}  equal")
    say(
        f"Moved. Set TWEETER_DATABASE_URL={target.url.render_as_string()} (with its password),"
        " then start tweeter again. The SQLite file is left as it is and refuses to be written."
    )


def _cancel(source: Engine, yes: bool) -> None:
    ended = move.has_ended(source)
    if ended and not yes:
        click.confirm(
            "The move has ended, and this file lacks what was stored on the server since."
            " Let it be written again?",
            abort=True,
            err=True,
        )
    found = move.cancel(source, ended=ended)
    if ended:
        say(
            "The move had ended. This file may be written again, and the server too: from now on"
            " they differ. Use one of them only."
        )
    else:
        say("Cancelled." if found else "There was no move to cancel.")


def _checked(url: str | None) -> str:
    try:
        checked = str(CHECKS["database_url"](url or ""))
    except Fault as expected:
        raise ConfigError([f"--to: expected {expected}."]) from expected
    if not checked or checked.startswith("sqlite"):
        raise ConfigError(["--to: expected a URL that begins with postgresql:// or mysql://."])
    return checked
