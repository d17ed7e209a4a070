"""A source in a process of its own, as the one who measures sees it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

from bench.events import Plan, Stream

ROOT = Path(__file__).parent.parent
CONNECT_S = 90.0


class Sent(NamedTuple):
    """A stretch of events that went out: its numbers, and unix nanoseconds."""

    first: int
    count: int
    first_ns: int
    sent_ns: int


class Network:
    """`with Network(Plan(…)) as network:`; stream says what it will send, url where it is."""

    def __init__(self, plan: Plan, *, at_us: int = 0, step_us: int = 20, past: int = 0) -> None:
        self.plan = plan
        self._words = [sys.executable, "-m", "bench.source", plan.network]
        self._words += ["--bodies", str(plan.bodies), "--keywords", str(plan.keywords)]
        self._words += ["--share", str(plan.share), "--step-us", str(step_us)]
        self._words += ["--at-us", str(at_us), "--past", str(past)]
        self._step_us = step_us
        self._process: subprocess.Popen[str] | None = None
        self.url = self.v2 = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ready = self._answer()
        self.url, self.v2 = ready["url"], ready.get("v2", "")
        self.stream = Stream(self.plan, at_us=ready["at_us"], step_us=self._step_us)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the source ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the source: {answer['error']}")
        return answer

    def ask(self, **words: Any) -> dict[str, Any]:
        """Say a line and wait for its answer."""
        self.say(**words)
        return self._answer()

    def say(self, **words: Any) -> None:
        """Say a line; `answer` has what comes of it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Of the last `say`."""
        return self._answer()

    def connected(self, clients: int = 1) -> None:
        """Wait until so many are there."""
        until = time.monotonic() + CONNECT_S
        while self.ask(do="clients")["clients"] < clients:
            if time.monotonic() > until:
                raise RuntimeError(f"nobody connected within {CONNECT_S:g} s")
            time.sleep(0.05)

    def go(self, first: int, count: int) -> Sent:
        """Send a stretch; returns when the last byte is on the socket."""
        answer = self.ask(do="go", first=first, count=count)
        return Sent(first, count, answer["first_ns"], answer["sent_ns"])
