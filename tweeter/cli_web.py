"""`tweeter web`, as a command among others and, for the process that serves, by itself."""

import os

import click

from tweeter import broker
from tweeter import config as configuration
from tweeter.cli_ground import Guarded, run, say, set_up
from tweeter.store.overview import START_A_WORKER, overview


@click.group(cls=Guarded)
def alone() -> None:
    """The command `web` and no other, so that what only others need is not loaded."""


@alone.command()
def web() -> None:
    """Serve the pages (a part of `up`; alone it follows nothing)."""
    from tweeter import server  # Flask and Tornado: no other command needs them

    config, engine = set_up()
    configuration.log_to_stderr(config)
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


def main() -> None:
    """What `tweeter web` and `run_application.py` do."""
    run(alone)
