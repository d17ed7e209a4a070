"""Celery's settings are the documented ones, and every task has a queue and its limits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Connection
from kombu.simple import SimpleQueue

from tests.conftest import lacking
from tests.integration.running import free_port
from tweeter import config as configuration
from tweeter import queues
from tweeter.broker import BrokerKeeper
from tweeter.config import Config
from tweeter.errors import MUST_END

PAGE = (Path(__file__).parent.parent / "docs" / "celery.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| \w", re.M)

SHOW = """
import json, sys
from tweeter import keeper, tasks
conf = tasks.app.conf
found = {name: conf[name] for name in json.loads(sys.argv[1])}
late = {
    name: [task.soft_time_limit, task.time_limit, task.acks_late]
    for name, task in tasks.app.tasks.items() if name.startswith("tweeter.")
}
queued = {name: tasks.app.amqp.router.route({}, name)["queue"].name for name in late}
print(json.dumps([found, late, queued, conf.broker_transport_options]))
"""


def documented() -> dict[str, Any]:
    return {name: json.loads(value) for name, value in ROW.findall(PAGE)}


def running(folder: Path, broker: str, names: list[str]) -> list[dict[str, Any]]:
    """The program's own settings, from a process of its own: Celery keeps them for good."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
    env |= {"TWEETER_DATA_DIR": str(folder), "TWEETER_BROKER_URL": broker}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, json.dumps(names)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("broker", ["", "redis://localhost", "amqp://localhost"])
def test_the_page_of_settings_is_what_runs(tmp_path: Path, broker: str) -> None:
    ours = set(queues.settings("redis")) - {"broker_transport_options", "task_queues"}
    ours -= {"task_routes"}
    transport = queues.AMQP_TRANSPORT if broker.startswith("amqp") else queues.REDIS_TRANSPORT
    found, tasks, routes, options = running(tmp_path, broker, sorted(ours))
    page = documented()
    assert ours | set(queues.PART) <= set(page)
    wrong = {n for n in ours if found[n] != page[n]}
    assert wrong == ({"worker_disable_prefetch"} if broker.startswith("amqp") else set())
    assert {n: page[n] for n in queues.PART} == queues.PART
    assert {n: options[n] for n in transport} == transport
    assert {n: page[n] for n in transport} == transport
    for name, (soft_s, hard_s, is_late) in tasks.items():
        if is_late:
            assert 0 < soft_s <= 60 < hard_s < queues.VISIBLE_AGAIN_S, name
        else:
            assert soft_s is hard_s is None, name
    wanted = {name: f"tweeter.{queues.ROUTES.get(name, 'maintenance')}" for name in tasks}
    assert routes == wanted


def test_each_queue_carries_the_installation() -> None:
    for broker in ("redis+socket:///x", "amqp://localhost"):
        found = queues.settings(broker, "tweeter-12345678")
        names = [queue.name for queue in found["task_queues"]]
        assert names == [f"tweeter-12345678.{name}" for name in queues.NAMES]
        assert found["control_exchange"].startswith("tweeter-12345678")
    assert queues.settings("redis://x", "a")["broker_transport_options"]["global_keyprefix"] == "a:"


REFUSALS = {
    "amqp password": "ACCESS_REFUSED",
    "amqp host": "vhost nowhere not found",
    "redis password": "invalid username-password pair",
    "no redis password": "Authentication required",
    "redis database": "DB index is out of range",
}


def refused_url(wrong: str) -> str:
    """A broker's URL that it refuses, after others that it does not."""
    if wrong.startswith("amqp"):
        url = os.environ.get("TWEETER_TEST_AMQP_URL") or lacking("no TWEETER_TEST_AMQP_URL")
        away, other = f"amqp://127.0.0.1:{free_port()}//", "guest:wrong"
    else:
        url = os.environ.get("TWEETER_TEST_REDIS_URL") or lacking("no TWEETER_TEST_REDIS_URL")
        away, other = f"redis://127.0.0.1:{free_port()}/0", "nobody:wrong"
    assert queues.refusal(Connection(url)) == ""
    assert queues.refusal(Connection(away)) == "", "it is away"
    parts = urlsplit(url)
    if wrong.endswith("password"):
        place = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{other}@{place}").geturl()
    return parts._replace(path="/nowhere" if wrong == "amqp host" else "/9999").geturl()


