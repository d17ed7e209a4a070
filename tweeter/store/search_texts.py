"""The search text of each stored post, written in the same transaction as the post.

A removed post has none, and one that is deleted takes it along. So the table always is what a
recount of the posts would give (`expected`), but for posts that were stored while the setting
search_index was off: `unindexed` knows where those lie, and `fill` gives them words later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    bindparam,
    delete,
    select,
    text,
    update,
)

from tweeter.keywords.haystack import PART, parts_of
from tweeter.keywords.index_words import RULES, words
from tweeter.records import Link, Post
from tweeter.store import unindexed
from tweeter.store.engine import chunks, insert_all, insert_new, reading, repeated, writing
from tweeter.store.schema import positions, posts, search_texts

FILLED = 200  # posts that get words in one transaction: a few hundredths of a second
MENDED = 500  # the same, after an upgrade
RENEWED = f"words_{RULES}"  # a position: the posts.id below which words are of older rules
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


def add(connection: Connection, rows: Sequence[Row], made: Made | None = NONE_MADE) -> None:
    """Of posts that were inserted just now. made: such as are there already; None: no words."""
    if made is None:
        unindexed.leave_out(connection, [row["occurred_at"] for row in rows])
        return
    values = [
        {"post_id": row["id"], "words": _made(row, made) or of_row(row, row["occurred_at"])}
        for row in rows
    ]
    insert_all(connection, search_texts, values)


def _made(row: Row, made: Made) -> str:
    return made.get((row["network"], row["key"]), "") if made else ""


def replace(
    connection: Connection, post_id: int, row: Row, occurred_at: int, *, indexed: bool = True
) -> None:
    """Of a post that takes the texts of `row`. indexed: also if it has no words yet."""
    mine, values = search_texts.c.post_id == post_id, {"words": of_row(row, occurred_at)}
    # In place: who waits to empty the post must find this very row.
    found = connection.execute(update(search_texts).where(mine).values(values)).rowcount
    if indexed and not found:
        insert_all(connection, search_texts, [{"post_id": post_id, **values}])


def drop(connection: Connection, post_ids: Sequence[int]) -> None:
    """Of posts that are deleted or emptied."""
    for some in chunks(post_ids):
        connection.execute(delete(search_texts).where(search_texts.c.post_id.in_(some)))


def erase(connection: Connection, which: ColumnElement[bool]) -> None:
    """Of those posts that are to be emptied."""
    found = select(posts.c.id).where(which, posts.c.removed_at.is_(None)).with_for_update()
    drop(connection, list(connection.execute(found).scalars()))


@repeated
def mend(engine: Engine, since: int) -> int:
    """Give words to posts from `since` on that have none; returns how many, at most MENDED.

    A process of an older version that runs on for seconds after an upgrade stores such posts.
    """
    statement = _without_words(posts.c.occurred_at >= since).limit(MENDED)
    with reading(engine) as connection:
        if connection.execute(statement.limit(1)).first() is None:
            return 0
    with writing(engine) as connection:
        return len(_give_words(connection, statement))


@repeated
def fill(engine: Engine) -> int:
    """Give words to posts that were stored without, newest first.

    Returns how many it was, at most FILLED; 0: every post is in the index.
    """
    with reading(engine) as connection:
        if unindexed.stretch(connection) is None:
            return 0
    with writing(engine) as connection:
        lacking = unindexed.hold(connection)
        if lacking is None:
            return 0
        at = posts.c.occurred_at
        here = _without_words(at >= lacking.since, at < lacking.until)
        rows = _give_words(connection, here.order_by(at.desc()).limit(FILLED))
        left = None
        if len(rows) == FILLED:  # others may have the moment of the last
            left = unindexed.Stretch(lacking.since, rows[-1]["occurred_at"] + 1)
        unindexed.put(connection, left)
        return len(rows)


def _without_words(*which: ColumnElement[bool]) -> "Select[Any]":
    return (
        select(posts)
        .outerjoin(search_texts, search_texts.c.post_id == posts.c.id)
        .where(*which, posts.c.removed_at.is_(None), search_texts.c.post_id.is_(None))
    )


def _give_words(connection: Connection, statement: "Select[Any]") -> Sequence[RowMapping]:
    """To the posts of the statement, which it returns."""
    held = statement.with_for_update(read=True, of=posts)  # none is removed meanwhile
    rows = connection.execute(held).mappings().all()
    values = [{"post_id": r["id"], "words": of_row(r, r["occurred_at"])} for r in rows]
    insert_new(connection, search_texts, values, unique=("post_id",))
    return rows


@repeated
def renew(engine: Engine) -> int:
    """Make the words of posts anew that were made by older RULES, the newest posts.id first.

    Returns how many posts it looked at, at most FILLED; 0: all are by the present RULES.
    """
    mine = positions.c.name == RENEWED
    left = select(positions.c.value).where(mine)
    with reading(engine) as connection:
        if connection.execute(left).scalar() == 0:
            return 0
    with writing(engine) as connection:
        insert_new(connection, positions, [{"name": RENEWED, "value": 1 << 62}], unique=("name",))
        below = connection.execute(left.with_for_update()).scalar_one()
        rows = connection.execute(_with_words(below)).mappings().all()
        made = [{"of": row["id"], "made": of_row(row, row["occurred_at"])} for row in rows]
        new = [one for one, row in zip(made, rows, strict=True) if one["made"] != row["words"]]
        if new:
            connection.execute(_renewed, new)
        reached = rows[-1]["id"] if len(rows) == FILLED else 0
        connection.execute(update(positions).where(mine).values(value=reached))
        return len(rows)


def _with_words(below: int) -> "Select[Any]":
    """The next posts below this posts.id, with their words; none is removed meanwhile."""
    mine = search_texts.c.post_id == posts.c.id
    found = select(posts, search_texts.c.words).join(search_texts, mine).where(posts.c.id < below)
    return found.order_by(posts.c.id.desc()).limit(FILLED).with_for_update(read=True, of=posts)


_renewed = (
    update(search_texts)
    .where(search_texts.c.post_id == bindparam("of"))
    .values(words=bindparam("made"))
)


def wipe(engine: Engine) -> None:
    """Delete the words of all posts and the index over them, and give the space back.

    No other process may be at work. SQLite writes the file anew: that needs as much free space as
    the posts take.
    """
    with writing(engine) as connection:
        unindexed.put_all(connection)
        if connection.dialect.name == "sqlite":
            _wipe_sqlite(connection)
        else:
            connection.execute(text("TRUNCATE TABLE search_texts"))
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()  # outside of any transaction
        try:
            for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                raw.cursor().execute(statement)
        finally:
            raw.close()


def _wipe_sqlite(connection: Connection) -> None:
    # Without its trigger, which would take every post's words out of the index by themselves.
    asked = text("SELECT sql FROM sqlite_master WHERE name = 'search_index_delete'")
    trigger = connection.execute(asked).scalar_one()
    connection.execute(text("DROP TRIGGER search_index_delete"))
    connection.execute(delete(search_texts))
    connection.execute(text("INSERT INTO search_index(search_index) VALUES ('delete-all')"))
    connection.exec_driver_sql(trigger)


def expected(connection: Connection) -> dict[int, str]:
    """What the table must hold, by posts.id: counted anew from all posts, for tests."""
    statement = select(posts).where(posts.c.removed_at.is_(None))
    rows = connection.execute(statement).mappings()
    return {row["id"]: of_row(row, row["occurred_at"]) for row in rows}
