"""The atproto package's Jetstream client (v2, the only one it speaks): decoding only."""

from typing import Any

from atproto import JetstreamClient

from bench.peers import ground


def main() -> None:
    asked = ground.arguments()
    client = JetstreamClient(params={"collections": ["app.bsky.feed.post"]}, base_uri=asked.url)
    texts = 0

    def take(message: Any) -> None:
        nonlocal texts
        texts += bool(message.record.text)
        if texts == asked.count:
            client.stop()

    client.start(take)
    ground.done(posts=texts)


if __name__ == "__main__":
    main()
