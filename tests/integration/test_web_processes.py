"""Several web processes on one port: the live feed and the forms are right from each."""

import http.client
import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.integration.running import Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served


def inode_of(port: int, client_port: int) -> str:
    """The socket of a server's side of a connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ours, theirs = (int(address.partition(":")[2], 16) for address in fields[1:3])
        if (ours, theirs) == (port, client_port):
            return fields[9]
    return ""


def served_by(tweeter: Running, client_port: int) -> int:
    """The web process that has the other end of a connection of ours."""
    inode = inode_of(tweeter.port, client_port)
    for pid in tweeter.pids(r"tweeter web"):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if entry.readlink().name == f"socket:[{inode}]":
                    return pid
            except OSError:
                continue
    return 0


class Reader:
    """A browser's live feed: remembers the posts by their text, and reconnects where it was."""

    def __init__(self, tweeter: Running) -> None:
        self.tweeter = tweeter
        self.texts: list[str] = []
        self.pids: list[int] = []
        self.last = ""
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def connect(self, *, not_to: int = 0) -> int:
        """Connect, again and again until another process than `not_to` answers."""
        for _ in range(60):
            line = http.client.HTTPConnection("127.0.0.1", self.tweeter.port, timeout=30)
            line.connect()
            assert line.sock is not None
            port = line.sock.getsockname()[1]
            headers = {"Last-Event-ID": self.last} if self.last else {}
            line.request("GET", "/live/stream", headers=headers)
            self._answer = line.getresponse()
            pid = served_by(self.tweeter, port)
            if pid and pid != not_to:
                self.pids.append(pid)
                return pid
            self._answer.close()
        raise AssertionError("one process serves all")

    def start(self) -> None:
        self._thread.start()

    def reconnect_elsewhere(self) -> int:
        """Break off, and go on at another process."""
        self._ended = True
        self._thread.join(20)
        self._answer.close()
        pid = self.connect(not_to=self.pids[-1])
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return pid

    def _run(self) -> None:
        kind = ""
        seq = ""
        while not self._ended:
            read = self._answer.readline()
            if not read:
                return  # the server ended it: to read on would find nothing, as fast as it can
            line = read.decode().rstrip("\n")
            if line.startswith("id: "):
                seq = line[4:]
            elif line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind == "post":
                self.texts.append(json.loads(line[6:])["card"]["text"][0][0])
            elif not line and seq:  # the event is whole: only now is it seen
                self.last = seq
            assert kind != "reload"


def ask(tweeter: Running, method: str, path: str, body: str = "", cookie: str = "") -> Any:
    """One request on a connection of its own: (process, status, body, cookie)."""
    line = http.client.HTTPConnection("127.0.0.1", tweeter.port, timeout=20)
    line.connect()
    assert line.sock is not None
    pid = served_by_soon(tweeter, line.sock.getsockname()[1])
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    line.request(method, path, body, headers)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return pid, answer.status, text, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def served_by_soon(tweeter: Running, port: int) -> int:
    return int(wait_for(lambda: served_by(tweeter, port), 10, "for a process to accept"))


def _wait_until_matched(tweeter: Running, served: Served[Any]) -> None:
    """Until the new keyword is looked for: the stream may have begun before it."""
    probe = jetstream.post_event("storm 0", 0)

    def is_stored() -> bool:
        served.do(served.it.publish([probe]))
        time.sleep(0.2)
        return bool(tweeter.sql("SELECT count(*) FROM posts")[0][0])

    wait_for(is_stored, 20, "for the keyword")


def test_readers_and_forms_are_served_right_by_each_of_two_processes(tmp_path: Path) -> None:
    with Served(jetstream.JetstreamSimulator(ping_s=5)) as served:
        more = {"BLUESKY_URL": served.it.url, "WEB_PROCESSES": "2", "LOOK_BACK_HOURS": "0"}
        with Running(tmp_path, **more) as tweeter:
            wait_for(lambda: len(tweeter.pids(r"tweeter web")) == 2, 20, "for both")
            tweeter.add("storm")
            wait_for(lambda: served.it.clients, 30, "for Jetstream")
            _wait_until_matched(tweeter, served)
            one, two = Reader(tweeter), Reader(tweeter)
            first = one.connect()
            second = two.connect(not_to=first)
            one.start()
            two.start()
            said = 0

            def say(count: int) -> None:
                nonlocal said
                for _ in range(count):
                    said += 1
                    event = jetstream.post_event(f"storm {said}", said)
                    served.do(served.it.publish([event]))
                    time.sleep(0.02)

            say(30)
            assert one.reconnect_elsewhere() == second
            say(30)
            assert two.reconnect_elsewhere() == first
            say(30)
            expected = [f"storm {n}" for n in range(1, said + 1)]
            for reader in (one, two):
                wait_for(lambda r=reader: len(r.texts) >= said, 10, "for all posts")
                assert reader.texts == expected, "each once, in order"

            # A form that one process made is taken by the other.
            page = ask(tweeter, "GET", "/add_keyword")
            token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page[2])
            assert token
            taken: set[int] = set()
            for n in range(40):
                fields = urlencode({"csrf_token": token[1], "expression": f"word{n}"})
                pid, status, text, _ = ask(tweeter, "POST", "/add_keyword", fields, page[3])
                assert status in (200, 302, 303), text
                assert "Nothing was changed" not in text
                taken.add(pid)
                if len(taken) == 2:
                    break
            assert taken == {first, second}
            assert tweeter.sql("SELECT count(*) FROM keywords") == [(n + 2,)]

            # One of them dies: the other goes on, and it is replaced.
            os.kill(first, signal.SIGKILL)
            wait_for(
                lambda: {second} < set(tweeter.pids(r"tweeter web")) - {first}, 15, "for another"
            )
            assert tweeter.health()["workers"] == 1
