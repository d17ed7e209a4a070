"""The live stream of the pages: server-sent events on Tornado's loop.

Events: `post`, `edit`, `remove` (id: the feed's position, data: JSON), `streams` (the state of
every stream, in words, when it changes), `beat` (at least every broadcast.BEAT_S: the line is up)
and `reload` (this page missed more than can be sent again). A browser that reconnects sends the
last id by itself.

A reader of columns (`deck=ID`, or the columns themselves as in `tweeter.columns`) gets the same
with the numbers of the columns that an event belongs to, and two events more: `hello` (head: what
comes up to there was published before it came) and, in place of `reload`, `missed` (how many
posts passed), after which it goes on with what is new.

A reader that takes nothing for STALLED_S is cut: what it missed it is told when it comes back.
Until then it holds one answer of the log at most (broadcast.PULL changes).

The connection is taken from Tornado's HTTP, whose way to write costs several times what the
system's does: what is the same for all goes to each socket as it is. Its end is the answer's end.
"""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import parse_qs

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from tweeter import columns
from tweeter.broadcast import Broadcast, Gap, Reader
from tweeter.changes import OfColumns, OfKeyword, Wanted
from tweeter.errors import TweeterError
from tweeter.store.decks import DeckNotFound
from tweeter.views.guard import refusal

STALLED_S = 20.0
HEAD = b"""HTTP/1.1 200 OK\r
Content-Type: text/event-stream; charset=utf-8\r
Cache-Control: no-store\r
X-Accel-Buffering: no\r
Connection: close\r
\r
"""

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
        await self._broadcast.join(wanted.filters)
        self._stream = self.detach()
        ended = asyncio.create_task(self._stopping.wait())
        sending = asyncio.create_task(self._send_all(after, wanted))
        self._stream.set_close_callback(lambda: _cancel(sending))
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
            finally:
                self._stream.close()
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
        """Catch up, then be handed what comes, and again when the line could not take it."""
        position = self._broadcast.head if after is None else after
        reader = Reader(wanted, position, self._take)
        self._stream.set_nodelay(True)
        await self._send(HEAD)
        if wanted.filters:
            await self._send(b'event: hello\ndata: {"head":%d}\n\n' % self._broadcast.head)
        while True:
            try:
                await self._broadcast.check(reader.position)
                while True:
                    while events := await self._broadcast.pull(reader):
                        await self._send(events)
                    await self._broadcast.abreast(reader)
                    await self._send(b"")  # what is on its way goes first
            except Gap:
                if not wanted.filters:
                    await self._send(b"event: reload\ndata: {}\n\n")
                    return
                await self._tell_missed(reader)

    async def _tell_missed(self, reader: Reader) -> None:
        missed = await self._broadcast.missed(reader.position)
        told = missed.until, msgspec.json.encode(missed)
        await self._send(b"id: %d\nevent: missed\ndata: %b\n\n" % told)
        reader.position = missed.until

    async def _send(self, events: bytes) -> None:
        """Raises TimeoutError for a reader that takes nothing for STALLED_S."""
        async with asyncio.timeout(STALLED_S):
            await self._stream.write(events)

    def _take(self, events: bytes) -> bool:
        """Straight into the socket; the stream keeps what does not go in. See Reader."""
        if self._stream.closed() or self._stream.writing():
            return False
        try:
            sent = self._stream.socket.send(events)
        except OSError:  # full, or gone: the reader finds out which
            return False
        if sent < len(events):
            self._stream.write(events[sent:])
        return True


def _cancel(sending: asyncio.Task[None]) -> None:
    """The browser has gone."""
    sending.cancel()
