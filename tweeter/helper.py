"""Decoding, matching and storing in processes of their own.

Python computes in one thread at a time: who decodes keeps a slot's reader and writer waiting. A
child gets events as they came over a socket pair and does what `digest` does, for it calls it. It
knows the keywords, and no settings; the database only where it is told to store what it kept.
It leaves when its line ends.
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
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import memory
from tweeter.digest import digest
from tweeter.errors import TweeterError
from tweeter.jsonlines import Block
from tweeter.keywords import Matcher
from tweeter.keywords.layer import changed
from tweeter.records import Keyword, RawEvent
from tweeter.store import batches, trouble
from tweeter.store.batches import Batch, Outcome
from tweeter.store.engine import make_engine
from tweeter.store.leases import Lease

T = TypeVar("T")

log = logging.getLogger("tweeter.helper")

KEPT = 4  # batches of a child that wait to be stored; older ones are forgotten
ANSWER_S = 30.0  # a part takes a tenth of a second; a child that takes so long is stuck
FAILED = (OSError, EOFError, msgspec.MsgspecError)  # of a child: end it, and digest it yourself
_LENGTH = struct.Struct(">I")
_READY = b"\x01"


class Learn(msgspec.Struct, tag=True, array_like=True):
    """What a revision changed: what comes is matched with these keywords from now on."""

    revision: int
    changed: Sequence[Keyword]
    gone: Sequence[int]


class Work(msgspec.Struct, tag=True, array_like=True):
    """Events to digest; the answer is a Batch. keep: its number; then the answer is a Kept."""

    is_live: bool
    indexed: bool
    events: Sequence[RawEvent]
    keep: int = 0


class WorkBlock(msgspec.Struct, tag=True, array_like=True):
    """Lines of a file to digest; their bytes follow as they are. The answer is a Batch."""

    indexed: bool
    block: Block


class Kept(msgspec.Struct, array_like=True):
    """What a child digested and keeps, by number. items, cursor and the rest are as of a Batch."""

    number: int
    items: int
    cursor: str
    covered_until: int = 0
    journal: tuple[str, int] | None = None


def place(batch: Batch | Kept, like: Batch | Kept) -> None:
    """Let it end where the other does."""
    batch.cursor, batch.journal = like.cursor, like.journal
    batch.covered_until = like.covered_until


class Store(msgspec.Struct, tag=True, array_like=True):
    """Store what is kept, in the database of this URL; the answer is a Stored."""

    url: str
    lease: Lease
    kept: Kept


class Stored(msgspec.Struct, array_like=True):
    """What it changed, and the cursor after it; outcome None: it is not stored, for `words`."""

    outcome: Outcome | None
    cursor: str = ""
    words: str = ""


def _counter(_: Any, value: Any) -> Any:
    return Counter(value)  # the only type that msgspec does not know


_encode = msgspec.msgpack.Encoder().encode
_asked = msgspec.msgpack.Decoder(Learn | Work | WorkBlock | Store).decode
_a_batch = msgspec.msgpack.Decoder(Batch, dec_hook=_counter).decode
_a_kept = msgspec.msgpack.Decoder(Kept).decode
_a_stored = msgspec.msgpack.Decoder(Stored).decode


class Child:
    """A process that digests, and our end of its line.

    turn: held by the thread that asks, until it has the answer. nice: how much it stands back for
    other processes, as for os.nice.
    """

    def __init__(self, nice: int = 0) -> None:
        self.line, its = socket.socketpair()
        self.line.settimeout(ANSWER_S)
        words = [sys.executable, "-m", "tweeter.helper", str(its.fileno()), str(nice)]
        with its:
            self.process = subprocess.Popen(  # noqa: S603 (ourselves)
                words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
        self.turn = threading.Lock()
        self.asked = 0  # times that it digested a heap of its own
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
        with self.turn:
            self.ask(Learn(revision, changed(had, now), list(had.keys() - now.keys())))
        self._revision, self._known = revision, now

    def ask(self, message: Learn | Work | WorkBlock | Store) -> None:
        """Send it. Raises as `answer` does."""
        _send(self.line, _encode(message))

    def ask_block(self, block: Block, indexed: bool) -> None:
        """Send lines. Raises as `answer` does."""
        self.ask(WorkBlock(indexed, msgspec.structs.replace(block, data=b"")))
        _send(self.line, block.data)  # a megabyte: not copied into a message

    def answer(self) -> Batch:
        """What it makes of the work. Raises OSError, EOFError or MsgspecError: end it then."""
        return _a_batch(_receive(self.line))

    def digest(self, work: Work) -> Batch:
        """What it makes of the work. Raises as `answer` does."""
        self.asked += 1
        return self._answered(work, _a_batch)

    def keep(self, work: Work) -> Kept:
        """Let it keep what it makes of the work. Raises as `answer` does."""
        self.asked += 1
        return self._answered(work, _a_kept)

    def store(self, store: Store) -> Stored:
        """Let it store what it kept. Raises as `answer` does."""
        return self._answered(store, _a_stored)

    def _answered(self, message: Work | Store, read: Callable[[bytearray], T]) -> T:
        with self.turn:
            self.ask(message)
            return read(_receive(self.line))

    def end(self) -> None:
        """Kill it; it would leave by itself when its line ends. Who waits for it gets EOFError."""
        self.process.kill()
        with self.turn:
            self.line.close()
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


class Desk:
    """What a child knows and keeps, and what it does with it."""

    def __init__(self) -> None:
        self._revision, self._matcher = -1, Matcher(())
        self._known: dict[int, Keyword] = {}
        self._kept: dict[int, Batch] = {}
        self._engines: dict[str, Engine] = {}

    def learn(self, learn: Learn) -> None:
        """Match with other keywords from now on."""
        self._known.update((keyword.id, keyword) for keyword in learn.changed)
        for number in learn.gone:
            del self._known[number]
        self._matcher = Matcher(self._known.values(), before=self._matcher)
        self._revision = learn.revision
        memory.keep()

    def digest(self, events: Iterable[RawEvent], *, is_live: bool, indexed: bool) -> Batch:
        """As `digest` does it, with what was learned."""
        return digest(events, self._matcher, self._revision, is_live=is_live, indexed=indexed)

    def keep(self, number: int, batch: Batch) -> Kept:
        """Keep a batch until it is stored; the oldest goes when there are too many."""
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        batches.prepare(batch)  # now, while others may write
        self._kept[number] = batch
        return Kept(number, len(batch.items), batch.cursor)

    def store(self, asked: Store) -> Stored:
        """In one transaction; whatever hinders it is for the slot to see when it does it itself."""
        batch = self._kept.pop(asked.kept.number, None)
        if batch is None:
            return Stored(None, words="It is not kept any more.")
        place(batch, asked.kept)
        if asked.url not in self._engines:
            self._engines[asked.url] = make_engine(asked.url, in_floods=True)
        try:
            outcome = batches.commit(self._engines[asked.url], asked.lease, batch)
        except (SQLAlchemyError, TweeterError, *trouble.OF_DATA) as error:
            return Stored(None, words=type(error).__name__)
        return Stored(outcome, batch.cursor)


def serve(line: socket.socket) -> None:
    """The child: do what is asked until the line ends."""
    desk = Desk()
    with contextlib.suppress(EOFError, ConnectionError):
        line.sendall(_READY)
        while True:
            match _asked(_receive(line)):
                case Learn() as learn:
                    desk.learn(learn)
                case Work(is_live, indexed, events, keep):
                    batch = desk.digest(events, is_live=is_live, indexed=indexed)
                    _send(line, _encode(desk.keep(keep, batch) if keep else batch))
                case WorkBlock(indexed, block):
                    block = msgspec.structs.replace(block, data=bytes(_receive(line)))
                    batch = desk.digest(block, is_live=False, indexed=indexed)
                    _send(line, _encode(batch))
                case Store() as store:
                    _send(line, _encode(desk.store(store)))


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of the service: the slot ends us
        signal.signal(number, signal.SIG_IGN)
    os.nice(int(sys.argv[2]))
    serve(socket.socket(fileno=int(sys.argv[1])))
