"""A browser's stream that is only counted: a thousand of them must not be what is measured."""

import asyncio
import socket

MARK = b"\nevent: post\n"


class Counted(asyncio.Protocol):
    """Counts posts and what it was told to have missed; never comes back when cut."""

    slow = False

    def __init__(self, filter_: str) -> None:
        self.filter = filter_
        self.posts = self.missed = self.cut = 0
        self.heard = False
        self._tail = b""

    async def follow(self, port: int) -> asyncio.Transport:
        """Connect; what comes is counted from then on."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            lambda: self, "127.0.0.1", port, family=socket.AF_INET
        )
        words = f"GET /live/stream?{self.filter} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        transport.write(words.encode())
        return transport

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        self.heard = self.heard or b"\nid: " in data
        self.posts += data.count(MARK)
        self.missed += data.count(b"\nevent: missed\n")
        self._tail = data[-len(MARK) + 1 :]

    def connection_lost(self, _: Exception | None) -> None:
        self.cut += 1
