"""The one list of networks: how a stream of each is opened, and which streams the settings want."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tweeter.config import Config, installation_id
from tweeter.sources.base import Source
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.demo import DemoSource
from tweeter.sources.replay import ReplaySource
from tweeter.sources.x import XSource

Options = Mapping[str, Any]  # of a stream's row: what to follow; never a secret


class Wanted(NamedTuple):
    """A stream that the settings ask for; `off` says why it cannot run, "" if it can."""

    name: str
    network: str
    options: Options
    off: str = ""


def _x(config: Config, _: Options) -> Source:
    return XSource(config.x_bearer_token, config.x_api_base, installation_id(config))


def _bluesky(config: Config, options: Options) -> Source:
    return BlueskySource(options["url"], dictionary=config.bluesky_zstd_dictionary)


def _replay(_: Config, options: Options) -> Source:
    return ReplaySource(
        Path(options["path"]),
        speed=options["speed"],
        needs_keyword=bool(options.get("needs_keyword")),
    )


def _demo(_: Config, options: Options) -> Source:
    return DemoSource(seed=options["seed"])


SOURCES: dict[str, Callable[[Config, Options], Source]] = {
    "x": _x,
    "bluesky": _bluesky,
    "replay": _replay,
    "demo": _demo,
}


def runnable(config: Config) -> list[str]:
    """The networks that a worker with this configuration can follow."""
    return [name for name in SOURCES if name != "x" or config.x_bearer_token]


def wanted(config: Config) -> list[Wanted]:
    """The streams that the settings ask for."""
    no_token = "Off: no token. Set TWEETER_X_BEARER_TOKEN to follow X."  # noqa: S105 (words)
    no_url = "Off: TWEETER_BLUESKY_URL is empty."
    found = [
        Wanted("x", "x", {"api": config.x_api_base}, "" if config.x_bearer_token else no_token),
        Wanted(
            "bluesky", "bluesky", {"url": config.bluesky_url}, "" if config.bluesky_url else no_url
        ),
    ]
    found += [
        Wanted(
            f"replay:{path}",
            "replay",
            # Read once, at the first start: not before there is something to look for.
            {"path": str(path), "speed": config.replay_speed, "needs_keyword": True},
        )
        for path in config.replay
    ]
    return found
