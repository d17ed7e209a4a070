"""What the figures were measured on, in a line."""

import os
import platform
import sqlite3
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("sqlalchemy", "msgspec", "picows", "aiohttp", "tornado", "ahocorasick_rs", "psycopg")
PEERS = ("tweepy", "twarc", "pyahocorasick", "atproto", "Mastodon.py")


def cpu() -> str:
    """The processor's name, "" where the system does not say."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor()


def memory_gb() -> float:
    """Of the whole machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9


def busy() -> tuple[int, int]:
    """(all, idle) ticks of all cores since the machine began."""
    values = [int(v) for v in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(values), values[3] + values[4]


def others() -> float:
    """How many cores are busy with something else, looked at for a second while we do nothing."""
    before = busy()
    time.sleep(1.0)
    every, idle = (after - was for after, was in zip(busy(), before, strict=True))
    return (1 - idle / max(every, 1)) * (os.cpu_count() or 1)


def versions() -> str:
    found = [f"SQLite {sqlite3.sqlite_version}"]
    for name in (*PACKAGES, *PEERS):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} –")
    return ", ".join(found)


def line() -> dict[str, str]:
    """Looked at before anything is measured."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{os.cpu_count()} × {cpu()}, {memory_gb():.0f} GB, Linux {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(),
        "load": f"{load}; others kept {others():.1f} cores busy before it began",
    }
