"""Browsers' live streams without browsers: readers that measure, and readers that take nothing."""

import asyncio
import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

from tests.integration.running import Running
from tests.simulators.threaded import Threaded

LIVE = "/live/stream"


class Readers(Threaded):
    """`with Readers(tweeter, 50) as readers`: live streams, read on one thread.

    first_s: by a post's marker (the last word of its text), when each reader got it; a reader
    that loses its line comes back with the last id it saw, as a browser does.
    """

    def __init__(self, tweeter: Running, count: int) -> None:
        super().__init__()
        parts = urlsplit(tweeter.url)
        self._host, self._port = parts.hostname, parts.port
        self._count = count
        self.seen: list[dict[str, float]] = [{} for _ in range(count)]
        self.doubled = 0
        self.connects = 0
        self.reloads = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._follow(n)) for n in range(self._count)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, number: int) -> None:
        last = ""
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                self.connects += 1
                try:
                    writer.write(request(self._port or 0, last))
                    last = await self._read(number, reader, last)
                finally:
                    writer.close()
            await asyncio.sleep(0.2)

    async def _read(self, number: int, reader: asyncio.StreamReader, last: str) -> str:
        kind, seen = "", self.seen[number]
        while line := await reader.readline():
            if line.startswith(b"id: "):
                last = line[4:].strip().decode()
            elif line.startswith(b"event: "):
                kind = line[7:].strip().decode()
                self.reloads += kind == "reload"
            elif line.startswith(b"data: ") and kind == "post":
                marker = marker_of(line)
                self.doubled += marker in seen
                seen.setdefault(marker, time.time())
        return last


def marker_of(line: bytes) -> str:
    """The last word of a post's text in an event's data; a long text's whole is in `rest`."""
    card = json.loads(line.removeprefix(b"data: "))["card"]
    text = "".join(part[0] for part in card["rest"] or card["text"])
    return str(text.rpartition(" ")[2])


def _markers(data: bytes) -> set[str]:
    lines = data.split(b"\n")
    posts = [line for line in lines if line.startswith(b"data: ") and b'"card":' in line]
    return {marker_of(line) for line in posts}


def request(port: int, last: str = "", *, path: str = LIVE) -> bytes:
    """GET the live stream (or another path), as a browser sends it."""
    words = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if last:
        words += f"Last-Event-ID: {last}\r\n"
    return f"{words}\r\n".encode()


class Stalled:
    """A reader that asks and then takes nothing; its own buffer is as small as it can be."""

    def __init__(self, tweeter: Running, path: str = LIVE) -> None:
        self.taken = b""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        port = urlsplit(tweeter.url).port or 0
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(request(port, path=path))

    def was_cut(self) -> bool:
        """True if the server hung up; reads what is left, so ask at the end only."""
        self._socket.settimeout(2)
        try:
            while piece := self._socket.recv(1 << 16):
                self.taken += piece
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def comes_back(self, port: int, until: str, timeout_s: float) -> set[str]:
        """Markers of all posts it was sent before and after, up to the marker `until`.

        {"reload"} if it was told that it missed more than can be sent again.
        """
        whole = self.taken[: self.taken.rfind(b"\n\n") + 2]
        last = whole.rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
        found = _markers(whole)
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as again:
            again.sendall(request(port, last))
            data, until_s = b"", time.monotonic() + timeout_s
            while until not in found and time.monotonic() < until_s:
                data += again.recv(1 << 16)
                found |= _markers(data[: data.rfind(b"\n") + 1])
                if b"event: reload\n" in data:
                    return {"reload"}
        return found

    def close(self) -> None:
        """Go."""
        self._socket.close()
