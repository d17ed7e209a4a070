"""`tweeter replay`: a file becomes a stream like any other, read by the workers or right here."""

import asyncio
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine

from tweeter import recordings
from tweeter.checks import CHECKS, Fault
from tweeter.config import Config
from tweeter.errors import ConfigError, DecodeError, SourceError
from tweeter.store import imports, streams
from tweeter.store.leases import owner
from tweeter.store.streams import Stream

LOOK_S = 0.2

Result = tuple[str, str, dict[str, int]]  # state, words, counts


def check(files: Iterable[Path], speed: str) -> None:
    """Raise ConfigError for files that are away or cannot be read, and for a wrong speed."""
    faults = [fault for file in files if (fault := _fault(file))]
    try:
        CHECKS["replay_speed"](speed)
    except Fault as expected:
        faults.append(f"--speed: expected {expected}.")
    if faults:
        raise ConfigError(faults)


def _fault(file: Path) -> str:
    """What is wrong with a whole file, in words; looks no further than its first event."""
    from tweeter.decode import DECODERS  # with all networks

    if words := _no_file(file):
        return words
    first = ""
    try:
        for events in recordings.read(file, recordings.Part(0, 0), 0):
            for raw in events:
                try:
                    if raw.body.strip():
                        DECODERS[raw.shape](raw)
                        return ""
                except DecodeError as error:
                    first = first or f"{raw.place}: {error}"
    except SourceError:  # it is damaged: its stream says so
        return ""
    if not first:
        return ""  # it is empty
    return (
        f"Nothing in {file} can be read as a post or another event ({first}). Give a file with one"
        " JSON object a line, or server-sent events, as X, Bluesky or Mastodon send them."
    )


def _no_file(file: Path) -> str:
    """What is there in a file's place, in words; "" where it is one."""
    try:
        kind = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"There is no file {file}."
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}."
    if stat.S_ISDIR(kind):
        return f"{file} is a folder. Give the files in it."
    if not stat.S_ISREG(kind):
        return f"{file} is a device or a pipe, which cannot be read again. Give a file."
    return ""


def begin(engine: Engine, file: Path, speed: str) -> int:
    """Make the stream of a file, for the workers to read; returns its id.

    A file whose reading was interrupted is gone on with where it stopped. At full speed it is
    read in parts, by all workers there are; at another speed by one slot.
    """
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
    return stream.state, stream.reason, stream.counts


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
