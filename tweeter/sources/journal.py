"""A bounded, fsynced journal of raw events, for networks that cannot send again.

What is in it survives a kill and a database that is away. It is also the queue between the
reader and the writer, who may fall behind by as much as the disk may hold.

Files `<first position>.log` of about SEGMENT_BYTES in one folder a stream; an entry is
length (4 bytes), CRC-32 of the rest (4), received_at (8), body; big-endian. A position counts
bytes since the journal began and never goes back.

A disk may damage a file. `read` passes over what is no whole entry, and tells of each such stretch,
so that the ledger can say what was lost; only an entry that a kill tore is cut off.

A process locks its folder: one that was paused and wakes up after another took its stream
over must not write between the other's entries. `open_free` therefore takes a folder that
nobody holds, and hands out those that dead processes left, so that nothing stays behind.
"""

import errno
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
PIECE_BYTES = 2 * 1024 * 1024  # read at once, at least: a thousand posts of X
ENTRY_BYTES = 2 * 1024  # of a post of X, about
SECTOR_BYTES = 4096  # read at once where the disk fails to read
_HEAD = struct.Struct(">IIq")
_ID = re.compile(rb"[0-9a-f]{32}")
_LIKELY = re.compile(rb"(?s)(?=\0(?!\0\0\0).{7}\0)")  # a head: below 16 MB, a moment of this age


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
        """Cut a torn last entry off (a kill while writing) and find the end.

        What is damaged stays, and `read` tells of it: whole entries may follow.
        """
        if not self._first:
            return 0
        first = self._first[-1]
        data = self._bytes(first, 0, self._segment(first).stat().st_size)
        good, begin = 0, 0
        while begin >= 0:
            for received_at, _, after in _entries(data, begin):
                good, self.last_received_at = after, received_at
            begin = _entry_behind(data, good)
        if _is_torn(data, good):
            os.truncate(self._segment(first), good)
            return first + good
        return first + len(data)

    def _bytes(self, first: int, begin: int, size: int) -> bytes:
        """Bytes of a file; zeros, which are no entry, for what the disk fails to read."""
        try:
            file = os.open(self._segment(first), os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return _read(file, begin, size)
        finally:
            os.close(file)

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
        """Entries from `position` on, at most one segment's; returns them and the next position.

        None, and a position that is further on: what lies between is damaged and lost.
        """
        end = self.end  # first: what lies before it is in these files
        starts = tuple(self._first)  # `forget` may shorten it meanwhile
        if not starts or position >= end:
            return [], position
        if 0 < position < starts[0]:
            return [], starts[0]
        position = max(position, starts[0])  # 0: a database that does not know this journal
        first = max(start for start in starts if start <= position)
        most = end - position
        data = b""
        piece = max(PIECE_BYTES, max_events * ENTRY_BYTES)
        for size in (min(piece, most), most):  # a piece may end within its first entry
            data = self._bytes(first, position - first, size)
            found = list(islice(_entries(data, 0), max_events))
            if found:
                shape, origin = self.shape, self.origin
                events = [
                    RawEvent(shape=shape, body=body, received_at=at, origin=origin)
                    for at, body, _ in found
                ]
                return events, position + found[-1][2]
        behind = _entry_behind(data, 0)
        later = [start for start in starts if start > first]
        return [], position + behind if behind > 0 else min([*later, end])

    def heard_at(self, position: int) -> int:
        """When the entry at a position was received; 0 if none can be read there."""
        events, _ = self.read(position, max_events=1)
        return events[0].received_at if events else 0

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
    """Whole entries of `data` as (received_at, body, offset after); stops at a torn one.

    Zeros, which a loss of power may leave, are none.
    """
    while at + _HEAD.size <= len(data):
        length, check, received_at = _HEAD.unpack_from(data, at)
        if not length:
            return
        start = at + _HEAD.size
        body = data[start : start + length]
        if len(body) < length or zlib.crc32(body, received_at & 0xFFFFFFFF) != check:
            return
        at = start + length
        yield received_at, body, at


def _entry_behind(data: bytes, at: int) -> int:
    """Where the first whole entry behind a damage at `at` begins; -1 if there is none."""
    for likely in _LIKELY.finditer(data, at + 1):
        if next(_entries(data, likely.start()), None) is not None:
            return likely.start()
    return -1


def _is_torn(data: bytes, at: int) -> bool:
    """True if the data end within an entry that begins at `at`."""
    left = len(data) - at
    if left < _HEAD.size:
        return left > 0
    return left < _HEAD.size + int(_HEAD.unpack_from(data, at)[0])


def _read(file: int, begin: int, size: int) -> bytes:
    """Up to `size` bytes; where the disk fails, by sectors, with zeros for those that fail."""
    size = max(min(size, os.fstat(file).st_size - begin), 0)
    try:
        return _whole(file, begin, size)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    parts: list[bytes] = []
    at, end = begin, begin + size
    while at < end:
        most = min(SECTOR_BYTES - at % SECTOR_BYTES, end - at)
        try:
            parts.append(_whole(file, at, most))
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            parts.append(bytes(most))
        at += most
    return b"".join(parts)


def _whole(file: int, begin: int, size: int) -> bytes:
    """Up to `size` bytes; fewer only where the file ends."""
    data = os.pread(file, size, begin)
    while len(data) < size and (more := os.pread(file, size - len(data), begin + len(data))):
        data += more
    return data
