"""What goes on in a thread of its own beside a check: posts that are said, figures looked at."""

import threading
from typing import Self


class Beside:
    """`work` runs from the beginning of `with` on; it is to return once `ended` is set."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self.work, daemon=True)

    def work(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """No more of it; at the end of `with` at the latest."""
        self.ended.set()
        self._thread.join(timeout=30)
