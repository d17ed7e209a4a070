"""The one list of networks: how a stream of each is opened."""

from collections.abc import Callable
from pathlib import Path

from tweeter.config import Config
from tweeter.errors import SourceError
from tweeter.keywords.x_limits import PLANS
from tweeter.sources.base import Source
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.demo import DemoSource
from tweeter.sources.mastodon import MastodonSource
from tweeter.sources.replay import ReplaySource
from tweeter.sources.wanted import Options
from tweeter.sources.x import XSource


def _x(config: Config, options: Options) -> Source:
    return XSource(
        config.x_bearer_token,
        config.x_api_base,
        options["installation"],
        plan=PLANS[config.x_plan],
    )


def _bluesky(config: Config, options: Options) -> Source:
    return BlueskySource(options["urls"], dictionary=config.bluesky_zstd_dictionary)


def _mastodon(config: Config, options: Options) -> Source:
    for server in config.mastodon_servers:
        if server.url == options["url"]:
            return MastodonSource(
                server.url,
                token=server.token,
                streaming_url=server.streaming_url,
                streams=server.streams,
            )
    raise SourceError("refused", f"The settings of this worker do not name {options['url']}")


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
    "mastodon": _mastodon,
    "replay": _replay,
    "demo": _demo,
}


def runnable(config: Config) -> list[str]:
    """The networks that a worker with this configuration can follow."""
    missing = {"x": not config.x_bearer_token, "mastodon": not config.mastodon_servers}
    return [name for name in SOURCES if not missing.get(name)]


def can_follow(config: Config, network: str, options: Options) -> bool:
    """Whether a worker with this configuration can follow a stream: it has its credentials."""
    if network == "mastodon":
        return options["url"] in [server.url for server in config.mastodon_servers]
    return network in runnable(config)
