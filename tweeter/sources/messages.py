"""What a WebSocket brings, as the sources want it: messages in lists, reading that can pause,
refusals as SourceError in words. `websocket` says which client brings it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from tweeter.errors import SourceError
from tweeter.records import RawEvent, now_us
from tweeter.sources.clock import pause_until
from tweeter.sources.reaching import kind_of

FRAME_BYTES = 4 * 1024 * 1024
PAUSE_EVENTS = 5_000  # waiting here: reading stops until they are taken
PAUSE_BYTES = 32 * 1024 * 1024  # likewise
HANDSHAKE_S = 10.0


class Refused(SourceError):
    """The server answered the handshake with a status; body is what it said (bytes)."""

    def __init__(self, host: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        words = body.decode("utf-8", "replace").strip()[:300]
        said = f"{host} answered {status}{': ' + words if words else ''}."
        super().__init__(kind_of(status), said, retry_at=pause_until(headers))


class Messages:
    """Gathers messages on the loop; stops the reading while too many wait. A client fills it.

    alive is called for each frame that is no message: for pings and pongs.
    """

    def __init__(
        self, shape: str, origin: str = "", alive: Callable[[], None] = lambda: None
    ) -> None:
        self._alive = alive
        self._shape, self._origin = shape, origin
        self._events: deque[RawEvent] = deque()
        self._bytes = 0  # of these
        self._some = asyncio.Event()
        self._begun = bytearray()  # of a message in several frames
        self._paused = False
        self._closed = False
        self._last_at = time.monotonic()
        self._ended_at = self._last_at

    def silent_s(self) -> float:
        """How long nothing came before it ended."""
        return self._ended_at - self._last_at

    def send(self, text: str) -> None:
        """Send a text message."""
        raise NotImplementedError

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
        self._bytes = 0
        self._resume()
        return found

    # For the client.

    def _heard(self) -> None:
        """A frame came."""
        self._last_at = time.monotonic()

    def _came(self, body: bytes) -> None:
        """A whole message came."""
        if not self._events:
            self._some.set()
        self._events.append(
            RawEvent(shape=self._shape, body=body, received_at=now_us(), origin=self._origin)
        )
        self._bytes += len(body)
        if len(self._events) >= PAUSE_EVENTS or self._bytes >= PAUSE_BYTES:
            self._pause()

    def _is_alive(self) -> None:
        """Messages that nobody has taken yet came before: those must be safe first."""
        if not self._events and not self._begun:
            self._alive()

    def _ended(self) -> None:
        """The connection has ended."""
        self._closed = True
        self._ended_at = time.monotonic()
        self._some.set()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._stop_reading()

    def _resume(self) -> None:
        if self._paused and not self._closed:
            self._paused = False
            self._go_on_reading()

    def _stop_reading(self) -> None:
        raise NotImplementedError

    def _go_on_reading(self) -> None:
        raise NotImplementedError


def stalled(host: str, messages: Messages, idle_s: float) -> SourceError | None:
    """The error for a connection that ended because its pong did not come, else None."""
    if messages.silent_s() <= 1.5 * idle_s:
        return None
    return SourceError("stalled", f"{host} was silent for {2 * idle_s:g} s, even when asked.")
