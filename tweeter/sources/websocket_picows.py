"""A WebSocket connection by picows: pings when it is idle, and refusals in words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import picows

from tweeter.errors import SourceError
from tweeter.sources.messages import FRAME_BYTES, HANDSHAKE_S, Messages, Refused
from tweeter.sources.reaching import unreached

_CLOSE, _PING = picows.WSMsgType.CLOSE, picows.WSMsgType.PING
UNREAD_BYTES = 256 * 1024  # of answers to pings: a server that reads none is left
_MESSAGES = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION)


class Listener(Messages, picows.WSListener):  # type: ignore[misc]
    """What picows brings."""

    def __init__(
        self, shape: str, origin: str = "", alive: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(shape, origin, alive)
        self._transport: picows.WSTransport | None = None

    def send(self, text: str) -> None:
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
        self._heard()
        if kind == _PING:
            if transport.underlying_transport.get_write_buffer_size() > UNREAD_BYTES:
                transport.disconnect(graceful=False)
                return
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
        self._came(body)

    def is_user_specific_pong(self, frame: picows.WSFrame) -> bool:
        """The answer to our ping; picows hands it to nobody else."""
        if frame.msg_type != picows.WSMsgType.PONG:
            return False
        self._heard()
        self._is_alive()
        return True

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._ended()

    def _stop_reading(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def _go_on_reading(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()


@asynccontextmanager
async def open_socket(
    url: str, listener: Listener, *, idle_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
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
            max_redirects=0,  # our token would go along
            enable_auto_ping=True,
            enable_auto_pong=False,  # the listener does it: a ping is a sign of life
            auto_ping_idle_timeout=idle_s,
            auto_ping_reply_timeout=idle_s,
            extra_headers=dict(headers or {}),
            use_aiofastnet=False,
        )
    except picows.WSHandshakeError as error:
        answer = error.response
        if answer is not None:
            body = error.raw_body or b""
            raise Refused(host, int(answer.status), answer.headers, body) from error
        raise SourceError("network", f"{host} does not speak WebSocket: {error}.") from error
    except (OSError, TimeoutError, picows.WSError) as error:
        raise unreached(host, error) from error
    try:
        yield
    finally:
        transport.disconnect()
        try:
            await asyncio.wait_for(_quietly(transport.wait_disconnected()), 2)
        except TimeoutError:  # it does not take what is still to be sent
            transport.disconnect(graceful=False)


async def _quietly(waiting: object) -> None:
    try:
        await waiting  # type: ignore[misc]
    except (picows.WSError, OSError):
        return
