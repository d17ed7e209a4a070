"""Files in parts: a plain file of JSON lines is split by bytes, any other is one part.

A position is a byte offset in the first case, and else the number of lines consumed: what is
packed can only be read from its beginning.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.replay import DAMAGED, SSE, Reader, open_file

LEAST_BYTES = 8 * 1024 * 1024
MOST_PARTS = 64
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstd


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
            if not size or file.read(8).startswith((*PACKED, *SSE)):
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
        raise SourceError("refused", f"{path} cannot be read: {error.strerror}.") from error


def read(path: Path, part: Part, position: int) -> Iterator[list[RawEvent]]:
    """Events of a part after a position, in blocks; a block may be empty while lines are skipped.

    Raises SourceError for a file that is away or damaged, after what was read before.
    """
    reader: Reader | None = None
    try:
        with open_file(path) as file:
            if part.end:
                file.seek(max(position, part.start))
                reader = _RangeReader(file, path.name, part.end)
            else:
                reader = Reader(file, path.name)
            while block := reader.block(0):
                yield [event for event in block if int(event.cursor) > position]
    except DAMAGED as error:
        lines = reader.lines if reader else 0
        raise SourceError(
            "refused",
            f"{path.name} is damaged after line {lines:,}: {error}."
            " What was read before is stored.",
        ) from error
    except OSError as error:
        raise SourceError("refused", f"{path} cannot be read: {error}.") from error


class _RangeReader(Reader):
    """JSON lines that begin before `end`; an event's cursor is the offset after it."""

    def __init__(self, file: object, name: str, end: int) -> None:
        super().__init__(file, name)  # type: ignore[arg-type]
        self._end = end

    def _all(self) -> Iterator[RawEvent]:
        yield from self._json_lines(self._line())

    def _line(self) -> bytes | None:
        self._begin = self._file.tell()
        return super()._line() if self._begin < self._end else None

    def _event(self, body: bytes, lines: int) -> RawEvent:
        return RawEvent(
            shape="any",
            body=body,
            received_at=now_us(),
            cursor=str(self._file.tell()),
            origin=self._name,
            place=f"{self._name} byte {self._begin}",
            lines=lines,
        )
