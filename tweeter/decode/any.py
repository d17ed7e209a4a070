"""Files: each line may be of another shape; it is known by its fields."""

from collections.abc import Callable

from tweeter.decode import bluesky, mastodon, x
from tweeter.decode.values import Object, each, load
from tweeter.errors import DecodeError
from tweeter.records import Event, RawEvent


def decode(raw: RawEvent) -> list[Event]:
    """An event of X (v1.1, v2), Bluesky or Mastodon, or a JSON array of such."""
    if mastodon.is_sse(raw.body):
        return mastodon.decode(raw)
    value = load(raw.body)
    if isinstance(value, list):
        found = each(value, lambda item: _one(item, raw))
        if found:
            return found
    return _one(value, raw)


def _one(value: object, raw: RawEvent) -> list[Event]:
    if not isinstance(value, dict):
        raise DecodeError("unknown shape", f"a JSON {type(value).__name__}, not an object")
    return _decoder(value)(value, raw)


def _decoder(value: Object) -> Callable[[Object, RawEvent], list[Event]]:
    if "$type" in value or ("did" in value and ("kind" in value or "type" in value)):
        return bluesky.from_object
    if "event" in value and ("payload" in value or "stream" in value):
        return mastodon.from_object
    if "account" in value and "content" in value:
        return mastodon.from_object
    return x.from_object
