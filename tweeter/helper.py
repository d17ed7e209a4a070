"""Decoding and matching in processes of their own, for a slot in a flood.

Python computes in one thread at a time: who decodes keeps a slot's reader and writer waiting. So
when events lie in heaps they go, as they came, over a socket pair to a child that knows the
keywords and nothing else (no database, no settings), and the batch comes back. The child does
what `digest` does, for it calls it. Where there are more cores several children share a heap.

They begin with the first flood, end after a rest or with their parent, and are never needed: until
they are ready, and whenever one fails, the slot digests by itself.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

import msgspec

from tweeter import memory
from tweeter.digest import digest
from tweeter.jsonlines import Block
from tweeter.keywords import Matcher
from tweeter.keywords.layer import changed
from tweeter.records import Keyword, RawEvent
from tweeter.store.batches import Batch

log = logging.getLogger("tweeter.helper")

FLOOD_EVENTS = 250  # at once; fewer are digested here sooner than there
ANSWER_S = 30.0  # a part takes a tenth of a second; a child that takes so long is stuck
REST_S = 30.0  # without a flood: then it ends
AGAIN_S = 10.0  # between a failure and the next children
MOST = 4  # children by themselves; more would wait for the one who reads and stores
FAILED = (OSError, EOFError, msgspec.MsgspecError)  # of a child: end it, and digest it yourself
_LENGTH = struct.Struct(">I")
_READY = b"\x01"


class Learn(msgspec.Struct, tag=True, array_like=True):
    """What a revision changed: what comes is matched with these keywords from now on."""

    revision: int
    changed: Sequence[Keyword]
    gone: Sequence[int]


class Work(msgspec.Struct, tag=True, array_like=True):
    """Events to digest; the answer is a Batch."""

    is_live: bool
    indexed: bool
    events: Sequence[RawEvent]


class WorkBlock(msgspec.Struct, tag=True, array_like=True):
    """Lines of a file to digest; their bytes follow as they are. The answer is a Batch."""

    indexed: bool
    block: Block


def _counter(_: Any, value: Any) -> Any:
    return Counter(value)  # the only type that msgspec does not know


_encode = msgspec.msgpack.Encoder().encode
_asked = msgspec.msgpack.Decoder(Learn | Work | WorkBlock).decode
_answered = msgspec.msgpack.Decoder(Batch, dec_hook=_counter).decode


class Helper:
    """Children that share what is to be digested; several threads take turns.

    With none yet, `digest` begins them. count: as the setting `helpers` says it.
    """

    def __init__(self, count: int) -> None:
        self._count = how_many(count, MOST)
        self._turn = threading.Lock()
        self._children: list[Child] = []
        self._used_at = self._failed_at = -AGAIN_S

    def digest(
        self,
        events: Sequence[RawEvent],
        revision: int,
        keywords: Sequence[Keyword],
        *,
        is_live: bool = True,
        indexed: bool = True,
    ) -> Batch | None:
        """What `digest` makes of them with these keywords; None: it cannot, do it yourself."""
        with self._turn:
            self._used_at = time.monotonic()
            try:
                if not self._stand_by():
                    return None
                for child in self._children:
                    child.teach(revision, keywords)
                return self._shared(events, is_live, indexed)
            except FAILED as error:
                log.warning("helper_failed error=%s", error or type(error).__name__)
                self._failed_at = time.monotonic()
                self._end()
                return None

    def _shared(self, events: Sequence[RawEvent], is_live: bool, indexed: bool) -> Batch:
        size = -(-len(events) // len(self._children))
        parts = [events[start : start + size] for start in range(0, len(events), size)]
        asked = self._children[: len(parts)]
        for child, part in zip(asked, parts, strict=True):
            child.ask(Work(is_live, indexed, part))
        return reduce(Batch.joined, [child.answer() for child in asked])

    def _stand_by(self) -> bool:
        if not self._children and time.monotonic() - self._failed_at >= AGAIN_S:
            for _ in range(self._count):
                self._children.append(Child())
        return bool(self._children) and all(child.is_ready() for child in self._children)

    def pids(self) -> list[int]:
        """Of the children that there are."""
        return [child.process.pid for child in self._children]

    def rest(self) -> None:
        """End them if there was no flood for a while. Never waits."""
        if not self._children or not self._turn.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._used_at > REST_S:
                log.info("helper_rests")
                self._end()
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the children, whatever they do."""
        for child in list(self._children):
            child.process.kill()  # so that who waits for an answer does so no longer
        with self._turn:
            self._end()

    def _end(self) -> None:
        while self._children:
            self._children.pop().end()


