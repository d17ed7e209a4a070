"""`tweeter replay`: a file becomes a stream like any other, read by the workers or right here."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import Engine

from tweeter import recordings
from tweeter.config import Config
from tweeter.errors import ConfigError
from tweeter.store import imports, streams
from tweeter.store.leases import owner
from tweeter.store.streams import Stream

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
LOOK_S = 0.2

Result = tuple[str, str, dict[str, int]]  # state, words, counts


def begin(engine: Engine, file: Path, speed: str) -> int:
    """Make the stream of a file, for the workers to read; returns its id.

    A file whose reading was interrupted is gone on with where it stopped. At full speed it is
    read in parts, by all workers there are; at another speed by one slot.
    """
    if not file.is_file():
        raise ConfigError([f"There is no file {file}."])
    path = file.resolve()
    if speed == "max":
        now_us = time.time_ns() // 1000
        return imports.start(engine, path, recordings.split(path), now_us)
    return _paced(engine, path, speed)


def read_to_end(config: Config, engine: Engine, stream_id: int) -> Result:
    """Read what is left of a file, together with the workers; what was counted."""
    stream = _read(config, engine, stream_id)
    if stream is None:
        raise ConfigError(["The stream of this file was removed while it was read."])
    return stream.state, stream.reason, {name: stream.counts[name] for name in COUNTED}


def _paced(engine: Engine, path: Path, speed: str) -> int:
    started = streams.unfinished_replay(engine, f"replay:{path}:")
    if started is not None and not started.wanted:
        return started.id  # it is being read in parts
    name = started.name if started else f"replay:{path}:{time.time_ns() // 1000}"
    return streams.ensure(engine, name, "replay", {"path": str(path), "speed": speed})


def _read(config: Config, engine: Engine, stream_id: int) -> Stream | None:
    from tweeter import imports as reading  # with all networks: only who reads here needs them
    from tweeter.slot import Slot

    stream = streams.get(engine, stream_id)
    if stream is not None and stream.wanted:
        slot = Slot(engine, config, owner=owner(), should_stop=lambda: False, only=stream_id)
        asyncio.run(slot.run())
        return streams.get(engine, stream_id)
    while stream is not None and stream.state not in streams.ENDED:
        if not reading.work(engine, config, stream_id, should_stop=lambda: False):
            time.sleep(LOOK_S)  # the workers have the rest
        stream = streams.get(engine, stream_id)
    return stream
