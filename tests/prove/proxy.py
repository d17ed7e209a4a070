"""A fault proxy: stands between tweeter and a server and spoils the line as a check asks.

Faults, all of them switched while connections are open: latency_s (each piece waits), hung
(nothing passes, connections stay), bytes_a_s (bandwidth, 0 = unbounded), `reset` (every
connection is cut with RST) and down (new connections are refused, by RST as well).
"""

import asyncio
import contextlib
import socket
import struct

from tests.simulators.threaded import Threaded

PIECE_BYTES = 64 * 1024
LOOK_S = 0.02  # how often a hung line looks whether it may go on


class Proxy(Threaded):
    """`with Proxy("127.0.0.1", 5432) as proxy`: connect to proxy.port instead.

    passed counts the bytes that went either way, accepted the connections.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = host, port
        self.latency_s = 0.0
        self.bytes_a_s = 0
        self.hung = False
        self.down = False
        self.passed = 0
        self.accepted = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._writers) // 2

    def reset(self) -> int:
        """Cut every connection with RST; returns how many there were."""
        return self.do(self._reset())

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        self.hung = False
        await self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> int:
        cut = self.connections
        for writer in list(self._writers):
            _abort(writer)
        return cut

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            _abort(writer)
            return
        self.accepted += 1
        try:
            there, there_out = await asyncio.open_connection(*self._target)
        except OSError:
            _abort(writer)
            return
        pair = {writer, there_out}
        self._writers |= pair
        ways = [self._pass(reader, there_out), self._pass(there, writer)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            for task in tasks:
                task.cancel()
            for one in pair:
                with contextlib.suppress(OSError):
                    one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                while self.hung:
                    await asyncio.sleep(LOOK_S)
                if self.bytes_a_s:
                    await asyncio.sleep(len(piece) / self.bytes_a_s)
                self.passed += len(piece)
                writer.write(piece)
                await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