def how_many(count: int, most: int) -> int:
    """Children for the setting `helpers`: -1 is as many as cores, up to `most`."""
    cores = os.cpu_count() or 1
    by_itself = min(cores, most) if cores > 1 else 0
    return by_itself if count < 0 else count


class Child:
    """A process that digests, and our end of its line. Used by one thread at a time.

    nice: how much it stands back for other processes, as for os.nice.
    """

    def __init__(self, nice: int = 0) -> None:
        self.line, its = socket.socketpair()
        self.line.settimeout(ANSWER_S)
        words = [sys.executable, "-m", "tweeter.helper", str(its.fileno()), str(nice)]
        with its:
            self.process = subprocess.Popen(  # noqa: S603 (ourselves)
                words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
        self._is_ready = False
        self._revision = -1
        self._known: dict[int, Keyword] = {}  # to it, by id
        log.info("helper_begins pid=%d", self.process.pid)

    def is_ready(self) -> bool:
        """Whether it may be asked. Raises EOFError if it ended while it began."""
        if not self._is_ready and select.select([self.line], [], [], 0)[0]:
            if self.line.recv(1) != _READY:
                raise EOFError("it ended while it began")
            self._is_ready = True
        return self._is_ready

    def teach(self, revision: int, keywords: Sequence[Keyword]) -> None:
        """Let it match with these keywords, if it does not yet. Raises as `answer` does."""
        if self._revision == revision:
            return
        had, now = self._known, {keyword.id: keyword for keyword in keywords}
        self.ask(Learn(revision, changed(had, now), list(had.keys() - now.keys())))
        self._revision, self._known = revision, now

    def ask(self, message: Learn | Work | WorkBlock) -> None:
        """Send it. Raises as `answer` does."""
        _send(self.line, _encode(message))

    def ask_block(self, block: Block, indexed: bool) -> None:
        """Send lines. Raises as `answer` does."""
        self.ask(WorkBlock(indexed, msgspec.structs.replace(block, data=b"")))
        _send(self.line, block.data)  # a megabyte: not copied into a message

    def answer(self) -> Batch:
        """What it makes of the work. Raises OSError, EOFError or MsgspecError: end it then."""
        return _answered(_receive(self.line))

    def end(self) -> None:
        """Kill it; it would leave by itself when its line ends."""
        self.line.close()
        self.process.kill()
        self.process.wait()


def _send(line: socket.socket, frame: bytes) -> None:
    line.sendall(_LENGTH.pack(len(frame)))
    line.sendall(frame)


def _receive(line: socket.socket) -> bytearray:
    """A frame. Raises EOFError at the end of the line, OSError when none comes in time."""
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
    known: dict[int, Keyword] = {}
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            match _asked(_receive(line)):
                case Learn() as learn:
                    known.update((keyword.id, keyword) for keyword in learn.changed)
                    for number in learn.gone:
                        del known[number]
                    matcher = Matcher(known.values(), before=matcher)
                    revision = learn.revision
                    memory.keep()
                case Work() as work:
                    batch = digest(
                        work.events,
                        matcher,
                        revision,
                        is_live=work.is_live,
                        indexed=work.indexed,
                    )
                    _send(line, _encode(batch))
                case WorkBlock(indexed=indexed, block=block):
                    block = msgspec.structs.replace(block, data=bytes(_receive(line)))
                    batch = digest(block, matcher, revision, is_live=False, indexed=indexed)
                    _send(line, _encode(batch))


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of the service: the slot ends us
        signal.signal(number, signal.SIG_IGN)
    os.nice(int(sys.argv[2]))
    serve(socket.socket(fileno=int(sys.argv[1])))
