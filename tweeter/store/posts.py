"""Stored posts: a keyword's page, the live feed's cards, a command's lines.

Hidden posts (their account is deactivated or suspended) are never returned; removed ones are,
without text, as the tombstone that readers see.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Engine, RowMapping, Select, bindparam, func, select

from tweeter.keywords import PART
from tweeter.records import Link, Media, Post
from tweeter.store import identities
from tweeter.store.engine import chunks, reading
from tweeter.store.schema import keywords, matches, posts
from tweeter.store.schema import totals as totals_table

_NAMES = (
    "id",
    "network",
    "key",
    "post_id",
    "url",
    "text",
    "warning",
    "kind",
    "lang",
    "author_id",
    "author_handle",
    "author_name",
    "reply_to",
    "created_at",
    "occurred_at",
    "received_at",
    "edited_at",
    "sensitive",
    "removed_at",
    "removed_reason",
)


class StoredPost(msgspec.Struct, frozen=True, kw_only=True):
    """A post as readers see it. id orders and pages; it is over 2^53: send it as text."""

    id: int
    network: str
    key: str
    post_id: str
    url: str
    text: str
    warning: str
    kind: str
    lang: str
    author_id: str
    author_handle: str  # as the post says, else as the account is called now, where it is known
    author_name: str
    reply_to: str
    created_at: int
    occurred_at: int
    received_at: int
    edited_at: int
    sensitive: bool
    removed_at: int | None
    removed_reason: str
    tags: list[str]
    links: list[Link]
    media: list[Media]
    flags: list[str]
    keywords: list[int]  # ids of the keywords that match, lowest first


class Page(msgspec.Struct, frozen=True):
    """A page of posts, newest first; older is the position of the next one, "" at the end."""

    posts: list[StoredPost]
    older: str


_tags = msgspec.json.Decoder(list[str])
_links = msgspec.json.Decoder(list[Link])
_media = msgspec.json.Decoder(list[Media])


def _stored(row: RowMapping, keyword_ids: list[int], names: identities.Names) -> StoredPost:
    values = {name: row[name] for name in _NAMES}
    called = names.get((row["network"], row["author_id"]))
    if called is not None:
        values["author_handle"] = called.handle
        if row["removed_at"] is None:
            values["author_name"] = row["author_name"] or called.name
    return StoredPost(
        tags=_tags.decode(row["tags"]) if row["tags"] != "[]" else [],
        links=_links.decode(row["links"]) if row["links"] != "[]" else [],
        media=_media.decode(row["media"]) if row["media"] != "[]" else [],
        flags=row["flags"].split(),
        keywords=keyword_ids,
        **values,
    )


_pairs = (
    select(matches.c.post_id, matches.c.keyword_id)
    .where(matches.c.post_id.in_(bindparam("ids", expanding=True)))
    .order_by(matches.c.keyword_id)
)


def with_keywords(connection: Connection, rows: Sequence[RowMapping]) -> list[StoredPost]:
    """Rows of posts as readers see them, in the same order."""
    ids = [row["id"] for row in rows]
    found: dict[int, list[int]] = {post_id: [] for post_id in ids}
    for some in chunks(ids):
        for post_id, keyword_id in connection.execute(_pairs, {"ids": some}):
            found[post_id].append(keyword_id)
    silent = {(r["network"], r["author_id"]) for r in rows if not r["author_handle"]}
    names = identities.known(connection, silent)
    return [_stored(row, found[row["id"]], {} if row["author_handle"] else names) for row in rows]


def as_post(row: Any) -> Post:
    """A row of posts as it was decoded: to be matched again."""
    return Post(
        network=row.network,
        key=row.key,
        post_id=row.post_id,
        url=row.url,
        text=row.text,
        also=tuple(row.also.split(PART)) if row.also else (),
        warning=row.warning,
        kind=row.kind,
        traits=tuple(row.traits.split()),
        lang=row.lang,
        author_id=row.author_id,
        author_handle=row.author_handle,
        author_name=row.author_name,
        links=msgspec.json.decode(row.links, type=tuple[Link, ...]),
        tags=msgspec.json.decode(row.tags, type=tuple[str, ...]),
        edited_at=row.edited_at,
        sensitive=row.sensitive,
        reply_to=row.reply_to,
        created_at=row.created_at,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        sort_us=0,
    )


def position(value: str) -> tuple[int, int]:
    """Read "occurred_at.id" as `Page.older` gives it; raises ValueError."""
    occurred_at, _, post_id = value.partition(".")
    found = int(occurred_at), int(post_id)
    if not all(abs(number) < 1 << 63 for number in found):
        raise ValueError(f"{value[:50]!r}: no database has such numbers.")
    return found


def page(
    engine: Engine,
    *,
    keyword_id: int | None = None,
    older: str = "",
    limit: int = 50,
    since: int = 0,
    until: int = 0,
) -> Page:
    """Posts of a keyword (or of all), newest first by (occurred_at, id).

    since and until (0: open) bound occurred_at, until without itself. `older` is `Page.older`
    of the page before; raises ValueError if it is not one. Stable while posts arrive: a page
    never repeats or skips one that was there when paging began.
    """
    given = {"keyword": keyword_id, "since": since or None, "until": until or None}
    if older:
        given["at"], given["post"] = position(older)
    values = {name: value for name, value in given.items() if value is not None}
    with reading(engine) as connection:
        statement = _page(frozenset(values))
        rows = connection.execute(statement, values | {"most": limit + 1}).mappings().all()
        found = with_keywords(connection, rows[:limit])
    more = len(rows) > limit
    return Page(found, f"{found[-1].occurred_at}.{found[-1].id}" if more else "")


@cache
def _page(given: frozenset[str]) -> Select[Any]:
    """given: the names of the values that bound it."""
    when, which = matches.c.occurred_at, matches.c.post_id
    statement = select(posts).join(matches, which == posts.c.id).where(posts.c.hidden == "")
    if "keyword" in given:
        statement = statement.where(matches.c.keyword_id == bindparam("keyword"))
    else:
        statement = statement.group_by(posts.c.id)
        when, which = posts.c.occurred_at, posts.c.id
    if "since" in given:
        statement = statement.where(when >= bindparam("since"))
    if "until" in given:
        statement = statement.where(when < bindparam("until"))
    if "at" in given:
        at = bindparam("at", type_=BigInteger)
        is_older = (when < at) | ((when == at) & (which < bindparam("post")))
        # The first says nothing new, but lets an index begin there.
        statement = statement.where(when <= at, is_older)
    return statement.order_by(when.desc(), which.desc()).limit(bindparam("most"))


def by_ids(engine: Engine, ids: Sequence[int]) -> dict[int, StoredPost]:
    """Visible posts by posts.id; ids that are unknown or hidden are left out."""
    found: dict[int, StoredPost] = {}
    with reading(engine) as connection:
        for some in chunks(ids):
            statement = select(posts).where(posts.c.id.in_(some), posts.c.hidden == "")
            rows = connection.execute(statement).mappings().all()
            found.update((post.id, post) for post in with_keywords(connection, rows))
    return found


def latest(engine: Engine, *, limit: int = 50) -> list[StoredPost]:
    """The newest posts, newest first."""
    newest = select(posts).where(posts.c.hidden == "")
    newest = newest.order_by(posts.c.occurred_at.desc(), posts.c.id.desc()).limit(limit)
    with reading(engine) as connection:
        return with_keywords(connection, connection.execute(newest).mappings().all())


def every(
    engine: Engine, *, keyword_id: int | None = None, since: int = 0, until: int = 0
) -> Iterator[StoredPost]:
    """All visible posts of a keyword or of all, newest first, in pages of constant memory."""
    older = ""
    while True:
        found = page(
            engine, keyword_id=keyword_id, older=older, limit=500, since=since, until=until
        )
        yield from found.posts
        older = found.older
        if not older:
            return


def totals(engine: Engine) -> dict[str, int]:
    """Number of visible posts, of invented ones beside them, and of keywords not removed."""
    # From the sums of days: counting posts takes a second for a million.
    by_network = (
        select(totals_table.c.network, func.sum(totals_table.c.posts))
        .where(totals_table.c.keyword_id == 0, totals_table.c.seconds == 86_400)
        .group_by(totals_table.c.network)
    )
    followed = select(func.count()).select_from(keywords).where(keywords.c.state != "removed")
    with reading(engine) as connection:
        counted = {network: int(count) for network, count in connection.execute(by_network)}
        number = int(connection.execute(followed).scalar_one())
    invented = counted.pop("demo", 0)
    return {"posts": sum(counted.values()), "demo": invented, "keywords": number}
