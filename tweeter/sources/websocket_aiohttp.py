"""The same as websocket_picows by aiohttp, for machines that picows has no wheel for.

It reads a tenth slower; the tests of both are the same (`each_client` in tests/sources).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tweeter.errors import SourceError
from tweeter.sources.messages import FRAME_BYTES, HANDSHAKE_S, Messages, Refused
from tweeter.sources.reaching import unreached

BODY_BYTES = 64 * 1024  # of a refusal
_PING, _PONG = aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG
_MESSAGES = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

Socket = aiohttp.ClientWebSocketResponse[Any]


class Listener(Messages):
    """What aiohttp brings, by tasks that `open_socket` runs."""

    def __init__(
        self, shape: str, origin: str = "", alive: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(shape, origin, alive)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._frame = asyncio.Event()
        self._out: asyncio.Queue[str] = asyncio.Queue()

    def send(self, text: str) -> None:
        self._out.put_nowait(text)

    def _stop_reading(self) -> None:
        self._may_read.clear()  # aiohttp stops, too, when 64 kB lie there unread

    def _go_on_reading(self) -> None:
        self._may_read.set()

    async def speak(self, socket: Socket) -> None:
        """Send what is to be sent."""
        while True:
            await socket.send_str(await self._out.get())

    async def read(self, socket: Socket) -> None:
        """Gather messages until the connection ends."""
        try:
            while True:
                await self._may_read.wait()
                message = await socket.receive()
                kind = message.type
                if kind not in (*_MESSAGES, _PING, _PONG):
                    return
                self._heard()
                if kind in _MESSAGES:
                    self._came(message.data)
                    continue
                if kind == _PING:
                    await socket.pong(message.data)
                self._is_alive()
        except (aiohttp.ClientError, OSError):
            return
        finally:
            self._ended()

    async def ask(self, socket: Socket, idle_s: float) -> None:
        """After idle_s without a frame send a ping; without an answer for as long, hang up."""
        while True:
            if await self._hears(idle_s) or self._paused:
                continue
            await socket.ping()
            if not await self._hears(idle_s) and not self._paused:
                self._ended()
                return

    async def _hears(self, within_s: float) -> bool:
        """Whether a frame comes in time."""
        self._frame.clear()
        try:
            async with asyncio.timeout(within_s):
                return await self._frame.wait()
        except TimeoutError:
            return False

    def _heard(self) -> None:
        super()._heard()
        self._frame.set()


@asynccontextmanager
async def open_socket(
    url: str, listener: Listener, *, idle_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Connect; closed at the end. After idle_s without a frame a ping is sent, and after as long
    without its pong the connection ends. Raises Refused, or SourceError "network".
    """
    refusal = _Refusal()
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, trace_configs=[refusal.trace]) as session:
        socket = await _connected(session, url, dict(headers or {}), refusal)
        work = listener.read(socket), listener.speak(socket), listener.ask(socket, idle_s)
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _closed(socket)


class _Refusal:
    """What a server says that refuses the handshake: aiohttp's error has the status alone."""

    def __init__(self) -> None:
        self.body = b""
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_end.append(self._keep)
        self.trace.on_request_redirect.append(self._stay)

    async def _keep(self, *given: Any) -> None:
        response = given[-1].response
        if response.status != 101:
            self.body = await response.content.read(BODY_BYTES)

    async def _stay(self, *given: Any) -> None:
        """aiohttp's handshake would follow."""
        answer = given[-1].response
        raise Refused(answer.url.host, answer.status, answer.headers, b"")


async def _connected(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], refusal: _Refusal
) -> Socket:
    host = urlsplit(url).hostname or url
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            return await session.ws_connect(
                url,
                headers=headers,
                autoping=False,
                autoclose=True,
                max_msg_size=FRAME_BYTES,
                decode_text=False,
            )
    except aiohttp.WSServerHandshakeError as error:
        if error.status != 101:
            raise Refused(host, error.status, error.headers or {}, refusal.body) from error
        raise SourceError("network", f"{host} does not speak WebSocket: {error}.") from error
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise unreached(host, error) from error


async def _closed(socket: Socket) -> None:
    """Say goodbye, for at most two seconds."""
    try:
        async with asyncio.timeout(2):
            await socket.close()
    except (TimeoutError, OSError, aiohttp.ClientError):
        return
