"""The live stream of the pages: server-sent events on Tornado's loop.

Events: `post`, `edit`, `remove` (id: the feed's position, data: JSON), `streams` (the state of
every stream, in words), `beat` (every BEAT_S: the line is up) and `reload` (this page missed
more than can be sent again). A browser that reconnects sends the last id by itself.

A reader of columns (`deck=ID`, or the columns themselves as in `tweeter.columns`) gets the same
with the numbers of the columns that an event belongs to, and two events more: `hello` (head: what
comes up to there was published before it came) and, in place of `reload`, `missed` (how many
posts passed), after which it goes on with what is new.

A reader that takes nothing for STALLED_S is cut: what it missed it is told when it comes back.
Until then it holds one answer of the log at most (broadcast.PULL changes).
"""

import asyncio
import logging
import time
from contextlib import suppress
from urllib.parse import parse_qs

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from tweeter import columns
from tweeter.broadcast import Broadcast, Gap, OfColumns, OfKeyword, Wanted
from tweeter.errors import TweeterError
from tweeter.store import trouble
from tweeter.store.decks import DeckNotFound
from tweeter.store.overview import Overview
from tweeter.views.guard import refusal

BEAT_S = 15.0
STREAMS_S = 1.0
STALLED_S = 20.0

log = logging.getLogger("tweeter.live")


class LiveHandler(RequestHandler):
    """GET /live/stream?after=SEQ&keyword=ID, or with columns in place of the keyword.

    Without `after` or Last-Event-ID: from now on.
    """

    def initialize(self, broadcast: Broadcast, stopping: asyncio.Event) -> None:
        self._broadcast = broadcast
        self._stopping = stopping

    def prepare(self) -> None:
        words = refusal(self.request.headers, self.settings["port"])
        if words:
            self.set_status(403)
            self.finish(words)

    async def get(self) -> None:
        try:
            wanted = await self._wanted()
        except TweeterError as error:
            self.set_status(404 if isinstance(error, DeckNotFound) else 400)
            self.finish(f"{error}\n")
            return
        after = self._number("after")
        last = self.request.headers.get("Last-Event-ID", "")
        if last.isdigit():
            after = int(last)
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        await self._broadcast.join(wanted.filters)
        ended = asyncio.create_task(self._stopping.wait())
        sending = asyncio.create_task(self._send_all(after, wanted))
        try:
            await asyncio.wait({ended, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            sending.cancel()
            try:
                with suppress(asyncio.CancelledError, StreamClosedError):
                    await sending
            except (TimeoutError, SQLAlchemyError) as error:
                log.warning("reader_cut reason=%s", type(error).__name__)
                self.request.connection.stream.close()  # type: ignore[union-attr]
            finally:
                self._broadcast.leave(wanted.filters)

    async def _wanted(self) -> Wanted:
        """What the address asks for; raises BadColumn and DeckNotFound."""
        deck_id = self._number("deck")
        if deck_id is not None:
            found = (await self._broadcast.deck(deck_id)).columns
        else:
            args = parse_qs(self.request.query, keep_blank_values=True)
            found = columns.from_query(args, columns.TOGETHER)
        if found:
            return OfColumns(tuple(column.filter for column in found))
        return OfKeyword(self._number("keyword"))

    def _number(self, name: str) -> int | None:
        value = self.get_query_argument(name, "")
        return int(value) if value.isdigit() and len(value) < 19 else None

    async def _send_all(self, after: int | None, wanted: Wanted) -> None:
        """Changes and states side by side, until either ends."""
        position = self._broadcast.head if after is None else after
        both = [
            asyncio.create_task(self._send_changes(position, wanted)),
            asyncio.create_task(self._send_states()),
        ]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _send_changes(self, position: int, wanted: Wanted) -> None:
        if wanted.filters:
            await self._send(f'event: hello\ndata: {{"head":{self._broadcast.head}}}\n\n')
        while True:
            try:
                await self._broadcast.check(position)
                while True:
                    found, position = await self._broadcast.pull(position)
                    await self._send(self._broadcast.frames(wanted, found))
            except Gap:
                if not wanted.filters:
                    await self._send("event: reload\ndata: {}\n\n")
                    return
                position = await self._tell_missed(position)

    async def _tell_missed(self, position: int) -> int:
        missed = await self._broadcast.missed(position)
        text = msgspec.json.encode(missed).decode()
        await self._send(f"id: {missed.until}\nevent: missed\ndata: {text}\n\n")
        return missed.until

    async def _send_states(self) -> None:
        sent, beaten_at = "", -BEAT_S
        while True:
            states = await self._overview()
            text = msgspec.json.encode(states).decode()
            if text != sent:
                await self._send(f"event: streams\ndata: {text}\n\n")
                sent = text
            if time.monotonic() - beaten_at >= BEAT_S:
                await self._send("event: beat\ndata: {}\n\n")
                beaten_at = time.monotonic()
            await asyncio.sleep(STREAMS_S)

    async def _overview(self) -> Overview:
        """A database that is away ends no reader: it is what the reader must be told."""
        try:
            return await self._broadcast.overview()
        except SQLAlchemyError as error:
            return Overview(workers=0, warning=trouble.words(error), streams=[])

    async def _send(self, text: str | bytes) -> None:
        """Raises TimeoutError for a reader that takes nothing for STALLED_S."""
        self.write(text)
        async with asyncio.timeout(STALLED_S):
            await self.flush()
