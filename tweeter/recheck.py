"""A part of a re-check: look stored posts up at their network, and store what became of them.

What is gone goes the way of an announced removal, a newer text that of an announced edit, both
in the transaction that moves the job on. Killed anywhere, the next part goes on there.
"""

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter import decode
from tweeter.config import Config
from tweeter.decode.build import account_change
from tweeter.errors import DecodeError, LeaseLost, SourceError
from tweeter.keywords import Matcher
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import Post, RawEvent, Removal, now_us
from tweeter.sources import lookup
from tweeter.sources.backoff import exponential
from tweeter.sources.inbox import Taken
from tweeter.sources.lookup import Answered, Looker
from tweeter.store import batches, past, reads, rechecks, trouble
from tweeter.store.batches import Batch, KeywordsChanged
from tweeter.store.past import Past
from tweeter.store.quarantine import rejected
from tweeter.store.reads import EVERYTHING, Budget, Grant
from tweeter.store.rechecks import Asked

PART_S = 30.0  # a task's length: below every time-out of the broker

_wait_s = exponential(5, 600, jitter=0.2)


class _Waits(Exception):
    """Nothing more can be asked before a moment; a sentence says why."""

    def __init__(self, words: str, until_us: int) -> None:
        self.until_us = until_us
        super().__init__(words)


def work(engine: Engine, config: Config, job: Past) -> None:
    """Work on the job for at most PART_S. It is handed out again; others of its stream go first."""
    try:
        asyncio.run(_Part(engine, config, job).run())
    except LeaseLost:
        return
    except _Waits as waits:
        past.pause(engine, job, str(waits), wait_s=max(waits.until_us - now_us(), 0) / 1e6)
    except SourceError as error:
        past.put_off(engine, job, error, _wait_s(job.tries + 1))


