"""Files of recorded events: JSON lines or server-sent events; plain, gzip or zstd.

A line is an event; in a stream of server-sent events a block is. A plain file of JSON lines is
split into parts by bytes, any other is one part. A position is a byte offset in the first case,
and else the number of lines consumed: what is packed can only be read from its beginning.
"""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from tweeter.errors import SourceError
from tweeter.jsonlines import CUT_BYTES, DAMAGED, LINE_BYTES, Block, Blocks, File
from tweeter.records import RawEvent, now_us

BLOCK_EVENTS = 512
BOM = b"\xef\xbb\xbf"
HEAD_BYTES = 256  # by which a file is known
SSE = (b":", b"event:", b"data:", b"id:", b"retry:")
LEAST_BYTES = 32 * 1024 * 1024  # between two parts a reader's helpers have nothing to do
MOST_PARTS = 64
PACKED_BYTES = 1024  # unpacked at a time: they may hold 32,768 times as much
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # how packed files begin


class Part(NamedTuple):
    """Bytes [start, end) that begin and end between lines; end 0: the whole file, as lines."""

    start: int
    end: int


def split(path: Path, *, least_bytes: int = LEAST_BYTES) -> list[Part]:
    """Cut a file into at most MOST_PARTS parts of about equal size. Raises SourceError."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(HEAD_BYTES)
            if not size or head.startswith((GZIP, ZSTD)) or _is_sse(head):
                return [Part(0, 0)]
            step = max(least_bytes, -(-size // MOST_PARTS))
            cuts = [0]
            for target in range(step, size, step):
                file.seek(target - 1)
                file.readline()
                if cuts[-1] < file.tell() < size:
                    cuts.append(file.tell())
            return [Part(*cut) for cut in zip(cuts, [*cuts[1:], size], strict=True)]
    except OSError as error:
        raise unreadable(path, error) from error


def _is_sse(head: bytes) -> bool:
    """Whether a file that begins so is one of server-sent events."""
    return head.removeprefix(BOM).lstrip().startswith(SSE)


def unreadable(path: Path, error: OSError) -> SourceError:
    """A file that is away, or that we may not read."""
    return SourceError("refused", f"{path} cannot be read: {error.strerror or error}.")


def damaged(path: Path, lines: int, error: Exception) -> SourceError:
    """A packed file that ends too early, or is not what it seems; so many lines were read."""
    return SourceError(
        "refused",
        f"{path.name} is damaged after line {lines:,}: {error}. What was read before is stored.",
    )


def read(path: Path, part: Part, position: int) -> Iterator[Block | list[RawEvent]]:
    """Events of a part after a position, in blocks; [] while lines are skipped.

    Raises SourceError for a file that is away or damaged, after what was read before.
    """
    blocks: Blocks | Reader | None = None
    try:
        with open_file(path) as file:
            if part.end:
                at = max(position, part.start)
                file.seek(at)
                yield from (blocks := Blocks(file, path.name, at, part.end))
            elif _is_sse(file.peek(HEAD_BYTES)):
                blocks = Reader(file, path.name)
                while block := blocks.block(0):
                    yield [event for event in block if int(event.cursor) > position]
            else:
                for one in (blocks := Blocks(file, path.name, 0)):
                    yield one.after(position) or []
    except DAMAGED as error:
        lines = blocks.lines if isinstance(blocks, Reader) else blocks.at if blocks else 0
        raise damaged(path, lines, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def position_after(events: Block | list[RawEvent]) -> int:
    """The position when these are stored."""
    return events.end if isinstance(events, Block) else int(events[-1].cursor)


def open_file(path: Path) -> File:
    """The file's bytes, unpacked; known by its first bytes, not by its name."""
    file = path.open("rb")
    start = file.read(4)
    file.seek(0)
    if start.startswith(GZIP):
        file.close()  # GzipFile closes only what it has opened itself
        return gzip.GzipFile(path)
    if start == ZSTD:
        return io.BufferedReader(_Frames(file), 1 << 20)
    return file


class _Frames(io.RawIOBase):
    """What is in a file of zstd frames. zstandard's own reader says nothing at one that ends too
    early; here, as with gzip, that is an EOFError."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._packed = b""
        self._unpacked = memoryview(b"")
        self._frame: zstandard.ZstdDecompressionObj | None = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            if not self._unpack():
                return 0
        size = min(len(buffer), len(self._unpacked))
        buffer[:size], self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return size

    def _unpack(self) -> bool:
        """Some more, maybe nothing; False at the end."""
        packed = self._packed or self._file.read(PACKED_BYTES)
        if not packed:
            if self._frame is not None:
                raise EOFError("it ends in the middle of a frame")
            return False
        frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        self._unpacked = memoryview(frame.decompress(packed))
        self._packed, self._frame = (frame.unused_data, None) if frame.eof else (b"", frame)
        return True


class Reader:
    """Events of an open file, in blocks; used from one thread at a time. lines: read so far."""

    def __init__(self, file: File, name: str) -> None:
        self._file = file
        self._name = name
        self.lines = 0
        self._events = self._all()

    def block(self, skip: int) -> list[RawEvent]:
        """The next events after the first `skip` lines; [] at the end.

        When the file turns out to be damaged, what was read before is returned first.
        """
        found: list[RawEvent] = []
        try:
            for event in self._events:
                if int(event.cursor) > skip:
                    found.append(event)
                if len(found) == BLOCK_EVENTS:
                    break
        except DAMAGED as error:
            if not found:
                raise
            self._events = _raising(error)
        return found

    def _all(self) -> Iterator[RawEvent]:
        is_sse = _is_sse(self._file.peek(HEAD_BYTES))
        first = self._line()
        if first is None:
            return
        if is_sse:
            yield from self._blocks(first.removeprefix(BOM))
        else:
            yield from self._json_lines(first)

    def _line(self) -> bytes | None:
        """The next line without its end, None at the end; a far too long one is cut."""
        line = self._file.readline(LINE_BYTES)
        if not line:
            return None
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            while (rest := self._file.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            line = line[:CUT_BYTES]
        self.lines += 1
        return line.rstrip(b"\r\n")

    def _json_lines(self, line: bytes | None) -> Iterator[RawEvent]:
        while line is not None:
            yield self._event(line, 1)
            line = self._line()

    def _blocks(self, line: bytes | None) -> Iterator[RawEvent]:
        """Server-sent events: a blank line ends a block and counts as one of its lines.

        Of a block longer than any event what comes first is kept.
        """
        gathered: list[bytes] = []
        count = size = 0
        while line is not None:
            count += 1
            size += len(line) + 1
            if not line:
                yield self._event(b"\n".join(gathered), count)
                gathered, count, size = [], 0, 0
            elif size <= LINE_BYTES:
                gathered.append(line)
            line = self._line()
        if count:
            yield self._event(b"\n".join(gathered), count)

    def _event(self, body: bytes, lines: int) -> RawEvent:
        return RawEvent(
            shape="any",
            body=body,
            received_at=now_us(),
            cursor=str(self.lines),
            origin=self._name,
            place=f"{self._name} line {self.lines - lines + 1}",
            lines=lines,
        )


def _raising(error: Exception) -> Iterator[RawEvent]:
    raise error
    yield
