"""A simulator on an event loop of its own thread, for tests that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Generic, Self, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Served(Generic[S]):
    """`with Served(make) as s:`; s.it is the simulator, s.do(coroutine) runs there and waits."""

    def __init__(self, simulator: S) -> None:
        self.it = simulator
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self.it.start())  # type: ignore[attr-defined]
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.it.stop())  # type: ignore[attr-defined]
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def do(self, work: Coroutine[Any, Any, T], timeout_s: float = 20) -> T:
        """Run on the simulator's loop and wait for the result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)
