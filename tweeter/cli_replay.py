"""`tweeter replay`: a file becomes a stream like any other, read by a worker or right here."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import Engine

from tweeter.config import Config
from tweeter.errors import ConfigError
from tweeter.slot import Slot
from tweeter.store import streams
from tweeter.store.leases import owner

COUNTED = (
    "lines",
    "events",
    "stored",
    "unmatched",
    "applied",
    "ignored",
    "duplicates",
    "quarantined",
)

Result = tuple[str, str, dict[str, int]]  # state, words, counts


def read_file(
    config: Config, engine: Engine, file: Path, speed: str, *, wait: bool
) -> Result | None:
    """Make the stream of a file; wait for its end and count, or return None at once.

    A file whose reading was interrupted is gone on with where it stopped. While a worker is
    running it may read the file instead of us: the rows are the same.
    """
    if not file.is_file():
        raise ConfigError([f"There is no file {file}."])
    path = file.resolve()
    started = streams.unfinished_replay(engine, f"replay:{path}:")
    name = started.name if started else f"replay:{path}:{time.time_ns() // 1000}"
    options = {"path": str(path), "speed": speed}
    stream_id = streams.ensure(engine, name, "replay", options)
    if not wait:
        return None
    slot = Slot(engine, config, owner=owner(), should_stop=lambda: False, only=stream_id)
    asyncio.run(slot.run())
    stream = streams.get(engine, stream_id)
    if stream is None:
        raise ConfigError([f"The stream of {file} was removed while it was read."])
    return stream.state, stream.reason, {name: stream.counts[name] for name in COUNTED}
