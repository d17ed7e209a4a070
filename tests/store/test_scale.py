"""What machines share: the installation's id, the leader, and the parts of a file."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tweeter import config as configuration
from tweeter import imports as reading
from tweeter import jsonlines
from tweeter.recordings import Part, read, split
from tweeter.store import imports, keywords, streams
from tweeter.store.engine import make_engine, writing
from tweeter.store.installation import installation_id, lead
from tweeter.store.leases import owner


def test_an_installation_has_one_id_whoever_asks_first(engine: Engine, migrated_url: str) -> None:
    def ask(_: int) -> str:
        other = make_engine(migrated_url)
        try:
            return installation_id(other)
        finally:
            other.dispose()

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(ask, range(8)))
    assert len(ids) == 1
    assert installation_id(engine, before="00000000") in ids


def test_the_id_of_the_file_of_version_0_1_is_kept(engine: Engine) -> None:
    assert installation_id(engine, before="1a2b3c4d") == "1a2b3c4d"
    assert installation_id(engine) == "1a2b3c4d"


def test_one_leads_and_another_takes_over_when_it_is_silent_or_dead(engine: Engine) -> None:
    here, there = owner(), "elsewhere|boot|1|1"
    assert lead(engine, "scheduler", there)
    assert lead(engine, "scheduler", there)
    assert not lead(engine, "scheduler", here)
    with writing(engine) as connection:
        connection.execute(text("UPDATE leaders SET lease_until = 1"))
    assert lead(engine, "scheduler", here)
    assert not lead(engine, "scheduler", there)
    dead = f"{here[: here.rindex('|')]}|1"
    with writing(engine) as connection:
        connection.execute(text("UPDATE leaders SET owner = :dead"), {"dead": dead})
    assert lead(engine, "scheduler", there), "its own host sees at once that it is dead"


LINES = st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=60)


@settings(max_examples=200)
@given(LINES, st.integers(1, 200), st.booleans())
def test_parts_are_the_lines_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], step: int, ends: bool
) -> None:
    file = tmp_path_factory.mktemp("parts") / "posts.jsonl"
    data = b"\n".join([b'{"first": 1}', *lines]) + (b"\n" if ends else b"")
    file.write_bytes(data)
    parts = split(file, least_bytes=step)
    found = [e for part in parts for block in read(file, part, 0) for e in block]
    whole = [e for block in read(file, Part(0, 0), 0) for e in block]
    assert [e.body for e in found] == [e.body for e in whole]
    assert parts[0].start == 0
    assert parts[-1].end == len(data)
    last = parts[-1]
    events = [e for block in read(file, last, 0) for e in block]
    for n, event in enumerate(events):
        after = [e.body for block in read(file, last, int(event.cursor)) for e in block]
        assert after == [e.body for e in events[n + 1 :]]


def post(n: int) -> str:
    words = "storm" if n % 2 else "sunshine"
    return json.dumps({"data": {"id": str(10**18 + n), "text": f"{words} {n}"}})


def loaded(tmp_path: Path) -> Any:
    return configuration.load({"TWEETER_DATA_DIR": str(tmp_path / "data")})


def begin(engine: Engine, file: Path, least_bytes: int) -> int:
    return imports.start(engine, file, split(file, least_bytes=least_bytes), 1)


class Ended(Exception):
    """As if the process had been killed."""


def test_parts_are_read_side_by_side_and_counted_once(
    engine: Engine, migrated_url: str, tmp_path: Path
) -> None:
    keyword = keywords.add(engine, "storm")
    file = tmp_path / "posts.jsonl"
    file.write_text("".join(post(n) + "\n" for n in range(3_000)) + "\nrubbish\n")
    stream_id = begin(engine, file, 20_000)
    assert begin(engine, file, 20_000) == stream_id, "one that was begun is gone on with"
    assert imports.idle(engine) == [stream_id]

    def work(_: int) -> None:
        other = make_engine(migrated_url)
        try:
            while reading.work(other, loaded(tmp_path), stream_id, should_stop=lambda: False):
                pass
        finally:
            other.dispose()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert (stream.state, stream.reason) == ("done", "Read to its end.")
    assert stream.counts == {
        "lines": 3_002,
        "events": 3_002,
        "stored": 1_500,
        "unmatched": 1_500,
        "applied": 0,
        "ignored": 1,
        "duplicates": 0,
        "quarantined": 1,
    }
    assert keywords.get(engine, keyword.id).posts == 1_500
    assert imports.idle(engine) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_reader_that_dies_between_batches_leaves_the_same_counts(
    engine: Engine, tmp_path: Path, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(reading, "STORE_S", 0.0)
    keywords.add(engine, "storm")
    file = tmp_path / "posts.jsonl"
    file.write_bytes(pack("".join(post(n) + "\n" for n in range(4_000)).encode()))
    stream_id = begin(engine, file, 60_000)
    died = 0
    for asked in (1, 2, 3):
        asks = iter(range(asked))

        def dies(asks: Any = asks) -> bool:
            if next(asks, None) is None:
                raise Ended
            return False

        try:
            reading.work(engine, loaded(tmp_path), stream_id, should_stop=dies)
        except Ended:
            died += 1
        with writing(engine) as connection:  # its lease lapses
            connection.execute(text("UPDATE jobs SET lease_until = 0"))
    assert died == 3
    while reading.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False):
        pass
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert stream.state == "done"
    assert {n: c for n, c in stream.counts.items() if c} == {
        "lines": 4_000,
        "events": 4_000,
        "stored": 2_000,
        "unmatched": 2_000,
    }


def test_a_reader_that_was_paused_too_long_writes_nothing(engine: Engine, tmp_path: Path) -> None:
    keywords.add(engine, "storm")
    file = tmp_path / "posts.jsonl"
    file.write_text("".join(post(n) + "\n" for n in range(100)))
    stream_id = begin(engine, file, 10**6)

    def another_takes_it() -> bool:
        with writing(engine) as connection:
            connection.execute(text("UPDATE jobs SET epoch = epoch + 1"))
        return False

    assert reading.work(engine, loaded(tmp_path), stream_id, should_stop=another_takes_it) == 0
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert stream.counts["events"] == 0


def test_a_long_file_is_read_on_unless_another_one_waits(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", 2_000)
    monkeypatch.setattr(reading, "PART_S", 0.0)
    keywords.add(engine, "storm")
    ids = []
    for name in ("a", "b"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(post(n) + "\n" for n in range(300)))
        ids.append(begin(engine, file, 10**6))
    left: list[tuple[int, bool]] = []

    def work(stream_id: int) -> int:
        reading.work(
            engine,
            loaded(tmp_path),
            stream_id,
            should_stop=lambda: False,
            more=lambda one, is_left: left.append((one, is_left)),
        )
        stream = streams.get(engine, stream_id)
        assert stream is not None
        return stream.counts["events"]

    assert work(ids[0]) < 300
    assert left == [(ids[0], True)]
    with writing(engine) as connection:
        connection.execute(text("UPDATE jobs SET state = 'done' WHERE subject = :b"), {"b": ids[1]})
    assert work(ids[0]) == 300


def test_a_file_that_is_given_again_while_it_is_read_goes_on(
    engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text(post(1) + "\n")
    stream_id = begin(engine, file, 10**6)
    imports.claim(engine, stream_id, owner())
    assert begin(engine, file, 10**6) == stream_id
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert (stream.state, stream.reason) == ("live", "Reading posts.jsonl.")


def test_a_damaged_file_says_so_when_the_rest_is_read(engine: Engine, tmp_path: Path) -> None:
    keywords.add(engine, "storm")
    file = tmp_path / "posts.jsonl.gz"
    data = gzip.compress("".join(post(n) + "\n" for n in range(3_000)).encode())
    file.write_bytes(data[: len(data) // 2])
    stream_id = begin(engine, file, 10**6)
    reading.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False)
    stream = streams.get(engine, stream_id)
    assert stream is not None
    assert stream.state == "failed"
    assert "is damaged after line" in stream.reason
    assert stream.counts["stored"] > 0
