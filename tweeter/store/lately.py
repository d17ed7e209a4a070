"""What a search found out of its posts before it looked for them, for who asks the same soon.

It decides by which way candidates come, never which: an old one costs time, not hits.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

KEPT_S = 60.0
MOST = 500  # of one process

_lock = threading.Lock()
_known: dict[Hashable, tuple[float, Any]] = {}


def remembered(key: Hashable, ask: Callable[[], T]) -> T:
    """What `ask` gives, or gave a moment ago; what it raises is not kept."""
    now_s = time.monotonic()
    with _lock:
        kept = _known.get(key)
    if kept is not None and now_s - kept[0] < KEPT_S:
        return kept[1]  # type: ignore[no-any-return]
    found = ask()
    with _lock:
        _known.pop(key, None)
        while len(_known) >= MOST:
            del _known[next(iter(_known))]
        _known[key] = now_s, found
    return found
