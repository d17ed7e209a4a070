"""Search over everything stored: a page of hits, their exact number, and what they have in common.

A hit is a post that is shown (not removed, its account not hidden), that the filters let through,
and that the expression matches by the keyword engine: the database's index only proposes. The
page comes first. Facets and histogram are of the newest hits, up to DESCRIBED; hits are counted
exactly up to COUNTED, and estimated where that would take long.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, func, select

from tweeter.filters import Filter, Question
from tweeter.keywords.highlight import marks
from tweeter.keywords.normalise import normalise
from tweeter.records import now_us
from tweeter.store import posts as stored
from tweeter.store import questions, unindexed
from tweeter.store.engine import one_of, reading
from tweeter.store.filters import Query, language, links_of
from tweeter.store.fulltext import TookTooLong, limited
from tweeter.store.posts import StoredPost
from tweeter.store.schema import matches
from tweeter.store.unindexed import Unindexed
from tweeter.store.walk import Position, Walk

COUNTED = 10_000  # hits that are counted exactly
DESCRIBED = 2_000  # hits that facets and histogram are made of
LIMIT_S = 3.0
COUNTING_S = 0.15  # beyond DESCRIBED, where each candidate must be looked at
VALUES = 10  # of a facet
BARS = 60  # of the histogram, at most

FACETS = ("network", "lang", "kind", "keyword", "tag", "link", "only")

_NEWEST: Position = (1 << 62, 0)
_MINUTE = 60_000_000
STEPS_US = [n * _MINUTE for n in (1, 5, 15, 60, 180, 720, 1440, 7 * 1440, 30 * 1440, 365 * 1440)]


class Bar(msgspec.Struct, frozen=True):
    """Hits from `since` on, for one step of the histogram."""

    since: int
    hits: int


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Hits by time, oldest first, without holes. step_s: seconds a bar."""

    step_s: int
    bars: list[Bar]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """counted: hits. about: how many there are in all, estimated; 0: `counted` is exact.

    Facets and histogram are of the newest `described` hits, which reach back to back_to_us.
    partial: the time was over before these were seen. facets: by name ("network", "lang", "kind",
    "keyword", "tag", "link", "only": what they have), most frequent first.
    """

    counted: int
    described: int
    about: int
    partial: bool
    back_to_us: int
    facets: dict[str, list[tuple[str, int]]]
    histogram: Histogram


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, newest first. older: the position of the next page, "" at the end.

    searched_until_us: where the time was over before the page was full; 0: it was not. unindexed:
    the index lacks posts of this time, so posts were read one after another.
    """

    posts: list[StoredPost]
    older: str
    searched_until_us: int
    counts: Counts | None
    unindexed: Unindexed | None = None


def search(
    engine: Engine,
    chosen: Filter,
    *,
    older: str = "",
    limit: int = 50,
    counting: bool = True,
    limit_s: float = LIMIT_S,
) -> Found:
    """A page of what is looked for, and if wanted the counts of all of it.

    older: `Found.older` of the page before; ValueError if it is none. Raises
    KeywordSyntaxError, BadMoment, KeywordNotFound.
    """
    questions.refuse_unknown(engine, chosen)
    query = Query(questions.of_filters(engine, chosen), now_us())
    tally = _Tally(query) if counting else None
    return _found(engine, _Page(query, limit), tally, older, time.monotonic() + limit_s)


def newest(
    engine: Engine, question: Question, *, older: str = "", limit: int = 50, limit_s: float
) -> Found:
    """A page of what is asked for, without counts; removed posts have their place in it.

    As far as limit_s allows: there may be fewer posts and a position to go on from. ValueError
    if `older` is no position. Raises KeywordSyntaxError, BadMoment.
    """
    page = _Page(Query(question, now_us(), removed=True), limit)
    return _found(engine, page, None, older, time.monotonic() + limit_s)


def _found(
    engine: Engine, page: "_Page", tally: "_Tally | None", older: str, deadline: float
) -> Found:
    before = stored.position(older) if older else None
    lacking: Unindexed | None = None
    try:
        with reading(engine) as connection, limited(connection, deadline):
            wanted = DESCRIBED if tally is not None else min(page.limit, DESCRIBED)
            walk = Walk(connection, page.query, deadline, hits=wanted + 1)
            lacking = unindexed.told(connection, walk.lacking)
            if tally is not None:
                tally.limit = DESCRIBED if walk.finds_hits else COUNTED
            page.fill(walk, before, tally if before is None else None)
            if tally is not None:
                tally.count(walk, connection)
    except TookTooLong:
        if tally is not None:
            tally.partial = True
    ids = [row["id"] for row in page.rows]
    found, removed = stored.by_ids(engine, ids), page.query.removed
    return Found(
        posts=[found[n] for n in ids if n in found and (removed or found[n].removed_at is None)],
        older=page.older(before),
        searched_until_us=page.searched_until(before),
        counts=tally.counts() if tally is not None else None,
        unindexed=lacking,
    )


def hits(walk: Walk, query: Query, older: Position | None) -> Iterator[tuple[RowMapping, bool]]:
    """Each candidate in order, and whether it is a hit."""
    for rows, are_hits in walk.pieces(older):
        for row in rows:
            yield row, are_hits or query.finds_row(row)


class _Page:
    """The rows of a page while it is filled."""

    def __init__(self, query: Query, limit: int) -> None:
        self.query, self.limit = query, limit
        self.rows: list[RowMapping] = []
        self._more = False
        self._ended = False
        self._seen: Position | None = None  # the last candidate looked at

    def fill(self, walk: Walk, older: Position | None, tally: "_Tally | None") -> None:
        """Fill it; tally: counts along, and goes on when the page is full."""
        for row, is_hit in hits(walk, self.query, older):
            if not self._more:
                self._seen = row["occurred_at"], row["id"]
                if is_hit and len(self.rows) < self.limit:
                    self.rows.append(row)
                elif is_hit:
                    self._more = True
            if tally is not None:
                tally.add(row, is_hit)
                if tally.is_full:
                    return
            elif self._more:
                return
        self._ended = True
        if tally is not None:
            tally.ended = True

    def older(self, before: Position | None) -> str:
        if self._more:
            return f"{self.rows[-1]['occurred_at']}.{self.rows[-1]['id']}"
        if self._ended:
            return ""
        at = self._seen or before or _NEWEST
        return f"{at[0]}.{at[1]}"

    def searched_until(self, before: Position | None) -> int:
        if self._more or self._ended:
            return 0
        at = self._seen or before
        return at[0] if at else now_us()


_tags = msgspec.json.Decoder(list[str])


class _Tally:
    """Counts of hits while they are counted."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._walked = self._counted = self._about = 0
        self.ended = self.is_full = self.partial = False
        self.limit = COUNTED  # hits to look at; then the rest is counted by the database
        self._soon = time.monotonic() + COUNTING_S
        self._described: list[RowMapping] = []
        self._keywords = Counter[str]()

    def add(self, row: RowMapping, is_hit: bool) -> None:
        """One candidate."""
        if is_hit and self._has_enough():
            self.is_full = True
            return
        self._walked += 1
        if is_hit:
            self._counted += 1
            if self._counted <= DESCRIBED:
                self._described.append(row)

    def _has_enough(self) -> bool:
        if self._counted < min(DESCRIBED, self.limit):
            return False
        return self._counted == self.limit or time.monotonic() > self._soon

    def count(self, walk: Walk, connection: Connection) -> None:
        """What is left to count, from the newest hit on if nothing was; then the rest."""
        if not (self.ended or self.is_full):
            for row, is_hit in hits(walk, self._query, None):
                self.add(row, is_hit)
                if self.is_full:
                    break
            else:
                self.ended = True
        self._count_keywords(walk, connection)
        if self.is_full:
            self._count_rest(walk)

    def _count_rest(self, walk: Walk) -> None:
        found = walk.count(COUNTED)
        if not walk.finds_hits:
            self._about = round(found * self._counted / self._walked)
        elif found <= COUNTED:
            self._counted, self.ended, self.is_full = found, True, False
        else:
            self._counted, self._about = COUNTED, found

    def _count_keywords(self, walk: Walk, connection: Connection) -> None:
        if not self._described:
            return
        ids = [row["id"] for row in self._described]
        statement = (
            select(matches.c.keyword_id, func.count().label("posts"))
            .where(one_of(connection, matches.c.post_id, ids))
            .group_by(matches.c.keyword_id)
        )
        for row in walk.run(statement):
            self._keywords[str(row["keyword_id"])] += row["posts"]

    def counts(self) -> Counts:
        times = [row["occurred_at"] for row in self._described]
        facets = _facets(self._described) | {"keyword": self._keywords}
        return Counts(
            counted=self._counted,
            described=len(times),
            about=max(self._about, self._counted + 1) if self.is_full else 0,
            partial=self.partial and not self.ended,
            back_to_us=times[-1] if times else 0,
            facets={name: _most(facets[name]) for name in FACETS},
            histogram=histogram(times, self._query.since, self._query.until),
        )


