"""twarc2's own stream, into a file of JSON lines."""

import json
from pathlib import Path

import tweepy
from twarc.client2 import Twarc2

from bench.peers import ground


def main() -> None:
    asked = ground.arguments()
    rules = tweepy.StreamingClient("sim-token")
    rules.session.mount("https://api.twitter.com", ground.ToSource(asked.url))
    rules.add_rules(tweepy.StreamRule("keyword", tag="keyword"))
    twarc = Twarc2(bearer_token="sim-token")
    twarc.client.mount("https://api.twitter.com", ground.ToSource(asked.url))
    left = asked.count
    with Path(asked.file).open("w") as file:
        for found in twarc.stream():
            file.write(json.dumps(found) + "\n")
            left -= 1
            if not left:
                break
    with Path(asked.file).open() as file:
        ground.done(posts=sum(1 for _ in file))


if __name__ == "__main__":
    main()
