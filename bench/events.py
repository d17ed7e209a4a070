"""Texts as the networks send them, and their bytes on the wire, made before anything is timed.

A body is made once by the simulators' own functions, with the ids' places marked; an event of
the stream is that body with ids of its own. Bodies follow each other in a circle, so that a
stream of any length needs the memory of its bodies only, until its frames are asked for.
"""

import json
import random
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bench import data
from bench.data import Text
from tests.simulators import jetstream, jetstream_v2, mastodon, x

NETWORKS = ("x", "bluesky", "mastodon")
EPOCH_MS = 1_288_834_974_657  # of X's ids
RKEY, TIME_US = "zzzzzzzzzzzzz", 7_777_777_777_777_777
X_ID = 7_777_777_777_777_777_777
STATUS = 7_777_777_777
AUTHORS = 20_000
CID = "bafyreib2rxk3rybk3aobmv5cjuql3bm2twh4jo5uxgf5kpqcsgz7soitae"


class Plan(NamedTuple):
    """What a source sends: `bodies` different texts, `share` of them with a keyword."""

    network: str
    bodies: int
    keywords: int
    share: float


class Stream:
    """The events of a plan: the first one's moment is at_us, step_us passes between two."""

    def __init__(self, plan: Plan, *, at_us: int = 0, step_us: int = 20) -> None:
        texts = data.plain_texts(plan.bodies)
        self.keywords = data.keywords(plan.keywords, texts)
        self.texts = data.with_keywords(texts, self.keywords, plan.share)
        self.network = plan.network
        # Some minutes old, so that no event of a long stream is in the future.
        self.at_us = at_us or time.time_ns() // 1000 - 1_800_000_000
        self.step_us = step_us
        make, self._join = FORMS[plan.network]
        dice = random.Random(data.SEED + 3)
        self._bodies = [make(text, texts, dice) for text in self.texts]

    def body(self, number: int) -> bytes:
        """An event as JSON."""
        moment_us = self.at_us + number * self.step_us
        return self._join(self._bodies[number % len(self._bodies)], number, moment_us)

    def key(self, number: int) -> str:
        """The identity that the product gives the post of an event."""
        value = json.loads(self.body(number))
        if self.network == "x":
            return str(value["data"]["id"])
        if self.network == "mastodon":
            return str(value["uri"])
        return f"at://{value['did']}/app.bsky.feed.post/{value['commit']['rkey']}"

    def expected(self, first: int, count: int) -> list[int]:
        """Which keyword each of some events holds; -1: none."""
        return [
            self.texts[number % len(self.texts)].keyword for number in range(first, first + count)
        ]


