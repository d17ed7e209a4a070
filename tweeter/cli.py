"""The command `tweeter`: what starts things is here, the rest in cli_*.py.

Data goes to stdout, everything else to stderr; `cli_ground` lists the exit codes.
"""

import logging
import time
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from tweeter import __version__, broker, supervisor
from tweeter import config as configuration
from tweeter.cli_ground import (
    JSON,
    Guarded,
    data,
    fail,
    moments_as_text,
    print_lines,
    run,
    say,
    set_up,
)
from tweeter.cli_replay import Result, begin, check, read_to_end
from tweeter.errors import Held
from tweeter.sources.demo_words import DEMO_KEYWORDS
from tweeter.store import demo as demo_data
from tweeter.store import posts, revisions, trouble
from tweeter.store.installation import installation_id
from tweeter.store.overview import overview
from tweeter.texts import counted, of_posts

# Loaded with what they need: the command that is given is one of them, or none.
LATER = {
    "annotation": "tweeter.cli_annotations:annotation",
    "db": "tweeter.cli_db:db",
    "gaps": "tweeter.cli_sources:gaps_group",
    "keyword": "tweeter.cli_keywords:keyword",
    "posts": "tweeter.cli_posts:print_posts",
    "quarantine": "tweeter.cli_sources:quarantine_group",
    "search": "tweeter.cli_search:find",
    "source": "tweeter.cli_sources:source",
    "stats": "tweeter.cli_statistics:print_statistics",
    "tail": "tweeter.cli_posts:tail",
    "web": "tweeter.cli_web:web",
}


@click.group(cls=Guarded, later=LATER, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tweeter")
def cli() -> None:
    """Follow keywords live on X, Bluesky and Mastodon, in your own database."""


@cli.command()
def init() -> None:
    """Create the database or bring it up to date; safe to run again."""
    create_database()


def create_database() -> None:
    """What `tweeter init` and `database_init.py` do."""
    from tweeter.store import migrate  # with Alembic

    config, engine = set_up(check=None)
    before, now = migrate.upgrade(engine)
    installation_id(engine, before=configuration.old_installation_id(config))
    if before == now:
        say(f"The database is ready: {engine.url.render_as_string()} (revision {now}).")
    else:
        done = "Created" if not before else f"Upgraded from {before}"
        say(f"{done}: {engine.url.render_as_string()} (revision {now}).")


@cli.command()
def up() -> None:
    """Start everything: broker, workers and web, under one parent."""
    supervisor.main()


@cli.command()
def scheduler() -> None:
    """Reconcile streams and jobs every two seconds, as every worker does too."""
    from tweeter import tasks
    from tweeter.scheduler import LOOK_S, Scheduler

    config, engine = set_up()
    configuration.log_to_stderr(config)
    tasks.join(engine)
    broker.await_ours(config)
    running = Scheduler(engine, config, tasks.send_job)
    while True:
        try:
            revisions.refuse_change(engine)
            running.turn(time.monotonic())
        except (SQLAlchemyError, Held) as error:
            if words := trouble.news("tick", error):
                logging.getLogger("tweeter.scheduler").error("tick_failed words=%s", words)
        time.sleep(LOOK_S)


@cli.command(name="broker")
def run_broker() -> None:
    """Run the embedded broker (a part of `up`)."""
    broker.main()


@cli.command()
@JSON
def status(as_json: bool) -> None:
    """How the streams are doing."""
    _, engine = set_up()
    found = overview(engine)
    if as_json:
        data(moments_as_text({"overview": found, **posts.totals(engine)}))
        return
    totals = posts.totals(engine)
    parts = (
        of_posts(totals["posts"]),
        *([f"{totals['demo']:,} invented (demo)"] if totals["demo"] else []),
        counted("%(count)s keyword", "%(count)s keywords", totals["keywords"]),
        counted("%(count)s worker", "%(count)s workers", found.workers),
    )
    print_lines(f"{', '.join(parts)}.")
    if found.warning:
        print_lines(found.warning)
    ended = [stream for stream in found.streams if stream.state == "done"]
    for stream in found.streams:
        if stream not in ended:
            counts = f"{stream.counts['stored']:,} stored"
            print_lines(f"{stream.name:<12} {stream.state:<16} {counts:<16} {stream.words}")
    if ended:  # there may be hundreds, and nothing comes of them
        files = counted("%(count)s file", "%(count)s files", len(ended))
        stored = sum(stream.counts["stored"] for stream in ended)
        print_lines(f"{files} read to the end, {stored:,} stored: python -m tweeter source list")


@cli.command()
@click.option("--remove", is_flag=True, help="Remove the demo and everything it stored.")
@JSON
def demo(remove: bool, as_json: bool) -> None:
    """Start an invented stream with three ready keywords."""
    _, engine = set_up()
    if remove:
        gone = demo_data.remove(engine)
        if as_json:
            data({"removed_posts": gone.posts, "kept_keywords": list(gone.kept)})
            return
        say(f"Removed, with {of_posts(gone.posts)}.")
        for keyword_id, expression in gone.kept.items():
            say(f"Keyword {keyword_id} ({expression}) stays: it was changed, or found real posts.")
        return
    ids = demo_data.start(engine, DEMO_KEYWORDS)
    if as_json:
        data({"keywords": ids})
    else:
        said = f"The demo runs with keywords {', '.join(map(str, ids))}. See /live, or:"
        say(f"{said} python -m tweeter tail")
    if not overview(engine).workers:
        say(overview(engine).warning)


@cli.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--speed", default="max", show_default=True, help="max, 10x or 50/s.")
@click.option("--wait", is_flag=True, help="Wait for the end and count.")
@JSON
def replay(files: tuple[Path, ...], speed: str, wait: bool, as_json: bool) -> None:
    """Read recorded posts from FILES (JSON lines or SSE; plain, .gz or .zst)."""
    config, engine = set_up()
    check(files, speed)
    if wait:
        configuration.log_to_stderr(config)
    begun = [begin(engine, file, speed) for file in files]
    for file, stream_id in zip(files, begun, strict=True):
        if wait:
            _print_counts(read_to_end(config, engine, stream_id), as_json)
        else:
            say(f"{file} will be read by the workers. See: python -m tweeter status")
    if not wait and not overview(engine).workers:
        say(overview(engine).warning)


def _print_counts(result: Result, as_json: bool) -> None:
    state, words, counts = result
    if as_json:
        data(counts)
    else:
        print_lines("  ".join(f"{name} {count:,}" for name, count in counts.items()))
    if state != "done":
        fail(words, 1)


def main() -> None:
    """Any command."""
    run(cli)
