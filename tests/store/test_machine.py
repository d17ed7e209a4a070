"""The store against a model in memory: any order of posts, edits, removals, keywords and crashes.

TWEETER_TEST_MACHINE=2000x50 makes it so many runs of so many steps.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from tests.store.posts import AT, post
from tests.store.sums import sums_are_a_recount
from tweeter.errors import LeaseLost
from tweeter.keywords import Matcher
from tweeter.keywords.index_words import Wanted
from tweeter.pipeline import KeywordBook
from tweeter.records import AccountChange, Post, Removal
from tweeter.store import batches, fulltext, jobs, keywords, migrate, search_texts, streams
from tweeter.store.batches import Batch, KeywordsChanged
from tweeter.store.engine import make_engine, reading
from tweeter.store.leases import Lease, owner
from tweeter.store.schema import matches as match_table
from tweeter.store.schema import posts as post_table
from tweeter.store.schema import search_texts as text_table
from tweeter.store.schema import streams as stream_table

RUNS, STEPS = (int(n) for n in os.environ.get("TWEETER_TEST_MACHINE", "40x30").split("x"))
WORDS = ("storm", "flood", "fire")
numbers = st.integers(0, 5)
authors = st.integers(0, 1)


class Store(RuleBasedStateMachine):
    """posts: number -> (version, words, author) as they should be; gone and hidden beside it."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tweeter-machine-"))
        shutil.copy(_template(), self.folder / "t.db")
        self.engine = make_engine(f"sqlite:///{self.folder}/t.db")
        self.book = KeywordBook(self.engine)
        self.posts: dict[int, tuple[int, frozenset[str], int]] = {}
        self.gone: set[int] = set()
        self.unmatched: dict[int, int] = {}  # number -> version of an edit that matched nothing
        self.hidden: set[int] = set()
        self.heard: dict[int, int] = {}  # author -> moment of the last event of its account
        self.followed: dict[str, int] = {}  # word -> keyword id
        self.cursor = 0
        self.old_leases: list[Lease] = []
        self.take()

    def take(self) -> None:
        stream_id = streams.ensure(self.engine, "test", "bluesky", {"url": "ws://x"})
        with self.engine.begin() as connection:
            connection.execute(stream_table.update().values(lease_until=0))
        ((_, self.lease),) = streams.claim(
            self.engine, owner(), networks=["bluesky"], only=stream_id
        )

    def store(self, lease: Lease, items: list[object]) -> None:
        """As the pipeline does: match with what it knows, again if that was old."""
        while True:
            revision, matcher = self.book.current()
            batch = Batch(
                items=[(i, matcher.match(i)) if isinstance(i, Post) else i for i in items],
                counts=Counter({"events": len(items)}),
                rejected=[],
                revision=revision,
                cursor=str(self.cursor + 1),
            )
            try:
                batches.commit(self.engine, lease, batch)
            except KeywordsChanged:
                self.book.refresh()
            else:
                self.cursor += 1
                return

    @rule(word=st.sampled_from(WORDS))
    def follow(self, word: str) -> None:
        if word not in self.followed:
            self.followed[word] = keywords.add(self.engine, word).id

    @rule(word=st.sampled_from(WORDS))
    def leave(self, word: str) -> None:
        if word in self.followed:
            keywords.set_state(self.engine, self.followed.pop(word), "removed")

    @rule(
        number=numbers,
        version=st.integers(0, 4),
        words=st.frozensets(st.sampled_from(WORDS), max_size=3),
        author=authors,
        copies=st.integers(1, 3),
    )
    def say(
        self, number: int, version: int, words: frozenset[str], author: int, copies: int
    ) -> None:
        author = self.posts.get(number, (0, words, author))[2]
        self.store(self.lease, [_post(number, version, words, author)] * copies)
        if number in self.gone:
            return
        before = self.posts.get(number)
        is_kept = bool(words & set(self.followed))
        if before is None:
            if version < self.unmatched.get(number, 0):
                return
            if is_kept:
                self.posts[number] = version, words, author
            else:
                self.unmatched[number] = version
        elif version > 0 and version > before[0]:
            self.posts[number] = version, words, author

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        self.store(self.lease, [Removal(network="bluesky", key=_key(number), occurred_at=AT)])
        self.gone.add(number)

    @rule(author=authors, hide=st.booleans(), at=st.integers(0, 3))
    def account(self, author: int, hide: bool, at: int) -> None:
        status = "suspended" if hide else "active"
        change = AccountChange(
            network="bluesky", author_id=f"did:plc:{author}", status=status, occurred_at=at
        )
        self.store(self.lease, [change])
        matters = hide or author in self.heard or author in {a for _, _, a in self.posts.values()}
        if matters and at >= self.heard.get(author, 0):
            self.heard[author] = at
            (self.hidden.add if hide else self.hidden.discard)(author)

    @rule()
    def another_takes_over(self) -> None:
        self.old_leases.append(self.lease)
        self.take()

    @precondition(lambda self: self.old_leases)
    @rule(number=numbers)
    def a_paused_process_wakes_up(self, number: int) -> None:
        with pytest.raises(LeaseLost):
            self.store(self.old_leases[-1], [_post(number, 9, frozenset(WORDS), 0)])

    @rule()
    def match_again(self) -> None:
        """The jobs that a change of keywords started, to their end."""
        for job_id in jobs.waiting(self.engine):
            job = jobs.claim(self.engine, job_id, owner())
            if job is not None:
                matcher = Matcher([keywords.one(self.engine, job.subject)])
                jobs.work(self.engine, job, matcher.match)

    @invariant()
    def counters_are_a_recount(self) -> None:
        with reading(self.engine) as connection:
            pairs = connection.execute(select(match_table.c.keyword_id)).scalars().all()
        recount = Counter(pairs)
        for row in keywords.list_all(self.engine, removed=True):
            assert row.posts == recount[row.id]

    @invariant()
    def sums_are_a_recount(self) -> None:
        sums_are_a_recount(self.engine)

    @invariant()
    def rows_are_the_models(self) -> None:
        with reading(self.engine) as connection:
            rows = connection.execute(select(post_table)).all()
        stored = {int(row.post_id): row for row in rows}
        assert set(stored) == set(self.posts)
        for number, (version, words, author) in self.posts.items():
            row = stored[number]
            assert (row.removed_at is not None) == (number in self.gone)
            shown = "" if number in self.gone else _text(version, words)
            assert row.text == shown
            assert bool(row.hidden) == (author in self.hidden)

    @invariant()
    def what_search_knows_is_a_recount(self) -> None:
        with reading(self.engine) as connection:
            rows = connection.execute(select(text_table.c.post_id, text_table.c.words)).all()
            expected = search_texts.expected(connection)
            for word in WORDS:
                asked = fulltext.matching("sqlite", Wanted(((f"zz{word}",),)))
                known = set(connection.execute(asked).scalars())
                assert known == {n for n, words in expected.items() if f"zz{word}" in words.split()}
        assert {row.post_id: row.words for row in rows} == expected

    @invariant()
    def the_cursor_is_the_last_stored(self) -> None:
        stream = streams.list_all(self.engine)[0]
        assert stream.cursor == (str(self.cursor) if self.cursor else "")

    def teardown(self) -> None:
        self.engine.dispose()
        shutil.rmtree(self.folder)


def _key(number: int) -> str:
    return f"at://did:plc:a/app.bsky.feed.post/{number}"


def _text(version: int, words: frozenset[str]) -> str:
    return f"{' '.join(sorted(words))} in version {version}"


def _post(number: int, version: int, words: frozenset[str], author: int) -> Post:
    return post(
        number,
        _text(version, words),
        author_id=f"did:plc:{author}",
        version=f"{version:03d}",
        operation="update" if version else "create",
    )


_made: list[Path] = []


def _template() -> Path:
    """A migrated database, made once."""
    if not _made:
        path = Path(tempfile.mkdtemp(prefix="tweeter-machine-")) / "template.db"
        engine = make_engine(f"sqlite:///{path}")
        migrate.upgrade(engine)
        engine.dispose()
        _made.append(path)
    return _made[0]


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
