"""A line read at once into types makes the same post as the decoder, or is left to it."""

import gzip
import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import Plan, Stream
from tests.decode.spoiling import Anything, sent, spoil
from tests.decode.test_glance import NOW, SAMPLES
from tests.simulators.x import post
from tweeter.decode import DECODERS, x_line
from tweeter.errors import DecodeError
from tweeter.records import Post, RawEvent

# Recordings, and how many of their lines are as usual, at least.
FILES = {
    "x_v2.jsonl.gz": 0.99,
    "x_v2_reserialised.jsonl.gz": 0.35,  # in the others an object stands for a list
    "x_v2_stream.jsonl": 0.8,
    "x_v2_stream_broken.jsonl": 0.0,
    "x_v2_pages.jsonl.gz": 0.0,
    "x_v1.jsonl.gz": 0.0,
    "x_v1_stream.jsonl": 0.0,
}


def agree(body: bytes) -> bool:
    """Hold the typed way against the tolerant one; False if the line is left to that."""
    raw = RawEvent(shape="x", body=body, received_at=NOW)
    said = x_line.read(body)
    if said is None:
        return False
    (event,) = DECODERS["x"](raw)
    assert isinstance(event, Post)
    assert x_line.post(said, raw) == event
    assert DECODERS["any"](raw) == [event]
    assert {said.text, *said.others} - {""} == {event.text, *event.also} - {""}
    assert x_line.authors(said) == (event.author_id, event.author_handle)
    assert set(x_line.targets(said)) - {""} == {link.url for link in event.links}
    return True


@pytest.mark.parametrize("name", FILES)
def test_recorded_lines_make_the_same_posts(name: str) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"{name} is not among the recorded posts here")
    data = path.read_bytes()
    lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).splitlines()
    lines = [line for line in lines if line.strip()]
    usual = sum(map(agree, lines))
    assert usual >= FILES[name] * len(lines), f"{usual} of {len(lines)}"


def test_invented_lines_are_as_usual() -> None:
    stream = Stream(Plan("x", 300, 20, 0.5))
    assert all(agree(stream.body(number)) for number in range(300))


def whole() -> dict[str, Any]:
    """A line that has everything."""
    link = {"url": "https://t.co/a", "expanded_url": "https://c.example.org/a?b=1&amp;c=2"}
    link |= {"display_url": "c.example.org/a", "unwound_url": "https://d.example.org/a"}
    entities: dict[str, Any] = {"hashtags": [{"tag": "tagged"}, {"tag": "tagged"}]}
    entities |= {"cashtags": [{"tag": "CASH"}], "urls": [link, {"url": "https://t.co/b"}]}
    number = 1_900_000_000_000_000_007
    event = post(number, "a storm &amp; more", created_at="2026-11-24T05:00:00.000Z")
    event["data"] |= {
        "entities": entities,
        "attachments": {"media_keys": ["3_1", "3_2", "3_3"]},
        "note_tweet": {"text": "the long &lt;form&gt; é", "entities": deepcopy(entities)},
        "referenced_tweets": [
            {"type": "retweeted", "id": "5"},
            {"type": "quoted", "id": "6"},
            {"type": "replied_to", "id": "7"},
        ],
        "edit_history_tweet_ids": [str(number)],
        "possibly_sensitive": True,
        "lang": "en",
    }
    event["includes"] |= {
        "media": [
            {"media_key": "3_1", "type": "photo", "alt_text": "rain", "url": "https://p.example/a"},
            {"media_key": "3_2", "type": "video", "preview_image_url": "https://p.example.org/b"},
        ],
        "tweets": [
            {"id": "5", "text": "repeated", "referenced_tweets": [{"type": "quoted", "id": "6"}]},
            {"id": "6", "text": "quoted", "entities": deepcopy(entities)},
            {"id": "7", "text": "answered", "attachments": {"media_keys": ["3_1"]}},
        ],
    }
    return event


def test_a_line_with_everything_is_as_usual() -> None:
    assert agree(json.dumps(whole()).encode())
    assert agree(json.dumps(whole(), ensure_ascii=False).encode())


Odd = st.sampled_from(
    ["", "0", "5", "é" * 60, "x" * 48, "y" * 1_001, "a\x00", "\ud83d", "&#0;&amp;", None, [], {}]
).map(deepcopy)  # a list that one change puts there is not to be changed by the next


@given(st.data())
def test_whatever_is_wrong_in_a_line_both_ways_say_the_same(data: st.DataObject) -> None:
    event = whole()
    spoil(data, event, Odd | Anything)
    agree(sent(data, event))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("data", {"id": 1, "text": "a number for an id"}),
        ("data", {"id": "1"}),
        ("data", {"id": "x1", "text": "no digits"}),
        ("data", {"id": "1", "text": "one\x00two"}),
        ("data", {"id": "1", "text": "half \ud83d"}),
        ("data", {"id": "2", "text": "edited", "edit_history_tweet_ids": ["1", "2"]}),
        ("data", {"id": "1", "text": "t", "note_post": {"text": "longer"}}),
        ("data", {"id": "1", "text": "t", "lang": "x" * 36}),
        ("data", {"delete": {"tweet": {"id": "1", "author_id": "2"}}}),
        ("data", [{"id": "1", "text": "a page"}]),
        ("includes", {"posts": []}),
        ("$type", None),
    ],
)
def test_what_is_unusual_is_left_to_the_decoder(where: str, value: Any) -> None:
    assert x_line.read(json.dumps(whole() | {where: value}).encode()) is None


def test_ids_that_are_no_numbers_raise_no_other_error() -> None:
    for older in ("²", "9" * 5_000):
        value = {"id": "2", "text": "t", "edit_history_tweet_ids": [older, "2", "1"]}
        body = json.dumps({"data": value}).encode()
        (event,) = DECODERS["x"](RawEvent(shape="x", body=body, received_at=NOW))
        assert isinstance(event, Post)
        assert event.supersedes == ("1",)
    with pytest.raises(DecodeError):
        DECODERS["x"](RawEvent(shape="x", body=b'{"data":{"id":"x"}}', received_at=NOW))
