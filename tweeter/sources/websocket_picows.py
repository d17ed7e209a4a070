"""A WebSocket connection as the sources want it: messages in lists, reading that can pause,
pings when it is idle, and refusals as SourceError in words.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import picows

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.reaching import unreached

FRAME_BYTES = 4 * 1024 * 1024
PAUSE_EVENTS = 5_000  # waiting here: reading stops until they are taken
HANDSHAKE_S = 10.0

_CLOSE, _PING = picows.WSMsgType.CLOSE, picows.WSMsgType.PING
_MESSAGES = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION)


class Refused(SourceError):
    """The server answered the handshake with a status; body is what it said (bytes)."""

    def __init__(self, host: str, error: picows.WSHandshakeError) -> None:
        assert error.response is not None  # noqa: S101 (the caller looked)
        self.status = int(error.response.status)
        self.headers: Mapping[str, str] = error.response.headers
        self.body = error.raw_body or b""
        words = self.body.decode("utf-8", "replace").strip()[:300]
        kind = "refused" if 400 <= self.status < 500 and self.status != 408 else "http"
        kind = "limited" if self.status in (420, 429) else kind
        super().__init__(kind, f"{host} answered {self.status}{': ' + words if words else ''}.")


class Listener(picows.WSListener):  # type: ignore[misc]
    """Gathers messages on the loop; stops the reading while too many wait.

    alive is called for each frame that is no message: for pings and pongs.
    """

    def __init__(
        self, shape: str, origin: str = "", alive: Callable[[], None] = lambda: None
    ) -> None:
        self._alive = alive
        self._shape, self._origin = shape, origin
        self._events: deque[RawEvent] = deque()
        self._some = asyncio.Event()
        self._begun = bytearray()  # of a message in several frames
        self._transport: picows.WSTransport | None = None
        self._paused = False
        self._closed = False
        self._last_at = time.monotonic()
        self._ended_at = self._last_at

    def silent_s(self) -> float:
        """How long nothing came before it ended."""
        return self._ended_at - self._last_at

    def send(self, text: str) -> None:
        """Send a text message."""
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, text.encode())

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind == _CLOSE:  # no sign of life: it may answer ours
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        self._last_at = time.monotonic()
        if kind == _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        if kind not in _MESSAGES:
            self._is_alive()
            return
        body = frame.get_payload_as_bytes()
        if not frame.fin or self._begun:
            self._begun += body
            if len(self._begun) > FRAME_BYTES:
                transport.disconnect()
            if not frame.fin:
                return
            body, self._begun = bytes(self._begun), bytearray()
        if not self._events:
            self._some.set()
        self._events.append(
            RawEvent(shape=self._shape, body=body, received_at=now_us(), origin=self._origin)
        )
        if len(self._events) >= PAUSE_EVENTS:
            self._pause()

    def is_user_specific_pong(self, frame: picows.WSFrame) -> bool:
        """The answer to our ping; picows hands it to nobody else."""
        if frame.msg_type != picows.WSMsgType.PONG:
            return False
        self._last_at = time.monotonic()
        self._is_alive()
        return True

    def _is_alive(self) -> None:
        """Messages that nobody has taken yet came before: those must be safe first."""
        if not self._events and not self._begun:
            self._alive()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._closed = True
        self._ended_at = time.monotonic()
        self._some.set()

    async def next(self, rest_s: float = 0.0) -> list[RawEvent]:
        """What has come, at least one message; [] when the connection has ended.

        rest_s: for so long nothing is read if nothing has come, so that it is read together.
        """
        if rest_s and not self._events and not self._closed:
            self._pause()
            await asyncio.sleep(rest_s)
            self._resume()
        while not self._events:
            if self._closed:
                return []
            self._some.clear()
            await self._some.wait()
        found = list(self._events)
        self._events.clear()
        self._resume()
        return found

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.underlying_transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._closed:
            self._paused = False
            self._transport.underlying_transport.resume_reading()


@asynccontextmanager
async def open_socket(
    url: str, listener: Listener, *, idle_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[picows.WSTransport]:
    """Connect; closed at the end. After idle_s without a frame a ping is sent, and after as long
    without its pong the connection ends. Raises Refused, or SourceError "network".
    """
    host = urlsplit(url).hostname or url
    try:
        transport, _ = await picows.ws_connect(
            lambda: listener,
            url,
            websocket_handshake_timeout=HANDSHAKE_S,
            max_frame_size=FRAME_BYTES,
            enable_auto_ping=True,
            enable_auto_pong=False,  # the listener does it: a ping is a sign of life
            auto_ping_idle_timeout=idle_s,
            auto_ping_reply_timeout=idle_s,
            extra_headers=dict(headers or {}),
            use_aiofastnet=False,
        )
    except picows.WSHandshakeError as error:
        if error.response is not None:
            raise Refused(host, error) from error
        raise SourceError("network", f"{host} does not speak WebSocket: {error}.") from error
    except (OSError, TimeoutError, picows.WSError) as error:
        raise unreached(host, error) from error
    try:
        yield transport
    finally:
        transport.disconnect()
        await asyncio.wait_for(_quietly(transport.wait_disconnected()), 2)


def stalled(host: str, listener: Listener, idle_s: float) -> SourceError | None:
    """The error for a connection that ended because its pong did not come, else None."""
    if listener.silent_s() <= 1.5 * idle_s:
        return None
    return SourceError("stalled", f"{host} was silent for {2 * idle_s:g} s, even when asked.")


async def _quietly(waiting: object) -> None:
    try:
        await waiting  # type: ignore[misc]
    except (picows.WSError, OSError):
        return
