"""Bytes in, records out. Pure: no I/O, no clock. A decoder raises nothing but DecodeError.

docs/matched-text.md says which parts of a network's event are matched.
"""

from collections.abc import Callable

from tweeter.decode import any as any_shape
from tweeter.decode import bluesky_line, demo, mastodon, x
from tweeter.records import Event, RawEvent

DECODERS: dict[str, Callable[[RawEvent], list[Event]]] = {
    "x": x.decode,
    "bluesky": bluesky_line.decode,
    "mastodon": mastodon.decode,
    "demo": demo.decode,
    "any": any_shape.decode,
}
