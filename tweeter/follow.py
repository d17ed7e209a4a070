"""One stream, kept connected and stored: the reader's loop, the writer's loop, and its words.

The reader waits between connections as the network asks; the wait is kept in the stream's row,
so no restart shortens it. The writer repeats a batch until the database takes it. Whatever
happens to the connection is said in the row and entered in the ledger.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tweeter.errors import LeaseLost, SourceError
from tweeter.pipeline import Pipeline
from tweeter.records import RawEvent, now_us
from tweeter.sources.base import Source
from tweeter.sources.inbox import Inbox, Taken
from tweeter.sources.journal import JournalFull
from tweeter.store import ledger, streams
from tweeter.store.streams import Stream

T = TypeVar("T")

log = logging.getLogger("tweeter.follow")

LIVE_AFTER_S = 60.0  # a connection that lasted so long clears the count of failures
STATES = {"refused": "needs_attention", "limited": "limited", "waiting": "waiting"}


class Writing(NamedTuple):
    """How posts are written: by whose thread, how many together, how long one may wait."""

    executor: Executor
    batch_posts: int
    window_s: float


class Follow:
    """Follows one stream until it ends, is cancelled, or loses its lease."""

    def __init__(
        self,
        stream: Stream,
        source: Source,
        inbox: Inbox,
        pipeline: Pipeline,
        *,
        writing: Writing,
    ) -> None:
        self.stream = stream
        self.source = source
        self.inbox = inbox
        self.pipeline = pipeline
        self._writing = writing
        self._writer = writing.executor
        self._cursor = stream.cursor
        self._connected_at = 0.0
        self._failures = stream.failures  # in a row
        self._down_since = max(stream.covered_until, stream.created_at)
        self._poked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.covered_until = stream.covered_until

    # What a source sees: the Sink protocol.

    @property
    def cursor(self) -> str:
        """Everything before it is stored."""
        return self._cursor

    async def put(self, events: Sequence[RawEvent]) -> None:
        """Hand events to the inbox; a full journal is entered in the ledger, then goes on."""
        try:
            await self.inbox.put(events)
        except (JournalFull, OSError) as error:
            await self._turn("lost", f"Posts were lost: {error}", events[0].received_at)
            raise SourceError("http", f"Posts cannot be kept: {error}") from error

    def alive(self) -> None:
        """The connection is covered up to now."""
        self.inbox.last_alive = now_us()

    def connected(self, words: str) -> None:
        """The server accepted us."""
        self._connected_at = time.monotonic()
        self.inbox.last_alive = now_us()
        self._later(self._went_live(words, now_us()))

    def notice(self, words: str) -> None:
        """Something to say while connected."""
        self._later(self._say("live", words))

    # The loops.

    async def run(self) -> str:
        """Follow; returns the state it ended in ("done" or "failed"), or is cancelled.

        Raises LeaseLost when another process took the stream over.
        """
        await self._turn("down", self._why_down(), self._down_since, only_from="live")
        reader = asyncio.create_task(self._read(), name=f"read {self.stream.name}")
        writer = asyncio.create_task(self._write(), name=f"write {self.stream.name}")
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer in done:  # only on LeaseLost or a fault of ours
                writer.result()
            ended = await reader
            await writer
        except asyncio.CancelledError:
            await self._drain(reader, writer)
            raise
        finally:
            for task in (reader, writer, *self._tasks):
                task.cancel()
            await asyncio.gather(reader, writer, *self._tasks, return_exceptions=True)
        state, words = ended
        await self._in_writer(
            streams.finish, self.pipeline.engine, self.pipeline.lease, state, words
        )
        return state

    async def _drain(
        self, reader: asyncio.Task[tuple[str, str]], writer: asyncio.Task[None]
    ) -> None:
        """Stop reading, store what was read (2 s), and enter the end in the ledger."""
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        self.inbox.close()
        await asyncio.wait({writer}, timeout=2)
        await self._turn("down", "The worker was stopped.", self.inbox.last_alive or now_us())

    async def _read(self) -> tuple[str, str]:
        """Connect again and again; returns (state, words) when the stream has ended."""
        if self.stream.state not in ("waiting", "needs_attention"):  # a person may have mended it
            await self._wait_until(self.stream.retry_at)
        try:
            while True:
                self._connected_at = 0.0
                self._poked.clear()
                try:
                    await self.source.connect(self)
                    error = SourceError("closed", "The server closed the connection.")
                    if self.source.network == "replay":
                        return "done", "Read to its end."
                except SourceError as failed:
                    error = failed
                    if self.source.network == "replay" and error.kind != "waiting":
                        return "failed", error.state
                lasted = time.monotonic() - self._connected_at if self._connected_at else 0.0
                self._failures = 1 if lasted > LIVE_AFTER_S else self._failures + 1
                await self._failed(error)
        finally:
            self.inbox.close()

    async def _failed(self, error: SourceError) -> None:
        """Enter the failure and wait as the network asks."""
        state = STATES.get(error.kind, "down")
        wait_s = self.source.wait_s(error.kind, self._failures)
        retry_at = max(now_us() + int(wait_s * 1e6), error.retry_at or 0)
        words = error.state
        if state != "waiting":
            words += f" Trying again at {_clock(retry_at)}."
        log.warning(
            "source_failed network=%s kind=%s failures=%d wait_s=%.2f",
            self.source.network,
            error.kind,
            self._failures,
            wait_s,
        )
        await self._turn(state, error.state, self.inbox.last_alive or self._down_since)
        await self._say(state, words, retry_at=retry_at)
        await self._wait_until(retry_at, can_be_poked=state in ("waiting", "needs_attention"))

    async def _wait_until(self, moment: int, *, can_be_poked: bool = False) -> None:
        left = (moment - now_us()) / 1e6
        if left <= 0:
            return
        if not can_be_poked:
            await asyncio.sleep(left)
            return
        try:
            async with asyncio.timeout(left):
                await self._poked.wait()
        except TimeoutError:
            return

    async def keywords_changed(self, expressions: Sequence[tuple[int, str]]) -> None:
        """Tell the source; a stream that waits for a keyword tries again."""
        await self.source.keywords_changed(expressions)
        self._poked.set()

    async def _write(self) -> None:
        while True:
            taken = await self.inbox.take(
                max_events=self._writing.batch_posts, window_s=self._writing.window_s
            )
            if taken is None:
                return
            if taken.journal is not None and not taken.events:
                await self._journal_damaged()
            await self._store(taken)

    async def _journal_damaged(self) -> None:
        """A stretch of the journal cannot be read: what was in it is lost, and it is said."""
        words = "A part of the journal on the disk could not be read; its posts are lost."
        await self._turn("lost", words, self.covered_until or self._down_since)
        await self._turn("live", "", now_us(), outcome="lost")

    async def _store(self, taken: Taken) -> None:
        """Store until it is stored; a database that is away stops the cursor, not the stream."""
        wait_s = 0.5
        while True:
            try:
                _, cursor = await self._in_writer(self.pipeline.store, taken)
            except SQLAlchemyError as error:
                log.error("store_failed stream=%s error=%s", self.stream.name, type(error).__name__)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 10.0)
            else:
                self._cursor = cursor or self._cursor
                self.covered_until = taken.covered_until
                self.inbox.stored(taken)
                return

    # Words for the page, and the ledger.

    def covered(self) -> int:
        """The moment up to which everything received is stored: for the lease's renewal."""
        if self._connected_at and not self.inbox.waiting():
            self.covered_until = max(self.covered_until, self.inbox.last_alive)
        return self.covered_until

    def _is_steady(self) -> bool:
        return self._connected_at > 0 and time.monotonic() - self._connected_at > LIVE_AFTER_S

    def _why_down(self) -> str:
        if not self.stream.covered_until:
            return "Not followed yet."
        return "The process that followed it ended."

    async def _went_live(self, words: str, at: int) -> None:
        if self.source.replayable and self._cursor:
            outcome = "replayed"
        else:
            outcome = "lost" if self.stream.covered_until else ""
        await self._turn("live", "", at, outcome=outcome)
        await self._say("live", words)

    async def _say(self, state: str, words: str, *, retry_at: int = 0) -> None:
        failures = 0 if state in ("waiting", "live") and self._is_steady() else self._failures
        lease = self.pipeline.lease
        await self._quietly(
            lambda: streams.set_state(
                self.pipeline.engine, lease, state, words, failures=failures, retry_at=retry_at
            )
        )

    async def _turn(self, state: str, cause: str, at: int, **more: str) -> None:
        if self.source.network in ("replay", "demo"):
            return  # a file and an invention have no minutes to cover
        turn = ledger.Turn(state=state, cause=cause, at=at, **more)
        await self._quietly(lambda: ledger.enter(self.pipeline.engine, self.stream.id, turn))

    async def _quietly(self, write: Callable[[], None]) -> None:
        """Words may be late: a database that is away must not end the stream."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, write)
        except (SQLAlchemyError, LeaseLost) as error:
            log.warning(
                "state_not_written stream=%s error=%s", self.stream.name, type(error).__name__
            )

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_writer(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *args)


def _clock(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).strftime("%H:%M:%S UTC")
