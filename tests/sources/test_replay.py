"""Files as sources: every line is an event, wherever the reading stopped before."""

import asyncio
import gzip
import time
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from tests.sources.sink import Kept
from tweeter.errors import SourceError
from tweeter.sources.replay import ReplaySource

LINES = b'{"id": 1}\n\n{"id": 2}\r\nnot json\n{"id": 3}'


def read(path: Path, cursor: str = "", speed: str = "max") -> Kept:
    sink = Kept(cursor)
    asyncio.run(ReplaySource(path, speed=speed).connect(sink))
    return sink


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=str)
def test_lines_are_events_plain_and_packed(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "posts.anything"
    file.write_bytes(pack(LINES))
    sink = read(file)
    assert sink.bodies == [b'{"id": 1}', b"", b'{"id": 2}', b"not json", b'{"id": 3}']
    assert [event.place for event in sink.events][-1] == "posts.anything line 5"
    assert sum(event.lines for event in sink.events) == 5


@pytest.mark.parametrize("stopped", range(6))
def test_a_replay_goes_on_where_it_stopped(tmp_path: Path, stopped: int) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(LINES)
    whole = read(file)
    cursor = whole.events[stopped - 1].cursor if stopped else ""
    assert read(file, cursor).bodies == whole.bodies[stopped:]


def test_resuming_far_into_a_file_reads_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(5_000)))
    assert read(file, "3777").bodies == [b'{"n": %d}' % n for n in range(3_777, 5_000)]


def test_server_sent_events_are_blocks_that_count_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "stream.txt"
    file.write_bytes(b":)\n\nevent: update\ndata: {}\n\n:thump\n\nevent: delete\ndata: 12\n\n:")
    sink = read(file)
    assert sink.bodies == [
        b":)",
        b"event: update\ndata: {}",
        b":thump",
        b"event: delete\ndata: 12",
        b":",
    ]
    assert [event.lines for event in sink.events] == [2, 3, 2, 3, 1]


def test_a_damaged_archive_gives_what_can_be_read_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.gz"
    lines = b"".join(
        b'{"n": %d, "t": "%s"}\n' % (n, bytes(str(hash(n)), "ascii") * 9) for n in range(20_000)
    )
    file.write_bytes(gzip.compress(lines)[:-20_000])
    sink = Kept()
    with pytest.raises(SourceError) as caught:
        asyncio.run(ReplaySource(file).connect(sink))
    assert caught.value.kind == "refused"
    assert "damaged after line" in caught.value.state
    assert len(sink.events) > 1_000


def test_a_missing_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "none.jsonl")
    assert "none.jsonl cannot be read: No such file" in caught.value.state


def test_an_endless_line_is_cut_and_the_next_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"a": "' + b"x" * 9_000_000 + b'"}\n{"id": 2}\n'))
    sink = read(file)
    assert [len(body) for body in sink.bodies] == [64 * 1024, 9]


def test_a_small_archive_of_very_much_is_not_unpacked_at_once(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.zst"
    packing = zstandard.ZstdCompressor().compressobj()
    zeros = [packing.compress(bytes(1 << 20)) for _ in range(300)]
    file.write_bytes(b"".join(zeros) + packing.compress(b"\n{}\n") + packing.flush())
    assert file.stat().st_size < 40_000
    tracemalloc.start()
    sink = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(body) for body in sink.bodies] == [64 * 1024, 2]
    assert peak < 100_000_000


def test_speeds_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"".join(b'{"time_us": %d000000}\n' % n for n in range(100, 105)))
    began_at = time.monotonic()
    read(file, speed="20/s")
    assert 0.15 < time.monotonic() - began_at < 2
    began_at = time.monotonic()
    read(file, speed="10x")
    assert 0.3 < time.monotonic() - began_at < 2


@pytest.mark.parametrize("speed", ["foo", "0x", "nanx", "-1/s", "fast/s", ""])
def test_a_stored_speed_that_is_none_is_refused_in_words(tmp_path: Path, speed: str) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(LINES)
    with pytest.raises(SourceError, match=f"is “{speed}”: expected max, 10x or 50/s") as caught:
        read(file, speed=speed)
    assert caught.value.kind == "refused"
