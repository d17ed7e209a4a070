"""A slot: many streams in one event loop, each under its lease.

Every second a slot takes its share of the streams that are free (`balance.py`), drops those
that it lost or that are no longer wanted, and looks whether the keywords changed. All writing of
a process goes through one thread: SQLite has one writer anyhow, and two would only wait for each
other.

A slot does not give its streams up while the database is away: nobody can take them over
then, and a stream that cannot replay must be read on into its journal. What it writes later
is still refused if the stream was taken meanwhile (the epoch in every batch).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import hints
from tweeter.balance import Balance
from tweeter.config import Config
from tweeter.errors import LeaseLost, MustEnd, SourceError, StoreError
from tweeter.follow import Follow
from tweeter.helpers import Helpers
from tweeter.line import awake_s
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import Keyword, now_us
from tweeter.sources.base import Source
from tweeter.sources.inbox import Inbox, JournalInbox, MemoryInbox, Taken
from tweeter.sources.journal import Journal, left_over, open_free
from tweeter.sources.opening import SOURCES, can_follow, runnable
from tweeter.store import journals, losses, reads, revisions, shares, streams, trouble
from tweeter.store.leases import RENEW_S, Lease
from tweeter.store.shares import Shares
from tweeter.store.streams import Stream
from tweeter.writing import Helping, Writing

T = TypeVar("T")

log = logging.getLogger("tweeter.slot")

TICK_S = 1.0
PULSE_S, LATE_S = 0.2, 0.7  # a pulse that takes longer than this: the process stood still
INBOX_EVENTS = 20_000
INBOX_BYTES = 64 * 1024 * 1024
COUNT_READS_S = 3.0
JOURNALS_S = 5.0  # between looks for journals that others left
LOOK_S = 3.0  # between looks whether the database is still the one we know
FAULT_WAIT_S = 10.0  # before a stream that ended by a fault of ours is tried again


class Slot:
    """Follows every stream it can get until told to stop.

    only restricts it to one stream, after whose end `run` returns. should_stop is asked every
    TICK_S; it must not block.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        *,
        owner: str,
        should_stop: Callable[[], bool],
        only: int | None = None,
    ) -> None:
        self._engine = engine
        self._config = config
        self._owner = owner
        self._should_stop = should_stop
        self._only = only
        self._book = KeywordBook(engine)
        self._balance = Balance(owner)
        self._following: dict[int, tuple[Lease, Follow, asyncio.Task[str]]] = {}
        self._side: set[asyncio.Task[None]] = set()
        self._renewed_at = 0.0
        self._told = -1  # revision of the keywords that the sources know
        self._held: dict[int, str] = {}  # keywords over their budget at X, and why
        self._counted_at = 0.0
        self._sought_at = time.monotonic()  # a stream's beginning looks as well
        self._looked_at = -LOOK_S
        self._writer = ThreadPoolExecutor(1, "writer")
        self._control = ThreadPoolExecutor(1, "control")
        helpers = Helpers(config.helpers)
        self._helping = Helping(helpers, ThreadPoolExecutor(helpers.count or 1, "helping"))

    async def run(self) -> None:
        """Follow streams; stops within about 5 s of should_stop, with everything read stored."""
        pulse = asyncio.create_task(self._pulse())
        try:
            while not self._should_stop():
                try:
                    if await self._must_end():
                        return
                    await self._tick()
                except (SQLAlchemyError, StoreError) as error:
                    if words := trouble.news("slot", error):
                        log.error("slot_tick_failed words=%s", words)
                if self._only is not None and await self._ended():
                    return
                await asyncio.sleep(TICK_S if self._only is None else 0.1)
        finally:
            pulse.cancel()
            await self._stop()
            self._helping.helpers.close()
            for executor in (self._writer, self._control, self._helping.executor):
                executor.shutdown()

    async def _pulse(self) -> None:
        """Notice when this process stood still: what came meanwhile is not read yet."""
        while True:
            before_us, before_s = now_us(), awake_s()
            await asyncio.sleep(PULSE_S)
            if awake_s() - before_s > LATE_S:
                for _, follow, _ in self._following.values():
                    follow.slept(before_us)

    async def _must_end(self) -> bool:
        """True if the database was upgraded or moved away under us."""
        if time.monotonic() - self._looked_at < LOOK_S:
            return False
        self._looked_at = time.monotonic()
        try:
            await self._aside(revisions.refuse_change, self._engine)
        except MustEnd as error:
            log.error("slot_must_end reason=%s", error)
            return True
        return False

    async def _ended(self) -> bool:
        if self._following or self._only is None:
            return False
        stream = await self._aside(streams.get, self._engine, self._only)
        return stream is None or stream.state in streams.ENDED

    async def _tick(self) -> None:
        await self._reap()
        await self._aside(self._book.refresh)
        await self._count_reads()
        self._look_for_journals()
        self._helping.helpers.rest()
        if self._book.revision != self._told:  # a batch may have refreshed the book before us
            self._told = self._book.revision
            for _, follow, _ in self._following.values():
                await follow.keywords_changed(self._keywords())
        if time.monotonic() - self._renewed_at >= RENEW_S:
            await self._renew()
        networks = runnable(self._config)
        ours = partial(can_follow, self._config)
        found = await self._aside(shares.look, self._engine, self._owner, ours)
        for stream, lease in await self._aside(self._claim, networks, found):
            await self._follow(stream, lease)
        surplus = self._balance.give(found, self._movable(), time.monotonic())
        if surplus is not None and self._only is None:
            await self._drop(surplus)

    def _movable(self) -> list[int]:
        """Streams that may go to another slot at no loss; X would miss what comes meanwhile."""
        return [
            n
            for n, (_, follow, _) in self._following.items()
            if follow.source.replayable or follow.source.network == "demo"
        ]

    def _keywords(self) -> tuple[Keyword, ...]:
        return tuple(
            msgspec.structs.replace(k, held=self._held[k.id]) if k.id in self._held else k
            for k in self._book.keywords
        )

    async def _count_reads(self) -> None:
        """See who is over a budget at X; a new day or a larger budget frees them again."""
        follows_x = any(f.source.network == "x" for _, f, _ in self._following.values())
        if not follows_x or time.monotonic() - self._counted_at < COUNT_READS_S:
            return
        self._counted_at = time.monotonic()
        used = await self._aside(reads.used, self._engine, "x")
        total = reads.Budget(self._config.x_day_posts, self._config.x_month_posts)
        held = reads.held(used, self._book.keywords, total)
        if held != self._held:
            self._held, self._told = held, -1

    def _claim(self, networks: list[str], found: Shares) -> list[tuple[Stream, Lease]]:
        # Not those we follow: when the clock jumps ahead their leases look old until renewed.
        ours = list(self._following)
        if self._only is not None:
            return streams.claim(
                self._engine, self._owner, networks=networks, only=self._only, besides=ours
            )
        chosen = self._balance.take(found, time.monotonic())
        if not chosen:
            return []
        if found.dead:
            streams.free_dead(self._engine)
        return streams.claim(
            self._engine, self._owner, networks=networks, chosen=chosen, besides=ours
        )

    async def _renew(self) -> None:
        leases = [lease for lease, _, _ in self._following.values()]
        covered = {n: follow.covered() for n, (_, follow, _) in self._following.items()}
        ours = await self._aside(streams.renew, self._engine, leases, covered)
        self._renewed_at = time.monotonic()
        for stream_id in set(covered) - ours:
            await self._drop(stream_id)

    async def _follow(self, stream: Stream, lease: Lease) -> None:
        log.info("stream_taken name=%s epoch=%d", stream.name, lease.epoch)
        indexed = self._config.search_index
        pipeline = Pipeline(self._engine, lease, self._book, indexed=indexed)
        try:
            source = SOURCES[stream.network](self._config, stream.options)
            inbox = await self._inbox(stream, source, pipeline)
        except (OSError, SourceError, KeyError) as error:
            await self._fault(stream, lease, error)
            return
        follow = Follow(
            stream,
            lease,
            source,
            inbox,
            pipeline,
            writing=Writing(
                self._writer,
                self._config.batch_posts,
                self._config.commit_window_ms / 1000,
                self._helping,
                partial(hints.tell, hints.folder(self._config.data_dir)),
            ),
        )
        await follow.keywords_changed(self._keywords())
        task = asyncio.create_task(follow.run(), name=f"follow {stream.name}")
        self._following[stream.id] = lease, follow, task

    async def _inbox(self, stream: Stream, source: Source, pipeline: Pipeline) -> Inbox:
        """Memory for what can be sent again or is invented; else a journal on the disk."""
        if source.replayable or stream.network == "demo":
            return MemoryInbox(max_events=INBOX_EVENTS, max_bytes=INBOX_BYTES)
        base = self._config.data_dir / "journal" / stream.name.replace("/", "_")
        limit = self._config.journal_limit_mb * 1024 * 1024
        server = stream.name.partition(":")[2]  # of Mastodon; its ids are its own
        ours, *left = open_free(base, shape=stream.network, origin=server, limit_bytes=limit)
        self._finish_journals(left, pipeline, stream)
        position = await self._aside(journals.position, self._engine, ours.journal_id, stream.id)
        return JournalInbox(ours, position)

    def _look_for_journals(self) -> None:
        """Those of processes that ended, or lost a stream, after we took it over."""
        if time.monotonic() - self._sought_at < JOURNALS_S:
            return
        self._sought_at = time.monotonic()
        for _, follow, _ in self._following.values():
            if isinstance(follow.inbox, JournalInbox):
                mine = follow.inbox.journal
                left = left_over(
                    mine.folder.parent,
                    shape=mine.shape,
                    origin=mine.origin,
                    limit_bytes=mine.limit_bytes,
                )
                self._finish_journals(left, follow.pipeline, follow.stream)

    def _finish_journals(self, left: Sequence[Journal], pipeline: Pipeline, stream: Stream) -> None:
        since = stream.covered_until or stream.created_at
        for journal in left:
            task = asyncio.create_task(self._finish_journal(journal, pipeline, since))
            self._side.add(task)
            task.add_done_callback(self._side.discard)

    async def _finish_journal(self, journal: Journal, pipeline: Pipeline, since: int) -> None:
        """Store what another process left in its journal when it ended.

        since: what came before that moment (us) was stored, or lies in this journal.
        """
        lease = pipeline.lease
        stream_id = lease.stream_id
        loop = asyncio.get_running_loop()
        try:
            at = await self._aside(journals.position, self._engine, journal.journal_id, stream_id)
            while at < journal.end:
                events, at = await asyncio.to_thread(journal.read, at, max_events=1000)
                if not events:  # said first: nobody comes back to what is stored
                    log.error("journal_damaged journal=%s", journal.folder)
                    until = await asyncio.to_thread(journal.heard_at, at) or now_us()
                    await loop.run_in_executor(
                        self._writer, losses.enter, self._engine, lease, since, until
                    )
                taken = Taken(events, 0, (journal.journal_id, at))
                await loop.run_in_executor(self._writer, pipeline.store, taken)
                since = events[-1].received_at if events else since
            journal.clear()
        except (OSError, SQLAlchemyError, StoreError) as error:  # the next holder goes on with it
            log.warning("journal_left journal=%s error=%s", journal.folder, type(error).__name__)
        finally:
            journal.close()

    async def _reap(self) -> None:
        """Look after streams that ended: done, lost, or broken by a fault of ours."""
        for stream_id, (lease, follow, task) in list(self._following.items()):
            if not task.done():
                continue
            del self._following[stream_id]
            _close(follow.inbox)
            error = None if task.cancelled() else task.exception()
            if error is None:
                log.info("stream_ended name=%s", follow.stream.name)
            elif isinstance(error, LeaseLost):
                log.warning("lease_lost name=%s epoch=%d", follow.stream.name, lease.epoch)
            else:
                log.error("stream_broke name=%s", follow.stream.name, exc_info=error)
                await self._fault(follow.stream, lease, error)

    async def _fault(self, stream: Stream, lease: Lease, error: BaseException) -> None:
        words = f"A fault of tweeter's own ended this stream: {type(error).__name__}: {error}."
        if isinstance(error, OSError | SourceError):
            words = f"This stream could not start: {error}."
        retry_at = now_us() + int(FAULT_WAIT_S * 1e6)

        def write() -> None:
            streams.set_state(
                self._engine, lease, "down", words, failures=stream.failures, retry_at=retry_at
            )
            streams.release(self._engine, lease, rest_s=FAULT_WAIT_S)

        await self._aside(write)

    async def _drop(self, stream_id: int) -> None:
        """Leave a stream: the lease is lost, or it is not wanted any more."""
        lease, follow, task = self._following.pop(stream_id)
        log.info("stream_left name=%s epoch=%d", follow.stream.name, lease.epoch)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _close(follow.inbox)
        await self._aside(streams.release, self._engine, lease)

    async def _stop(self) -> None:
        for task in self._side:
            task.cancel()
        drops = [self._drop(stream_id) for stream_id in list(self._following)]
        for result in await asyncio.gather(*drops, return_exceptions=True):
            if isinstance(result, BaseException):
                log.warning("stream_not_released error=%s", type(result).__name__)

    async def _aside(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._control, work, *args)


def _close(inbox: Inbox) -> None:
    if isinstance(inbox, JournalInbox):
        inbox.journal.close()
