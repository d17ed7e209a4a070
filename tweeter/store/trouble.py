"""What is wrong with the database or its disk, in a sentence that says what to do.

One text for the log, the pages and /healthz, so that a person recognises it.
"""

import errno
import os
import time
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from tweeter.errors import StoreError
from tweeter.texts import joined, say

FULL_BYTES = 4 * 1024 * 1024  # a disk with less free counts as full
AGAIN_S = 30.0  # what is tried every second is in the log so often while it fails
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

SILENT = say("The database does not answer.")
GOES_ON = say("What comes is kept or waits, and tweeter goes on by itself.")
FULL = say(
    "The disk is full, so nothing can be stored. Free some space. What comes is kept or waits, and"
    " tweeter goes on by itself."
)

_SQLITE = {
    "SQLITE_FULL": FULL,
    "SQLITE_BUSY": joined(say("Another program holds the lock of the database."), GOES_ON),
    "SQLITE_LOCKED": joined(say("Another program holds the lock of the database."), GOES_ON),
    "SQLITE_READONLY": say("The database file cannot be written: look at its owner and its disk."),
    "SQLITE_CANTOPEN": say("The database file cannot be opened: look at its folder and its disk."),
    "SQLITE_IOERR": say(
        "The disk of the database fails to read or write: look at the system's log."
    ),
    "SQLITE_CORRUPT": say("The database file is damaged: stop tweeter and restore a backup."),
    "SQLITE_NOTADB": say("The database file is damaged: stop tweeter and restore a backup."),
}
_SQLSTATE = {
    "53100": FULL,
    "55P03": joined(say("Another program holds a lock in the database for too long."), GOES_ON),
    "25006": say(
        "The database server is read-only: is it a standby? Point tweeter to the primary."
    ),
    "53300": say("The database server has no connection left: raise max_connections."),
}


# What cannot be stored however often it is tried: too long, not UTF-8, against a constraint.
OF_DATA = (DataError, IntegrityError, UnicodeError, OverflowError)
_OF_DATA = ("22", "23")  # classes of SQLSTATE: "data exception", "integrity constraint violation"


def of_data(error: Exception) -> Exception | None:
    """What is wrong with what should be stored; None if it is the database that failed."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or ""
    found = isinstance(error, OF_DATA) or isinstance(cause, OF_DATA) or state[:2] in _OF_DATA
    return cause if found else None


def words(error: Exception) -> str:
    """A failure of the database as sentences."""
    if isinstance(error, StoreError):
        return str(error)
    if of_data(error) is not None:
        refused = say("The database refuses what came (%(error)s).", error=type(error).__name__)
        return joined(refused, GOES_ON)
    cause = error.orig if isinstance(error, DBAPIError) else None
    name = getattr(cause, "sqlite_errorname", None) or ""
    parts = name.split("_")
    for length in (len(parts), 2):
        if "_".join(parts[:length]) in _SQLITE:
            return _SQLITE["_".join(parts[:length])]
    state = getattr(cause, "sqlstate", None) or ""
    if state in _SQLSTATE:
        return _SQLSTATE[state]
    return joined(_no_answer(cause), GOES_ON)


def words_of_end(error: Exception) -> str:
    """`words` for who ends by it, and does not go on by itself."""
    return words(error).removesuffix(f" {GOES_ON}")


def news(what: str, error: Exception) -> str:
    """`words` of a failure of `what` for a log, or "" if it was told so less than AGAIN_S ago."""
    found, now_s = words(error), time.monotonic()
    said, at_s = _told.get(what, ("", 0.0))
    if found == said and now_s - at_s < AGAIN_S:
        return ""
    _told[what] = found, now_s
    return found


_told: dict[str, tuple[str, float]] = {}  # of this process


def _no_answer(cause: BaseException | None) -> str:
    """With the driver's own words, where it said any; below its first line may stand values."""
    lines = str(cause.args[-1]).splitlines() if cause is not None and cause.args else []
    if not lines:
        return SILENT
    return say("The database does not answer: %(error)s.", error=lines[0][:300].rstrip(". "))


def folder(engine: Engine) -> Path | None:
    """Where an SQLite database lies; None for a server's."""
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file or file == ":memory:":
        return None
    return Path(file).parent


def free_bytes(path: Path) -> int:
    """What we may still write on a folder's disk."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def disk(path: Path | None) -> str:
    """FULL if the disk of a folder is, else ""."""
    try:
        return FULL if path is not None and free_bytes(path) < FULL_BYTES else ""
    except OSError:
        return ""


def writes(path: Path) -> str:
    """Why a folder cannot be written to, "" if it can: tried, for quotas and mounts lie."""
    probe = path / f".health-{os.getpid()}"
    try:
        probe.write_bytes(bytes(64 * 1024))
    except OSError as error:
        if error.errno in DISK_FULL:
            return FULL
        return say(
            "The folder %(path)s cannot be written to (%(error)s).", path=path, error=error.strerror
        )
    finally:
        probe.unlink(missing_ok=True)
    return disk(path)
