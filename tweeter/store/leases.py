"""Who owns what, told so that a dead owner is recognised at once on its own host.

An owner is host, boot and start time beside the process id: a process id alone is reused.
"""

import os
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple

LEASE_S = 15.0
RENEW_S = 3.0


class Lease(NamedTuple):
    """The right to write for a stream; void as soon as the stream's epoch is another."""

    stream_id: int
    epoch: int


class JobLease(NamedTuple):
    """The right to store what a job over a stream's past, or a part of a file, finds."""

    stream_id: int
    epoch: int
    job_id: int
    counts: bool = False  # True: what it finds is added to the stream's counters too


@cache
def host() -> str:
    """This machine and boot: processes of an earlier boot are dead for certain.

    Containers with one name and one kernel may count their processes each from 1: a name space
    of process ids is a machine of its own here.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    name = socket.gethostname()[:60]
    if space.is_symlink():
        name += f".{space.readlink().name.strip('pid:[]')}"
    return f"{name}|{boot.read_text().strip()[:13] if boot.exists() else ''}"


def _started(pid: int) -> str | None:
    """When a process of this host started, "" where the system does not say, None if it is gone."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return ""
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def owner(pid: int | None = None) -> str:
    """The name of a process of this host (default: this one) as an owner."""
    pid = os.getpid() if pid is None else pid
    return f"{host()}|{pid}|{_started(pid) or ''}"


def is_held(name: str, until: int, now: int) -> bool:
    """Whether the owner `name` ("": none) of a lease until a moment (us) still has it."""
    return bool(name) and until >= now and not is_dead(name)


def is_dead(name: str) -> bool:
    """True if the owner certainly no longer runs; False if it does or lives on another host."""
    place, _, rest = name.rpartition("|")
    place, _, pid = place.rpartition("|")
    if not pid.isdigit():
        return False
    if place != host():
        return place.partition("|")[0] == host().partition("|")[0] and bool(rest)
    return _started(int(pid)) != (rest if rest else "")
