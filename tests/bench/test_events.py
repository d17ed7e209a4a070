"""Invented posts: exact shares, real sizes, and decoded as what they are."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import pytest

from bench import data
from bench.events import Plan, Stream
from tweeter import decode
from tweeter.keywords import Matcher
from tweeter.records import Keyword, Post, RawEvent, now_us
from tweeter.store import search_texts

RECORDED = {
    "x": ("x_v2.jsonl.gz", "x_v2_reserialised.jsonl.gz"),
    "bluesky": ("jetstream.jsonl", "jetstream_constructed.jsonl.gz"),
}
BYTES = {"x": 1_950, "bluesky": 931}  # an event, on average
KEYWORDS = 2_000


def posts(stream: Stream, count: int) -> list[Post]:
    found = []
    for number in range(count):
        body = stream.body(number)
        if stream.network == "mastodon":
            body = b"event: update\ndata: " + body
        (post,) = decode.DECODERS[stream.network](
            RawEvent(stream.network, body, now_us(), origin="sim.example")
        )
        assert isinstance(post, Post)
        found.append(post)
    return found


@pytest.mark.parametrize("network", ["x", "bluesky", "mastodon"])
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_each_post_matches_the_keyword_put_into_it_and_no_other(network: str, share: float) -> None:
    stream = Stream(Plan(network, 600, KEYWORDS, share))
    matcher = Matcher(Keyword(id=n, expression=e) for n, e in enumerate(stream.keywords))
    wanted = stream.expected(0, 1_200)
    assert sum(keyword >= 0 for keyword in wanted) == round(share * 600) * 2
    for post, keyword in zip(posts(stream, 1_200), wanted, strict=True):
        found = [match.keyword_id for match in matcher.match(post)]
        assert found == ([keyword] if keyword >= 0 else []), post.text


@pytest.mark.parametrize("network", ["x", "bluesky", "mastodon"])
def test_posts_of_a_circle_have_keys_and_moments_of_their_own(network: str) -> None:
    stream = Stream(Plan(network, 50, 10, 0.5))
    found = posts(stream, 2_000)
    assert len({post.key for post in found}) == 2_000
    assert [post.key for post in found[::500]] == [stream.key(n) for n in range(0, 2_000, 500)]
    moments = [post.occurred_at for post in found]
    assert moments == sorted(moments)
    assert stream.at_us // 1000 == moments[0] // 1000
    assert [re.sub(r"^RT @\w+: ", "", post.text) for post in found[:50]] == [
        text.text for text in stream.texts
    ]


@pytest.mark.parametrize(("network", "size"), BYTES.items())
def test_events_are_as_large_as_real_ones(network: str, size: int) -> None:
    stream = Stream(Plan(network, 3_000, 10, 0.01))
    assert mean(len(stream.body(n)) for n in range(3_000)) == pytest.approx(size, rel=0.05)


def much(found: Iterable[Post]) -> dict[str, float]:
    """How many characters a post has to be matched, and words to be searched by, on average."""
    posts = list(found)
    return {
        "characters": mean(len(post.text) + sum(map(len, post.also)) for post in posts),
        "words": mean(len(search_texts.of_post(post).split()) for post in posts),
    }


def recorded(network: str, file: Path) -> list[Post]:
    data = file.read_bytes()
    lines = (gzip.decompress(data) if file.suffix == ".gz" else data).splitlines()
    decoded = [decode.DECODERS[network](RawEvent(network, line, now_us())) for line in lines]
    return [event for events in decoded for event in events if isinstance(event, Post)]


@pytest.mark.parametrize("network", RECORDED)
def test_events_say_as_much_as_recorded_ones(network: str, samples: Path) -> None:
    """More words are invented than recorded: a fifth is Japanese, of which each pair is a word."""
    ours = much(posts(Stream(Plan(network, 3_000, 10, 0.01)), 3_000))
    theirs = [much(recorded(network, samples / name)) for name in RECORDED[network]]
    for what, (least, most) in {"characters": (0.85, 1.4), "words": (1.0, 2.1)}.items():
        figures = [one[what] for one in theirs]
        assert least * min(figures) <= ours[what] <= most * max(figures), (what, ours, theirs)


def test_the_same_seed_gives_the_same() -> None:
    first, second = (Stream(Plan("x", 40, 30, 0.5), at_us=10**15) for _ in range(2))
    assert [first.body(n) for n in range(80)] == [second.body(n) for n in range(80)]
    assert first.keywords == second.keywords
    assert len(set(first.keywords)) == 30


def test_keywords_are_of_every_kind() -> None:
    found = data.keywords(2_000, data.plain_texts(100))
    kinds = [
        sum(k.startswith("#") for k in found),
        sum(k.startswith('"') for k in found),
        sum(k[0] >= "\u3000" for k in found),
    ]
    assert all(0.12 < count / 2_000 < 0.18 for count in kinds), kinds
