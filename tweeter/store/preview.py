"""What a keyword would find among the newest stored posts, before it is saved.

Only what other keywords brought in is stored, and the answer says so. It looks at a bounded
number of posts, so it takes the same time however many there are.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine, func, select

from tweeter.harmless import typed
from tweeter.keywords import Matcher, canonical, haystack, print_expression, tree
from tweeter.keywords.features import features
from tweeter.keywords.highlight import marks
from tweeter.keywords.nodes import And, Node, Or, holds
from tweeter.moments import HOUR_US
from tweeter.records import Keyword, Post
from tweeter.store import known, ledger
from tweeter.store.engine import chunks, reading
from tweeter.store.followed import NONE, Answers
from tweeter.store.keywords import one
from tweeter.store.posts import as_post
from tweeter.store.schema import keywords, matches, posts

POSTS = 4_000  # looked at: about a quarter of a second
EXAMPLES = 8
NEAR = 5
OVERLAP = 0.9  # from here on it is worth a word
SURE_POSTS = 10  # found: from here on less than an hour says how many an hour come
LEAST_US = 60_000_000  # nothing shorter does
EVERYWHERE = ""  # instead of a network


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A post that matches or nearly does. marks: (start, end) of found words in text."""

    id: str
    network: str
    text: str
    marks: list[tuple[int, int]]
    occurred_at: int
    missing: str = ""  # of a near miss: the clause that failed


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Another keyword that caught this share of the posts found."""

    keyword_id: int
    expression: str
    share: float


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """looked_at posts of the time from since on; found of them, an hour, by clause and network.

    an_hour is None, and a network lacks, where the time is too short or too few were found to say.
    """

    looked_at: int
    since: int
    found: int
    an_hour: float | None
    an_hour_by_network: dict[str, float]
    clauses: list[tuple[str, int]]
    examples: list[Example]
    near_misses: list[Example]
    overlaps: list[Overlap]
    twin: int | None  # another keyword that says the same, for whatever networks
    gains: int | None = None  # of an edit: posts that the present version does not find
    loses: int | None = None


def preview(
    engine: Engine,
    expression: str,
    *,
    networks: Sequence[str] = (),
    keyword_id: int | None = None,
    answers: Answers = NONE,
) -> Preview:
    """Try an expression; keyword_id: it would replace this keyword's; answers: of its accounts.

    Raises KeywordSyntaxError and KeywordNotFound.
    """
    wanted = Keyword(
        id=0,
        expression=typed(expression),
        networks=tuple(networks),
        accounts=tuple((name, answer.author_id) for name, answer in answers.items()),
    )
    node = tree(wanted)
    seen = _newest(engine)
    matcher = Matcher([wanted])
    found = [(post_id, post) for post_id, post in seen if matcher.match(post)]
    spans = _spans(engine, seen)
    by_network = Counter(post.network for _, post in found)
    paces = {name: _an_hour(count, spans[name]) for name, count in by_network.items()}
    gains, loses = _against(engine, keyword_id, seen, {post_id for post_id, _ in found})
    return Preview(
        looked_at=len(seen),
        since=spans[EVERYWHERE][0],
        found=len(found),
        an_hour=_an_hour(len(found), spans[EVERYWHERE]),
        an_hour_by_network={name: pace for name, pace in paces.items() if pace is not None},
        clauses=_clauses(node, [post for _, post in found]),
        examples=[_example(post_id, post, node) for post_id, post in found[:EXAMPLES]],
        near_misses=_near_misses(node, seen, {post_id for post_id, _ in found}),
        overlaps=_overlaps(engine, [post_id for post_id, _ in found], keyword_id),
        twin=_twin(engine, wanted.expression, keyword_id),
        gains=gains,
        loses=loses,
    )


def _newest(engine: Engine) -> list[tuple[int, Post]]:
    with reading(engine) as connection:
        rows = connection.execute(
            select(posts)
            .where(posts.c.hidden == "", posts.c.removed_at.is_(None))
            .order_by(posts.c.occurred_at.desc(), posts.c.id.desc())
            .limit(POSTS)
        )
        return [(row.id, as_post(row)) for row in rows]


def _spans(engine: Engine, seen: Sequence[tuple[int, Post]]) -> dict[str, tuple[int, int]]:
    """From when until when posts were looked at: of each network, and EVERYWHERE.

    If no more are stored, time counts in which none came: from when streams began to be live.
    """
    if not seen:
        return {EVERYWHERE: (0, 0)}
    if len(seen) == POSTS:
        stretch = seen[-1][1].occurred_at, seen[0][1].occurred_at
        return dict.fromkeys([EVERYWHERE, *(post.network for _, post in seen)], stretch)
    spans: dict[str, tuple[int, int]] = {}
    times = [(post.network, post.occurred_at, post.occurred_at) for _, post in seen]
    for network, since, until in [*times, *_lives(engine)]:
        for name in (network, EVERYWHERE):
            first, last = spans.get(name, (since, until))
            spans[name] = min(first, since), max(last, until)
    return spans


def _lives(engine: Engine) -> list[tuple[str, int, int]]:
    """From when until when each stream was live, with its network; files have no such time."""
    with reading(engine) as connection:
        return [
            (stream["network"], *life)
            for stream in known.streams(connection)
            if stream["network"] != "replay" and (life := ledger.life(connection, stream["id"]))
        ]


def _an_hour(count: int, span: tuple[int, int]) -> float | None:
    """How many come an hour, if so many in that time say it."""
    length = span[1] - span[0]
    if length < LEAST_US or (length < HOUR_US and count < SURE_POSTS):
        return None
    return count * HOUR_US / length


def _finds(node: Node, post: Post) -> bool:
    """Whether a part of an expression holds, also one that could not stand alone."""
    return holds(node, haystack(post), features(post))


def _clauses(node: Node, found: Sequence[Post]) -> list[tuple[str, int]]:
    """For alternatives: how many of the found posts each of them finds."""
    if not isinstance(node, Or):
        return []
    return [(print_expression(part), sum(_finds(part, p) for p in found)) for part in node.nodes]


def _near_misses(node: Node, seen: Sequence[tuple[int, Post]], found: set[int]) -> list[Example]:
    """Posts that fail one part of several that must all hold, newest first."""
    near: list[Example] = []
    if not isinstance(node, And):
        return near
    for post_id, post in seen[: POSTS // 4]:
        if post_id in found:
            continue
        failed = [part for part in node.nodes if not _finds(part, post)]
        if len(failed) == 1:
            missing = print_expression(failed[0])
            near.append(_example(post_id, post, node, missing))
            if len(near) == NEAR:
                break
    return near


def _example(post_id: int, post: Post, node: Node, missing: str = "") -> Example:
    return Example(
        id=str(post_id),
        network=post.network,
        text=post.text[:500],
        marks=marks(post.text[:500], node),
        occurred_at=post.occurred_at,
        missing=missing,
    )


def _overlaps(engine: Engine, ids: Sequence[int], but: int | None) -> list[Overlap]:
    """Keywords that caught most of these posts already."""
    if not ids:
        return []
    counts: Counter[int] = Counter()
    with reading(engine) as connection:
        for some in chunks(ids):
            rows = connection.execute(
                select(matches.c.keyword_id, func.count())
                .where(matches.c.post_id.in_(some))
                .group_by(matches.c.keyword_id)
            )
            counts.update({row[0]: row[1] for row in rows})
        often = [n for n, c in counts.items() if n != but and c >= OVERLAP * len(ids)]
        names = connection.execute(
            select(keywords.c.id, keywords.c.expression).where(
                keywords.c.id.in_(often), keywords.c.state != "removed"
            )
        )
        found = [
            Overlap(keyword_id=r.id, expression=r.expression, share=counts[r.id] / len(ids))
            for r in names
        ]
    return sorted(found, key=lambda overlap: -overlap.share)[:5]


def _twin(engine: Engine, expression: str, but: int | None) -> int | None:
    with reading(engine) as connection:
        found = connection.execute(
            select(keywords.c.id).where(
                keywords.c.canonical == canonical(expression),
                keywords.c.state != "removed",
                keywords.c.id != (but or 0),
            )
        ).scalar()
        return None if found is None else int(found)


def _against(
    engine: Engine, keyword_id: int | None, seen: Sequence[tuple[int, Post]], found: set[int]
) -> tuple[int | None, int | None]:
    """What an edit gains and loses among the posts looked at."""
    if keyword_id is None:
        return None, None
    before = Matcher([one(engine, keyword_id)])
    had = {post_id for post_id, post in seen if before.match(post)}
    return len(found - had), len(had - found)
