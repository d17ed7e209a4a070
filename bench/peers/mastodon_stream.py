"""Mastodon.py's streaming: events are parsed and handed to a listener, nothing else."""

from typing import Any

from mastodon import Mastodon, StreamListener

from bench.peers import ground


class Enough(Exception):
    """All posts came."""


class Listener(StreamListener):  # type: ignore[misc]
    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def on_update(self, status: Any) -> None:
        self.left -= bool(status.content)
        if not self.left:
            raise Enough


def main() -> None:
    asked = ground.arguments()
    client = Mastodon(access_token="sim-token", api_base_url=asked.url, version_check_mode="none")
    listener = Listener(asked.count)
    try:
        client.stream_public(listener)
    except Enough:
        ground.done(posts=asked.count - listener.left)


if __name__ == "__main__":
    main()
