"""A bounded, fsynced journal of raw events, for networks that cannot send again.

What is in it survives a kill and a database that is away. It is also the queue between the
reader and the writer, who may fall behind by as much as the disk may hold.

Files `<first position>.log` of about SEGMENT_BYTES in one folder a stream; an entry is
length (4 bytes), CRC-32 of the rest (4), received_at (8), body; big-endian. A position counts
bytes since the journal began and never goes back.

A process locks its folder: one that was paused and wakes up after another took its stream
over must not write between the other's entries. `open_free` therefore takes a folder that
nobody holds, and hands out those that dead processes left, so that nothing stays behind.
"""

import fcntl
import io
import os
import re
import struct
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from tweeter.errors import TweeterError
from tweeter.records import RawEvent

SEGMENT_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 2 * 1024 * 1024  # read at once: a thousand posts of X
_HEAD = struct.Struct(">IIq")
_ID = re.compile(rb"[0-9a-f]{32}")


class JournalFull(TweeterError):
    """The journal holds as much as it may: what comes now is lost, and the ledger says so."""


class Journal:
    """One folder of a stream's journal, held by this process. Not for several threads at once.

    shape and origin are those of all its events: a folder belongs to one stream.

    Raises BlockingIOError if another process holds the folder.
    """

    def __init__(self, folder: Path, *, shape: str, origin: str = "", limit_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise
        self.folder = folder
        self.shape, self.origin = shape, origin
        self.limit_bytes = limit_bytes
        self.journal_id = self._identity()
        self.last_received_at = 0
        self._first = [int(path.stem) for path in sorted(folder.glob("*.log"))]
        self.end = self._mend_tail()
        self._out: io.FileIO | None = None
        if self._first:
            self._out = self._segment(self._first[-1]).open("ab", buffering=0)

    def _identity(self) -> str:
        """The folder's own; one that a full disk or a loss of power left empty is none."""
        path = self.folder / "id"
        if path.exists() and _ID.fullmatch(found := path.read_bytes().strip()):
            return found.decode()
        made = uuid.uuid4().hex
        new = self.folder / "id.new"
        with new.open("w") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        self._sync_folder()
        return made

    def _sync_folder(self) -> None:
        """The names of its files are on the disk, too."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _segment(self, first: int) -> Path:
        return self.folder / f"{first:020d}.log"

    def _mend_tail(self) -> int:
        """Cut a torn last entry off (a kill while writing) and find the end."""
        if not self._first:
            return 0
        first = self._first[-1]
        data = self._segment(first).read_bytes()
        good = 0
        for received_at, _, after in _entries(data, 0):
            good, self.last_received_at = after, received_at
        if good < len(data):
            os.truncate(self._segment(first), good)
        return first + good

    def append(self, events: Sequence[RawEvent], stored: int) -> int:
        """Write and fsync the events; returns the new end. `stored` is the position stored.

        Raises JournalFull (nothing written) and OSError (disk full: nothing counts as written).
        """
        data = _packed(events)
        if self.end - stored + len(data) > self.limit_bytes:
            raise JournalFull(
                f"The journal holds {self.end - stored} bytes that the database has not taken."
            )
        if self._out is None or self.end - self._first[-1] >= SEGMENT_BYTES:
            self._begin_segment()
        self._write(data)
        self.end += len(data)
        self.last_received_at = events[-1].received_at
        return self.end

    def _write(self, data: bytes) -> None:
        """Write all of it or, on an OSError (disk full), nothing."""
        assert self._out is not None  # noqa: S101 (set by _begin_segment)
        left = memoryview(data)
        try:
            while left:
                left = left[self._out.write(left) :]
            os.fsync(self._out.fileno())
        except OSError:
            os.ftruncate(self._out.fileno(), self.end - self._first[-1])
            raise

    def _begin_segment(self) -> None:
        if self._out is not None:
            self._out.close()
        self._out = self._segment(self.end).open("ab", buffering=0)
        self._first.append(self.end)
        self._sync_folder()

    def go_on_from(self, stored: int) -> None:
        """Write behind the stored position, also where files that lay before it were lost.

        What is written before it would never be read.
        """
        if stored > self.end:
            self.end = stored
            self._begin_segment()

    def read(self, position: int, *, max_events: int) -> tuple[list[RawEvent], int]:
        """Entries from `position` on, at most one segment's; returns them and the next position."""
        starts = tuple(self._first)  # `forget` may shorten it meanwhile
        if not starts or position >= self.end:
            return [], position
        position = max(position, starts[0])
        first = max(start for start in starts if start <= position)
        most = self.end - position
        for size in (min(PIECE_BYTES, most), most):  # a piece may end within its first entry
            with self._segment(first).open("rb") as file:
                file.seek(position - first)
                data = file.read(size)
            found = list(islice(_entries(data, 0), max_events))
            if found:
                shape, origin = self.shape, self.origin
                events = [
                    RawEvent(shape=shape, body=body, received_at=at, origin=origin)
                    for at, body, _ in found
                ]
                return events, position + found[-1][2]
        # The segment is read to its end.
        later = [start for start in starts if start > first]
        return self.read(later[0], max_events=max_events) if later else ([], position)

    def forget(self, stored: int) -> None:
        """Delete the files that lie wholly before the stored position."""
        while len(self._first) > 1 and self._first[1] <= stored:
            self._segment(self._first.pop(0)).unlink(missing_ok=True)

    def clear(self) -> None:
        """Everything is stored: only the position is kept, as the name of an empty file."""
        if not self._first or self.end > self._first[-1]:
            self._begin_segment()
        self.forget(self.end)

    def close(self) -> None:
        """Close the file and free the folder; what was appended is on the disk already."""
        if self._out is not None:
            self._out.close()
        self._lock.close()


def entry_bytes(events: Sequence[RawEvent]) -> int:
    """What the events take in the journal."""
    return _HEAD.size * len(events) + sum([len(event.body) for event in events])


def open_free(base: Path, *, shape: str, origin: str = "", limit_bytes: int) -> list[Journal]:
    """Take every folder under `base` that nobody holds, and at least one; the first is to be used.

    The others, if any, were left by processes that ended: read them to their end and close them.
    """
    base.mkdir(parents=True, exist_ok=True)
    make = partial(Journal, shape=shape, origin=origin, limit_bytes=limit_bytes)
    numbers = _numbers(base)
    found = _free(base, numbers or [0], make)
    number = max(numbers, default=0)
    while not found:  # others take folders at the same moment
        number += 1
        found = _free(base, [number], make)
    return found


def left_over(base: Path, *, shape: str, origin: str = "", limit_bytes: int) -> list[Journal]:
    """Take every folder under `base` that nobody holds and that is not cleared.

    A process that was paused while another took its stream over holds its folder until it wakes
    up, and leaves posts in it that it had read before: look again and again.
    """
    make = partial(Journal, shape=shape, origin=origin, limit_bytes=limit_bytes)
    return _free(base, [n for n in _numbers(base) if _has_entries(base / str(n))], make)


def _has_entries(folder: Path) -> bool:
    with suppress(FileNotFoundError):  # its holder goes on
        return any(file.stat().st_size for file in folder.glob("*.log"))
    return True


def _free(base: Path, numbers: Iterable[int], make: Callable[[Path], Journal]) -> list[Journal]:
    found = []
    for number in numbers:
        with suppress(BlockingIOError):
            found.append(make(base / str(number)))
    return found


def _numbers(base: Path) -> list[int]:
    return sorted(int(path.name) for path in base.iterdir() if path.name.isdigit())


def _packed(events: Iterable[RawEvent]) -> bytes:
    """Entries of events."""
    parts: list[bytes] = []
    for event in events:
        body, at = event.body, event.received_at
        parts += (_HEAD.pack(len(body), zlib.crc32(body, at & 0xFFFFFFFF), at), body)
    return b"".join(parts)


def _entries(data: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Whole entries of `data` as (received_at, body, offset after); stops at a torn one."""
    while at + _HEAD.size <= len(data):
        length, check, received_at = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        body = data[start : start + length]
        if len(body) < length or zlib.crc32(body, received_at & 0xFFFFFFFF) != check:
            return
        at = start + length
        yield received_at, body, at
