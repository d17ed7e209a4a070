"""Texts as the networks send them, and their bytes on the wire, made before anything is timed.

A body is made once (`bench.bodies`), with the ids' places marked; an event of the stream is that
body with ids of its own. Bodies follow each other in a circle, so that a stream of any length
needs the memory of its bodies only, until its frames are asked for.
"""

import json
import random
import struct
import time
from typing import NamedTuple

from bench import data
from bench.bodies import FORMS
from tests.simulators import jetstream_v2

NETWORKS = ("x", "bluesky", "mastodon")


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
