"""A glance shows what decoding shows, or more: no post that matches is passed over by it."""

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decode.spoiling import sent, spoil
from tests.simulators.jetstream import post_event
from tests.simulators.x import post
from tweeter.decode import DECODERS
from tweeter.decode.glance import GLANCES
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.keywords.features import features, host_domains
from tweeter.keywords.haystack import EDGE, haystack, of_parts
from tweeter.records import Ignored, Keyword, Post, RawEvent

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
NOW = 1_795_500_000_000_000
FILES = {
    "bluesky": (
        "jetstream.jsonl",
        "jetstream_constructed.jsonl.gz",
        "jetstream_v2_subscribeEvents_2026-08.jsonl",
        "jetstream_legacy_2024-09.jsonl",
    ),
    "x": ("x_v2_reserialised.jsonl.gz", "x_v2_stream.jsonl", "x_v2.jsonl.gz"),
}


def raw(body: bytes, shape: str) -> RawEvent:
    return RawEvent(shape=shape, body=body, received_at=NOW)


def shown(body: bytes, shape: str) -> bool:
    """Hold a glance against what decoding finds; False if it left the event to the decoder."""
    glance = GLANCES[shape](body)
    if glance is None:
        return False
    (event,) = DECODERS[shape](raw(body, shape))
    if not glance.is_post:
        assert isinstance(event, Ignored), event
        assert event.cursor == glance.cursor
        return True
    assert isinstance(event, Post), event
    assert event.operation == "create"
    assert event.supersedes == ()
    assert event.cursor == glance.cursor
    seen = set(of_parts(glance.texts).split(EDGE))
    assert set(haystack(event).split(EDGE)) <= seen
    anchors = {f for f in features(event) if f[0] in ("from", "url")}
    found = {("from", name.casefold()) for name in glance.authors if name}
    found |= {("url", domain) for link in glance.links for domain in host_domains(link)}
    assert anchors <= found
    return True


def recorded(shape: str) -> Iterator[bytes]:
    for name in FILES[shape]:
        path = SAMPLES / name
        if path.exists():
            opener = gzip.open if path.suffix == ".gz" else open
            with opener(path, "rb") as file:
                yield from (line.rstrip(b"\r\n") for line in file)


@pytest.mark.parametrize("shape", FILES)
def test_glances_at_recorded_posts_miss_nothing(shape: str) -> None:
    if not SAMPLES.exists():
        pytest.skip("the folder of recordings is not here")
    lines = [line for line in recorded(shape) if line.strip()]
    plain = 0
    for line in lines:
        try:
            plain += shown(line, shape)
        except ValueError as error:
            raise AssertionError(line[:300]) from error
    assert plain > 1_000, "glances are for the most part of the posts"


EVERYWHERE: dict[str, Any] = {
    "text": "storm café #tagged https://a.example.org",
    "facets": [
        {
            "index": {"byteStart": 13, "byteEnd": 21},
            "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "tagged"}],
        },
        {
            "index": {"byteStart": 6, "byteEnd": 10},
            "features": [
                {"$type": "app.bsky.richtext.facet#link", "uri": "https://b.example.org/x"}
            ],
        },
    ],
    "tags": ["beside"],
    "embed": {
        "$type": "app.bsky.embed.recordWithMedia",
        "record": {"record": {"uri": "at://x", "cid": "y"}},
        "media": {"images": [{"alt": "a picture of rain", "image": {"size": 3}}], "alt": "film"},
        "external": {"uri": "https://card.example.org", "title": "Card", "description": "words"},
    },
}

TWEET = {
    "entities": {
        "hashtags": [{"tag": "tagged", "start": 0, "end": 3}],
        "cashtags": [{"tag": "CASH"}],
        "urls": [
            {"url": "https://t.co/a", "expanded_url": "https://c.example.org/a"},
            {"display_url": "c.example&amp;x", "unwound_url": "https://d.example", "title": "T"},
        ],
    },
    "attachments": {"media_keys": ["3_1"]},
    "note_tweet": {"text": "the long &lt;form&gt;", "entities": {"hashtags": [{"tag": "deep"}]}},
    "referenced_tweets": [{"type": "retweeted", "id": "5"}],
}


