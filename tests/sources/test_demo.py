"""The demo's generator: seeded, lively, ours."""

from itertools import islice

import msgspec

from tweeter.decode import DECODERS
from tweeter.keywords import Matcher
from tweeter.records import Keyword, Post, RawEvent, Removal
from tweeter.sources.demo import demo_events
from tweeter.sources.demo_words import DEMO_KEYWORDS

START = 1_795_000_000_000_000


def decoded(count: int) -> list[Post | Removal]:
    found = []
    for _, event in islice(demo_events(2016, START), count):
        raw = RawEvent(shape="demo", body=msgspec.json.encode(event), received_at=event["at"])
        found += DECODERS["demo"](raw)
    return found  # type: ignore[return-value]


def test_the_same_seed_invents_the_same() -> None:
    first = list(islice(demo_events(1, START), 200))
    assert first == list(islice(demo_events(1, START), 200))
    assert first != list(islice(demo_events(2, START), 200))


def test_most_posts_match_a_demo_keyword_and_each_keyword_is_found() -> None:
    matcher = Matcher([Keyword(id=n, expression=e) for n, e in enumerate(DEMO_KEYWORDS)])
    posts = [event for event in decoded(1_000) if isinstance(event, Post)]
    found = [matcher.match(post) for post in posts]
    assert 0.5 < sum(map(bool, found)) / len(posts) < 0.9
    assert {match.keyword_id for matches in found for match in matches} == {0, 1, 2}


def test_it_is_lively() -> None:
    events = decoded(2_000)
    posts = [event for event in events if isinstance(event, Post)]
    assert len({post.lang for post in posts}) >= 5
    assert any(post.links for post in posts)
    assert any(post.operation == "update" for post in posts)
    assert any(isinstance(event, Removal) for event in events)
    assert any("<script>" in post.text for post in posts)
    pauses = [pause_s for pause_s, _ in islice(demo_events(2016, START), 2_000)]
    assert pauses[0] < 0.5
    assert 0.2 < sum(pauses) / len(pauses) < 0.6


def test_a_burst_comes_every_two_minutes() -> None:
    passed, at = 0.0, []
    for pause_s, _ in islice(demo_events(2016, START), 1_000):
        passed += pause_s
        at.append(passed)
    calm = sum(60 <= t < 75 for t in at)
    burst = sum(105 <= t < 120 for t in at)
    assert burst > 2 * calm
