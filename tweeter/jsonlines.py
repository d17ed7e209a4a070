"""A file of JSON lines in blocks: whole lines as they lie there, not looked at one by one.

Who reads a file hands blocks of a megabyte on; who decodes cuts them into lines.
"""

import gzip
import io
import zlib
from collections.abc import Iterator

import msgspec
import zstandard

from tweeter.records import RawEvent, now_us

BLOCK_BYTES = 1024 * 1024
CHUNK_BYTES = 128 * 1024
LINE_BYTES = 4 * 1024 * 1024
CUT_BYTES = 64 * 1024  # kept of a longer line, for quarantine

File = io.BufferedReader | gzip.GzipFile

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Whole lines of a file. at, end: positions before and after them, in lines or in bytes."""

    name: str  # of the file
    data: bytes
    at: int
    end: int
    in_bytes: bool

    def __iter__(self) -> Iterator[RawEvent]:
        """Its lines as events; an event's cursor is the position after it."""
        received_at, name, unit = now_us(), self.name, "byte" if self.in_bytes else "line"
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        before = self.at
        for line in lines:
            after = before + (len(line) + 1 if self.in_bytes else 1)
            yield RawEvent(
                shape="any",
                body=line.rstrip(b"\r") if len(line) < LINE_BYTES else line[:CUT_BYTES],
                received_at=received_at,
                cursor=str(after) if after < self.end else str(self.end),
                origin=name,
                place=f"{name} {unit} {before if self.in_bytes else after}",
                lines=1,
            )
            before = after

    def after(self, position: int) -> "Block | None":
        """What is left of lines that are counted; None: nothing."""
        if position <= self.at:
            return self
        if position >= self.end:
            return None
        cut = 0
        for _ in range(position - self.at):
            cut = self.data.index(b"\n", cut) + 1
        return msgspec.structs.replace(self, data=self.data[cut:], at=position)


class Blocks:
    """The lines of an open file from where it stands, which is the position `at`.

    end: the lines that begin before this byte, and positions are bytes; 0: all lines, and
    positions count them. Raises DAMAGED and OSError after what could be read.
    """

    def __init__(self, file: File, name: str, at: int, end: int = 0) -> None:
        self._file = file
        self._name = name
        self._end = end
        self._rest = b""
        self._error: Exception | None = None
        self.at = at

    def __iter__(self) -> Iterator[Block]:
        while True:
            is_over = self._fill()
            cut = self._rest.rfind(b"\n") + 1
            if is_over and self._error is None:  # the last line may have no end
                cut = len(self._rest)
            if cut:
                data, self._rest = self._rest[:cut], self._rest[cut:]
                yield self._block(data, len(data))
            elif not is_over:
                yield self._long_line()
            if is_over:
                break
        if self._error is not None:
            raise self._error

    def _fill(self) -> bool:
        """Read until there are lines for a block, or a far too long one; True at the end."""
        parts, size, has_lines = [self._rest], len(self._rest), b"\n" in self._rest
        is_over = False
        while not is_over and size < (BLOCK_BYTES if has_lines else LINE_BYTES):
            chunk = self._chunk(size)
            is_over = not chunk
            parts.append(chunk)
            size += len(chunk)
            has_lines = has_lines or b"\n" in chunk
        self._rest = b"".join(parts)
        return is_over

    def _chunk(self, ahead: int) -> bytes:
        """The next bytes, b"" at the end; ahead: so many follow `at` already."""
        try:
            if not self._end:
                return self._file.read1(CHUNK_BYTES)
            left = self._end - self.at - ahead
            if left <= 0:
                return b""
            chunk = self._file.read1(min(CHUNK_BYTES, left))
            if len(chunk) == left and not chunk.endswith(b"\n"):
                chunk += self._file.readline(LINE_BYTES)  # it begins before the end
            return chunk
        except (*DAMAGED, OSError) as error:
            self._error = error
            return b""

    def _long_line(self) -> Block:
        """A line of more than LINE_BYTES: its beginning."""
        data, size = self._rest[:CUT_BYTES], len(self._rest)
        self._rest = b""
        while chunk := self._chunk(size):
            cut = chunk.find(b"\n") + 1
            size += cut or len(chunk)
            if cut:
                self._rest = chunk[cut:]
                break
        return self._block(data, size)

    def _block(self, data: bytes, size: int) -> Block:
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        before, self.at = self.at, self.at + (size if self._end else lines)
        return Block(self._name, data, before, self.at, bool(self._end))
