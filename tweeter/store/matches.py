"""Match rows (post, keyword, keyword version), with the counter and the sums of each keyword."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, select, update

from tweeter.records import Match
from tweeter.store import rollups
from tweeter.store.engine import chunks, insert_all, insert_new
from tweeter.store.rollups import EVERYTHING, Row, Sums
from tweeter.store.schema import keywords, matches

UNSURE = 0  # version of a match whose post was edited while the keyword was not looked for

Found = Sequence[tuple[Row, Sequence[Match]]]  # rows of posts with their matches


def add(connection: Connection, found: Found) -> int:
    """Insert match rows of posts that are held; returns how many were really new."""
    rows = _rows(found)
    new = insert_new(connection, matches, rows, unique=("keyword_id", "post_id"))
    per_post: dict[int, list[int]] = {row["id"]: [] for row, _ in found}
    for keyword_id, post_id in new:
        per_post[post_id].append(keyword_id)
    with rollups.collecting(connection) as sums:
        _count(sums, [(row, per_post[row["id"]]) for row, _ in found])
    return len(new)


def add_new(connection: Connection, found: Found, counted: Sums | None) -> None:
    """Insert match rows of posts that this transaction inserted; everything counts them, too.

    counted: by `count`, and closed; then nothing else is counted in this transaction.
    """
    insert_all(connection, matches, _rows(found))
    with rollups.collecting(connection) as sums:
        if counted is None:
            count(sums, found)
        else:
            sums.take_over(counted)


def count(sums: Sums, found: Found) -> None:
    """Count new posts for their keywords, and for everything."""
    _count(sums, [(row, [m.keyword_id for m in its]) for row, its in found], EVERYTHING)


def _count(sums: Sums, found: Sequence[tuple[Row, list[int]]], *others: int) -> None:
    per_keyword: dict[int, int] = {}
    for row, ids in found:
        for number in ids:
            per_keyword[number] = per_keyword.get(number, 0) + 1
        sums.add(row, [*others, *ids])
    sums.count(per_keyword)


def _rows(found: Found) -> list[dict[str, int]]:
    return [
        {
            "keyword_id": match.keyword_id,
            "post_id": row["id"],
            "version": match.keyword_version,
            "occurred_at": row["occurred_at"],
        }
        for row, post_matches in found
        for match in post_matches
    ]


def follow(connection: Connection, row: Row, found: Sequence[Match]) -> None:
    """Make the match rows of a post, which is held, equal to `found`.

    Only active keywords were looked for in it: those of others, paused or removed, stay, and are
    UNSURE until the keyword is active again: the job that matches all then drops what is wrong.
    """
    wanted = {match.keyword_id for match in found}
    present = connection.execute(
        select(matches.c.keyword_id).where(matches.c.post_id == row["id"])
    ).scalars()
    others = set(present) - wanted
    followed = active(connection, others)
    for keyword_id in sorted(followed):
        drop(connection, [row["id"]], keyword_id)
    for some in chunks(others.difference(followed)):
        its = matches.c.post_id == row["id"], matches.c.keyword_id.in_(some)
        connection.execute(update(matches).where(*its).values(version=UNSURE))
    add(connection, [(row, found)])


def active(connection: Connection, keyword_ids: set[int]) -> dict[int, int]:
    """Those of the keywords that are active, with their versions."""
    found: dict[int, int] = {}
    for some in chunks(keyword_ids):
        which = keywords.c.id.in_(some), keywords.c.state == "active"
        rows = connection.execute(select(keywords.c.id, keywords.c.version).where(*which))
        found.update((row.id, row.version) for row in rows)
    return found


def drop(connection: Connection, post_ids: Sequence[int], keyword_id: int | None = None) -> None:
    """Delete match rows of these posts, of one keyword or of all, and count them off."""
    found = rollups.rows(connection, post_ids, share=True)
    gone: dict[int, list[int]] = {}
    for some in chunks(found):
        which: list[ColumnElement[bool]] = [matches.c.post_id.in_(some)]
        if keyword_id is not None:
            which.append(matches.c.keyword_id == keyword_id)
        # Held one by one before they are deleted: another who deletes them is waited for, and
        # what it deleted is not counted off twice.
        held = select(matches.c.post_id, matches.c.keyword_id).where(*which)
        ordered = held.order_by(matches.c.keyword_id, matches.c.post_id)
        for row in connection.execute(ordered.with_for_update()):
            gone.setdefault(row.post_id, []).append(row.keyword_id)
        connection.execute(delete(matches).where(*which))
    per_keyword: dict[int, int] = {}
    for ids in gone.values():
        for number in ids:
            per_keyword[number] = per_keyword.get(number, 0) - 1
    with rollups.collecting(connection) as sums:
        sums.count(per_keyword)
        rollups.drop(connection, [(found[post_id], gone[post_id]) for post_id in sorted(gone)])
