"""R16: four writers, readers that come and go, a real browser: each is shown every post once."""

import http.client
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from playwright.sync_api import sync_playwright

from tests.integration.running import Running, wait_for
from tests.prove.crowd import Talk, audit, deal, get, holders, slot_pids
from tests.prove.harness import Run
from tests.prove.world import World

NETWORKS = ("bluesky", "mastodon", "mastodon-2", "mastodon-3")
WRITERS = 4
READERS = 3
RECONNECTS = 10
POSTS_A_S = 5  # of each; a browser that is away for 4 s must not miss more than its 100 cards
PLAYS_S = {True: 120, False: 26}
BROWSER_BREAKS = {True: 10, False: 2}

# Counts each card that is put on the page, by its id.
COUNT_CARDS = """
window.shown = {};
const feed = document.getElementById("feed");
new MutationObserver((changes) => {
  for (const change of changes)
    for (const node of change.addedNodes) {
      const id = node.querySelector?.("article")?.id;
      if (id) window.shown[id] = (window.shown[id] ?? 0) + 1;
    }
}).observe(feed, { childList: true });
"""


def run(run: Run) -> None:
    with World(NETWORKS) as world, run.tweeter(WORKERS="2", SLOTS="2", **world.settings()) as one:
        wait_for(lambda: len(slot_pids(one)) == WRITERS, 45, "for four processes that hold slots")
        streams = lambda: sum(map(len, holders(one).values())) == WRITERS  # noqa: E731
        wait_for(streams, 20, "for holders")
        deal(run, one, WRITERS)
        one.add("storm")
        for network in NETWORKS:
            wait_for(lambda n=network: world.connected(n), 45, f"for {network}")
        time.sleep(1)
        run.figure("writers", len(holders(one)), least=WRITERS)
        with Line(one.port) as line, _browser(one, line) as page, Readers(run, one) as readers:
            page.evaluate(COUNT_CARDS)
            with Talk(world, dict.fromkeys(NETWORKS, POSTS_A_S)):
                _play(run, one, page, line)
            audit(run, one, world)
            ids = {str(row[0]) for row in one.sql("SELECT id FROM posts")}
            readers.finish(len(ids))
            _compare(run, "readers", readers.seen, ids)
            shown = lambda: len(page.evaluate("window.shown")) >= len(ids)  # noqa: E731
            _patiently(page, shown)
            cards = {key[1:]: n for key, n in page.evaluate("window.shown").items()}
            _compare(run, "browser", [Counter(cards)], ids)
            breaks = BROWSER_BREAKS[run.full] + 1
            run.figure("browser_connects", line.connects, least=breaks)
    run.fired(reader_reconnects=READERS * RECONNECTS, web_killed=1, browser_cut=breaks - 1)


def _patiently(page: Any, condition: Any) -> None:
    until = time.monotonic() + 15
    while not condition() and time.monotonic() < until:
        page.wait_for_timeout(200)


class Line:
    """What the browser's connections go through, to be cut; connects counts live streams."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connects = 0
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> int:
        """End every connection; returns how many."""
        there = list(self._open)
        for one in there:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(there)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with suppress(OSError), near, socket.create_connection(("127.0.0.1", self._target)) as far:
            self._open |= {near, far}
            back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            back.start()
            self._pass(near, far)
            back.join()
            self._open -= {near, far}

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if b"GET /live/stream" in data:
                    self.connects += 1
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def _browser(tweeter: Running, line: Line) -> Iterator[Any]:
    """A page on /live, over the line that can be cut."""
    rules = f"MAP 127.0.0.1:{tweeter.port} 127.0.0.1:{line.port}"
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"],
        )
        page = chromium.new_page()
        page.goto(f"{tweeter.url}/live?every=1")  # not one in n
        yield page
        chromium.close()


def _play(run: Run, tweeter: Running, page: Any, line: Line) -> None:
    """The browser's line is cut now and then, and once the whole web process is."""
    breaks = BROWSER_BREAKS[run.full]
    pause_ms = PLAYS_S[run.full] * 1000 / (breaks + 1)
    for number in range(breaks):
        page.wait_for_timeout(pause_ms)
        if line.cut():
            run.fault("browser_cut")
        if number == breaks // 2:
            page.wait_for_timeout(4_000)
            os.kill(tweeter.pids("-m tweeter web")[0], signal.SIGKILL)
            run.fault("web_killed")
    page.wait_for_timeout(pause_ms)
    get(tweeter, "/live")


def _compare(run: Run, name: str, seen: list[Counter[str]], ids: set[str]) -> None:
    run.figures[f"{name}_shown"] = [len(one) for one in seen]
    run.figure(f"{name}_missed", sum(len(ids - one.keys()) for one in seen), most=0)
    doubled = sum(n > 1 for one in seen for n in one.values())
    run.figure(f"{name}_doubled", doubled, most=0)
    run.figure(f"{name}_invented", sum(len(one.keys() - ids) for one in seen), most=0)


class Readers:
    """Plain HTTP clients of the live stream, which leave and come back with the last id."""

    def __init__(self, run: Run, tweeter: Running) -> None:
        self._run, self._tweeter = run, tweeter
        self._after = tweeter.sql("SELECT value FROM positions WHERE name = 'feed'")[0][0]
        self._stop = threading.Event()
        self.seen: list[Counter[str]] = [Counter() for _ in range(READERS)]
        self._threads = [
            threading.Thread(target=self._read, args=(n, random.Random(run.seed + n)), daemon=True)
            for n in range(READERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)

    def finish(self, count: int) -> None:
        """Wait until all were shown so many posts, at most 15 s."""
        until = time.monotonic() + 15
        while time.monotonic() < until and any(len(one) < count for one in self.seen):
            time.sleep(0.2)
        time.sleep(1)  # for what would come twice

    def _read(self, number: int, dice: random.Random) -> None:
        after, connects = self._after, 0
        while not self._stop.is_set():
            # The last connection stays; each before it is left somewhere in the middle.
            most = dice.randint(10, 40) if connects < RECONNECTS + 2 else 1 << 40
            try:
                after = self._listen(number, after, most)
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)  # the web is being started again
                continue
            connects += 1
            if connects > 1:
                self._run.fault("reader_reconnects")

    def _listen(self, number: int, after: int, most: int) -> int:
        """Read so many posts on one connection; returns the last id."""
        line = http.client.HTTPConnection("127.0.0.1", self._tweeter.port, timeout=3)
        try:
            line.request("GET", f"/live/stream?after={after}")
            answer = line.getresponse()
            block: dict[str, str] = {}
            while most > 0 and not self._stop.is_set():
                try:
                    text = answer.readline().decode()
                except TimeoutError:
                    return after  # silent: come back
                if not text:
                    return after
                if text != "\n":
                    name, _, value = text.rstrip("\n").partition(": ")
                    block[name] = value
                    continue
                if block.get("event") == "post":
                    self.seen[number][block["data"].partition('"id":"')[2].partition('"')[0]] += 1
                    most -= 1
                after = int(block.get("id", after))
                block = {}
            return after
        finally:
            line.close()
