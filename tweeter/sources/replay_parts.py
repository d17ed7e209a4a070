"""Files in parts: a plain file of JSON lines is split by bytes, any other is one part.

A position is a byte offset in the first case, and else the number of lines consumed: what is
packed can only be read from its beginning.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tweeter.errors import SourceError
from tweeter.jsonlines import DAMAGED, Block, Blocks
from tweeter.records import RawEvent
from tweeter.sources.replay import SSE, Reader, open_file

LEAST_BYTES = 64 * 1024 * 1024  # between two parts a reader's helpers have nothing to do
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
            elif file.peek(8).startswith(SSE):
                blocks = Reader(file, path.name)
                while block := blocks.block(0):
                    yield [event for event in block if int(event.cursor) > position]
            else:
                for one in (blocks := Blocks(file, path.name, 0)):
                    yield one.after(position) or []
    except DAMAGED as error:
        lines = blocks.lines if isinstance(blocks, Reader) else blocks.at if blocks else 0
        raise SourceError(
            "refused",
            f"{path.name} is damaged after line {lines:,}: {error}."
            " What was read before is stored.",
        ) from error
    except OSError as error:
        raise SourceError("refused", f"{path} cannot be read: {error}.") from error


def position_after(events: Block | list[RawEvent]) -> int:
    """The position when these are stored."""
    return events.end if isinstance(events, Block) else int(events[-1].cursor)