class _Part:
    def __init__(self, engine: Engine, config: Config, job: Past) -> None:
        self._engine = engine
        self._job = job
        self._config = config
        self._book = KeywordBook(engine)
        self._budgets = {EVERYTHING: Budget(config.x_day_posts, config.x_month_posts)}

    async def run(self) -> None:
        """Page by page, until all are looked up or the time is over."""
        await asyncio.to_thread(self._book.refresh)
        deadline, position, job = time.monotonic() + PART_S, self._job.position, self._job
        async with lookup.open_looker(self._config, job.network, job.stream) as looker:
            while time.monotonic() < deadline:
                page = await asyncio.to_thread(
                    rechecks.page, self._engine, job, position, limit=looker.page
                )
                if not page:
                    await asyncio.to_thread(self._finish)
                    return
                position = await self._look_up(looker, page)
        await asyncio.to_thread(past.pause, self._engine, job, "Under way.")

    def _finish(self) -> None:
        reasons = lookup.REASONS
        removed = rechecks.removed_since(self._engine, self._job, reasons)
        rechecks.finish(self._engine, self._job, removed)

    async def _look_up(self, looker: Looker, page: Sequence[Asked]) -> int:
        """Look a page up and store what came; returns how far it got. Raises _Waits."""
        grant = await self._reserve(len(page))
        if not grant.posts:
            raise _Waits(f"{grant.words}; it goes on when there is a new one.", grant.again_at)
        page = page[: grant.posts]
        names = {asked.name: asked.author_id for asked in page}
        hidden = {asked.author_id for asked in page if asked.hidden}
        answered = await self._ask(looker, names, grant, hidden)
        events = list(answered.events)
        if answered.newer:  # edits of X are posts of their own: have them too
            grant = await self._reserve(len(answered.newer))
            names = dict.fromkeys(answered.newer[: grant.posts], "")
            newer = await self._ask(looker, names, grant) if names else Answered()
            events += newer.events
            answered.wait_us = max(answered.wait_us, newer.wait_us)
        told = page[: answered.told] if answered.told else page
        position = await asyncio.to_thread(self._store, told, answered, events)
        if answered.wait_us > now_us():
            raise _Waits("The network limits our rate; it goes on soon.", answered.wait_us)
        return position

    async def _ask(
        self,
        looker: Looker,
        names: dict[str, str],
        grant: Grant,
        hidden: Collection[str] = (),
    ) -> Answered:
        """Raises SourceError; what X refused to answer costs nothing."""
        try:
            return await looker.look_up(names, hidden)
        except SourceError as error:
            if self._job.network == "x" and error.kind != "network":
                await asyncio.to_thread(reads.give_back, self._engine, "x", grant, grant.posts)
            raise

    async def _reserve(self, wanted: int) -> Grant:
        """How many posts may be asked for; at X each costs."""
        if self._job.network != "x":
            return Grant(posts=wanted)
        return await asyncio.to_thread(reads.reserve, self._engine, "x", wanted, self._budgets)

    def _store(self, page: Sequence[Asked], answered: Answered, events: Sequence[RawEvent]) -> int:
        read = functools.partial(_digest, stored={asked.key: asked for asked in page})
        while True:
            revision, matcher = self._book.current()
            newer = read(events, matcher, revision, indexed=self._config.search_index)
            batch = self._looked_at(page, answered, revision).joined(newer)
            try:
                batches.commit(self._engine, self._job.lease, batch)
                return page[-1].id
            except KeywordsChanged:
                self._book.refresh()
            except (SQLAlchemyError, *trouble.OF_DATA) as error:
                if trouble.of_data(error) is None or not events:
                    raise
                self._store_apart(events, read)
                events = ()

    def _store_apart(self, events: Sequence[RawEvent], read: Callable[..., Batch]) -> None:
        """Store all but what no database takes, which goes to quarantine; the job stays there."""
        indexed = self._config.search_index
        pipeline = Pipeline(
            self._engine, self._job.lease, self._book, indexed=indexed, digest_as=read
        )
        pipeline.store(Taken(list(events), 0))

    def _looked_at(self, page: Sequence[Asked], answered: Answered, revision: int) -> Batch:
        """What became of the posts of a page, and that it was asked for."""
        network, now = self._job.network, now_us()
        batch = Batch(
            items=[],
            counts=Counter(events=len(page)),
            rejected=[],
            revision=revision,
            cursor=str(page[-1].id),
            checked=tuple(asked.id for asked in page),
        )
        for asked in page:
            why = answered.gone.get(asked.name)
            if why:
                gone = Removal(network=network, key=asked.key, occurred_at=now, reason=why)
                batch.items.append(gone)
        now_are = dict.fromkeys(answered.hidden, lookup.UNAVAILABLE)
        for account, status in (now_are | dict.fromkeys(answered.shown, "active")).items():
            change = account_change(
                network=network, author_id=account, status=status, occurred_at=answered.at
            )
            batch.items.append(change)
        return batch


def _digest(
    events: Sequence[RawEvent],
    matcher: Matcher,
    revision: int,
    *,
    stored: dict[str, Asked],
    indexed: bool,
    is_live: bool = False,
) -> Batch:
    """What changed at posts that were looked up."""
    batch = Batch(items=[], counts=Counter(), rejected=[], revision=revision, indexed=indexed)
    for raw in events:
        try:
            found = decode.DECODERS[raw.shape](raw)
        except DecodeError as error:
            batch.rejected.append(rejected(raw, error, "look-up"))
            continue
        posts = [_changed(post, stored) for post in found if isinstance(post, Post)]
        batch.items += [(post, tuple(matcher.match(post))) for post in posts if post]
    return batch


def _changed(post: Post, stored: dict[str, Asked]) -> Post | None:
    """The post as an edit if it differs from the stored one; None if there is nothing to store."""
    asked = stored.get(post.key)
    if asked is None:  # X: a newer version, which comes as a post of its own
        return post if post.supersedes else None
    if post.network == "mastodon":
        newer = post.version > asked.version
        return msgspec.structs.replace(post, operation="update") if newer else None
    if post.text == asked.text:
        return None
    # No version came with it: it is newer than the stored one, older than the next announced.
    version = f"{asked.version}+" if asked.version else ""
    return msgspec.structs.replace(post, operation="update", version=version, supersedes=())
