"""The live feed in memory: one bounded log that tails the store, handed on to all readers at once.

A reader keeps its own position, the feed's `seq`. One that has all there is sits abreast: what
comes is put together once for all to whom it belongs alike, and given to each without waiting.
One whose line takes no more falls behind, holds nobody up, and asks for what follows its position
when it can; so does a browser that comes back. What has left the log is read from the database;
what has left that too is said, never skipped in silence.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tweeter.changes import BATCH, Change, Missed, Stretch, Wanted, changes
from tweeter.columns import Column
from tweeter.filters import Question, Sieve
from tweeter.keyword_states import KeywordStates
from tweeter.packing import packed
from tweeter.store import decks, feed, keywords, questions, trouble
from tweeter.store.feed import Entry
from tweeter.store.overview import Overview, overview
from tweeter.store.questions import Meaning
from tweeter.texts import plain

T = TypeVar("T")

log = logging.getLogger("tweeter.broadcast")

# The store is asked while somebody watches. Between two rounds the feed rests, at least as long as
# the question took, until it is told that there is something new: as a rule whoever stores tells.
# After a find that nobody told of, of another machine or of a part of a job, it is asked often for
# a while. Two rounds begin so far apart for each reader: many are brought more posts for the same
# calls of the system.
TOLD_REST_S = 0.5
LEAST_REST_S = 0.02
OFTEN_S = 30.0
A_READER_S = 0.000_02
MOST_REST_S = 0.25
AWAY_S = 2.0  # a database that is away is asked again
# A page, which draws three times a second, is handed what came so often, in one event: each event
# wakes its browser.
BATCHES_S = 0.1
LENT = 100  # readers that are handed something before others have the loop
LOG_CHANGES = 2_000  # about 1 kB each
CATCH_UP = 5_000  # changes a returning browser gets; beyond that it is told to reload
PULL = 200  # changes in one answer to a reader
LOOK_S = 1.0  # between looks at how the streams are doing
BEAT_S = 15.0  # between words to a reader, at most: the line is up
ANSWERS = 32  # kept for readers that want the same
MEANING_S = 1.9  # a saved search that is deleted shows nothing new after that


class Gap(Exception):
    """The reader's position is so old that changes after it are gone or too many."""


class Reader:
    """One stream: what it wants, and up to where it has it.

    take is given events and does not wait: True if they are on their way, False if nothing of
    them was taken, for earlier ones are not yet gone. packs: events are packed for it.
    """

    def __init__(
        self, wanted: Wanted, position: int, take: Callable[[bytes], bool], packs: bool = False
    ) -> None:
        self.wanted = wanted
        self.packs = packs
        self.position = position
        self.take = take
        self.word = 0  # the number of the last word it was told
        self.behind = asyncio.get_running_loop().create_future()


