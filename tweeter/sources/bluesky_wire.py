"""Jetstream's two wires: addresses, and what an event says of its moment.

v1: `/subscribe`, cursor in unix microseconds. v2: `/xrpc/network.bsky.jetstream.
subscribeEvents`, whose cursor is a number of that server; one of 1e15 and more is read as
microseconds of `witnessedAt`, and those are what we send, for they hold on every host.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from tweeter.decode import bluesky
from tweeter.moments import LAST_US

COLLECTION = "app.bsky.feed.post"
V1_PATH = "/subscribe"
V2_PATH = "/xrpc/network.bsky.jetstream.subscribeEvents"


class _Payload(msgspec.Struct):
    kind: str = msgspec.field(default="", name="$type")
    name: str = ""
    time: str = ""
    witnessed: str = msgspec.field(default="", name="witnessedAt")


class _Frame(msgspec.Struct):
    """What either wire says around an event."""

    kind: str = msgspec.field(default="", name="$type")
    time_us: int = 0
    payload: _Payload | None = None
    error: str = ""
    message: str = ""


@dataclass
class Wire:
    """An endpoint. guessed: its path was not given, so the other wire may be the right one."""

    url: str
    version: int
    guessed: bool = False

    @property
    def host(self) -> str:
        """For people; with the port where one is given."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}" if parts.hostname else self.url

    @property
    def can_compress(self) -> bool:
        """v1 only: its dictionary is fixed."""
        return self.version == 1

    @property
    def headers(self) -> dict[str, str]:
        """For the handshake."""
        return {} if self.version == 1 else {"Sec-WebSocket-Protocol": "xrpc.v1.json"}

    def other(self) -> "Wire":
        """The same host by the older wire."""
        return Wire(urlunsplit(urlsplit(self.url)._replace(path=V1_PATH)), 1)

    def address(self, cursor_us: int, *, compress: bool) -> str:
        """Where to connect for posts from a moment on (0: live)."""
        parts = urlsplit(self.url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        name = "wantedCollections" if self.version == 1 else "collections"
        query.append((name, COLLECTION))
        if cursor_us:
            query.append(("cursor", str(cursor_us)))
        if compress:
            query.append(("compress", "true"))
        return urlunsplit(parts._replace(query=urlencode(query)))

    def moment(self, body: bytes) -> int:
        """The moment at which the server saw an event, unix microseconds; 0 if it has none."""
        frame = _frame(body)
        if frame is None:
            return 0
        if frame.payload is None:
            return frame.time_us if 0 < frame.time_us <= LAST_US else 0
        return bluesky.moment_of(frame.payload.witnessed, frame.payload.time)

    def is_clamped(self, body: bytes) -> bool:
        """True for v2's first frame if it has not all that was asked for ("OutdatedCursor")."""
        frame = _frame(body)
        if frame is None or frame.payload is None:
            return False
        return frame.payload.kind.endswith("#info") and frame.payload.name == "OutdatedCursor"

    def problem(self, body: bytes) -> str:
        """The words of v2's last frame before it closes ("ConsumerTooSlow"), else ""."""
        if len(body) > 1000:
            return ""
        frame = _frame(body)
        if frame is None or frame.kind != "error":
            return ""
        return f"{frame.error or 'error'}: {frame.message}"[:300].rstrip(".: ")


def _frame(body: bytes) -> _Frame | None:
    try:
        return msgspec.json.decode(body, type=_Frame)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def wire_of(url: str) -> Wire:
    """The endpoint of an address; without a path both wires are tried, the newer first."""
    parts = urlsplit(url)
    if parts.path.rstrip("/"):
        return Wire(url, 2 if parts.path.startswith("/xrpc/") else 1)
    return Wire(urlunsplit(parts._replace(path=V2_PATH)), 2, guessed=True)
