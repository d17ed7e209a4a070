"""Stages joined: what raw events mean for the store."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.x import post
from tests.store.posts import post as stored_post
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import Keyword, Link, Post, RawEvent
from tweeter.store import batches, search_texts

NOW = 1_795_500_000_000_000
STORM = Matcher([Keyword(id=1, expression="storm")])


def event(body: object, shape: str = "any", **more: object) -> RawEvent:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawEvent(shape=shape, body=data, received_at=NOW, **more)  # type: ignore[arg-type]


def test_every_event_is_counted_in_one_place() -> None:
    found = digest(
        [
            event(post(1, "a storm"), lines=1, cursor="1"),
            event(post(2, "sunshine"), lines=1, cursor="2"),
            event(b"", lines=1, cursor="3"),
            event(b"rubbish", lines=1, cursor="4", place="posts.jsonl line 4"),
            event({"delete": {"status": {"id": 5}}}, lines=1, cursor="5"),
            event({"limit": {"track": 3}}, lines=1, cursor="6"),
            event({"data": [post(6, "storm")["data"], post(7, "x")["data"]]}, lines=1, cursor="7"),
        ],
        STORM,
        3,
    )
    assert found.counts == {"lines": 7, "events": 8, "unmatched": 2, "ignored": 2}
    assert len(found.items) == 3
    assert [(r.reason, r.place) for r in found.rejected] == [("not JSON", "posts.jsonl line 4")]
    assert (found.cursor, found.revision) == ("7", 3)


def test_an_event_that_the_program_fails_at_is_in_quarantine_alone() -> None:
    events = [event(post(n, "storm"), lines=1, cursor=str(n)) for n in range(1, 150)]
    events[70] = event({}, shape="unheard of", lines=1, cursor="71")
    found = digest(events, STORM, 3)
    assert found.counts == {"lines": 149, "events": 149}
    assert [item[0].key for item in found.items if isinstance(item, tuple)] == [
        str(n) for n in range(1, 150) if n != 71
    ]
    assert [(r.reason, r.detail) for r in found.rejected] == [
        ("not expected", "KeyError: 'unheard of'")
    ]
    assert (found.cursor, found.revision) == ("149", 3)
    assert digest(events[70:71], STORM, 3).cursor == "71"


def test_an_old_date_on_a_live_stream_is_not_believed_and_in_a_file_it_is() -> None:
    old = post(1, "storm", created_at="2020-01-01T00:00:00.000Z")
    for shape, believed in (("x", False), ("any", True)):
        ((found, _),) = digest([event(old, shape)], STORM, 0).items  # type: ignore[misc]
        assert isinstance(found, Post)
        assert (found.occurred_at < NOW) == believed
        assert ("backdated" in found.flags) != believed


def test_edits_of_posts_that_do_not_match_reach_the_store() -> None:
    edited = post(9, "sunshine", edit_history_tweet_ids=["8", "9"])
    assert len(digest([event(edited)], STORM, 0).items) == 1


@given(
    st.builds(
        stored_post,
        st.just(1),
        st.text(max_size=60),
        also=st.lists(st.text(max_size=20), max_size=3).map(tuple),
        author_id=st.text(max_size=200),
        author_handle=st.text(max_size=10),
        tags=st.lists(st.text(max_size=8), max_size=2).map(tuple),
        links=st.lists(st.builds(Link, st.text(max_size=30)), max_size=2).map(tuple),
    )
)
def test_words_made_before_storing_are_those_of_the_row(one: Post) -> None:
    row = batches._row(one, "", 0)
    assert search_texts.of_post(one) == search_texts.of_row(row, one.occurred_at)
