"""A crowd of readers of the live stream in a process of its own, so that measuring costs little.

A reader takes gzip, as browsers do, and takes no event apart: it looks for the mark in a post's
text (MARK, its number, "x", the moment of its frame in us) and keeps runs of numbers that follow
each other. What several readers are sent alike, byte for byte, is unpacked and looked at once.
"""

import asyncio
import contextlib
import multiprocessing
import re
import socket
import time
import zlib
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

from tweeter.packing import HEAD as GZIP

BUFFER = 4096  # of a slow reader: the server must feel that it stops
MARK = "mark:"
_MARK = MARK.encode()
PIECE_END = b"\x00\x00\xff\xff"  # of what the server packs
_MISSED = re.compile(rb'^event: missed\ndata: .*"posts":(\d+)', re.MULTILINE)


class Part(NamedTuple):
    """What some events said: the last id, runs of posts, their moments, how many were missed."""

    last: str
    runs: list[tuple[int, int]]
    sent: list[int]
    missed: int


_looked: dict[bytes, Part] = {}


def look(pieces: bytes) -> Part:
    """See Part. Kept for the next reader: comparing bytes is much cheaper than looking at them."""
    kept = _looked.get(pieces)
    if kept is None:
        if len(_looked) > 200:
            _looked.clear()
        events = zlib.decompressobj(-zlib.MAX_WBITS).decompress(pieces)
        kept = _looked[pieces] = _look(events)
    return kept


def _look(events: bytes) -> Part:
    runs: list[tuple[int, int]] = []
    sent = []
    for piece in events.split(_MARK)[1:]:
        digits, _, rest = piece.partition(b"x")
        number = int(digits)
        sent.append(int(rest[:16]))
        if runs and runs[-1][1] == number:
            runs[-1] = runs[-1][0], number + 1
        else:
            runs.append((number, number + 1))
    at = events.rfind(b"id: ")
    last = events[at + 4 : events.index(b"\n", at)].decode() if at >= 0 else ""
    return Part(last, runs, sent, sum(int(count) for count in _MISSED.findall(events)))


_buffer = memoryview(bytearray(1 << 18))  # one for all: a loop reads one socket at a time


