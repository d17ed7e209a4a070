"""One stream, kept connected: the reader's loop, and its words; `writing` stores what it reads.

The reader waits between connections as the network asks; the wait is kept in the stream's row,
so no restart shortens it. Whatever happens to the connection is said in the row and entered in
the ledger.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tweeter import moments
from tweeter.errors import LONGEST_WAIT_US, Held, LeaseLost, MustEnd, SourceError
from tweeter.line import Line, Told, Unsaid
from tweeter.pipeline import Pipeline
from tweeter.records import Keyword, KeywordState, RawEvent, now_us
from tweeter.sources.base import Source
from tweeter.sources.inbox import Inbox, Taken
from tweeter.sources.journal import JournalFull
from tweeter.store import coverage, keyword_ledger, ledger, losses, streams, trouble
from tweeter.store.leases import Lease
from tweeter.store.streams import Stream
from tweeter.writing import Writer, Writing

T = TypeVar("T")

log = logging.getLogger("tweeter.follow")

HELD_S = 1.0  # between tries to keep events while the disk is full
SETTLED_S = 2.0  # after a pause: then what lay in buffers has been read
LIVE_AFTER_S = 60.0  # a connection that lasted so long clears the count of failures
STATES = {"refused": "needs_attention", "limited": "limited", "occupied": "limited"}
STATES["waiting"] = "waiting"


class Follow:
    """Follows one stream until it ends, is cancelled, or loses its lease."""

    def __init__(
        self,
        stream: Stream,
        lease: Lease,
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
        self._lease = lease
        self._writer = writing.executor
        self._writing = Writer(stream.name, inbox, pipeline, writing, sure=self._sure)
        self._cursor = stream.cursor
        self._connected_at = 0.0
        # Failures since the last steady connection, by kind: each has its own row of waits.
        self._counts = Counter[str](stream.memory.get("failures", {}))
        self._failures = stream.failures  # of the kind that came last
        # A moment that is still to come was written by a clock that is set back since.
        self.covered_until = min(stream.covered_until, now_us())
        self._down_since = min(max(stream.covered_until, stream.created_at), now_us())
        self._poked = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()
        self._memory = dict(stream.memory)
        self._told = Told()
        self._line, self._live_words = Line(), ""
        self._was_live = bool(stream.covered_until)
        self._in_hand = 0  # puts under way
        self._unsaid = Unsaid()
        self._state: Callable[[], object] | None = None  # not written yet

    # What a source sees: the Sink protocol.

    @property
    def cursor(self) -> str:
        """Everything before it is stored."""
        return self._cursor

    async def put(self, events: Sequence[RawEvent]) -> None:
        """Hand events to the inbox; a full journal is entered in the ledger, then goes on.

        While the disk is full they stay in hand and nothing more is read: what the network
        sends waits in the line's buffers until it hangs up.
        """
        before = self.inbox.last_alive
        self._in_hand += 1
        try:
            is_held = await self._put(events)
        finally:
            self._in_hand -= 1
        if is_held:
            self._line.doubt(before)
            self.notice(self._live_words)
        self._line.heard(before)

    async def _put(self, events: Sequence[RawEvent]) -> bool:
        """True if they had to wait for room on the disk."""
        is_held = False
        while True:
            try:
                await self.inbox.put(events)
                return is_held
            except (JournalFull, OSError) as error:
                if not isinstance(error, OSError) or error.errno not in trouble.DISK_FULL:
                    await self._turn("lost", f"Posts were lost: {error}", events[0].received_at)
                    raise SourceError("http", f"Posts cannot be kept: {error}") from error
            if not is_held:
                log.error("disk_full stream=%s words=%s", self.stream.name, trouble.FULL)
                self.notice(trouble.FULL)
            is_held = True
            await asyncio.sleep(HELD_S)

    def rest_s(self) -> float:
        """A little, while nothing comes that anybody waits for."""
        return self._writing.rest_s()

    def alive(self) -> None:
        """The connection is covered up to now, unless something is still in hand."""
        self._line.heard(self.inbox.last_alive)
        if not self._in_hand:
            self.inbox.last_alive = now_us()

    def slept(self, since: int) -> None:
        """This process did nothing since that moment; what came meanwhile lies in buffers."""
        self._line.doubt(min(since, self.inbox.last_alive or since), SETTLED_S)

    def connected(self, words: str) -> None:
        """The server accepted us."""
        self._connected_at = time.monotonic()
        self._line = Line()
        self._live_words = words
        self.inbox.last_alive = now_us()
        self._later(self._went_live(words, now_us(), self._line))

    def notice(self, words: str) -> None:
        """Something to say while connected."""
        self._later(self._say("live", words))

    def missed(self, since: int, until: int, words: str, *, read_until: int) -> None:
        """The network no longer had these minutes."""
        lost = ledger.Missing(since=since, until=until, read_until=read_until, words=words)
        self._later(self._enter(lost))

    def keywords(self, states: Mapping[int, KeywordState]) -> None:
        """What the network does with each keyword."""
        news = self._told.news(states)
        if news:
            self._later(self._tell(news))

    def remember(self, **values: Any) -> None:
        """Keep something for the source's next process."""
        self._memory |= values
        kept, lease = dict(self._memory), self._lease
        self._later(self._quietly(lambda: streams.remember(self.pipeline.engine, lease, kept)))

    @property
    def memory(self) -> Mapping[str, Any]:
        """What was remembered."""
        return self._memory

    # The loops.

    async def run(self) -> str:
        """Follow; returns the state it ended in ("done" or "failed"), or is cancelled.

        Raises LeaseLost when another process took the stream over.
        """
        await self._turn("down", self.stream.why_down, self._down_since, only_from="live")
        reader = asyncio.create_task(self._read(), name=f"read {self.stream.name}")
        writing = self._writing.run(self._stored, self._journal_damaged)
        writer = asyncio.create_task(writing, name=f"write {self.stream.name}")
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
        await self._in_writer(streams.finish, self.pipeline.engine, self._lease, state, words)
        return state

    async def _drain(
        self, reader: asyncio.Task[tuple[str, str]], writer: asyncio.Task[None]
    ) -> None:
        """Stop reading, store what was read (2 s), and enter the end in the ledger."""
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        self.inbox.close()
        self._line.ended = True
        await asyncio.wait({writer}, timeout=2)
        sure = self._line.sure_until(self.inbox.last_alive)
        await self._turn("down", "The worker was stopped.", sure or now_us())

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
                self._count(error.kind)
                await self._failed(error)
        finally:
            self.inbox.close()

    def _count(self, kind: str) -> None:
        """Count a failure; no restart of this process shortens the waits that follow from it."""
        if self._is_steady():
            self._counts.clear()
        self._counts[kind] += 1
        self._failures = self._counts[kind]
        self.remember(failures=dict(self._counts))

    async def _failed(self, error: SourceError) -> None:
        """Enter the failure and wait as the network asks."""
        self._line.ended = True
        state = STATES.get(error.kind, "down")
        wait_s = self.source.wait_s(error.kind, self._failures)
        asked = min(error.retry_at or 0, now_us() + LONGEST_WAIT_US)
        retry_at = max(now_us() + int(wait_s * 1e6), asked)
        words = error.state
        if state != "waiting":
            words += f" Trying again at {moments.clock(retry_at)}."
        log.log(
            logging.INFO if state == "waiting" else logging.WARNING,  # then nothing is wrong
            "source_%s network=%s kind=%s failures=%d wait_s=%.2f",
            "waits" if state == "waiting" else "failed",
            self.source.network,
            error.kind,
            self._failures,
            wait_s,
        )
        at = now_us()  # while we were away already, another cause begins now
        if self._connected_at:
            at = self._line.sure_until(self.inbox.last_alive) or self._down_since
        await self._turn(state, error.state, at, kind=error.kind)
        await self._say(state, words, retry_at=retry_at)
        await self._wait_until(retry_at, can_be_poked=state in ("waiting", "needs_attention"))

    async def _wait_until(self, moment: int, *, can_be_poked: bool = False) -> None:
        left = min(moment - now_us(), LONGEST_WAIT_US) / 1e6
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

    async def keywords_changed(self, keywords: Sequence[Keyword]) -> None:
        """Tell the source; a stream that waits for a keyword tries again."""
        self._told.keywords_changed(keywords)
        await self.source.keywords_changed(keywords)
        self._poked.set()

    async def _stored(self, taken: Taken, cursor: str) -> None:
        """The writer has stored everything up to here."""
        self._cursor = cursor or self._cursor
        self.covered_until = taken.covered_until or self.covered_until
        await self._say_unsaid()

    async def _journal_damaged(self, until: int) -> None:
        """A stretch of the journal cannot be read: what was in it is lost, and it is said."""
        log.error("journal_damaged stream=%s", self.stream.name)
        since = self.covered_until or self._down_since
        while True:
            await self._say_unsaid()
            try:
                await self._in_writer(losses.enter, self.pipeline.engine, self._lease, since, until)
                return
            except (SQLAlchemyError, Held, MustEnd):
                await asyncio.sleep(HELD_S)

    # Words for the page, and the ledger.

    def _sure(self, moment: int) -> int:
        """As much of a claim as the line allows."""
        return self._line.sure_until(moment)

    def covered(self) -> int:
        """The moment up to which everything received is stored: for the lease's renewal."""
        if self._unsaid or self._state is not None:
            self._later(self._say_unsaid())
        if self._connected_at and not self.inbox.waiting():
            sure = self._line.sure_until(self.inbox.last_alive)
            self.covered_until = min(max(self.covered_until, sure), now_us())
        return self.covered_until

    def _is_steady(self) -> bool:
        return self._connected_at > 0 and time.monotonic() - self._connected_at > LIVE_AFTER_S

    async def _went_live(self, words: str, at: int, line: Line) -> None:
        if self.source.settles_s:  # what it sends by then is stored, and asked for all the same
            await asyncio.sleep(self.source.settles_s)
            at += int(self.source.settles_s * 1e6)
        if line.ended:
            return
        if not self._was_live:
            outcome, repair = "", ""  # before its first connection nothing was promised
            await self._promise(at)
            if line.ended:  # while it was written: the writer may have much to do
                return
        elif self.source.replayable and self._cursor:
            outcome, repair = "replayed", "The network sent it again."
        elif self.source.repairable:
            outcome, repair = "repairing", "It is being asked for again."
        else:
            outcome, repair = "lost", "The network cannot send it again."
        self._was_live = True
        await self._turn("live", "", at, outcome=outcome, repair=repair)
        await self._say("live", words)

    async def _promise(self, at: int) -> None:
        """From the first connection on: a process that dies in the next second leaves a gap."""
        engine, lease, stream_id = self.pipeline.engine, self._lease, self.stream.id
        self.covered_until = at
        await self._quietly(lambda: streams.renew(engine, [lease], {stream_id: at}))

    async def _say(self, state: str, words: str, *, retry_at: int = 0) -> None:
        failures = 0 if state in ("waiting", "live") and self._is_steady() else self._failures
        how = partial(streams.set_state, failures=failures, retry_at=retry_at)
        self._state = partial(how, self.pipeline.engine, self._lease, state, words)
        await self._say_unsaid()

    async def _turn(self, state: str, cause: str, at: int, **more: str) -> None:
        if self.source.network not in coverage.WITHOUT_TIME:
            await self._enter(ledger.Turn(state=state, cause=cause, at=at, **more))

    async def _enter(self, news: ledger.Turn | ledger.Missing) -> None:
        self._unsaid.add(news)
        await self._say_unsaid()

    async def _say_unsaid(self) -> None:
        """What waits for the ledger, oldest first, and the newest words; later if it fails."""
        if self._unsaid:
            enter = partial(ledger.say, self.pipeline.engine, self._lease)
            await self._quietly(partial(self._unsaid.enter, enter))
        state = self._state
        if state is not None and await self._quietly(state) and self._state is state:
            self._state = None

    async def _tell(self, states: Mapping[int, KeywordState]) -> None:
        """Enter what the network does with keywords; what fails is news when it is said again."""
        whose = self.pipeline.engine, self._lease, self.source.network
        if not await self._quietly(partial(keyword_ledger.set_all, *whose, states)):
            self._told.forget(states)

    async def _quietly(self, write: Callable[[], object]) -> bool:
        """Words may be late: a database that is away must not end the stream. True if written."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, write)
        except (SQLAlchemyError, LeaseLost, Held, MustEnd) as error:
            log.warning(
                "state_not_written stream=%s error=%s", self.stream.name, type(error).__name__
            )
            return False
        return True

    def _later(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_writer(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *args)
