"""Each broker by its URL, and away for 20 s: streams store on, and work resumes by itself."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kombu
import pytest

from tests.integration.brokers import broker, forget_queues
from tests.integration.running import Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served

AWAY_S = 20


class Speaker:
    """Posts on Jetstream, numbered."""

    def __init__(self, served: Any) -> None:
        self.served = served
        self.said = 0

    def say(self, text: str) -> None:
        self.said += 1
        event = jetstream.post_event(f"{text} {self.said}", self.said)
        self.served.do(self.served.it.publish([event]))


def stored(tweeter: Running) -> int:
    return int(tweeter.sql("SELECT count(*) FROM posts")[0][0])


def complete(tweeter: Running, keyword_id: int) -> bool:
    """True when everything stored before was matched with the keyword: a job was done."""
    rows = tweeter.sql("SELECT complete_at FROM keywords WHERE id = ?", keyword_id)
    return rows[0][0] is not None


def prefix(tweeter: Running) -> str:
    return f"tweeter-{tweeter.sql('SELECT value FROM installation')[0][0]}"


@pytest.mark.parametrize("kind", ["embedded", "redis", "amqp"])
def test_a_broker_away_stops_no_stream_and_work_resumes_without_a_restart(
    tmp_path: Path, kind: str
) -> None:
    with broker(kind) as its, Served(jetstream.JetstreamSimulator(ping_s=5)) as served:
        more = {"BLUESKY_URL": served.it.url, "BROKER_URL": its.url, "LOOK_BACK_HOURS": "0"}
        with Running(tmp_path, **more) as tweeter:
            first = tweeter.add("storm")
            wait_for(lambda: served.it.clients, 30, "for Jetstream")
            speaker = Speaker(served)
            for _ in range(20):
                speaker.say("storm and flood")
            wait_for(lambda: stored(tweeter) == 20, 10, "for the posts")
            second = tweeter.add("flood")
            wait_for(lambda: complete(tweeter, second), 20, "for a job")
            assert tweeter.sql("SELECT posts FROM keywords WHERE id = ?", second) == [(20,)]
            workers = tweeter.pids(r"celery .*worker1@")
            its.away(tweeter)
            began_s = time.monotonic()
            third = tweeter.add("and")
            while time.monotonic() - began_s < AWAY_S:
                speaker.say("storm")
                time.sleep(0.5)
            wait_for(lambda: stored(tweeter) == speaker.said, 5, "for posts without a broker")
            assert not complete(tweeter, third), "the broker was not really away"
            assert tweeter.health()["workers"] == 1
            its.back(tweeter)
            wait_for(lambda: complete(tweeter, third), 30, "for a job after the outage")
            assert tweeter.sql("SELECT posts FROM keywords WHERE id = ?", third) == [(20,)]
            assert workers[0] in tweeter.pids(r"celery .*worker1@"), "a worker was restarted"
            assert complete(tweeter, first)
            assert all(name.startswith(prefix(tweeter)) for name in its.names() if name != MARK)
            name = prefix(tweeter)
        if kind == "amqp":
            forget_queues(its.direct, name)


OURS = [[1], {}, {}]
# (body, content type, headers): many of them ended a worker, the others told a traceback
STRANGE: list[tuple[bytes, str, dict[str, Any]]] = [
    (b"hello", "text/plain", {}),
    (b"{x", "application/json", {}),
    (b"{x", "application/json", {"task": "tweeter.names_part", "id": "1"}),
    (b"5", "application/json", {"task": "tweeter.names_part", "id": "1"}),
    (json.dumps(OURS).encode(), "application/json", {"task": "nobody.knows", "id": "1"}),
    (json.dumps(OURS).encode(), "application/json", {"task": "tweeter.names_part"}),
    (json.dumps(OURS).encode(), "application/x-nonsense", {"task": "tweeter.names_part"}),
    (json.dumps([["a"], {}, {}]).encode(), "application/json", {"task": "x", "id": "1"}),
    (b"{}", "application/json", {"task": "tweeter.names_part", "id": "1", "compression": "x"}),
    (
        json.dumps(OURS).encode(),
        "application/json",
        {"task": "tweeter.names_part", "id": "1", "stamped_headers": 5},
    ),
    (b"x" * 5_000_000, "application/json", {"task": "tweeter.names_part", "id": "1"}),
]


@pytest.mark.parametrize("kind", ["embedded", "redis", "amqp"])
def test_what_is_no_message_of_ours_is_refused_in_a_line_and_the_worker_goes_on(
    tmp_path: Path, kind: str
) -> None:
    with broker(kind) as its, Running(tmp_path, BROKER_URL=its.url) as tweeter:
        wait_for(lambda: tweeter.health()["workers"] == 1, 30, "for a worker")
        (worker, *_) = tweeter.pids(r"celery .*worker1@")
        queue, count = f"{prefix(tweeter)}.maintenance", len(STRANGE)
        direct = its.direct or f"redis+socket://{tweeter.folder}/data/broker.sock"
        options = {"global_keyprefix": f"{prefix(tweeter)}:"} if kind != "amqp" else {}
        with kombu.Connection(direct, transport_options=options) as connection:
            channel = connection.channel()
            for body, content, headers in STRANGE:
                how = {"content_type": content, "content_encoding": "utf-8", "headers": headers}
                sent = channel.prepare_message(body, **how)
                channel.basic_publish(sent, exchange=queue, routing_key=queue)
            if kind != "amqp":
                channel.client.lpush(queue, b"hello", b"[]", b'{"properties": null}')
                count += 3
        wait_for(lambda: tweeter.log_text().count("message_refused") == count, 20, "for all")
        added = tweeter.add("flood")
        wait_for(lambda: complete(tweeter, added), 20, "for a job")
        assert tweeter.pids(r"celery .*worker1@")[0] == worker
        assert "Traceback" not in tweeter.log_text()
        name = prefix(tweeter)
        if kind == "amqp":
            assert its.waiting(name, "maintenance") == 0
            forget_queues(its.direct, name)


MARK = "tweeter-test"
SEND = """
from tweeter import tasks
from tweeter.store.engine import make_engine
tasks.join(make_engine(tasks.config.database_url))
tasks.send_job("job", 1)
"""


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_two_installations_on_one_broker_do_not_take_each_others_work(
    tmp_path: Path, kind: str
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with broker(kind) as its:
        more = {"BROKER_URL": its.url, "LOG_LEVEL": "INFO"}
        with Running(folders[0], **more) as one, Running(folders[1], **more) as two:
            names = [prefix(one), prefix(two)]
            assert names[0] != names[1]
            for tweeter in (one, two):
                wait_for(lambda t=tweeter: t.health()["workers"] == 1, 30, "for a worker")
            ids = {t: t.add_all(f"word{n}" for n in range(8)) for t in (one, two)}
            for tweeter, mine in ids.items():
                wait_for(lambda t=tweeter, m=mine: all(complete(t, n) for n in m), 60, "for jobs")
            keys = [name for name in its.names() if name != MARK]
            assert all(name.startswith(tuple(names)) for name in keys)
            one.stop()
            assert its.waiting(names[0], "maintenance") == 0
            subprocess.run([sys.executable, "-c", SEND], cwd=one.root, env=one.env, check=True)
            time.sleep(4)
            assert its.waiting(names[0], "maintenance") == 1, "another took it"
            extra = two.add("later")
            wait_for(lambda: complete(two, extra), 20, "for its own job")
        if kind == "amqp":
            for name in names:
                forget_queues(its.direct, name)
