"""The live stream of the pages: server-sent events on Tornado's loop.

Events: `post`, `edit`, `remove` (id: the feed's position, data: JSON), `streams` (the state of
every stream, in words, when it changes), `beat` (at least every broadcast.BEAT_S: the line is up)
and `reload` (this page missed more than can be sent again). A browser that reconnects sends the
last id by itself.

A reader of columns (`deck=ID`, or the columns themselves as in `tweeter.columns`) gets the same
with the numbers of the columns that an event belongs to, and four events more: `hello` (head: what
comes up to there was published before it came), `keywords` (the states of the columns' keywords,
at first and when one changes), `trouble` (the columns that show nothing any more, and why) and, in
place of `reload`, `missed` (how many posts passed), after which it goes on with what is new; a
position that this database has not reached is answered with `reload` to all. Our pages ask with
`batch=1`: what comes within broadcast.BATCHES_S is one event then, `batch` (changes.batch), for
each event wakes a browser.

A reader that takes nothing for STALLED_S is cut: what it missed it is told when it comes back.
Until then it holds one answer of the log at most (broadcast.PULL changes).

The connection is taken from Tornado's HTTP, whose way to write costs several times what the
system's does: what is the same for all goes to each socket as it is, packed once for all who take
gzip. Its end is the answer's end.
"""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import parse_qs

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from tornado.iostream import StreamClosedError

from tweeter import columns, packing
from tweeter.broadcast import MEANING_S, Broadcast, Gap, Reader
from tweeter.changes import BATCH, OfColumns, OfKeyword, Wanted
from tweeter.choices import expected
from tweeter.columns import BadColumn
from tweeter.errors import TweeterError
from tweeter.store import questions
from tweeter.store.decks import DeckNotFound
from tweeter.store.keyword_errors import KeywordNotFound
from tweeter.texts import say
from tweeter.views.guard import HEADERS, Guarded, refusal

