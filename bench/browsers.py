"""Browsers that show the live deck, each with a line of its own: when a post is in the page.

They are told what to do over Chromium's own protocol, by a few commands: a driver that also
listens to their network would be told of every event of every line.
"""

import contextlib
import itertools
import json
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-port=0",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]
# A post counts as seen in the frame that is drawn after it came into the page.
WATCH = r"""
window.late = [];
document.addEventListener("DOMContentLoaded", () => {
  const seen = new Set();
  const found = (text) => [...text.matchAll(/mark:(\d+)x(\d{16})/g)];
  new MutationObserver((changes) => {
    const posts = changes.flatMap((one) => [...one.addedNodes])
      .flatMap((node) => found(node.textContent))
      .filter((mark) => !seen.has(mark[1]));
    for (const mark of posts) seen.add(mark[1]);
    if (posts.length > 0) requestAnimationFrame(() => {
      for (const mark of posts) window.late.push(Math.round(Date.now() - Number(mark[2]) / 1000));
    });
  }).observe(document.getElementById("deck"), { childList: true, subtree: true });
});
"""


class Browsers:
    """`with Browsers(url, 20) as them:`; each has a profile of its own."""

    def __init__(self, url: str, count: int) -> None:
        self._url, self._count = url, count
        self._sessions: list[str] = []
        self._numbers = itertools.count(1)
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        folder = Path(
            self._closing.enter_context(
                tempfile.TemporaryDirectory(
                    ignore_cleanup_errors=True
                )  # its children may still write
            )
        )
        words = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        chromium = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._closing.callback(chromium.wait, 20)
        self._closing.callback(chromium.terminate)
        told = folder / "profile" / "DevToolsActivePort"
        until = time.monotonic() + 60
        while not told.exists() or len(told.read_text().splitlines()) < 2:
            assert time.monotonic() < until, "Chromium does not start"
            time.sleep(0.1)
        port, path = told.read_text().splitlines()[:2]
        self._line = self._closing.enter_context(
            connect(f"ws://127.0.0.1:{port}{path}", max_size=None)
        )
        for _ in range(self._count):
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self) -> None:
        context = self._do("Target.createBrowserContext")["browserContextId"]
        page = {"url": "about:blank", "browserContextId": context, "newWindow": True}
        target = self._do("Target.createTarget", **page)["targetId"]
        session = self._do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._do("Page.enable", session)
        self._do("Page.addScriptToEvaluateOnNewDocument", session, source=WATCH)
        self._do("Page.navigate", session, url=self._url)
        self._sessions.append(session)

    def _do(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._line.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._line.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def evaluate(self, script: str) -> list[Any]:
        """The script's value in each page."""
        asked = [
            self._do("Runtime.evaluate", one, expression=script, returnByValue=True)
            for one in self._sessions
        ]
        return [one["result"].get("value") for one in asked]

    def late(self) -> list[Counter[int]]:
        """Of each page: posts by delay in ms, from the network's frame to the page's."""
        return [Counter(delays) for delays in self.evaluate("window.late")]
