"""What the settings ask of the networks: nothing of their clients is loaded for it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tweeter.config import Config

Options = Mapping[str, Any]  # of a stream's row: what to follow; never a secret


class Wanted(NamedTuple):
    """A stream that the settings ask for; `off` says why it cannot run, "" if it can."""

    name: str
    network: str
    options: Options
    off: str = ""


def wanted(config: Config, installation: str) -> list[Wanted]:
    """The streams that the settings ask for. installation tells our rules at X from others'."""
    no_token = "Off: no token. Set TWEETER_X_BEARER_TOKEN to follow X."  # noqa: S105 (words)
    no_url = "Off: TWEETER_BLUESKY_URL is empty."
    no_server = "Off: no server. Set TWEETER_MASTODON_URL and TWEETER_MASTODON_TOKEN."
    found = [
        Wanted(
            "x",
            "x",
            {"api": config.x_api_base, "installation": installation},
            "" if config.x_bearer_token else no_token,
        ),
        Wanted(
            "bluesky",
            "bluesky",
            {"urls": list(config.bluesky_url)},
            "" if config.bluesky_url else no_url,
        ),
    ]
    found += [
        Wanted(server.stream, "mastodon", {"url": server.url}) for server in config.mastodon_servers
    ]
    if not config.mastodon_servers:
        found.append(Wanted("mastodon", "mastodon", {"url": ""}, no_server))
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


def with_look_up(config: Config) -> list[str]:
    """The networks whose posts can be looked up with these settings."""
    can = {
        "x": bool(config.x_bearer_token),
        "bluesky": bool(config.bluesky_api),
        "mastodon": bool(config.mastodon_servers),
    }
    return [network for network, possible in can.items() if possible]
