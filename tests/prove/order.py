"""R14: events shuffled, three times each, deleted before they come, edited a thousand times."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.running import ROOT
from tests.prove.harness import Broken, Run
from tests.prove.world import twice, wrong_counts
from tests.simulators.jetstream import post_event
from tests.simulators.mastodon import iso, status

POSTS = 1_500
EDITS = 1_000
COPIES = 3
RUNS, STEPS = 2_000, 50  # of the state machine, with --full; else a tenth


class Model:
    """What must be in the end: of each post the newest text, or that it is gone."""

    def __init__(self, run: Run) -> None:
        self._dice = run.dice
        self.events: list[bytes] = []
        self.texts: dict[str, tuple[int, str]] = {}
        self.gone: set[str] = set()
        self._make(run)

    def _make(self, run: Run) -> None:
        for number in range(POSTS):
            self._bluesky(number, 0) if number % 2 else self._mastodon(number, 0)
        for _ in range(EDITS):
            number = self._dice.randrange(POSTS)
            version = self._dice.randrange(1, 10_000)
            self._bluesky(number, version) if number % 2 else self._mastodon(number, version)
            run.fault("edit")
        for number in self._dice.sample(range(POSTS), POSTS // 5):
            self._delete(number)
            run.fault("delete")
        self.events *= COPIES
        self._dice.shuffle(self.events)

    def _bluesky(self, number: int, version: int) -> None:
        text = f"a storm {number} in version {version}"
        record = {"createdAt": "2026-11-24T05:00:00.000Z"}
        commit = {"rev": f"3l{version:011d}", "rkey": f"3lpost{number:07d}"}
        if version:
            commit["operation"] = "update"
        event = post_event(text, number, record=record, commit=commit)
        self._keep(f"at://{event['did']}/app.bsky.feed.post/{commit['rkey']}", version, text)
        self.events.append(json.dumps(event).encode())

    def _mastodon(self, number: int, version: int) -> None:
        text = f"a storm {number} in version {version}"
        found = _status(number, text)
        event = "update"
        if version:
            found |= {"edited_at": iso(1_790_000_000 + version)}
            event = "status.update"
        self._keep(found["uri"], version, text)
        self.events.append(_frame(event, json.dumps(found)))

    def _keep(self, key: str, version: int, text: str) -> None:
        if version >= self.texts.get(key, (-1, ""))[0]:
            self.texts[key] = version, text

    def _delete(self, number: int) -> None:
        if number % 2:
            event = post_event("", number)
            rkey = f"3lpost{number:07d}"
            event["commit"] = {
                "rev": f"3l{99_999:011d}",
                "operation": "delete",
                "collection": "app.bsky.feed.post",
                "rkey": rkey,
            }
            self.gone.add(f"at://{event['did']}/app.bsky.feed.post/{rkey}")
            self.events.append(json.dumps(event).encode())
        else:
            found = _status(number, "")
            self.gone.add(found["uri"])
            self.events.append(_frame("delete", found["id"]))


def _status(number: int, text: str) -> dict[str, Any]:
    found = status(number, text, at_s=1_790_000_000 + number)
    return found | {"id": str(((1_790_000_000_000 + number) << 16) + number)}


def _frame(event: str, payload: str) -> bytes:
    frame = {"stream": ["public"], "event": event, "payload": payload}
    return json.dumps(frame).encode()


def run(run: Run) -> None:
    model = Model(run)
    file = run.folder / "shuffled.jsonl"
    file.write_bytes(b"\n".join(model.events) + b"\n")
    tweeter = run.tweeter()
    tweeter.cli("init")
    tweeter.add("storm")
    done = json.loads(tweeter.cli("replay", str(file), "--wait", "--json").splitlines()[-1])
    run.figure("events", done["events"], least=len(model.events), most=len(model.events))
    run.figure("quarantined", done["quarantined"], most=0)
    rows = tweeter.sql("SELECT key, text, removed_at FROM posts")
    expected = {k: text for k, (_, text) in model.texts.items() if k not in model.gone}
    there = {key: shown for key, shown, removed_at in rows if removed_at is None}
    run.figure("came_back", len(model.gone & set(there)), most=0)
    run.figure("missing", len(set(expected) - set(there)), most=0)
    stale = sum(there[key] != shown for key, shown in expected.items())
    run.figure("wrong_text", stale, most=0)
    run.figure("text_of_removed", sum(bool(s) for k, s, r in rows if r is not None), most=0)
    run.figure("twice", twice(tweeter), most=0)
    run.figure("wrong_counts", wrong_counts(tweeter), most=0)
    run.fired(edit=EDITS, delete=POSTS // 5)
    if run.root == ROOT:
        _state_machine(run)


def _state_machine(run: Run) -> None:
    """The same by hypothesis, against a model in memory (tests/store/test_machine.py)."""
    runs = RUNS if run.full else RUNS // 10
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "tests/store/test_machine.py",
            "--timeout=1800",
            "-p",
            "no:cacheprovider",
        ],
        cwd=Path(ROOT),
        env={**os.environ, "TWEETER_TEST_MACHINE": f"{runs}x{STEPS}"},
        capture_output=True,
        text=True,
        timeout=1_800,
    )
    run.figures["machine"] = f"{runs} runs of up to {STEPS} steps"
    if done.returncode:
        raise Broken(f"the state machine: {done.stdout[-500:]}")
