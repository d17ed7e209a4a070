"""Blocks are the lines of the file, however it is cut, packed or broken."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from tweeter import jsonlines
from tweeter.errors import SourceError
from tweeter.jsonlines import Blocks
from tweeter.recordings import Part, Reader, open_file, position_after, read, split
from tweeter.records import RawEvent

lines = st.lists(st.binary(max_size=90).map(lambda b: b.replace(b"\n", b"")), max_size=20)
sizes = st.integers(1, 40)


def plain(events: list[RawEvent]) -> list[tuple[object, ...]]:
    return [(e.body, e.cursor, e.place, e.origin, e.lines, e.shape) for e in events]


@given(lines, st.booleans(), sizes, sizes, sizes)
@example([b"x" * 90, b"", b"y"], True, 5, 3, 40)
def test_blocks_hold_what_a_reader_of_lines_finds(
    found: list[bytes], ends: bool, block: int, chunk: int, longest: int
) -> None:
    data = b"\n".join([b"{}", *found]) + (b"\n" if ends else b"")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jsonlines, "BLOCK_BYTES", block)
        patched.setattr(jsonlines, "CHUNK_BYTES", chunk)
        patched.setattr(jsonlines, "LINE_BYTES", 60 + longest)
        patched.setattr(jsonlines, "CUT_BYTES", 7)
        patched.setattr("tweeter.recordings.LINE_BYTES", 60 + longest)
        patched.setattr("tweeter.recordings.CUT_BYTES", 7)
        reader = Reader(io.BufferedReader(io.BytesIO(data)), "posts")  # type: ignore[type-var]
        known: list[RawEvent] = []
        while some := reader.block(0):
            known += some
        blocks = list(Blocks(io.BufferedReader(io.BytesIO(data)), "posts", 0))  # type: ignore[type-var]
        assert plain([event for one in blocks for event in one]) == plain(known)
        assert [one.at for one in blocks] == [0, *(one.end for one in blocks)][:-1]


@given(lines, st.integers(0, 22), sizes)
def test_what_was_read_is_not_given_again(found: list[bytes], position: int, block: int) -> None:
    data = b"\n".join([b"{}", *found])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jsonlines, "BLOCK_BYTES", block)
        patched.setattr(jsonlines, "CHUNK_BYTES", block)
        blocks = list(Blocks(io.BufferedReader(io.BytesIO(data)), "posts", 0))  # type: ignore[type-var]
    whole = [event for one in blocks for event in one]
    rest = [event for one in blocks for event in one.after(position) or ()]
    assert plain(rest) == plain(whole[position:])


def test_a_file_that_is_written_on_gives_the_whole_last_line(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b'{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    blocks = list(read(file, Part(0, 14), 0))  # when it was split, it ended in the second line
    assert [event.body for one in blocks for event in one] == [b'{"id": 1}', b'{"id": 2}']
    assert position_after(blocks[-1]) == 20


def test_lines_before_the_damage_are_given(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.gz"
    data = gzip.compress(b"".join(b'{"n": %d, "is": "%x"}\n' % (n, n**9) for n in range(20_000)))
    file.write_bytes(data[: len(data) // 2])
    found = 0

    def count() -> None:
        nonlocal found
        for one in blocks:
            found += sum(1 for _ in one)

    with open_file(file) as opened:
        blocks = Blocks(opened, "posts", 0)
        with pytest.raises(jsonlines.DAMAGED):
            count()
    assert blocks.at == found > 5_000


def in_two(data: bytes) -> bytes:
    """As two programs that wrote into one file leave it: two frames."""
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, in_two])
def test_a_packed_file_that_was_cut_off_is_damaged(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "posts.packed"
    whole = b"".join(b'{"n": %d, "is": "%x"}\n' % (n, n**9) for n in range(20_000))
    packed = pack(whole)
    file.write_bytes(packed)
    assert sum(len(list(one)) for one in read(file, Part(0, 0), 0)) == 20_000
    for size in (len(packed) * 3 // 4, len(packed) - 1):
        file.write_bytes(packed[:size])
        with pytest.raises(SourceError, match="is damaged after line"):
            list(read(file, Part(0, 0), 0))


def test_parts_of_a_zstd_file_that_hold_nothing_to_read_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "posts.zst"
    skipped = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"  # a skippable frame: RFC 8878, 3.1.2
    empty = zstandard.compress(b"")
    one, other = zstandard.compress(b'{"n": 1}\n'), zstandard.compress(b'{"n": 2}\n')
    file.write_bytes(one + skipped + empty + other + skipped)
    events = [event.body for block in read(file, Part(0, 0), 0) for event in block]
    assert events == [b'{"n": 1}', b'{"n": 2}']


EVENTS = b"event: update\ndata: {}\n\nevent: delete\ndata: 1\n\n"


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_server_sent_events_are_known_behind_a_mark_or_a_blank_line(
    tmp_path: Path, before: bytes, is_packed: bool
) -> None:
    path = tmp_path / "events"
    data = before + EVENTS
    path.write_bytes(gzip.compress(data) if is_packed else data)
    (part,) = split(path)
    events = [event for block in read(path, part, 0) for event in block]
    assert [e.body for e in events if e.body] == EVENTS.strip().split(b"\n\n")
    assert sum(event.lines for event in events) == len(data.splitlines())


def test_a_block_of_server_sent_events_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "events"
    line = b"data: " + b"x" * 1_000_000 + b"\n"
    path.write_bytes(line * 12 + b"\n" + EVENTS)
    (part,) = split(path)
    first, *others = [event for block in read(path, part, 0) for event in block]
    assert (len(others), first.lines) == (2, 13)
    assert len(first.body) <= jsonlines.LINE_BYTES
