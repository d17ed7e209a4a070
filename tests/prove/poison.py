"""R13: malformed events among good ones: each counted by its reason, every good one stored."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from tests.integration.running import Running
from tests.prove.harness import Run
from tests.prove.world import wrong_counts
from tests.simulators.jetstream import post_event

GOOD, BAD = 50_000, 1_000  # --full: a million and ten thousand
BIG_BYTES = 20 * 1024 * 1024


def run(run: Run) -> None:
    good, bad = (1_000_000, 10_000) if run.full else (GOOD, BAD)
    file = run.folder / "poison.jsonl"
    reasons, big = _write(run, file, good, bad)
    for name, url in _databases(run):
        with _Database(url) as database:
            settings = {"DATABASE_URL": database.url} if url else {}
            tweeter = run.tweeter(name, QUARANTINE_ROWS="20000", **settings)
            _read(run, tweeter, name, file, good, reasons, big)


def _databases(run: Run) -> Iterator[tuple[str, str]]:
    yield "sqlite", ""
    server = os.environ.get("TWEETER_TEST_PG_URL", "")
    if server:
        yield "postgresql", server


class _Database:
    """A fresh database on a server, dropped at the end; "" for none."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = f"tweeter_prove_{uuid.uuid4().hex[:12]}"
        self.url = ""

    def _run(self, statement: str) -> None:
        admin = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(statement))
        admin.dispose()

    def __enter__(self) -> "_Database":
        if self._server:
            self._run(f"CREATE DATABASE {self._name}")
            url = make_url(self._server).set(database=self._name)
            self.url = url.render_as_string(hide_password=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._run(f"DROP DATABASE {self._name} WITH (FORCE)")


def _write(run: Run, file: Path, good: int, bad: int) -> tuple[Counter[str], int]:
    """The file; how many of each poison, and how many of them are one and the same bytes."""
    kinds: list[tuple[str, Callable[[int], bytes]]] = list(POISONS.items())
    every = good // bad
    counts: Counter[str] = Counter()
    made = 0
    with file.open("wb") as out:
        for number in range(good):
            out.write(json.dumps(post_event(f"a storm {number}", number)).encode() + b"\n")
            if number % every == 0 and made < bad:
                name, make = kinds[made % len(kinds)] if made % 500 else ("20 MiB", _huge)
                out.write(make(number) + b"\n")
                counts[name] += 1
                run.fault(name)
                made += 1
    return counts, made


def _event(number: int, **changes: Any) -> dict[str, Any]:
    return post_event(f"a storm of poison {number}", number) | changes


def _cut(number: int) -> bytes:
    return json.dumps(_event(number)).encode()[:-30]


def _bad_utf8(number: int) -> bytes:
    return json.dumps(_event(number)).encode().replace(b"poison", b"poi\xff\xfeson")


def _deep(number: int) -> bytes:
    depth = 10_000
    return b'{"n":%d,"x":' % number + b"[" * depth + b"]" * depth + b"}"


def _wrong_types(number: int) -> bytes:
    return json.dumps(_event(number, did=number, commit=["not", "an", "object"])).encode()


def _no_text(number: int) -> bytes:
    event = _event(number)
    event["commit"]["record"]["text"] = {"number": number}
    return json.dumps(event).encode()


def _not_an_object(number: int) -> bytes:
    return json.dumps([number, "text"]).encode()


def _bare(number: int) -> bytes:
    return b"poison %d" % number


def _huge(number: int) -> bytes:
    return b'{"n":%d,"x":"' % number + b"x" * BIG_BYTES + b'"}'


POISONS: dict[str, Callable[[int], bytes]] = {
    "cut": _cut,
    "bad UTF-8": _bad_utf8,
    "depth 10,000": _deep,
    "wrong types": _wrong_types,
    "no text": _no_text,
    "not an object": _not_an_object,
    "bare words": _bare,
}


def _read(
    run: Run, tweeter: Running, name: str, file: Path, good: int, reasons: Counter[str], bad: int
) -> None:
    tweeter.cli("init")
    tweeter.add("storm")
    done = json.loads(
        tweeter.cli("replay", str(file), "--wait", "--json", timeout_s=1_800).splitlines()[-1]
    )
    run.figures[f"{name}_counts"] = done
    run.figure(f"{name}_lost", good - done["stored"], least=0, most=0)
    run.figure(f"{name}_quarantined", done["quarantined"], least=bad, most=bad)
    rows = tweeter.sql("SELECT count(*) FROM posts")
    run.figure(f"{name}_rows", rows[0][0], least=good, most=good)
    kept = tweeter.sql("SELECT reason, sum(count) FROM quarantine GROUP BY reason")
    run.figures[f"{name}_reasons"] = {reason: int(count) for reason, count in kept}
    run.figure(f"{name}_counted", sum(int(count) for _, count in kept), least=bad, most=bad)
    run.figure(f"{name}_without_reason", sum(not reason for reason, _ in kept), most=0)
    run.figure(f"{name}_wrong_counts", wrong_counts(tweeter), most=0)
    added = sum(done[n] for n in done if n not in ("lines", "events"))
    run.figure(f"{name}_unaccounted", done["events"] - added, least=0, most=0)
    run.fired(**reasons)
