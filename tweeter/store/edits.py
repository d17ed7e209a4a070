"""Edits: a stored post takes the network's newer text, and its matches follow the text."""

from typing import Any

from sqlalchemy import Connection, select, update

from tweeter.records import Match
from tweeter.store import matches, rollups, search_texts
from tweeter.store.schema import posts

_KEPT = ("id", "network", "key", "received_at", "occurred_at", "hidden", "removed_at")


def apply(
    connection: Connection, row: dict[str, Any], found: tuple[Match, ...], *, indexed: bool = True
) -> list[tuple[str, int]]:
    """Replace the text of a stored post by `row`, unless what is stored is as new or newer.

    Versions are ordered as texts; one that has none is older than any that has one.
    indexed: it gets words for the search if it has none; those that it has follow in any case.
    Returns what the live feed must know: [("edit", posts.id)], or [] when nothing changed
    (removed, deleted meanwhile, or an older version that came late).
    """
    stored = connection.execute(
        select(posts.c.id, posts.c.version, posts.c.removed_at, posts.c.occurred_at).where(
            posts.c.network == row["network"], posts.c.key == row["key"]
        )
    ).first()
    if stored is None or stored.removed_at is not None:
        return []
    if stored.version and row["version"] <= stored.version:
        return []
    values = {name: value for name, value in row.items() if name not in _KEPT}
    values["edited_at"] = row["edited_at"] or row["received_at"]
    with rollups.following(connection, [stored.id]):
        there = posts.c.id == stored.id, posts.c.removed_at.is_(None)
        if not connection.execute(update(posts).where(*there).values(values)).rowcount:
            return []  # deleted or removed meanwhile
    search_texts.replace(connection, stored.id, row, stored.occurred_at, indexed=indexed)
    matches.follow(connection, rollups.rows(connection, [stored.id])[stored.id], found)
    return [("edit", stored.id)]