class Broadcast:
    """One for each web process. Runs on the event loop; asks the store in an executor."""

    def __init__(self, engine: Engine, executor: Executor) -> None:
        self._engine = engine
        self._executor = executor
        self._log: deque[Change] = deque(maxlen=LOG_CHANGES)
        self._from = 0  # all changes after this seq, up to _head, are in the log
        self._head = 0
        self._readers = 0
        self._questions: Counter[Question | None] = Counter()  # of the columns that are being read
        self._meanings: dict[Column, tuple[float, Meaning]] = {}
        self._sieve = Sieve(())
        self._answers: dict[tuple[Any, ...], bytes] = {}
        self._abreast: dict[tuple[Wanted, bool], dict[Reader, None]] = {}
        self._words = {False: b"", True: b""}  # the last word to all readers, also packed
        self._number = 0  # of that word
        self._handed = {False: (0, 0), True: (0, 0)}  # head and word of the last round, of batches
        self._batches_at = 0.0  # their next round
        self._asked: dict[int, asyncio.Task[list[Change]]] = {}  # positions before the log
        self._joining = asyncio.Lock()
        self._hint = asyncio.Event()
        self._often_until_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.keyword_states = KeywordStates(engine, self._ask)

    @property
    def head(self) -> int:
        """The position of a reader that wants only what comes from now on."""
        return self._head

    async def join(self, asked: Sequence[Question | None] = ()) -> None:
        """A reader comes, of these columns: the store is watched from now on."""
        self._readers += 1
        self._questions.update(asked)
        try:
            async with self._joining:  # readers who come together must not start two watches
                if not self._tasks or any(task.done() for task in self._tasks):
                    await self._begin()
        except BaseException:
            self.leave(asked)
            raise

    async def _begin(self) -> None:
        # A log with a hole in it must not be read: begin anew after a pause, or a fault of ours.
        self._end()
        self._log.clear()
        self._answers.clear()
        self._from = self._head = await self._ask(feed.last, self._engine)
        self._say(await self._states())
        self._tasks = [
            asyncio.create_task(self._watch(), name="broadcast"),
            asyncio.create_task(self._look(), name="states"),
        ]

    def leave(self, asked: Sequence[Question | None] = ()) -> None:
        """A reader goes; with the last one the watching ends."""
        self._readers -= 1
        for one in asked:
            self._questions[one] -= 1
            if not self._questions[one]:
                del self._questions[one]
        if self._readers == 0:
            self._end()
            self.keyword_states.forget()

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def frames(self, wanted: Wanted, stretch: Stretch, packs: bool = False) -> bytes:
        """Changes as events for a reader; its position at least.

        Readers with filters of their own are sent the same bytes if the posts pass them alike.
        """
        places = wanted.places(stretch)
        key = stretch.ends, wanted.form, places, packs
        answer = self._answers.get(key)
        if answer is None:
            text = wanted.events(stretch, places)
            text = text or f"id: {stretch.ends[1]}\nevent: position\ndata: {{}}\n\n"
            if len(self._answers) >= ANSWERS:
                del self._answers[next(iter(self._answers))]
            answer = packed(text.encode()) if packs else text.encode()
            self._answers[key] = answer
        return answer

    def stretch(self, found: Sequence[Change]) -> Stretch:
        """Changes for readers: every column that is being read is asked at once."""
        stretch, asked = Stretch(found), self._questions.keys() - {None}
        if stretch.is_fresh and self._sieve.questions != asked:
            self._sieve = Sieve((one for one in asked if one is not None), before=self._sieve)
        if asked:
            stretch.try_all(self._sieve)
        return stretch

    async def missed(self, after: int) -> Missed:
        """What a reader of this position cannot be sent any more; it goes on from `until`."""
        until, oldest = await self._ask(feed.last, self._engine), await self._oldest()
        posts = await self._ask(feed.count, self._engine, after, until)
        return Missed(after, until, posts, whole=0 < oldest <= after + 1)

    async def _oldest(self) -> int:
        return await self._ask(feed.oldest, self._engine)

    async def deck(self, deck_id: int) -> decks.Deck:
        """A deck as kept; raises DeckNotFound."""
        return await self._ask(decks.get, self._engine, deck_id)

    async def refuse_unknown(self, keyword_id: int) -> None:
        """Raises KeywordNotFound."""
        await self._ask(keywords.get, self._engine, keyword_id)

    async def meanings(self, columns: Sequence[Column]) -> list[Meaning]:
        """What the columns show, at most MEANING_S old: asked once for all readers."""
        now_s = time.monotonic()
        self._meanings = {c: m for c, m in self._meanings.items() if now_s - m[0] < MEANING_S}
        found = {column: meaning for column, (_, meaning) in self._meanings.items()}
        new = [one for one in dict.fromkeys(c.shown for c in columns) if one not in found]
        if new:
            meanings = await self._ask(questions.of_columns, self._engine, new)
            found.update(zip(new, meanings, strict=True))
            self._meanings.update((one, (now_s, found[one])) for one in new)
        return [found[column.shown] for column in columns]

    async def has_reached(self, position: int) -> bool:
        """Whether a reader's position can be of this database."""
        return position <= self._head or position <= await self._ask(feed.last, self._engine)

    async def pull(self, reader: Reader) -> bytes:
        """What a reader lacks, as much as goes into one answer; b"" if it has all.

        Raises Gap when changes after its position are gone or too many.
        """
        found = await self.after(reader.position)
        events = b""
        if found:
            events = self.frames(reader.wanted, self.stretch(found), reader.packs)
        reader.position = found[-1].seq if found else reader.position
        if reader.word != self._number:
            events, reader.word = events + self._words[reader.packs], self._number
        return events

    async def after(self, position: int) -> list[Change]:
        """Changes after a position, at most PULL; raises Gap as `pull` does."""
        if position < self._from:
            return await self._older(position)
        if position >= self._head:
            return []
        start = position + 1 - self._log[0].seq  # numbers in the log follow without a hole
        return list(islice(self._log, start, start + PULL))

    async def _older(self, after: int) -> list[Change]:
        """As `after`, from the database: once for all who lost their lines together."""
        asking = self._asked.get(after)
        if asking is None:
            asking = self._asked[after] = asyncio.create_task(self._ask_older(after))
            asking.add_done_callback(lambda _: self._asked.pop(after, None))
        return await asyncio.shield(asking)

    async def _ask_older(self, after: int) -> list[Change]:
        oldest = await self._oldest()
        if oldest > after + 1 or self._head - after > CATCH_UP:
            raise Gap
        entries = await self._ask(_since, self._engine, after)
        if not entries:
            raise Gap
        return await self._ask(changes, self._engine, entries)

    async def abreast(self, reader: Reader) -> None:
        """Hand a reader that has all there is what comes; returns when it is behind."""
        if reader.position < self._head:
            return
        reader.behind = asyncio.get_running_loop().create_future()
        alike = reader.wanted, reader.packs
        together = self._abreast.setdefault(alike, {})
        together[reader] = None
        try:
            await reader.behind
        finally:
            del together[reader]
            if not together:
                del self._abreast[alike]

    async def _hand_out(self, batches: bool) -> None:
        """Give readers that are abreast what they lack, and a word that is new."""
        head, words, number, handed = self._head, dict(self._words), self._number, 0
        if self._handed[batches] == (head, number):
            return
        self._handed[batches] = head, number
        groups = [
            (*alike, list(readers))
            for alike, readers in self._abreast.items()
            if (alike[0].form == BATCH) is batches
        ]
        stretches: dict[int, Stretch | None] = {}
        for wanted, packs, readers in groups:
            made: dict[tuple[int, bool], bytes] = {}
            for reader in readers:
                if reader.behind.done():  # it left while others had the loop
                    continue
                before = reader.position
                if before not in stretches:
                    stretches[before] = self._lacked(before)
                stretch, lacks = stretches[before], (before, reader.word != number)
                if stretch and lacks not in made:
                    events = self.frames(wanted, stretch, packs) if stretch.changes else b""
                    made[lacks] = events + words[packs] if lacks[1] else events
                told = made.get(lacks)
                if told is not None and (not told or reader.take(told)):
                    reader.position, reader.word = head, number
                else:
                    reader.behind.set_result(None)
                handed += 1
                if handed % LENT == 0:
                    await asyncio.sleep(0)

    def _lacked(self, position: int) -> Stretch | None:
        """What a reader lacks, of what is in the log; None if that is not for one round."""
        count = self._head - position
        if position < self._from or not 0 <= count <= PULL:
            return None
        log = self._log
        return self.stretch([log[n] for n in range(len(log) - count, len(log))])

    async def _watch(self) -> None:
        while True:
            began_s, new, is_away = time.monotonic(), list[Change](), False
            was_told = self._hint.is_set()
            self._hint.clear()
            try:
                new = await self._ask(_new, self._engine, self._head)
                rest_s = time.monotonic() - began_s
            except SQLAlchemyError as error:
                if words := trouble.news("tail", error):
                    log.error("tail_failed words=%s", words)
                rest_s, is_away = AWAY_S, True
            if new:
                self._append(new)
            await self._hand_out(batches=False)
            if is_away or time.monotonic() >= self._batches_at:
                self._batches_at = time.monotonic() + BATCHES_S
                await self._hand_out(batches=True)
            is_untold = bool(new) and not was_told
            if len(new) < PULL:
                often = is_untold or began_s < self._often_until_s
                await self._rest(began_s, max(rest_s, self._least_s(often)))
            if is_untold and not self._hint.is_set():  # the word may come a moment after the commit
                self._often_until_s = time.monotonic() + OFTEN_S

    def _least_s(self, often: bool) -> float:
        """How long it may rest; batches that were not due yet are handed out when they are."""
        if self._handed[True] != (self._head, self._number):
            return max(self._batches_at - time.monotonic(), LEAST_REST_S)
        return LEAST_REST_S if often else TOLD_REST_S

    async def _rest(self, began_s: float, rest_s: float) -> None:
        apart_s = min(self._readers * A_READER_S, MOST_REST_S)
        await asyncio.sleep(max(0, began_s + apart_s - time.monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._hint.wait()

    def hint(self) -> None:
        """There may be something new: it is looked for soon."""
        self._hint.set()

    def _append(self, new: Sequence[Change]) -> None:
        self._log.extend(new)
        self._head = new[-1].seq
        if len(self._log) == LOG_CHANGES:
            self._from = self._log[0].seq - 1

    async def _look(self) -> None:
        """Keep the word to all readers up to date."""
        told, told_s = b"", 0.0
        while True:
            states = await self._states()
            if states != told or time.monotonic() - told_s >= BEAT_S:
                self._say(states)
                told, told_s = states, time.monotonic()
            if await self.keyword_states.renew():
                for reader in chain.from_iterable(self._abreast.values()):
                    if not reader.behind.done():
                        reader.behind.set_result(None)  # it asks for its own, and goes on
            await asyncio.sleep(LOOK_S)

    def _say(self, states: bytes) -> None:
        words = b"event: streams\ndata: %b\n\nevent: beat\ndata: {}\n\n"
        self._words = {False: words % states, True: packed(words % states)}
        self._number += 1

    async def _states(self) -> bytes:
        """A database that is away ends no reader: it is what the reader must be told."""
        try:
            found = await self._ask(overview, self._engine)
        except SQLAlchemyError as error:
            found = Overview(workers=0, warning=trouble.words(error), streams=[])
        return msgspec.json.encode(found, enc_hook=plain)

    async def _ask(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)


def _since(engine: Engine, after: int) -> list[Entry]:
    return feed.since(engine, after, limit=PULL)


def _new(engine: Engine, after: int) -> list[Change]:
    entries = _since(engine, after)
    return changes(engine, entries) if entries else []
