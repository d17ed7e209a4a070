"""Reading JSON from strangers: a wrong type is as good as absent, never an exception."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from tweeter.errors import DecodeError
from tweeter.records import Event, Media, Unread

EVENT_BYTES = 4 * 1024 * 1024

Object = dict[str, Any]
T = TypeVar("T")

# What the networks call a picture or a film, and what we do.
_MEDIA = {
    "photo": "picture",
    "image": "picture",
    "video": "video",
    "animated_gif": "animation",
    "gifv": "animation",
    "audio": "audio",
}


def load(body: bytes) -> Any:
    """The JSON value; raises DecodeError ("not JSON", "not UTF-8", "too deep", "too large")."""
    if len(body) > EVENT_BYTES:
        raise DecodeError("too large", f"{len(body):,} bytes; at most {EVENT_BYTES:,} are read")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The fast reader refuses lone surrogates; the standard one keeps them, to be mended.
        return _load_slowly(body)


def _load_slowly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecodeError("not UTF-8", f"byte {error.start}") from error
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError as error:
        raise DecodeError("too deep") from error
    except ValueError as error:
        raise DecodeError("not JSON", str(error)) from error


def each(values: Sequence[Any], read: Callable[[Any], Sequence[Event]]) -> list[Event]:
    """What several mean that came as one: one that cannot be read costs no other.

    Raises DecodeError if none can.
    """
    found: list[Event] = []
    first: DecodeError | None = None
    are_read = False
    for value in values:
        try:
            found += read(value)
            are_read = True
        except DecodeError as error:
            first = first or error
            found.append(Unread(_json(value), error.reason, error.detail))
    if first is not None and not are_read:
        raise first
    return found


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b""


def typed(decoder: msgspec.json.Decoder[T], body: bytes) -> T | None:
    """The JSON value; None for what is not wholly of these types, or not JSON, or too large."""
    if len(body) > EVENT_BYTES:
        return None
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into what is skipped
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def has_nul(body: bytes) -> bool:
    """Whether JSON holds the character NUL, which is mended. A look for one byte takes a tenth of
    one for six.
    """
    return b"\\" in body and b"\\u0000" in body


def load_object(body: bytes) -> Object:
    """A JSON object; raises DecodeError."""
    value = load(body)
    if not isinstance(value, dict):
        raise DecodeError("unknown shape", f"a JSON {type(value).__name__}, not an object")
    return value


def text(owner: Object, *names: str) -> str:
    """The first of the fields that is a text or a whole number, as text; else ""."""
    for name in names:
        value = owner.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def number(owner: Object, name: str) -> int:
    """A whole number of at most 63 bits, also when written as text; else 0."""
    value = owner.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return value
    return 0


def inner(owner: Object, *names: str) -> Object:
    """The first of the fields that is an object; else {}."""
    for name in names:
        value = owner.get(name)
        if isinstance(value, dict):
            return value
    return {}


def items(owner: Object, *names: str) -> list[Object]:
    """The objects of the first field that is a list; else []."""
    for name in names:
        value = owner.get(name)
        if isinstance(value, list):
            return [item for item in value if isinstance(item, dict)]
    return []


def texts(owner: Object, name: str) -> list[str]:
    """The texts of a list; else []."""
    value = owner.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def media(kind: str, alt: str, url: str = "") -> Media:
    """A picture or film in our words. url: where a small picture of it is, as far as is said."""
    return Media(_MEDIA.get(kind, "media"), alt, url)
