"""The command `tweeter`. Data goes to stdout, everything else to stderr.

Exit codes: 0 done, 1 failed, 2 something that the person can mend (the message says how).
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tweeter import __version__, broker, supervisor
from tweeter import config as configuration
from tweeter.cli_replay import read_file
from tweeter.config import Config
from tweeter.errors import ConfigError, KeywordSyntaxError, StoreError, TweeterError
from tweeter.sources.demo import DEMO_KEYWORDS
from tweeter.store import demo as demo_data
from tweeter.store import feed, keywords, migrate, posts
from tweeter.store.engine import make_engine
from tweeter.store.keywords import KeywordRow
from tweeter.store.overview import START_A_WORKER, overview
from tweeter.store.posts import StoredPost
from tweeter.views.show import clock, exact

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def say(words: str) -> None:
    """Tell the person; never mixed with data."""
    click.echo(words, err=True)


def data(value: Any) -> None:
    """Print one JSON value as one line."""
    click.echo(msgspec.json.encode(value).decode())


def fail(words: str, code: int = 2) -> NoReturn:
    """Say what is wrong and leave."""
    say(words)
    sys.exit(code)


class Guarded(click.Group):
    """Turns our exceptions into a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeywordSyntaxError as error:
            fail(str(error))
        except TweeterError as error:
            fail(str(error))
        except OperationalError as error:
            fail(f"The database does not answer: {error.orig}", 1)
        except SQLAlchemyError as error:
            fail(f"The database failed: {type(error).__name__}: {error}", 1)