STALLED_S = 20.0
_HEAD = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Vary": "Accept-Encoding",
    "X-Accel-Buffering": "no",
    "Connection": "close",
} | HEADERS
HEAD = "\r\n".join(
    ("HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in _HEAD.items()), "")
).encode()
RELOAD = b"event: reload\ndata: {}\n\n"
PACKED = b"Content-Encoding: gzip\r\n"
_NONE_OF_OURS = -1  # a position that was never sent: what follows it cannot be sent again
_MISSING = (DeckNotFound, KeywordNotFound)

log = logging.getLogger("tweeter.live")


class LiveHandler(Guarded):
    """GET /live/stream?after=SEQ&keyword=ID, or with columns in place of the keyword.

    Without `after` or Last-Event-ID: from now on.
    """

    ALLOWED = ("GET",)

    def initialize(self, broadcast: Broadcast, stopping: asyncio.Event) -> None:
        self._broadcast = broadcast
        self._stopping = stopping
        self._packs = packing.is_taken(self.request.headers.get("Accept-Encoding", ""))

    def prepare(self) -> None:
        words = refusal(self.request, self.settings["port"])
        if words:
            self.say(403, words)

    async def get(self) -> None:
        try:
            await self._read_address()
        except TweeterError as error:
            self.say(404 if isinstance(error, _MISSING) else 400, str(error))
            return
        after = self._after
        if last := self.request.headers.get("Last-Event-ID", ""):
            number = _number(last)
            after = _NONE_OF_OURS if number is None else number
        await self._broadcast.join(self._wanted.questions)
        self._stream = self.detach()
        ended = asyncio.create_task(self._stopping.wait())
        sending = asyncio.create_task(self._send_all(after))
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
                self._broadcast.leave(self._wanted.questions)

    async def _read_address(self) -> None:
        """What is asked for; raises BadColumn, DeckNotFound and KeywordNotFound."""
        self._after, deck_id = self._number("after"), self._number("deck")
        keyword_id = self._number("keyword")
        if deck_id is not None:
            self._columns = (await self._broadcast.deck(deck_id)).columns
        else:
            args = parse_qs(self.request.query, keep_blank_values=True)
            self._columns = columns.from_query(args, columns.TOGETHER)
        self._told, self._states = -1, dict[int, str]()  # of the columns' keywords, by column
        self._meanings = self._newest = await self._broadcast.meanings(self._columns)
        self._wanted: Wanted = OfKeyword(keyword_id)
        if self._columns:
            self._wanted = self._of_columns()
        elif keyword_id is not None:
            await self._broadcast.refuse_unknown(keyword_id)

    def _of_columns(self) -> OfColumns:
        form = BATCH if self.get_query_argument("batch", "") == "1" else "columns"
        return OfColumns(tuple(one.question for one in self._newest), form)

    def _number(self, name: str) -> int | None:
        """Of the address; None if it is not there. Raises BadColumn: one that is none would be
        answered with all there is.
        """
        given = self.get_query_argument(name, "")
        found = _number(given)
        if given and found is None:
            raise BadColumn(name, expected(name, given, say("a whole number")))
        return found

    async def _send_all(self, after: int | None) -> None:
        """Catch up, then be handed what comes, and again when the line could not take it."""
        position = self._broadcast.head if after is None else after
        reader = Reader(self._wanted, position, self._take, self._packs)
        asking = asyncio.create_task(self._ask_again(reader))
        try:
            await self._send_to(reader)
        finally:
            asking.cancel()

    async def _send_to(self, reader: Reader) -> None:
        self._stream.set_nodelay(True)
        if self._packs:
            await self._send(HEAD + PACKED + b"\r\n" + packing.HEAD)
        else:
            await self._send(HEAD + b"\r\n")
        if self._columns:
            await self._say(b'event: hello\ndata: {"head":%d}\n\n' % self._broadcast.head)
            await self._send_trouble()
        while True:
            try:
                if not await self._broadcast.has_reached(reader.position):
                    await self._say(RELOAD)
                    return
                while True:
                    await self._tell_states()
                    await self._renew(reader)
                    while events := await self._broadcast.pull(reader):
                        await self._send(events)
                    if self._told == self._broadcast.keyword_states.number:
                        await self._broadcast.abreast(reader)
                    await self._send(b"")  # what is on its way goes first
            except Gap:
                if not self._columns:
                    await self._say(RELOAD)
                    return
                await self._tell_missed(reader)

    async def _ask_again(self, reader: Reader) -> None:
        """A saved search may be deleted, and a name pass to another account."""
        while not all(map(questions.is_fixed, self._columns)):
            await asyncio.sleep(MEANING_S)
            with suppress(SQLAlchemyError):  # `streams` says so
                self._newest = await self._broadcast.meanings(self._columns)
            if self._newest != self._meanings and not reader.behind.done():
                reader.behind.set_result(None)  # it comes to `_renew`

    async def _renew(self, reader: Reader) -> None:
        """Want what the columns mean now."""
        found = self._newest
        if found == self._meanings:
            return
        wanted, before = self._of_columns(), self._wanted
        await self._broadcast.join(wanted.questions)
        self._meanings, self._wanted, reader.wanted = found, wanted, wanted
        self._broadcast.leave(before.questions)
        await self._send_trouble()

    async def _tell_states(self) -> None:
        """Of the columns' keywords: all at first, later those that it does not know yet."""
        states = self._broadcast.keyword_states
        if self._told == states.number:
            return
        self._told = states.number
        ids = {n: one.keyword_id for n, one in enumerate(self._columns)}
        mine = {n: keyword_id for n, keyword_id in ids.items() if keyword_id is not None}
        found = await states.of(mine.values())
        now = {n: found[keyword_id] for n, keyword_id in mine.items()}
        new = {n: state for n, state in now.items() if state != self._states.get(n)}
        self._states = now
        if new:
            data = msgspec.json.encode({"in": list(new), "states": list(new.values())})
            await self._say(b"event: keywords\ndata: %b\n\n" % data)

    async def _send_trouble(self) -> None:
        words = {n: one.trouble for n, one in enumerate(self._meanings) if one.trouble}
        if words:
            data = msgspec.json.encode(
                {"in": list(words), "words": [str(one) for one in words.values()]}
            )
            await self._say(b"event: trouble\ndata: %b\n\n" % data)

    async def _tell_missed(self, reader: Reader) -> None:
        missed = await self._broadcast.missed(max(reader.position, 0))
        told = missed.until, msgspec.json.encode(missed)
        await self._say(b"id: %d\nevent: missed\ndata: %b\n\n" % told)
        reader.position = missed.until

    async def _say(self, events: bytes) -> None:
        await self._send(packing.packed(events) if self._packs else events)

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


def _number(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _cancel(sending: asyncio.Task[None]) -> None:
    """The browser has gone."""
    sending.cancel()
