"""Connections of a process that uses a database in one thread and forks in another."""

import os
import threading
import weakref
from typing import Any

from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry

_forking = threading.RLock()
_closed_at_forks: "weakref.WeakSet[ClosedAtForks]" = weakref.WeakSet()


class ClosedAtForks(QueuePool):
    """Connections that are closed before a fork; a fork waits for one that is in use.

    SQLite keeps the locks of a process in memory of its own. A child that is forked while a
    thread has the file open inherits that memory, and believes for ever that its own process
    holds the lock for writing, or that it need not ask the system for the one for reading.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without a limit it never calls its own _do_get, which would take the lock twice.
        super().__init__(*args, **kwargs | {"max_overflow": -1})
        _closed_at_forks.add(self)

    def _do_get(self) -> ConnectionPoolEntry:
        _forking.acquire()
        try:
            return super()._do_get()
        except BaseException:
            _forking.release()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            _forking.release()


def _before_fork() -> None:
    _forking.acquire()
    for pool in list(_closed_at_forks):
        pool.dispose()


os.register_at_fork(
    before=_before_fork, after_in_parent=_forking.release, after_in_child=_forking.release
)