@pytest.mark.parametrize("wrong", [name for name in REFUSALS if not name.startswith("no ")])
def test_a_worker_that_its_broker_refuses_ends_with_the_setting_and_the_reason(
    tmp_path: Path, wrong: str
) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("TWEETER_")}
    env |= {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""}
    env |= {"TWEETER_BROKER_URL": refused_url(wrong)}
    subprocess.run([sys.executable, "-m", "tweeter", "init"], env=env, check=True, timeout=60)
    worker = [sys.executable, "-m", "celery", "-A", "tweeter.views.flask_tasks", "worker"]
    done = subprocess.run(worker, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == MUST_END
    assert "The broker refuses TWEETER_BROKER_URL" in done.stderr
    assert REFUSALS[wrong] in done.stderr
    assert "Traceback" not in done.stderr
    everything = [sys.executable, "-m", "tweeter", "up"]
    env["TWEETER_PORT"] = str(free_port())
    done = subprocess.run(everything, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == MUST_END
    assert done.stderr.count("The broker refuses TWEETER_BROKER_URL") == 1


def test_a_redis_that_wants_a_password_refuses_who_has_none(embedded: Config) -> None:
    path = configuration.broker_socket(embedded)
    redis.Redis(unix_socket_path=str(path)).config_set("requirepass", "secret")
    found = queues.refusal(Connection(f"redis+socket://{path}"))
    assert REFUSALS["no redis password"] in found
    assert queues.refusal(Connection(f"redis+socket://:secret@{path}")) == ""


def test_what_lasts_is_told_rarely_and_what_is_new_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    now_s = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    tell = queues.rarely(lambda error, _: told.append((now_s - 1000, str(error))))
    for _ in range(0, 600, 5):
        tell(OSError("away"), 5)
        now_s += 5
    tell(OSError("wrong password"), 5)
    assert told == [
        (0, "away"),
        (60, "away"),
        (180, "away"),
        (420, "away"),
        (600, "wrong password"),
    ]


def test_ingest_leaves_a_process_free_and_a_killed_one_frees_its_lane() -> None:
    lanes = queues.Lanes()
    lanes.count = 1
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        with lanes.take() as is_free:
            os.write(into, b"1" if is_free else b"0")
            time.sleep(60)
        os._exit(1)
    try:
        assert os.read(out, 1) == b"1"
        with lanes.take() as is_free:
            assert not is_free, "the other process has the only lane"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    with lanes.take() as is_free:
        assert is_free


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A broker that is kept in a thread."""
    monkeypatch.setenv("TWEETER_DATA_DIR", str(tmp_path))
    config = configuration.load()
    keeper = BrokerKeeper(config)
    keeper.start()
    assert keeper.wait_ready(20)
    yield config
    keeper.stop()


def test_of_a_broker_that_goes_while_messages_are_under_way_no_worker_ends(
    embedded: Config,
) -> None:
    """What Celery does then: collect, close, and later acknowledge. kombu's has another error."""
    connection = queues.Connection(configuration.broker_url(embedded))
    messages = []
    for number, channel in enumerate((connection.default_channel, connection.channel())):
        queue = SimpleQueue(channel, f"jobs{number}")
        queue.put("job")
        messages.append(queue.get(timeout=10))
        channel._brpop_start()
    server = int((embedded.data_dir / "broker" / "server.pid").read_text())
    os.kill(server, signal.SIGKILL)
    time.sleep(0.1)
    with suppress(*connection.connection_errors):
        connection.collect(socket_timeout=1)
    connection.close()
    until_s = time.monotonic() + 30
    while messages and time.monotonic() < until_s:
        with suppress(*connection.connection_errors):
            messages[-1].ack()
            messages.pop()
        time.sleep(0.1)
    assert not messages, "the broker that is back takes no acknowledgement"
