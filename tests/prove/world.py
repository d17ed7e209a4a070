"""The networks of a check, and the ledger of what was said on them.

Everything that is published goes through `say`, so the ledger holds what an auditor needs: which
post, when, on which network, and which words are in it. Simulators never hold a post back for a
client that is away.
"""

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from tests.integration.running import Running
from tests.simulators import jetstream, mastodon
from tests.simulators import x as x_sim
from tests.simulators.served import Served

FIRST_X_ID = 1_900_000_000_000_000_000


class Said(NamedTuple):
    """A post of the script. key is our identity of it, at_us the moment it was published."""

    network: str
    key: str
    text: str
    at_us: int
    event: dict[str, Any]


class World:
    """`with World() as world`: X, a Jetstream and a Mastodon server, and what was said there.

    More Mastodon servers are called "mastodon-2" and so on.
    """

    def __init__(self, networks: Iterable[str] = ("x", "bluesky", "mastodon")) -> None:
        self.networks = tuple(networks)
        self.said: list[Said] = []
        self._numbers = 0
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        makers: dict[str, Any] = {
            "x": x_sim.XSimulator,
            "bluesky": lambda: jetstream.JetstreamSimulator(ping_s=1_000),
            "mastodon": mastodon.MastodonSimulator,
        }
        self.served = {
            n: self._stack.enter_context(Served(makers[n.partition("-")[0]]()))
            for n in self.networks
        }
        if "x" in self.served:
            self.x.heartbeat_s = 1.0
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def x(self) -> x_sim.XSimulator:
        return self.served["x"].it  # type: ignore[no-any-return]

    @property
    def bluesky(self) -> jetstream.JetstreamSimulator:
        return self.served["bluesky"].it  # type: ignore[no-any-return]

    @property
    def mastodon(self) -> mastodon.MastodonSimulator:
        return self.served["mastodon"].it  # type: ignore[no-any-return]

    def settings(self) -> dict[str, str]:
        """For `Run.tweeter`."""
        found: dict[str, str] = {}
        if "x" in self.served:
            found |= {"X_API_BASE": self.x.url, "X_BEARER_TOKEN": self.x.token}
            found |= {"X_DAY_POSTS": "0", "X_MONTH_POSTS": "0"}  # else the rules pause at 10,000
        if "bluesky" in self.served:
            found |= {"BLUESKY_URL": self.bluesky.url, "BLUESKY_API": ""}
        if "mastodon" in self.served:
            found |= {"MASTODON_URL": self.mastodon.url, "MASTODON_TOKEN": self.mastodon.token}
        others = [self.served[n].it for n in self.networks if n.startswith("mastodon-")]
        if others:
            lines = [f"{server.url} {server.token}" for server in others]
            found["MASTODON_SERVERS"] = "\n".join(lines)
        return found

    def connected(self, network: str) -> bool:
        """True while somebody follows it."""
        if network == "bluesky":
            return bool(self.bluesky.clients)
        return bool(self.served[network].it.connected)

    def say(self, network: str, text: str, **fields: Any) -> Said:
        """Publish a post, and write it into the ledger."""
        found = self.prepare(network, text, **fields)
        self.publish(found)
        return found

    def prepare(self, network: str, text: str, **fields: Any) -> Said:
        """A post that nobody has seen yet. For X, `username` names its author."""
        with self._lock:
            self._numbers += 1
            number = self._numbers
        if network == "x":
            name = fields.pop("username", "sim_user")
            event = x_sim.post(FIRST_X_ID + number, text, **fields)
            user = {"id": event["data"]["author_id"], "username": name, "name": name}
            event["includes"]["users"] = [user]
            key = event["data"]["id"]
        elif network == "bluesky":
            event = jetstream.post_event(text, number, **fields)
            key = f"at://{event['did']}/app.bsky.feed.post/{event['commit']['rkey']}"
        else:
            event = mastodon.status(number, text, **fields)
            key = event["uri"]
        return Said(network, key, text, time.time_ns() // 1000, event)

    def publish(self, said: Said) -> None:
        """Send a prepared post to whoever is there."""
        self.said.append(said)
        self.do(said.network, self.served[said.network].it.publish([said.event]))

    def do(self, network: str, work: Any) -> Any:
        """Run a coroutine of a simulator."""
        return self.served[network].do(work)

    def begin(self, network: str, work: Any) -> Any:
        """Begin a coroutine on a simulator's loop; returns its future."""
        return self.served[network].begin(work)


def stored(tweeter: Running, network: str = "") -> dict[str, str]:
    """Keys and texts of stored posts that are not removed, straight from the database."""
    rows = tweeter.sql("SELECT p.network, p.key, p.text FROM posts p WHERE removed_at IS NULL")
    return {key: text for name, key, text in rows if network in ("", name)}


def twice(tweeter: Running) -> int:
    """Posts and matches that are there more than once, whatever the indexes promise."""
    posts = tweeter.sql("SELECT p.network, p.key FROM posts p")
    pairs = tweeter.sql("SELECT keyword_id, post_id FROM matches")
    return len(posts) - len(set(posts)) + len(pairs) - len(set(pairs))


def wrong_counts(tweeter: Running) -> int:
    """Keywords whose counter is not a recount of their matches."""
    counted = dict(tweeter.sql("SELECT keyword_id, count(*) FROM matches GROUP BY keyword_id"))
    rows = tweeter.sql("SELECT id, posts FROM keywords")
    return sum(posts != counted.get(keyword_id, 0) for keyword_id, posts in rows)


def intervals(tweeter: Running, stream: str) -> list[tuple[str, str, int, int | None, str]]:
    """(state, kind, from, to, outcome) of a stream's ledger, oldest first."""
    return tweeter.sql(  # type: ignore[return-value]
        "SELECT i.state, i.kind, i.started_at, i.ended_at, i.outcome FROM intervals i"
        " JOIN streams s ON s.id = i.stream_id WHERE s.name = ? ORDER BY i.started_at, i.id",
        stream,
    )


def state(tweeter: Running, stream: str) -> tuple[str, str]:
    """What the page says of a stream: a word and a sentence, from the health answer's source."""
    rows = tweeter.sql("SELECT state, reason FROM streams WHERE name = ?", stream)
    return (rows[0][0], rows[0][1]) if rows else ("", "")