def _marked(value: Any, *marks: str) -> list[bytes]:
    """A value as JSON, cut where the marks stand (a mark may stand several times)."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for mark in marks:
        body = body.replace(mark, "\x00")
    return [part.encode() for part in body.split("\x00")]


# Jetstream: about 931 bytes.


def _did(number: int) -> str:
    return f"did:plc:{number:08d}{'k7q2m5x3w4z6b2n7'}"


def _jetstream(text: Text, texts: list[Any], dice: random.Random) -> list[bytes]:
    record: dict[str, Any] = {"text": text.text, "langs": [text.lang]}
    if dice.random() < 0.45:
        parent = f"at://{_did(dice.randrange(AUTHORS))}/app.bsky.feed.post/3lb2k5x7q2c2a"
        record["reply"] = {key: {"cid": CID, "uri": parent} for key in ("parent", "root")}
    facets = [_facet(text.text, f"#{tag}", {"tag": tag}, "tag") for tag in text.tags]
    if dice.random() < 0.6:
        link = f"https://news{dice.randrange(400)}.example.org/2026/{dice.randrange(10**6)}"
        external = {"uri": link, "title": " ".join(texts[dice.randrange(len(texts))][0][:9])}
        external |= {"description": " ".join(texts[dice.randrange(len(texts))][0][:30])}
        record["embed"] = {"$type": "app.bsky.embed.external", "external": external}
    if facets:
        record["facets"] = facets
    event = jetstream.post_event(
        text.text,
        time_us=TIME_US,
        record=record,
        commit={"rkey": RKEY, "rev": RKEY, "cid": CID},
        did=_did(int(dice.paretovariate(0.7)) % AUTHORS),
    )
    return _marked(event, RKEY, str(TIME_US))


def _facet(text: str, words: str, feature: dict[str, str], kind: str) -> dict[str, Any]:
    start = len(text[: text.find(words)].encode())
    index = {"byteStart": start, "byteEnd": start + len(words.encode())}
    return {"index": index, "features": [{"$type": f"app.bsky.richtext.facet#{kind}", **feature}]}


def _join_jetstream(parts: list[bytes], number: int, moment_us: int) -> bytes:
    # In the order of the event: time_us, rev, rkey; RKEY stands for both of the latter.
    rkey = jetstream.tid(moment_us, number).encode()
    first, second, third, fourth = parts
    return b"".join((first, str(moment_us).encode(), second, rkey, third, rkey, fourth))


# X v2: about 1.95 kB.


def _x(text: Text, texts: list[Any], dice: random.Random) -> list[bytes]:
    author = str(10**17 + int(dice.paretovariate(0.7)) % AUTHORS)
    entities: dict[str, Any] = {}
    if text.tags:
        entities["hashtags"] = [{"start": 0, "end": len(t) + 1, "tag": t} for t in text.tags]
    name = f"reader_{dice.randrange(AUTHORS)}"
    entities["mentions"] = [{"start": 0, "end": 12, "username": name, "id": author}]
    if dice.random() < 0.85:
        entities["urls"] = [_x_link(texts, dice)]
    fields: dict[str, Any] = {"author_id": author, "lang": text.lang, "entities": entities}
    fields |= {"conversation_id": str(X_ID), "possibly_sensitive": False}
    users = [_x_user(author), _x_user(str(10**17 + dice.randrange(AUTHORS)))]
    includes: dict[str, Any] = {"users": users}
    if dice.random() < 0.7:
        other = str(1_880_000_000_000_000_000 + dice.randrange(10**15))
        fields["referenced_tweets"] = [{"type": "quoted", "id": other}]
        words = " ".join(texts[dice.randrange(len(texts))][0])
        quoted = x.post(int(other), words, author_id=users[1]["id"], lang=text.lang)["data"]
        includes["tweets"] = [quoted | {"entities": {"urls": [_x_link(texts, dice)]}}]
    value = x.post(X_ID, text.text, **fields)
    value["data"]["created_at"] = "@created@"
    value["includes"] = includes
    rule = {"id": "1700000000000000123", "tag": f"keyword {text.keyword}"}
    return _marked(value | {"matching_rules": [rule]}, str(X_ID), "@created@")


def _x_user(user_id: str) -> dict[str, str]:
    return {"id": user_id, "username": f"user_{user_id}", "name": f"User {user_id}"}


def _x_link(texts: list[Any], dice: random.Random) -> dict[str, Any]:
    host = f"news{dice.randrange(400)}.example.org"
    path = f"{host}/2026/11/{dice.randrange(10**9)}"
    title = " ".join(texts[dice.randrange(len(texts))][0][:8])
    return {
        "start": 80,
        "end": 103,
        "url": "https://t.co/aB3dE5fG7h",
        "expanded_url": f"https://{path}?from=social",
        "display_url": path[:28],
        "status": 200,
        "title": title,
        "description": " ".join(texts[dice.randrange(len(texts))][0][:20]),
        "unwound_url": f"https://{path}",
    }


def _join_x(parts: list[bytes], number: int, moment_us: int) -> bytes:
    ms = moment_us // 1000
    post_id = str((ms - EPOCH_MS) << 22 | number % 4096).encode()
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    created = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".encode()
    # x.post writes id, text, author, created_at, edit history, then our conversation_id.
    first, second, third, fourth, fifth = parts
    return b"".join((first, post_id, second, created, third, post_id, fourth, post_id, fifth))


# Mastodon.


def _mastodon(text: Text, texts: list[Any], dice: random.Random) -> list[bytes]:
    value = mastodon.status(STATUS, text.text, language=text.lang, at_s=1.0)
    value["id"] = str(X_ID)
    value["tags"] = [{"name": tag, "url": f"https://sim.example/tags/{tag}"} for tag in text.tags]
    return _marked(value, str(X_ID), str(STATUS), "1970-01-01T00:00:01.000Z")


def _join_mastodon(parts: list[bytes], number: int, moment_us: int) -> bytes:
    ms = moment_us // 1000
    moment = mastodon.iso(ms / 1000).encode()
    own = str(10**9 + number).encode()
    first, second, third, fourth, fifth = parts
    post_id = str((ms << 16) + number % 65_536).encode()
    return b"".join((first, post_id, second, moment, third, own, fourth, own, fifth))


Form = tuple[
    Callable[[Text, list[Any], random.Random], list[bytes]],
    Callable[[list[bytes], int, int], bytes],  # number, moment
]
FORMS: dict[str, Form] = {
    "bluesky": (_jetstream, _join_jetstream),
    "x": (_x, _join_x),
    "mastodon": (_mastodon, _join_mastodon),
}

# Frames: what stands around a body on the socket.


def websocket_frame(body: bytes) -> bytes:
    """A text frame of a server."""
    if len(body) < 126:
        return b"\x81" + bytes((len(body),)) + body
    if len(body) < 65_536:
        return b"\x81\x7e" + struct.pack("!H", len(body)) + body
    return b"\x81\x7f" + struct.pack("!Q", len(body)) + body


def v2_frame(body: bytes) -> bytes:
    """The same event as Jetstream v2 says it; its number is its moment."""
    value = json.loads(body)
    return websocket_frame(jetstream_v2.event_frame(value, value["time_us"] - 10**15))


def chunk(body: bytes) -> bytes:
    """A line of X, as a chunk of its own."""
    return b"%x\r\n%b\r\n\r\n" % (len(body) + 2, body)


def sse_chunk(body: bytes) -> bytes:
    """An event of Mastodon's stream, as a chunk of its own."""
    event = b"event: update\ndata: " + body + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)
