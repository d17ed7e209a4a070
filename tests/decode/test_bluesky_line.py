"""A post read at once into types is the same post as the decoder makes, or is left to it."""

import gzip
import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import Plan, Stream
from tests.decode.spoiling import Anything, sent, spoil
from tests.decode.test_glance import EVERYWHERE, NOW, SAMPLES
from tests.simulators.jetstream import post_event
from tweeter.decode import DECODERS, bluesky, bluesky_line
from tweeter.records import Post, RawEvent

# Recordings, and how many of their new posts are as usual, at least.
FILES = {
    "jetstream.jsonl": 0.99,
    "jetstream_constructed.jsonl.gz": 0.5,
    "jetstream_legacy_2024-09.jsonl": 0.0,
    "jetstream_v2_subscribeEvents_2026-08.jsonl": 0.0,
}
POST = "at://did:plc:sim0002/app.bsky.feed.post/3lb2k5x7q2c2a"


def agree(body: bytes) -> bool:
    """Hold the typed way against the tolerant one; False if the event is left to that."""
    raw = RawEvent(shape="bluesky", body=body, received_at=NOW)
    post = bluesky_line.post(raw)
    if post is None:
        return False
    assert [post] == bluesky.decode(raw)
    assert DECODERS["any"](raw) == [post]
    return True


@pytest.mark.parametrize("name", FILES)
def test_recorded_events_make_the_same_posts(name: str) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"{name} is not among the recorded posts here")
    data = path.read_bytes()
    lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()
    posts = usual = 0
    for line in filter(None, map(bytes.strip, lines)):
        usual += agree(line)
        with suppress(ValueError):
            events = bluesky.decode(RawEvent(shape="bluesky", body=line, received_at=NOW))
            posts += isinstance(events[0], Post) and events[0].operation == "create"
    assert usual >= FILES[name] * posts, f"{usual} of {posts}"


def test_invented_events_are_as_usual() -> None:
    stream = Stream(Plan("bluesky", 300, 20, 0.5))
    assert all(agree(stream.body(number)) for number in range(300))


def whole() -> dict[str, Any]:
    """An event that has everything."""
    event = post_event("storm", 1)
    record = event["commit"]["record"]
    record |= deepcopy(EVERYWHERE)
    record |= {"langs": ["pt-BR", "en"], "createdAt": "2026-11-24T05:00:00.123Z"}
    record["reply"] = {"parent": {"uri": POST, "cid": "c"}, "root": {"uri": POST, "cid": "c"}}
    values = [{"val": "nudity"}, {"val": "!warn"}, {"val": "mine"}]
    record["labels"] = {"$type": "com.atproto.label.defs#selfLabels", "values": values}
    record["embed"]["record"] = {"record": {"uri": POST, "cid": "y"}}
    blob = {"$type": "blob", "ref": {"$link": "bafkreic"}, "size": 3}
    images = [{"alt": "rain", "image": blob}, {"alt": "", "image": {"cid": "bafyold"}}]
    record["embed"]["media"] = {"$type": "app.bsky.embed.images", "images": images, "alt": "film"}
    return event | {"time_us": NOW - 1}


def test_an_event_with_everything_is_as_usual() -> None:
    assert agree(json.dumps(whole()).encode())
    assert agree(json.dumps(whole(), ensure_ascii=False).encode())


EMBEDS: dict[str, Any] = {
    "video": {"$type": "app.bsky.embed.video", "alt": "a film", "video": {"size": 3}},
    "gallery": {"$type": "app.bsky.embed.gallery", "items": [{"alt": "one"}, {"alt": "two"}]},
    "quote": {"$type": "app.bsky.embed.record", "record": {"uri": POST, "cid": "y"}},
    "feed": {
        "$type": "app.bsky.embed.record",
        "record": {"uri": "at://did:a:b/app.bsky.feed.generator/x", "cid": "y"},
    },
    "card": {
        "$type": "app.bsky.embed.external",
        "external": {"uri": "https://card.example.org", "title": "Card", "description": "words"},
    },
    "nothing": {},
}


@pytest.mark.parametrize("name", EMBEDS)
def test_each_embed_is_as_usual(name: str) -> None:
    event = whole()
    event["commit"]["record"]["embed"] = EMBEDS[name]
    assert agree(json.dumps(event).encode())


Odd = st.sampled_from(
    [
        "",
        "0",
        "é" * 60,
        "x" * 48,
        "y" * 1_001,
        "a\x00",
        "\ud83d",
        POST,
        None,
        [],
        {},
        [{}],
        {"a": 1},
    ]
).map(deepcopy)  # a list that one change puts there is not to be changed by the next


@given(st.data(), st.sampled_from([None, *EMBEDS]))
def test_whatever_is_wrong_in_an_event_both_ways_say_the_same(
    data: st.DataObject, embed: str | None
) -> None:
    event = whole()
    if embed is not None:
        event["commit"]["record"]["embed"] = deepcopy(EMBEDS[embed])
    spoil(data, event, Odd | Anything)
    agree(sent(data, event))


def test_however_much_of_a_text_is_marked_nothing_is_cut() -> None:
    event = whole()
    record = event["commit"]["record"]
    record["text"] = "é" * 10_000
    index = {"byteStart": 0, "byteEnd": 20_000}
    facet = {"index": index, "features": [{"uri": "https://a.example.org"}] * 2}
    record["facets"] = [facet] * bluesky_line.FACETS_EACH
    assert agree(json.dumps(event, ensure_ascii=False).encode())
    record["facets"] = [facet] * 101  # more links than a post has
    assert not agree(json.dumps(event, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("$type", None),
        ("$type", ""),
        ("kind", "identity"),
        ("did", ""),
        ("time_us", -1),
        ("commit", {}),
    ],
)
def test_what_is_unusual_is_left_to_the_decoder(where: str, value: Any) -> None:
    assert not agree(json.dumps(whole() | {where: value}).encode())


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("text", "one\x00two"),
        ("text", "half \ud83d"),
        ("text", None),
        ("langs", ["x" * 36]),
        ("reply", {}),
        ("embed", {"media": {}}),
        ("embed", {"record": {"uri": POST, "record": {}}}),
    ],
)
def test_a_record_that_is_unusual_is_left_to_the_decoder(where: str, value: Any) -> None:
    event = whole()
    event["commit"]["record"][where] = value
    assert not agree(json.dumps(event).encode())
    event["commit"]["operation"] = "update"
    assert not agree(json.dumps(event).encode())