def of_bluesky(number: int = 1) -> dict[str, Any]:
    event = post_event("storm", number)
    event["commit"]["record"] |= deepcopy(EVERYWHERE)
    return event | {"time_us": NOW - number}


def of_x() -> dict[str, Any]:
    event = post(1_900_000_000_000_000_007, "a storm &amp; more")
    event["data"] |= deepcopy(TWEET)
    event["includes"]["media"] = [{"media_key": "3_1", "type": "photo", "alt_text": "rain"}]
    event["includes"]["tweets"] = [{"id": "5", "text": "the quoted storm", "author_id": "9"}]
    return event


@pytest.mark.parametrize(("shape", "event"), [("bluesky", of_bluesky()), ("x", of_x())])
def test_a_glance_sees_every_part_of_a_post(shape: str, event: dict[str, Any]) -> None:
    assert shown(json.dumps(event).encode(), shape)
    assert shown(json.dumps(event, ensure_ascii=False).encode(), shape)
    assert shown(json.dumps(event, separators=(",", ":")).encode(), "any")
    other = json.dumps(event | {"event": "update", "payload": "{}"}, separators=(",", ":"))
    shown(other.encode(), "any")


@given(st.data(), st.sampled_from(["bluesky", "x"]), st.booleans())
def test_whatever_is_wrong_in_an_event_a_glance_says_no_other_thing(
    data: st.DataObject, shape: str, in_a_file: bool
) -> None:
    event = of_bluesky() if shape == "bluesky" else of_x()
    spoil(data, event)
    shown(sent(data, event), "any" if in_a_file else shape)


LIKE: dict[str, Any] = {
    "did": "did:plc:sim0001",
    "time_us": NOW,
    "kind": "commit",
    "commit": {
        "rev": "3ltest",
        "operation": "create",
        "collection": "app.bsky.feed.like",
        "rkey": "3l01",
        "record": {"subject": {"uri": "at://did:plc:sim0002/app.bsky.feed.post/3l"}},
    },
}


def test_a_like_is_passed_over_without_being_decoded() -> None:
    body = json.dumps(LIKE).encode()
    glance = GLANCES["bluesky"](body)
    assert glance is not None
    assert not glance.is_post
    assert shown(body, "bluesky")
    second = {"$type": "event", "payload": LIKE["commit"] | {"$type": "x#commit", "did": "did:a:b"}}
    second["payload"]["time"] = "2026-11-24T05:00:00.000Z"
    assert shown(json.dumps(second).encode(), "bluesky")


@given(st.data())
def test_whatever_is_wrong_in_a_like_it_is_nothing_else(data: st.DataObject) -> None:
    event = deepcopy(LIKE)
    spoil(data, event, most=2)
    shown(json.dumps(event).encode(), "bluesky")


def test_bytes_that_are_no_text_are_left_to_the_decoder() -> None:
    body = json.dumps(of_bluesky()).encode()
    assert GLANCES["bluesky"](body.replace(b'"bafy', b'"\xff\xfe')) is None
    assert GLANCES["bluesky"](body.replace(b"storm", b"st\\u0000rm")) is None


KEYWORDS = ["storm", "#tagged", '"long form"', "url:card.example.org", "from:sim_user", "nowhere"]


@given(st.lists(st.sampled_from(KEYWORDS), min_size=1, unique=True), st.integers(0, 3))
def test_a_batch_is_sorted_as_if_all_were_decoded(keywords: list[str], other: int) -> None:
    matcher = Matcher(Keyword(id=n, expression=e) for n, e in enumerate(keywords, 1))
    events = [raw(json.dumps(of_bluesky(n)).encode(), "bluesky") for n in range(3)]
    events += [raw(json.dumps(post_event("calm", n)).encode(), "bluesky") for n in range(other)]
    events += [raw(json.dumps(of_x()).encode(), "x"), raw(b"{}", "x"), raw(b"\xff", "bluesky")]
    events += [raw(json.dumps(LIKE | {"time_us": NOW + n}).encode(), "bluesky") for n in range(2)]
    quick = digest(events, matcher, 1)
    looks = dict(GLANCES)
    GLANCES.clear()
    try:
        slow = digest(events, matcher, 1)
    finally:
        GLANCES.update(looks)
    assert quick == slow
