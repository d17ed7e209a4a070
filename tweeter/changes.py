"""The feed's changes as browsers get them: read and written once, for all readers.

Who wants a change is asked of what a reader asked for (`Wanted`), never of the reader.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import msgspec
from sqlalchemy import Engine

from tweeter import cards
from tweeter.columns import fold
from tweeter.filters import Question, Sieve
from tweeter.records import Post
from tweeter.store import backlog
from tweeter.store.feed import Entry
from tweeter.store.posts import StoredPost
from tweeter.texts import plain

BATCH = "batch"  # the form of a reader that is sent several changes in one event


class Change(msgspec.Struct, frozen=True):
    """A change as browsers get it. data is JSON; keywords are ids, empty for a removal."""

    seq: int
    kind: str  # "post", "edit" or "remove"
    keywords: frozenset[int]
    data: str
    post: Post | None = None  # what filters are asked with; None for a removal
    fold: str = ""
    memo: list[tuple[Sieve, frozenset[Question]]] = []  # what it was tried with, and passed
    post_id: int = 0
    occurred_at: int = 0  # us since 1970; 0 for a removal

    def concerns(self, keyword_id: int | None) -> bool:
        """True if a reader of this keyword (None: of all) wants it.

        Edits and removals go to all: a card may have been there for a match that is gone.
        """
        return keyword_id is None or self.kind != "post" or keyword_id in self.keywords

    def passes(self, wanted: Question) -> bool:
        """Whether it is one of a column's; as a rule this was found out for all readers at once."""
        if self.post is None:
            return False
        for sieve, passed in self.memo:
            if wanted in sieve.questions:
                return wanted in passed
        return wanted.passes(self.post, self.keywords)


class Missed(msgspec.Struct, frozen=True):
    """Changes after one number of the feed up to another that a reader is not sent.

    posts: how many of them are new posts; whole: all are still kept, so that is the true number.
    """

    after: int
    until: int
    posts: int
    whole: bool


class Stretch:
    """Changes that follow each other. Which of them are somebody's is one number: a bit each."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self._tried: frozenset[Question] = frozenset()
        self._passing: dict[Question, int] = {}

    @property
    def ends(self) -> tuple[int, int]:
        """Its first and its last number of the feed."""
        return self.changes[0].seq, self.changes[-1].seq

    @property
    def is_fresh(self) -> bool:
        """Whether some of it was not tried yet."""
        return any(one.post is not None and not one.memo for one in self.changes)

    def try_all(self, sieve: Sieve) -> None:
        """Ask all of its questions at once. What was tried before is not tried again."""
        alike: dict[frozenset[Question], int] = {}  # most posts pass the same
        for n, change in enumerate(self.changes):
            if change.post is None:
                continue
            if not change.memo:
                change.memo.append((sieve, sieve.passing(change.post, change.keywords)))
            if change.memo[0][0] is not sieve:  # another, as somebody has come or gone
                return
            passed = change.memo[0][1]
            alike[passed] = alike.get(passed, 0) | 1 << n
        passing: dict[Question, int] = {}
        for passed, bits in alike.items():
            for one in passed:
                passing[one] = passing.get(one, 0) | bits
        self._tried, self._passing = sieve.questions, passing

    def passing(self, wanted: Question) -> int:
        """The changes whose posts pass."""
        if wanted in self._tried:
            return self._passing.get(wanted, 0)
        return sum(1 << n for n, change in enumerate(self.changes) if change.passes(wanted))


class Wanted(Protocol):
    """What a reader asked for. Those to whom changes belong alike are sent the same bytes."""

    @property
    def form(self) -> str:
        """Of its events; readers of other forms are sent other bytes."""

    @property
    def questions(self) -> tuple[Question | None, ...]:
        """Of the columns, None for one that shows nothing; () if it asked for none."""

    def places(self, stretch: Stretch) -> tuple[int, ...]:
        """Which of the changes belong where."""

    def events(self, stretch: Stretch, places: tuple[int, ...]) -> str:
        """Its changes as events: the same text for all to whom they belong in the same places."""


class OfKeyword(msgspec.Struct, frozen=True):
    """The posts of a keyword, or (None) of all: the stream's plain form."""

    keyword_id: int | None
    questions: ClassVar[tuple[Question | None, ...]] = ()
    form: ClassVar[str] = "plain"

    def places(self, stretch: Stretch) -> tuple[int, ...]:
        """See Wanted."""
        pairs = enumerate(stretch.changes)
        return (sum(1 << n for n, one in pairs if one.concerns(self.keyword_id)),)

    def events(self, stretch: Stretch, places: tuple[int, ...]) -> str:
        """See Wanted."""
        (mine,) = places
        return "".join(
            f"id: {one.seq}\nevent: {one.kind}\ndata: {one.data}\n\n"
            for n, one in enumerate(stretch.changes)
            if mine >> n & 1
        )


