"""A cap on a process' memory: whoever follows streams ends in order before the system kills it."""

import gc
import logging
import os
import sys
import time
from pathlib import Path

log = logging.getLogger("tweeter.memory")

LEAST_S = 60.0  # a cap that is too low costs one hand-over a minute, never a storm of them
MB = 1024 * 1024


def resident_bytes() -> int:
    """Memory of this process that is really there; 0 where the system does not say (not Linux)."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def keep() -> None:
    """What is loaded by now stays, as a rule: Python need not look through it again and again.

    Each such look stops all threads: for 0.1 s in a process that serves pages (130,000 objects),
    for longer beside 10,000 keywords. What is frozen is still freed when nobody refers to it.
    """
    gc.collect(1)  # what is garbage already would never be found again
    gc.freeze()


class Cap:
    """At most limit_mb (0 = no cap), looked at from LEAST_S on."""

    def __init__(self, limit_mb: int) -> None:
        self._limit_mb = limit_mb
        self._from_s = time.monotonic() + LEAST_S

    def is_over(self) -> bool:
        """True when the process should end, which is also said in the log."""
        if not self._limit_mb or time.monotonic() < self._from_s:
            return False
        now_mb = resident_bytes() // MB
        if now_mb <= self._limit_mb:
            return False
        log.warning("slot_memory_cap resident_mb=%d limit_mb=%d", now_mb, self._limit_mb)
        return True
