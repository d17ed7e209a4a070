"""The search text of each stored post, written in the same transaction as the post.

A removed post has none, and one that is deleted takes it along. So the table always is what a
recount of the posts would give (`expected`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, delete, select, update

from tweeter.keywords.haystack import PART, parts_of
from tweeter.keywords.index_words import words
from tweeter.records import Link, Post
from tweeter.store.engine import insert_all, insert_new, reading, repeated, writing
from tweeter.store.schema import posts, search_texts

CHUNK = 500  # posts in one statement
AUTHOR_LONGEST = 190  # characters of an author's id that the row holds
COLUMNS = ("text", "also", "author_id", "author_handle", "links", "tags")  # what it is made of

Row = Mapping[str, Any] | RowMapping
Made = Mapping[tuple[str, str], str]  # search texts by network and key
NONE_MADE: Made = {}

_links = msgspec.json.Decoder(list[Link])
_tags = msgspec.json.Decoder(list[str])


def of_row(row: Row, occurred_at: int) -> str:
    """The search text of a post as it lies in its row."""
    links = [] if row["links"] == "[]" else _links.decode(row["links"])
    return words(
        parts_of(row["text"], row["also"]),
        (row["author_id"], row["author_handle"]),
        [link.url for link in links],
        () if row["tags"] == "[]" else _tags.decode(row["tags"]),
        occurred_at,
    )


def of_post(post: Post) -> str:
    """The same of a post that is to be stored."""
    return words(
        parts_of(post.text, PART.join(post.also)),
        (post.author_id[:AUTHOR_LONGEST], post.author_handle),
        [link.url for link in post.links],
        post.tags,
        post.occurred_at,
    )


def add(connection: Connection, rows: Iterable[Row], made: Made = NONE_MADE) -> None:
    """Of posts that were inserted just now. made: such as are there already."""
    values = [
        {"post_id": row["id"], "words": _made(row, made) or of_row(row, row["occurred_at"])}
        for row in rows
    ]
    insert_all(connection, search_texts, values)


def _made(row: Row, made: Made) -> str:
    return made.get((row["network"], row["key"]), "") if made else ""


def replace(connection: Connection, post_id: int, row: Row, occurred_at: int) -> None:
    """Of a post that takes the texts of `row`."""
    mine, values = search_texts.c.post_id == post_id, {"words": of_row(row, occurred_at)}
    # In place: who waits to empty the post must find this very row.
    if not connection.execute(update(search_texts).where(mine).values(values)).rowcount:
        insert_all(connection, search_texts, [{"post_id": post_id, **values}])


def drop(connection: Connection, post_ids: Sequence[int]) -> None:
    """Of posts that are deleted or emptied."""
    for start in range(0, len(post_ids), CHUNK):
        some = list(post_ids[start : start + CHUNK])
        connection.execute(delete(search_texts).where(search_texts.c.post_id.in_(some)))


def erase(connection: Connection, which: ColumnElement[bool]) -> None:
    """Of those posts that are to be emptied."""
    found = select(posts.c.id).where(which, posts.c.removed_at.is_(None)).with_for_update()
    drop(connection, list(connection.execute(found).scalars()))


@repeated
def mend(engine: Engine, since: int) -> int:
    """Give words to posts from `since` on that have none; returns how many, at most CHUNK.

    A process of an older version that runs on for seconds after an upgrade stores such posts.
    """
    statement = (
        select(posts)
        .outerjoin(search_texts, search_texts.c.post_id == posts.c.id)
        .where(
            posts.c.occurred_at >= since,
            posts.c.removed_at.is_(None),
            search_texts.c.post_id.is_(None),
        )
        .limit(CHUNK)
    )
    with reading(engine) as connection:
        if connection.execute(statement.limit(1)).first() is None:
            return 0
    with writing(engine) as connection:
        rows = connection.execute(statement).mappings().all()
        values = [{"post_id": r["id"], "words": of_row(r, r["occurred_at"])} for r in rows]
        return len(insert_new(connection, search_texts, values, unique=("post_id",)))


def expected(connection: Connection) -> dict[int, str]:
    """What the table must hold, by posts.id: counted anew from all posts, for tests."""
    statement = select(posts).where(posts.c.removed_at.is_(None))
    rows = connection.execute(statement).mappings()
    return {row["id"]: of_row(row, row["occurred_at"]) for row in rows}
