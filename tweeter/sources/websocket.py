"""The WebSocket client of the sources: picows, or aiohttp where picows has no wheel."""

from tweeter.sources.messages import FRAME_BYTES, Refused, stalled

try:
    from tweeter.sources.websocket_picows import Listener, open_socket
except ImportError:
    from tweeter.sources.websocket_aiohttp import (  # type: ignore[assignment]
        Listener,
        open_socket,
    )

__all__ = ["FRAME_BYTES", "Listener", "Refused", "open_socket", "stalled"]
