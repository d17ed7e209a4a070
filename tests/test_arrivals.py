"""What is no message of ours is told before Celery reads it: what we send is not refused."""

import json
import logging
from typing import Any

import pytest
from celery import Celery
from kombu import Message
from kombu.transport import redis

from tweeter import arrivals, queues

app = Celery("tests", set_as_current=False)


@app.task(name="tweeter.names_part")
def names_part(job_id: int) -> None:
    """As each part of a job."""


@app.task(name="tweeter.stream_slot")
def stream_slot(worker_id: str) -> None:
    """As a slot."""


KNOWN = app.tasks
HEADERS = {"task": "tweeter.names_part", "id": "a-1", "timelimit": [90, 60]}
BODY = json.dumps([[7], {}, {"callbacks": None, "chord": None}])


def message(body: Any = BODY, **more: Any) -> Message:
    """One of ours, but for what is given: its content, or headers."""
    how = {"content_type": "application/json", "content_encoding": "utf-8"}
    how |= {name: more.pop(name) for name in how if name in more}
    return Message(body, headers=HEADERS | more, **how)


def test_a_message_of_ours_is_taken() -> None:
    assert arrivals.fault(message(), KNOWN) == ""
    assert (
        arrivals.fault(message(BODY.encode(), root_id="a", parent_id="b", retries=0), KNOWN) == ""
    )
    to_a_slot = {"task": "tweeter.stream_slot", "timelimit": [None, None], "stamps": {}}
    slot = message(json.dumps([["a|b|1"], {}, {}]), **to_a_slot)
    assert arrivals.fault(slot, KNOWN) == ""


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"content_type": "application/x-python-serialize"}, "not JSON"),
        ({"content_type": None}, "not JSON"),
        ({"content_encoding": "nonsense"}, "not UTF-8"),
        ({"task": "nobody.knows"}, "there is no task 'nobody.knows'"),
        ({"task": "celery.backend_cleanup"}, "there is no task"),
        ({"task": ["a"]}, "headers"),
        ({"id": None}, "headers"),
        ({"eta": "2999-01-01T00:00:00"}, "headers"),
        ({"expires": "x"}, "headers"),
        ({"timelimit": "x"}, "headers"),
        ({"retries": "x"}, "headers"),
        ({"stamps": 5}, "headers"),
        ({"stamped_headers": 5}, "headers"),
        ({"body": "{x"}, "arguments"),
        ({"body": b"\xff"}, "arguments"),
        ({"body": None}, "arguments"),
        ({"body": "5"}, "arguments"),
        ({"body": '[["a"], {}, {}]'}, "arguments"),
        ({"body": "[[1, 2], {}, {}]"}, "arguments"),
        ({"body": "[[9223372036854775808], {}, {}]"}, "arguments"),
        ({"body": '[[1], {"x": 1}, {}]'}, "arguments"),
        ({"body": '[[1], {}, {"chain": 5}]'}, "arguments"),
        ({"body": "[" * 5_000}, "arguments"),
        ({"body": " " * 100_000}, "100,000 bytes"),
        ({"task": "tweeter.stream_slot"}, "arguments"),
    ],
)
def test_a_message_that_is_none_of_ours_is_told_why(more: dict[str, Any], reason: str) -> None:
    assert reason in arrivals.fault(message(**more), KNOWN)


def test_headers_that_are_missing_are_no_error() -> None:
    assert "headers" in arrivals.fault(Message("hello", content_type="text/plain"), KNOWN)


def test_of_a_list_of_redis_only_messages_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    place = {"exchange": "q", "routing_key": "q"}
    properties = {"delivery_tag": "t", "delivery_info": place, "body_encoding": "base64"}
    whole = {"body": "e30=", "content-type": None, "headers": {}, "properties": properties}
    assert arrivals.popped(None) is None
    good = (b"q", json.dumps(whole).encode())
    assert arrivals.popped(good) == good
    wrong: list[Any] = [[], {}, 5, None, "x", *({**whole, name: None} for name in whole)]
    wrong = [one for one in wrong if one != whole]
    wrong += [{**whole, "body": "!"}, {**whole, "properties": {**properties, "delivery_tag": 1}}]
    raw = [json.dumps(one).encode() for one in wrong] + [b"", b"hello", b"\xff", b"[" * 100_000]
    with caplog.at_level(logging.ERROR):
        assert [arrivals.popped((b"q", one)) for one in raw] == [None] * len(raw)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(raw)
    assert all(
        words.startswith("message_refused queue=q reason=it is no message") for words in said
    )


def test_redis_and_its_kind_are_heard_through_our_channels() -> None:
    for url in ("redis://localhost", "redis+socket:///x", "rediss://localhost"):
        transport = queues.Connection(url).get_transport_cls()
        assert issubclass(transport, redis.Transport)
        assert transport.Channel is arrivals.Channel