def _facets(rows: Sequence[RowMapping]) -> dict[str, Counter[str]]:
    """How many of the rows have each value, but for their keywords."""
    found = {name: Counter(row[name] for row in rows) for name in ("network", "kind")}
    found["lang"] = Counter[str]()
    for tag, count in Counter(row["lang"] for row in rows).items():
        found["lang"][language(tag)] += count
    tagged = [row["tags"] for row in rows if row["tags"] != "[]"]
    found["tag"] = Counter(
        tag for tags in tagged for tag in set(map(normalise, _tags.decode(tags)))
    )
    linked = [row for row in rows if row["links"] != "[]"]
    found["link"] = Counter(link for row in linked for link in links_of(row))
    media = sum("media" in traits.split() for traits in (row["traits"] for row in rows) if traits)
    found["only"] = Counter({"link": len(linked), "media": media})
    return found


def _most(counter: Counter[str]) -> list[tuple[str, int]]:
    some = ((value, count) for value, count in counter.items() if count)
    return sorted(some, key=lambda item: (-item[1], item[0]))[:VALUES]


def histogram(times: list[int], since: int, until: int) -> Histogram:
    """Moments by equal steps, so that there are at most BARS."""
    if not times:
        return Histogram(step_s=0, bars=[])
    first, last = min(times), max(times)
    # The range that was asked for, where the hits fill most of it.
    first = since if since and first - since < last - first else first
    last = until - 1 if until and until - last < last - first else last
    step = next((s for s in STEPS_US if last // s - first // s < BARS), STEPS_US[-1])
    found = Counter(moment // step for moment in times)
    low, high = max(first // step, last // step - BARS + 1), last // step
    bars = [Bar(number * step, found[number]) for number in range(low, high + 1)]
    return Histogram(step_s=step // 1_000_000, bars=bars)


def marked(chosen: Filter, found: list[StoredPost]) -> dict[int, list[tuple[int, int]]]:
    """Where the words of the expression stand in the texts of these posts, by posts.id."""
    node = Query(Question((chosen,)), now_us()).node
    if node is None:
        return {}
    return {post.id: marks(post.text, node) for post in found}
