"""Processes that decode and match the blocks of a file, each one of its own.

Who reads hands a block on, reads the next one, and stores what comes back: the order is kept by
who asks. A file is not live: nobody waits for one block, so each child has a whole one.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from tweeter.helper import FAILED, Child
from tweeter.helpers import how_many
from tweeter.jsonlines import Block
from tweeter.records import Keyword
from tweeter.store.batches import Batch

log = logging.getLogger("tweeter.crew")

NICE = 5  # a file can wait, a live stream cannot
MOST = 8  # children by themselves; more would wait for the one who reads and stores


class Crew:
    """Children that begin at once and are asked as soon as they are ready.

    count: as the setting `helpers` says it. indexed: they make words for the search, too. One that
    fails is left out from then on.
    """

    def __init__(self, count: int, *, indexed: bool = True) -> None:
        self._indexed = indexed
        self._children: list[Child] = []
        try:
            for _ in range(how_many(count, MOST)):
                self._children.append(Child(NICE))
        except OSError as error:
            log.warning("helper_failed error=%s", error)
        self._starting = list(self._children)
        self._is_closing = False
        self._begun = 0
        self._ended: list[Child] = []
        # A thread waits for each child. One that failed leaves a None, so that no thread waits
        # for ever.
        self._free: SimpleQueue[Child | None] = SimpleQueue()
        self._threads = ThreadPoolExecutor(max(len(self._children), 1), thread_name_prefix="crew")

    @property
    def size(self) -> int:
        """Children that can be asked."""
        return self._begun - len(self._ended)

    def digest(
        self, block: Block, revision: int, keywords: Sequence[Keyword]
    ) -> Future[Batch] | None:
        """What `digest` will make of it with these keywords, or FAILED; None: do it yourself."""
        self._welcome()
        if not self.size:
            return None
        return self._threads.submit(self._ask, block, revision, keywords)

    def _welcome(self) -> None:
        for child in list(self._starting):
            try:
                is_ready = child.is_ready()
            except FAILED as error:
                log.warning("helper_failed error=%s", error or type(error).__name__)
                self._starting.remove(child)
                continue
            if is_ready:
                self._starting.remove(child)
                self._begun += 1
                self._free.put(child)

    def _ask(self, block: Block, revision: int, keywords: Sequence[Keyword]) -> Batch:
        child = self._free.get()
        try:
            if child is None:
                raise EOFError("a helper ended")
            child.teach(revision, keywords)
            child.ask_block(block, self._indexed)
            return child.answer()
        except FAILED as error:
            if child is not None:
                if not self._is_closing:
                    log.warning("helper_failed error=%s", error or type(error).__name__)
                child.end()
                self._ended.append(child)
                child = None
            raise
        finally:
            self._free.put(child)

    def close(self) -> None:
        """End the children, whatever they do."""
        self._is_closing = True
        for child in self._children:
            child.process.kill()  # so that a thread that waits for an answer does so no longer
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.end()