class Reader(asyncio.BufferedProtocol):
    """One browser's stream. It comes back with the last id when it is cut."""

    def __init__(self, port: int, query: str, slow: bool) -> None:
        self.slow = slow
        self.last = ""
        self.cut = 0
        self.runs: list[tuple[int, int]] = []  # (first number, the one after the last)
        self.missed = 0
        self.late = Counter[int]()  # posts by delay in ms
        self._port, self._query = port, query
        self._rest, self._begun = b"", False
        self._line: asyncio.Transport | None = None
        self._again: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Ask for the stream, again and again until the server answers."""
        while True:
            line = socket.socket()
            if self.slow:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            line.setblocking(False)
            loop = asyncio.get_running_loop()
            try:
                await loop.sock_connect(line, ("127.0.0.1", self._port))
                await loop.create_connection(lambda: self, sock=line)
            except OSError:
                line.close()
                await asyncio.sleep(0.2)
            else:
                return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._line, self._rest, self._begun = transport, b"", False
        words = f"GET /live/stream?{self._query} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        words += "Accept-Encoding: gzip, deflate\r\n"  # as browsers do
        words += f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        transport.write(f"{words}\r\n".encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        now = time.time_ns() // 1000
        data = bytes(_buffer[:nbytes])
        data = self._rest + data if self._rest else data
        if not self._begun:
            head, end, data = data.partition(b"\r\n\r\n" + GZIP)
            if not end:
                self._rest = head
                return
            self._begun = True
        pieces, end, self._rest = data.rpartition(PIECE_END)
        if end:
            self.read(pieces + end, now)

    def read(self, pieces: bytes, now: int) -> None:
        """Whole pieces, which came at this moment."""
        part = look(pieces)
        self.last = part.last or self.last
        self.missed += part.missed
        for first, until in part.runs:
            if self.runs and self.runs[-1][1] == first:
                self.runs[-1] = self.runs[-1][0], until
            else:
                self.runs.append((first, until))
        late = self.late
        for sent in part.sent:
            late[(now - sent) // 1000] += 1

    def begin(self) -> None:
        """Forget what came so far."""
        self.runs, self.missed, self.late = [], 0, Counter()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line is not None:
            self.cut += 1
            self._again = asyncio.create_task(self.connect())

    def pause(self) -> None:
        """Take nothing from now on."""
        if self._line is not None and not self._line.is_closing():
            self._line.pause_reading()

    def go_on(self) -> None:
        """Take again what comes."""
        if self._line is not None and not self._line.is_closing():
            self._line.resume_reading()

    def end(self) -> None:
        """Go for good."""
        line, self._line = self._line, None
        if line is not None:
            line.abort()

    def has(self) -> int:
        """Posts that it was given, or told that it missed."""
        return sum(until - first for first, until in self.runs) + self.missed


class Crowd:
    """`with Crowd(port, [(query, is slow), …]) as crowd:`; crowd.ask(what) waits for the answer.

    joined       how many know where they are (a post came)
    begin        forget what came so far
    pause go_on  of the slow ones
    waits N      how many have neither got N posts nor been told of those they missed
    figures N    what `Figures` has, of N posts
    """

    def __init__(self, port: int, wanted: list[tuple[str, bool]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, port, wanted), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.ask("end")
        self._process.join(10)
        self._process.terminate()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid or 0

    def ask(self, what: str, number: int = 0) -> Any:
        """Have something done, and its answer."""
        self._ours.send((what, number))
        return self._ours.recv()


class Figures(NamedTuple):
    """late: deliveries by delay in ms, of readers that are not slow. Of slow ones: cut, told,
    untold (posts that they neither got nor were told of)."""

    late: Counter[int]
    lost: int
    doubled: int
    disordered: int
    cut: int
    told: int
    untold: int


def figures(readers: list[Reader], total: int) -> Figures:
    """What a run showed; each reader should have the posts 0 to total - 1, once, in order."""
    late: Counter[int] = Counter()
    faults: Counter[str] = Counter()
    for reader in readers:
        numbers = [n for first, until in reader.runs for n in range(max(0, first), until)]
        missing = total - len(set(numbers))
        faults["doubled"] += len(numbers) - len(set(numbers))
        faults["disordered"] += numbers != sorted(numbers)
        if reader.slow:
            faults["told"] += reader.missed
            faults["cut"] += reader.cut
            faults["untold"] += max(0, missing - reader.missed)
        else:
            faults["lost"] += missing
            late.update(reader.late)
    names = ("lost", "doubled", "disordered", "cut", "told", "untold")
    return Figures(late, *(faults[name] for name in names))


def _run(line: Connection, port: int, wanted: list[tuple[str, bool]]) -> None:
    asyncio.run(_serve(line, [Reader(port, query, slow) for query, slow in wanted]))


async def _serve(line: Connection, readers: list[Reader]) -> None:
    joining = asyncio.create_task(_join(readers))
    while True:
        what, number = await asyncio.to_thread(line.recv)
        if what == "begin":
            await joining
        line.send(_answer(what, number, readers))
        if what == "end":
            return


def _answer(what: str, number: int, readers: list[Reader]) -> Any:
    """See Crowd."""
    slow = [reader for reader in readers if reader.slow]
    answers: dict[str, Callable[[], Any]] = {
        "joined": lambda: sum(bool(reader.last) for reader in readers),
        "begin": lambda: [reader.begin() for reader in readers],
        "pause": lambda: [reader.pause() for reader in slow],
        "go_on": lambda: [reader.go_on() for reader in slow],
        "waits": lambda: sum(reader.has() < number for reader in readers),
        "figures": lambda: figures(readers, number),
        "end": lambda: [reader.end() for reader in readers],
    }
    return answers[what]()


async def _join(readers: list[Reader]) -> None:
    for n, reader in enumerate(readers):
        await reader.connect()
        if n % 50 == 49:
            await asyncio.sleep(0.05)
