"""A crew digests a file as one process would, and its end costs nothing."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.simulators.x import post
from tests.store.test_scale import begin, loaded
from tweeter import imports as reading
from tweeter import jsonlines
from tweeter.crew import FAILED, Crew
from tweeter.digest import digest
from tweeter.imports import _Reading
from tweeter.jsonlines import Block
from tweeter.keywords import Matcher
from tweeter.records import Keyword
from tweeter.store import keywords, streams
from tweeter.store.batches import Batch

STORM = [Keyword(id=1, expression="storm")]
CALM = [Keyword(id=2, expression="calm")]
LINES = [json.dumps(post(n, "a storm" if n % 3 else "calm")).encode() for n in range(1, 7)]
BLOCK = Block("posts", b"\n".join([*LINES, b"rubbish", b"", b""]), 10, 18, False)


@pytest.fixture
def crew() -> Iterator[Crew]:
    it = Crew(2)
    yield it
    it.close()


def ready(crew: Crew, count: int) -> None:
    until = time.monotonic() + 60
    while crew.size < count:
        crew.digest(BLOCK, 1, STORM)
        assert time.monotonic() < until, "no crew within 60 s"
        time.sleep(0.05)


def same(found: Batch, expected: Batch) -> None:
    """Equal but for the moment at which the lines were cut."""
    assert [(one[0].key, one[1]) for one in found.items] == [  # type: ignore[index]
        (one[0].key, one[1])  # type: ignore[index]
        for one in expected.items
    ]
    for name in ("counts", "rejected", "revision", "cursor", "words", "reads"):
        assert getattr(found, name) == getattr(expected, name)


def test_it_answers_what_digest_does_and_learns_new_keywords(crew: Crew) -> None:
    ready(crew, 2)
    for revision, known in ((3, STORM), (4, CALM), (5, STORM + CALM)):
        asked = [crew.digest(BLOCK, revision, known) for _ in range(5)]
        for one in asked:
            assert one is not None
            found = one.result()
            assert len(found.items) == {3: 4, 4: 2, 5: 6}[revision]
            assert [rejected.place for rejected in found.rejected] == ["posts line 17"]
            same(found, digest(BLOCK, Matcher(known), revision, is_live=False))


def test_one_that_is_killed_is_left_out_and_with_none_left_it_says_so(crew: Crew) -> None:
    ready(crew, 2)
    for left in (1, 0):
        os.kill(crew._children[left].process.pid, signal.SIGKILL)
        until = time.monotonic() + 60
        while crew.size > left:
            assert time.monotonic() < until
            asked = crew.digest(BLOCK, 1, STORM)
            if asked is not None and (error := asked.exception()) is not None:
                assert isinstance(error, FAILED)
    assert crew.digest(BLOCK, 1, STORM) is None


def test_without_helpers_the_reader_does_it_alone() -> None:
    none = Crew(0)
    assert none.digest(BLOCK, 1, STORM) is None
    none.close()


@pytest.mark.parametrize("killed", [False, True])
def test_a_file_read_with_a_crew_counts_as_without(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Also while a keyword comes, and a child of the crew dies."""
    monkeypatch.setattr(jsonlines, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", 2_000)
    monkeypatch.setattr(reading, "CREW_BYTES", 0)
    monkeypatch.setattr(reading, "STORE_S", 0.01)
    keyword = keywords.add(engine, "storm")
    file = tmp_path / "posts.jsonl"
    lines = [
        json.dumps(post(10**18 + n, "a storm" if n % 10 == 0 else "sunshine")) for n in range(3_000)
    ]
    file.write_text("\n".join([*lines[:1_500], "rubbish", "", *lines[1_500:]]))
    made: list[Crew] = []

    class Ready(Crew):
        def __init__(self, _: int, *, indexed: bool) -> None:
            super().__init__(2, indexed=indexed)
            ready(self, 2)
            made.append(self)

    monkeypatch.setattr(reading, "Crew", Ready)
    gave, late = _Reading._give, []

    def give(self: _Reading, events: object) -> None:
        gave(self, events)  # type: ignore[arg-type]
        late.append(events)
        if len(late) == 30:
            late.append(keywords.add(engine, "sunshine"))
            if killed:
                os.kill(made[0]._children[0].process.pid, signal.SIGKILL)

    monkeypatch.setattr(_Reading, "_give", give)
    stream_id = begin(engine, file, 10**9)
    while reading.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False):
        pass
    assert len(made) >= 1
    assert len(late) > 100
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert stream.state == "done"
    counts = stream.counts
    assert counts["lines"] == counts["events"] == 3_002
    assert (counts["quarantined"], counts["ignored"], counts["duplicates"]) == (1, 1, 0)
    assert counts["stored"] + counts["unmatched"] == 3_000
    assert keywords.get(engine, keyword.id).posts == 300
    # Of what was stored after the second keyword came, nothing is unmatched.
    assert 300 < counts["stored"] < 3_000
    assert keywords.list_all(engine)[0].posts == counts["stored"] - 300
