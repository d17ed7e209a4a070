"""Decoding and matching in a process of its own, for a slot in a flood.

Python computes in one thread at a time: who decodes keeps a slot's reader and writer waiting. So
when events lie in heaps they go, as they came, over a socket pair to a child that knows the
keywords and nothing else (no database, no settings), and the batch comes back. The child does
what `digest` does, for it calls it.

It begins with the first flood, ends after a rest or with its parent, and is never needed: until
it is ready, and whenever it fails, the slot digests by itself.
"""

import contextlib
import gc
import logging
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import Keyword, RawEvent
from tweeter.store.batches import Batch

log = logging.getLogger("tweeter.helper")

ANSWER_S = 30.0  # a part takes a tenth of a second; a child that takes so long is stuck
REST_S = 30.0  # without a flood: then it ends
AGAIN_S = 10.0  # between a failure and the next child
_LENGTH = struct.Struct(">I")
_READY = b"\x01"


class Learn(msgspec.Struct, tag=True, array_like=True):
    """The keywords of a revision: what comes is matched with them from now on."""

    revision: int
    keywords: Sequence[Keyword]


class Work(msgspec.Struct, tag=True, array_like=True):
    """Events to digest; the answer is a Batch."""

    is_live: bool
    events: Sequence[RawEvent]


def _counter(_: Any, value: Any) -> Any:
    return Counter(value)  # the only type that msgspec does not know


_encode = msgspec.msgpack.Encoder().encode
_asked = msgspec.msgpack.Decoder(Learn | Work).decode
_answered = msgspec.msgpack.Decoder(Batch, dec_hook=_counter).decode


class Helper:
    """A child that digests; several threads take turns. With none yet, `digest` begins one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._is_ready = False
        self._learned = -1
        self._used_at = self._failed_at = -AGAIN_S

    def digest(
        self,
        events: Sequence[RawEvent],
        revision: int,
        keywords: Sequence[Keyword],
        *,
        is_live: bool = True,
    ) -> Batch | None:
        """What `digest` makes of them with these keywords; None: it cannot, do it yourself."""
        with self._turn:
            self._used_at = time.monotonic()
            return self._ask(events, revision, keywords, is_live)

    def _ask(
        self, events: Sequence[RawEvent], revision: int, keywords: Sequence[Keyword], is_live: bool
    ) -> Batch | None:
        try:
            if not self._stands_by():
                return None
            assert self._line is not None  # noqa: S101 (it stands by)
            if self._learned != revision:
                _send(self._line, _encode(Learn(revision, keywords)))
                self._learned = revision
            _send(self._line, _encode(Work(is_live, events)))
            return _answered(_receive(self._line))
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            log.warning("helper_failed error=%s", error or type(error).__name__)
            self._failed_at = time.monotonic()
            self._end()
            return None

    def _stands_by(self) -> bool:
        if self._line is None:
            if time.monotonic() - self._failed_at >= AGAIN_S:
                self._begin()
            return False
        if not self._is_ready:
            self._line.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                if self._line.recv(1) != _READY:
                    raise EOFError("it ended while it began")
                self._is_ready = True
            self._line.settimeout(ANSWER_S)
        return self._is_ready

    def _begin(self) -> None:
        self._line, its = socket.socketpair()
        words = [sys.executable, "-m", "tweeter.helper", str(its.fileno())]
        with its:
            self._child = subprocess.Popen(  # noqa: S603 (ourselves)
                words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
        self._is_ready, self._learned = False, -1
        log.info("helper_begins pid=%d", self._child.pid)

    def rest(self) -> None:
        """End it if there was no flood for a while. Never waits."""
        if self._line is None or not self._turn.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._used_at > REST_S:
                log.info("helper_rests")
                self._end()
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the child, whatever it does."""
        child = self._child
        if child is not None:
            child.kill()  # so that who waits for its answer does so no longer
        with self._turn:
            self._end()

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def _send(line: socket.socket, frame: bytes) -> None:
    line.sendall(_LENGTH.pack(len(frame)))
    line.sendall(frame)


def _receive(line: socket.socket) -> bytearray:
    """A frame. Raises EOFError at the end of the line."""
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    return _exactly(line, length)


def _exactly(line: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = line.recv_into(view)
        if not count:
            raise EOFError("the line ended")
        view = view[count:]
    return data


def serve(line: socket.socket) -> None:
    """The child: digest what comes until the line ends."""
    line.sendall(_READY)
    revision, matcher = -1, Matcher(())
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            match _asked(_receive(line)):
                case Learn() as learn:
                    matcher = Matcher(learn.keywords, before=matcher)
                    revision = learn.revision
                    gc.freeze()  # else each round over all keywords costs an eighth of the work
                case Work() as work:
                    batch = digest(work.events, matcher, revision, is_live=work.is_live)
                    _send(line, _encode(batch))


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of the service: the slot ends us
        signal.signal(number, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])))