class OfColumns(msgspec.Struct, frozen=True, cache_hash=True):
    """The posts of some columns; each event says in which of them, by number from 0.

    Edits and removals go to all readers: a card may stand where the post no longer belongs.
    """

    questions: tuple[Question | None, ...]
    form: str = "columns"

    def places(self, stretch: Stretch) -> tuple[int, ...]:
        """See Wanted."""
        return tuple([stretch.passing(one) if one else 0 for one in self.questions])

    def events(self, stretch: Stretch, places: tuple[int, ...]) -> str:
        """See Wanted."""
        found = []
        for n, change in enumerate(stretch.changes):
            mine = ",".join(str(column) for column, bits in enumerate(places) if bits >> n & 1)
            if mine or change.kind != "post":
                found.append((change, mine))
        if self.form == BATCH:
            return batch(found, stretch.ends[1]) if found else ""
        return "".join(
            f"id: {one.seq}\nevent: {one.kind}\n"
            f'data: {{"in":[{mine}],"fold":"{one.fold}","post":{one.data}}}\n\n'
            for one, mine in found
        )


def batch(changes: Sequence[tuple[Change, str]], until: int) -> str:
    """Changes, each with its columns, as one event: a line of heads, then a line for each post.

    A page can tell by the heads what it will show, and reads only those posts.
    """
    heads = ",".join(
        f'[{one.seq},"{one.kind}",[{mine}],"{one.fold}","{one.post_id}",{one.occurred_at}]'
        for one, mine in changes
    )
    posts = "".join(f"data: {one.data}\n" for one, _ in changes)
    return f"id: {until}\nevent: batch\ndata: [{heads}]\n{posts}\n"


def encode(post: StoredPost) -> str:
    """A post as JSON for the page: its card, and what a page sorts cards by.

    Ids are texts, for they exceed what JavaScript counts.
    """
    value = {
        "id": str(post.id),
        "network": post.network,
        "kind": post.kind,
        "lang": post.lang,
        "occurred_at": post.occurred_at,
        "keywords": post.keywords,
        "card": cards.card(post),
    }
    return msgspec.json.encode(value, enc_hook=plain).decode()


def changes(engine: Engine, entries: Sequence[Entry]) -> list[Change]:
    """The entries with their posts as they are now; one that is gone becomes a removal."""
    found = backlog.by_ids(engine, list({entry.post_id for entry in entries}))
    return [_change(entry, found.get(entry.post_id)) for entry in entries]


def _change(entry: Entry, seen: backlog.Seen | None) -> Change:
    if entry.kind == "remove" or seen is None or seen.shown.removed_at is not None:
        data = msgspec.json.encode({"id": str(entry.post_id)}).decode()
        return Change(entry.seq, "remove", frozenset(), data, post_id=entry.post_id)
    shown = seen.shown
    return Change(
        entry.seq,
        entry.kind,
        frozenset(shown.keywords),
        encode(shown),
        seen.post,
        fold(shown.network, shown.text),
        post_id=shown.id,
        occurred_at=shown.occurred_at,
    )
