"""Files of recorded events: JSON lines or server-sent events; plain, gzip or zstd.

A line is an event; in a stream of server-sent events a block is. The cursor counts the lines
consumed, so a replay that was interrupted goes on where it stopped.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tweeter.checks import CHECKS, Fault
from tweeter.decode import times
from tweeter.errors import SourceError
from tweeter.jsonlines import DAMAGED
from tweeter.recordings import Reader, damaged, open_file, unreadable
from tweeter.records import Keyword, RawEvent
from tweeter.sources.backoff import constant
from tweeter.sources.base import Sink

LONGEST_PAUSE_S = 5.0  # between two posts, however far apart they were written

_TIME = re.compile(rb'"(time_us|created_at|createdAt)"\s*:\s*"?([^",}]+)')


class ReplaySource:
    """One file. speed: "max", "10x" (of the pace at which the posts were written) or "50/s".

    needs_keyword: wait until there is a keyword, for a file is read only once.
    """

    network = "replay"
    replayable = True
    repairable = False
    settles_s = 0.0

    def __init__(self, path: Path, *, speed: str = "max", needs_keyword: bool = False) -> None:
        self._path = path
        self._speed = speed
        self._needs_keyword = needs_keyword

    async def connect(self, sink: Sink) -> None:
        """Read to the end. Raises SourceError ("refused") saying what is wrong."""
        if self._needs_keyword:
            raise SourceError("waiting", f"{self._path.name} waits for the first keyword.")
        try:
            CHECKS["replay_speed"](self._speed)
        except Fault as expected:
            raise SourceError(
                "refused",
                f"The speed of {self._path.name} is “{self._speed}”: expected {expected}."
                " Replay the file again with such a --speed.",
            ) from expected
        try:
            file = await asyncio.to_thread(open_file, self._path)
        except OSError as error:
            raise unreadable(self._path, error) from error
        skip = int(sink.cursor or 0)
        reader = Reader(file, self._path.name)
        sink.connected(f"Reading {self._path.name}.")
        pace = _Pace(self._speed)
        try:
            while block := await asyncio.to_thread(reader.block, skip):
                await pace.put(block, sink)
        except DAMAGED as error:
            raise damaged(self._path, reader.lines, error) from error
        except OSError as error:
            raise unreadable(self._path, error) from error
        finally:
            await asyncio.to_thread(file.close)

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """A file that waits for the first keyword waits no more."""
        if keywords:
            self._needs_keyword = False

    def wait_s(self, kind: str, failures: int) -> float:
        """A file that cannot be read is not tried again by itself."""
        return constant(3600)(failures)


class _Pace:
    """Hands events on at the wanted speed."""

    def __init__(self, speed: str) -> None:
        self._per_s = float(speed[:-2]) if speed.endswith("/s") else 0.0
        self._factor = float(speed[:-1]) if speed.endswith("x") and speed != "max" else 0.0
        self._began_at = time.monotonic()
        self._sent = 0
        self._last_us = 0

    async def put(self, block: Sequence[RawEvent], sink: Sink) -> None:
        if not self._per_s and not self._factor:
            await sink.put(block)
            return
        for event in block:
            await asyncio.sleep(self._pause_s(event))
            await sink.put([event])
            self._sent += 1

    def _pause_s(self, event: RawEvent) -> float:
        if self._per_s:
            return max(0.0, self._began_at + self._sent / self._per_s - time.monotonic())
        written_us = _written_us(event.body)
        if written_us is None:
            return 0.0
        pause_s = (written_us - self._last_us) / 1e6 / self._factor if self._last_us else 0.0
        self._last_us = written_us
        return min(max(pause_s, 0.0), LONGEST_PAUSE_S)


def _written_us(body: bytes) -> int | None:
    """When a post was written, by the first field that says so."""
    found = _TIME.search(body)
    if not found:
        return None
    value = found[2].decode("ascii", "replace")
    if found[1] == b"time_us":
        return int(value) if value.isdigit() else None
    return times.iso(value) or times.v1(value)
