"""A part of a search of X's past: pages from new to old, paid from the budget, stored once.

All queries are read down to the same moment, so a job that ends half-way has covered the newer
part for every keyword. What a page may cost is reserved before it is asked for, and what it did
not bring is given back with its posts.
"""

import asyncio
import functools
import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine

from tweeter.config import Config
from tweeter.decode import times
from tweeter.digest import digest
from tweeter.errors import LeaseLost, SourceError
from tweeter.keywords import Matcher
from tweeter.keywords.x_limits import SEARCH
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import Keyword, RawEvent, now_us
from tweeter.sources.backoff import exponential
from tweeter.sources.inbox import Taken
from tweeter.sources.x_client import XClient, open_client
from tweeter.sources.x_search import Page, first_id, queries_of, search
from tweeter.store import keywords, past, reads, x_past
from tweeter.store.batches import Batch
from tweeter.store.past import Past
from tweeter.store.reads import EVERYTHING, Budget, Grant

PART_S = 30.0  # a task's length: below every time-out of the broker

_wait_s = exponential(5, 600, jitter=0.2)


class _Query(msgspec.Struct):
    """A query, and the smallest id that it was read down to; token after a page without posts."""

    text: str
    until_id: int
    token: str = ""


def work(engine: Engine, config: Config, job: Past) -> bool:
    """Work on the job for at most PART_S; False if another part is due at once."""
    try:
        return asyncio.run(_Part(engine, config, job).run())
    except LeaseLost:
        return True
    except SourceError as error:
        past.put_off(engine, job, error, _wait_s(job.tries + 1))
        return True


class _Part:
    def __init__(self, engine: Engine, config: Config, job: Past) -> None:
        self._engine = engine
        self._config = config
        self._job = job
        self._book = KeywordBook(engine)
        self._pipeline = Pipeline(
            engine,
            job.lease,
            self._book,
            is_live=False,
            indexed=config.search_index,
            digest_as=_digest,
        )
        late_us = past.LATE_US if job.kind == "repair" else 0
        self._since_id = max(first_id(job.since_us - late_us) - 1, 0)
        self._position = job.position or first_id(job.until_us)
        self._budgets = {EVERYTHING: Budget(config.x_day_posts, config.x_month_posts)}

    async def run(self) -> bool:
        """Until the window is read or the budget used up (True), or the time is over (False)."""
        if not self._config.x_bearer_token:
            raise SourceError("refused", "The settings of this worker have no token for X.")
        await asyncio.to_thread(self._prepare)
        wanted = await asyncio.to_thread(lambda: queries_of(self._keywords()))
        if not wanted.texts:
            why = " ".join(dict.fromkeys(wanted.left_out.values())) or "No keyword asks for it."
            await asyncio.to_thread(self._end_here, why)
            return True
        deadline = time.monotonic() + PART_S
        left = [_Query(text, self._position) for text in wanted.texts]
        async with open_client(self._config.x_bearer_token, self._config.x_api_base) as client:
            while left and self._position > self._since_id + 1:
                if time.monotonic() > deadline:
                    await asyncio.to_thread(past.pause, self._engine, self._job, "Under way.")
                    return False
                if not await self._step(client, left):
                    return True
        await asyncio.to_thread(past.finish, self._engine, self._job)
        return True

    def _prepare(self) -> None:
        """The keywords, and the window as far as X's search still reaches."""
        self._book.refresh()
        oldest = x_past.oldest_us(now_us())
        self._since_id = max(self._since_id, first_id(oldest))
        if oldest > self._job.since_us:
            at = min(oldest, self._reached_us())
            past.clamped(self._engine, self._job, at, x_past.too_old())

    def _reached_us(self) -> int:
        """Everything from this moment on was read."""
        at = times.snowflake(str(self._position))
        return self._job.until_us if at is None else min(at + 1000, self._job.until_us)

    def _keywords(self) -> list[Keyword]:
        """Those to search for: the asked ones, or all that were followed when the gap began."""
        if self._job.keywords:
            chosen = [k for k in self._book.keywords if k.id in self._job.keywords]
            own = {k.id: Budget(k.day_budget, k.month_budget) for k in chosen}
            self._budgets |= own  # the job waits for them
            return chosen
        rows = keywords.list_all(self._engine)
        before = {row.id for row in rows if row.created_at < self._job.until_us}
        held = reads.held(reads.used(self._engine, "x"), self._book.keywords, Budget())
        return [
            msgspec.structs.replace(k, held=held.get(k.id, ""))
            for k in self._book.keywords
            if k.id in before
        ]

    async def _step(self, client: XClient, left: list[_Query]) -> bool:
        """Ask for a page and store it; False if the job waits or has ended."""
        # The one that is furthest behind first: all are read down to the same moment.
        query = max(left, key=lambda one: one.until_id)
        grant = await asyncio.to_thread(self._reserve)
        if not grant.posts:
            await asyncio.to_thread(self._out_of_budget, grant)
            return False
        page = await self._page(client, query, grant)
        query.until_id = page.oldest or query.until_id
        query.token = "" if page.oldest else page.next
        if not page.next:
            left.remove(query)
        self._position = max((one.until_id for one in left), default=self._since_id + 1)
        await asyncio.to_thread(self._store, page)
        if left and page.wait_us > now_us():
            wait_s = (page.wait_us - now_us()) / 1e6
            words = "X limits our rate; it goes on soon."
            await asyncio.to_thread(past.pause, self._engine, self._job, words, wait_s=wait_s)
            return False
        return True

    def _reserve(self) -> Grant:
        most, least = SEARCH.page_most, SEARCH.page_least
        return reads.reserve(self._engine, "x", most, self._budgets, least=least)

    async def _page(self, client: XClient, query: _Query, grant: Grant) -> Page:
        """A page, paid for. Raises SourceError."""
        give_back = functools.partial(reads.give_back, self._engine, "x", grant)
        try:
            page = await search(
                client,
                query.text,
                since_id=self._since_id,
                until_id=query.until_id,
                most=grant.posts,
                token=query.token,
            )
        except SourceError as error:
            if error.kind != "network":  # else X may have sent it, and counts it
                await asyncio.to_thread(give_back, grant.posts)
            raise
        await asyncio.to_thread(give_back, max(grant.posts - len(page.events), 0))
        return page

    def _store(self, page: Page) -> None:
        self._pipeline.store(Taken(list(page.events), 0, position=str(self._position)))

    def _out_of_budget(self, grant: Grant) -> None:
        """Wait for the next budget, or end here if X's search will not reach the rest by then."""
        if x_past.oldest_us(grant.again_at) >= self._reached_us():
            self._end_here(f"{grant.words}, and X's search reaches back {SEARCH.days} days only.")
            return
        wait_s = (grant.again_at - now_us()) / 1e6
        words = f"{grant.words}; it goes on when there is a new one."
        past.pause(self._engine, self._job, words, wait_s=wait_s)

    def _end_here(self, why: str) -> None:
        past.clamped(self._engine, self._job, self._reached_us(), why)
        past.finish(self._engine, self._job)


def _digest(events: Sequence[RawEvent], matcher: Matcher, revision: int, **how: bool) -> Batch:
    """As of a stream, but that all its posts were counted when they were reserved."""
    batch = digest(events, matcher, revision, **how)
    batch.reads.pop(EVERYTHING, None)
    return batch
