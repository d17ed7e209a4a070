"""What a server that only sends can make our WebSocket clients hold in memory."""

import asyncio
import base64
import hashlib
import re
import socket
import threading
from types import ModuleType

import pytest

from tweeter.sources import websocket_aiohttp, websocket_picows
from tweeter.sources.messages import PAUSE_BYTES

CLIENTS = [websocket_picows, websocket_aiohttp]
TEXT, PING = 0x81, 0x89
MB = 1024 * 1024
UNREAD = 16 * MB  # more than what systems keep between two programs, and a frame


class Sending:
    """A server that sends the same again and again, `most` bytes in all, and never reads."""

    def __init__(self, some: bytes, most: int) -> None:
        self.sent = 0
        self._some, self._most = some, most
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line, head = self._listening.accept()[0], b""
        line.settimeout(10)
        while b"\r\n\r\n" not in head:
            head += line.recv(4_096)
        found = re.search(rb"sec-websocket-key: (\S+)", head, re.IGNORECASE)
        assert found is not None
        proof = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        line.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(proof) + b"\r\n\r\n"
        )
        try:
            while self.sent < self._most:
                line.sendall(self._some)
                self.sent += len(self._some)
        except OSError:  # it takes no more, or hung up
            pass


@pytest.mark.parametrize("client", CLIENTS)
def test_large_messages_that_nobody_takes_stop_the_reading(client: ModuleType) -> None:
    body = bytes([TEXT, 127]) + MB.to_bytes(8, "big") + b"x" * MB

    async def work() -> None:
        server = Sending(body, 8 * PAUSE_BYTES)
        listener = client.Listener("bluesky")
        async with client.open_socket(server.url, listener, idle_s=20):
            before = -1
            while server.sent != before:  # nothing goes out any more
                before = server.sent
                await asyncio.sleep(0.5)
            assert server.sent < 4 * PAUSE_BYTES  # with what clients and sockets hold beside it
            taken = 0
            while taken < 2 * PAUSE_BYTES:  # and it goes on
                taken += sum(len(event.body) for event in await listener.next())

    asyncio.run(work())


@pytest.mark.parametrize("client", CLIENTS)
def test_pings_whose_answers_nobody_reads_are_not_all_answered(client: ModuleType) -> None:
    async def work() -> None:
        server = Sending((bytes([PING, 125]) + b"p" * 125) * 8_192, 100 * MB)
        async with client.open_socket(server.url, client.Listener("bluesky"), idle_s=20):
            before = -1
            while server.sent != before:
                before = server.sent
                await asyncio.sleep(0.5)
            assert server.sent < 2 * UNREAD

    asyncio.run(work())