@click.group(cls=Guarded, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tweeter")
def cli() -> None:
    """Follow keywords live on X, Bluesky and Mastodon, in your own database."""


def set_up(*, check: bool = True) -> tuple[Config, Engine]:
    """The settings and this process's engine; check: refuse a database that is not ready."""
    config = configuration.load()
    configuration.make_data_dir(config)
    engine = make_engine(config.database_url)
    if check:
        migrate.check(engine)
    return config, engine


def log_to_stderr(config: Config) -> None:
    """One line an event."""
    logging.basicConfig(
        level=config.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )


@cli.command()
def init() -> None:
    """Create the database or bring it up to date; safe to run again."""
    create_database()


def create_database() -> None:
    """What `tweeter init` and `database_init.py` do."""
    _, engine = set_up(check=False)
    before, now = migrate.upgrade(engine)
    if before == now:
        say(f"The database is ready: {engine.url.render_as_string()} (revision {now}).")
    else:
        done = "Created" if not before else f"Upgraded from {before}"
        say(f"{done}: {engine.url.render_as_string()} (revision {now}).")


@cli.command()
def up() -> None:
    """Start everything: broker, workers, scheduler and web, under one parent."""
    config = configuration.load()
    configuration.make_data_dir(config)
    sys.exit(supervisor.run(config, supervisor.default_roles(config), before=create_database))


@cli.command()
def web() -> None:
    """Serve the pages (a part of `up`; alone it follows nothing)."""
    run_web()


def run_web() -> None:
    """What `tweeter web` and `run_application.py` do."""
    from tweeter import server  # Flask and Tornado: only the web process needs them

    config, engine = set_up()
    log_to_stderr(config)
    keeper = None
    if not config.broker_url and not os.environ.get("TWEETER_SUPERVISED"):
        keeper = broker.BrokerKeeper(config)
        keeper.start()
        say(f"tweeter is at http://127.0.0.1:{config.port}/add_keyword")
        if not overview(engine).workers:
            say(f"No worker is running yet. Start one in another terminal: {START_A_WORKER}")
    try:
        server.serve(config, engine)
    finally:
        if keeper is not None:
            keeper.stop()


@cli.command()
def scheduler() -> None:
    """Reconcile streams and jobs every two seconds (a part of `up`)."""
    from tweeter import tasks
    from tweeter.scheduler import TICK_S, Scheduler

    config, engine = set_up()
    log_to_stderr(config)
    running = Scheduler(engine, config, tasks.send_job)
    while True:
        try:
            running.tick(time.monotonic())
        except SQLAlchemyError as error:
            logging.getLogger("tweeter.scheduler").error("tick_failed error=%s", error)
        time.sleep(TICK_S)


@cli.command(name="broker")
def run_broker() -> None:
    """Run the embedded broker (a part of `up`)."""
    config = configuration.load()
    log_to_stderr(config)
    broker.BrokerKeeper(config).run_forever()


@cli.group()
def keyword() -> None:
    """Add, list, edit, pause, resume, remove and restore keywords."""


def _print_keyword(row: KeywordRow, as_json: bool) -> None:
    if as_json:
        data(row)
    else:
        click.echo(f"{row.id:>5}  {row.state:<8} {row.posts:>9,} posts  {row.expression}")


@keyword.command()
@click.argument("expression")
@JSON
def add(expression: str, as_json: bool) -> None:
    """Follow EXPRESSION, such as '(storm OR flood) NOT sale'."""
    config, engine = set_up()
    with pointing_at(expression):
        row = keywords.add(engine, expression, max_keywords=config.max_keywords)
    _print_keyword(row, as_json)


@contextmanager
def pointing_at(expression: str) -> Iterator[None]:
    """Shows a syntax error under the expression."""
    try:
        yield
    except KeywordSyntaxError as error:
        say(f"  {expression}\n  {' ' * error.position}^")
        raise


@keyword.command(name="list")
@click.option("--removed", is_flag=True, help="Also those that were removed.")
@JSON
def list_keywords(removed: bool, as_json: bool) -> None:
    """All keywords, newest first."""
    _, engine = set_up()
    for row in keywords.list_all(engine, removed=removed):
        _print_keyword(row, as_json)


@keyword.command()
@click.argument("keyword_id", type=int)
@click.argument("expression")
@JSON
def edit(keyword_id: int, expression: str, as_json: bool) -> None:
    """Give a keyword another EXPRESSION; stored posts are matched again."""
    _, engine = set_up()
    with pointing_at(expression):
        row = keywords.edit(engine, keyword_id, expression)
    _print_keyword(row, as_json)


def _state_command(name: str, state: str, words: str) -> None:
    @keyword.command(name=name, help=words)
    @click.argument("keyword_id", type=int)
    @JSON
    def change(keyword_id: int, as_json: bool) -> None:
        _, engine = set_up()
        _print_keyword(keywords.set_state(engine, keyword_id, state), as_json)


_state_command("pause", "paused", "Stop following a keyword; its posts stay.")
_state_command("resume", "active", "Follow a paused keyword again.")
_state_command("restore", "active", "Bring a removed keyword back.")


@keyword.command()
@click.argument("keyword_id", type=int)
@click.option("--purge", is_flag=True, help="Also delete its posts, in ten minutes.")
@JSON
def rm(keyword_id: int, purge: bool, as_json: bool) -> None:
    """Remove a keyword. Undo: tweeter keyword restore."""
    _, engine = set_up()
    _print_keyword(keywords.set_state(engine, keyword_id, "removed", purge=purge), as_json)


@cli.command(name="posts")
@click.option("--keyword", "keyword_id", type=int, help="Only this keyword's.")
@JSON
def print_posts(keyword_id: int | None, as_json: bool) -> None:
    """Stored posts, newest first."""
    _, engine = set_up()
    if keyword_id is not None:
        keywords.get(engine, keyword_id)
    for post in posts.every(engine, keyword_id=keyword_id):
        _print_post(post, as_json)


def _print_post(post: StoredPost, as_json: bool) -> None:
    if as_json:
        value = msgspec.to_builtins(post)
        value |= {name: exact(value[name]) for name in value if name.endswith("_at")}
        data(value | {"id": str(post.id)})  # over 2^53: as text
        return
    text = " ".join(post.text.split()) if post.removed_at is None else "(removed)"
    who = post.author_handle or post.author_name or post.author_id
    click.echo(f"{clock(post.occurred_at)}  {post.network:<9} {who}: {text}")


@cli.command()
@click.option("--keyword", "keyword_id", type=int, help="Only this keyword's.")
@JSON
def tail(keyword_id: int | None, as_json: bool) -> None:
    """Print each new post as it is stored, until Ctrl-C."""
    _, engine = set_up()
    position = feed.last(engine)
    while True:
        entries = feed.since(engine, position)
        found = posts.by_ids(engine, [entry.post_id for entry in entries])
        for entry in entries:
            position = entry.seq
            post = found.get(entry.post_id)
            if entry.kind == "post" and post and keyword_id in (None, *post.keywords):
                _print_post(post, as_json)
        sys.stdout.flush()
        time.sleep(0.2)


@cli.command()
@JSON
def status(as_json: bool) -> None:
    """How the streams are doing."""
    _, engine = set_up()
    found = overview(engine)
    if as_json:
        data({"overview": found, **posts.totals(engine)})
        return
    totals = posts.totals(engine)
    click.echo(
        f"{totals['posts']:,} posts, {totals['keywords']:,} keywords, {found.workers} workers."
    )
    if found.warning:
        click.echo(found.warning)
    for stream in found.streams:
        counts = f"{stream.counts['stored']:,} stored"
        click.echo(f"{stream.name:<12} {stream.state:<16} {counts:<16} {stream.words}")


@cli.command()
@click.option("--remove", is_flag=True, help="Remove the demo and everything it stored.")
@JSON
def demo(remove: bool, as_json: bool) -> None:
    """Start an invented stream with three ready keywords."""
    _, engine = set_up()
    if remove:
        count = demo_data.remove(engine)
        data({"removed_posts": count}) if as_json else say(f"Removed, with {count} posts.")
        return
    ids = demo_data.start(engine, DEMO_KEYWORDS)
    if as_json:
        data({"keywords": ids})
    else:
        say(f"The demo runs with keywords {', '.join(map(str, ids))}. See /live, or: tweeter tail")
    if not overview(engine).workers:
        say(overview(engine).warning)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--speed", default="max", show_default=True, help="max, 10x or 50/s.")
@click.option("--wait", is_flag=True, help="Wait for the end and count.")
@JSON
def replay(file: Path, speed: str, wait: bool, as_json: bool) -> None:
    """Read recorded posts from FILE (JSON lines or SSE; plain, .gz or .zst)."""
    config, engine = set_up()
    if wait:
        log_to_stderr(config)
    result = read_file(config, engine, file, speed, wait=wait)
    if result is None:
        say(f"{file} will be read by the workers. See: tweeter status")
        if not overview(engine).workers:
            say(overview(engine).warning)
        return
    state, words, counts = result
    if as_json:
        data(counts)
    else:
        click.echo("  ".join(f"{name} {count:,}" for name, count in counts.items()))
    if state != "done":
        fail(words, 1)


def main() -> None:
    """Entry point of `tweeter` and `python -m tweeter`."""
    try:
        cli.main(prog_name="tweeter", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # `tweeter posts | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


__all__ = ["ConfigError", "StoreError", "create_database", "main", "run_web"]
