"""Posts that were stored at the moment of their removal: neither writer saw the other's work.

One looks for tombstones; another's removal finds no post, and is committed; then the post is. It
would stay visible for good. So removals and hidden accounts are applied once more when whoever
wrote at that moment has ended. SQLite has one writer at a time: there it cannot happen.
"""

from sqlalchemy import Connection, Engine, select

from tweeter.records import Removal
from tweeter.store import feed, removals, rollups
from tweeter.store.engine import (
    IDLE_S,
    among,
    chunks,
    read_clock,
    reading,
    repeated,
    there,
    writing,
)
from tweeter.store.schema import feed as feed_rows
from tweeter.store.schema import hidden_authors as authors
from tweeter.store.schema import post_aliases, posts, tombstones

SETTLED_US = 2 * IDLE_S * 1_000_000  # by then both transactions have ended
FIRST_US = 120_000_000  # what the first look of a process reaches back: nobody looked, perhaps
_KEY, _ALIAS = ("network", "key"), ("network", "alias")


@repeated
def settle(engine: Engine, since_us: int = 0) -> int:
    """Empty and hide posts that overtook their removal or their account's.

    since_us: what the last call returned, 0: there was none. Doing it twice changes nothing.
    """
    with reading(engine) as connection:
        now = read_clock(connection)
        if connection.dialect.name == "sqlite":
            return now
        since = (since_us or now - FIRST_US) - SETTLED_US
        found = _removed(connection, since)
        # A post's moment in the feed is that at which its transaction began.
        names = _hidden(connection, since, now - SETTLED_US)
        if not found and not names:
            return now
    with writing(engine) as connection:
        rollups.hold(connection, found)
        with rollups.collecting(connection):
            changes = removals.apply(connection, list(found.values()), now)
            changes += removals.hide(connection, names, now)
        feed.publish(connection, changes, now)
    return now


def _removed(connection: Connection, since: int) -> dict[int, Removal]:
    """Posts that are not empty though they have a tombstone of that moment or later, by id.

    Looked up, not joined: of few rows that it knows little of, PostgreSQL reads all posts.
    """
    lately = select(tombstones).where(tombstones.c.at >= since, tombstones.c.version == "")
    reasons = {(row.network, row.key): row.reason for row in connection.execute(lately)}
    names = {name: reasons[name] for name in there(connection, posts, _KEY, reasons)}
    networks = _with_aliases(connection, {network for network, _ in reasons})
    aliased = [name for name in reasons if name[0] in networks]
    for some in chunks(there(connection, post_aliases, _ALIAS, aliased)):
        which = among(connection, [post_aliases.c[name] for name in _ALIAS], some)
        for row in connection.execute(select(post_aliases).where(which)):
            names[row.network, row.key] = reasons[row.network, row.alias]
    found: dict[int, Removal] = {}
    for some in chunks(names):
        which = among(connection, [posts.c[name] for name in _KEY], some)
        left = select(posts.c.id, posts.c.network, posts.c.key).where(which)
        for row in connection.execute(left.where(posts.c.removed_at.is_(None))):
            why = names[row.network, row.key]
            found[row.id] = Removal(network=row.network, key=row.key, occurred_at=0, reason=why)
    return found


def _with_aliases(connection: Connection, networks: set[str]) -> set[str]:
    """Those of the networks whose removals may name a post by an alias."""
    one = select(post_aliases.c.alias).limit(1)
    asked = {name: one.where(post_aliases.c.network == name) for name in networks}
    return {name for name, any_ in asked.items() if connection.execute(any_).first() is not None}


def _hidden(connection: Connection, since: int, until: int) -> set[tuple[str, str]]:
    """Names of hidden accounts, (network, author_id), with visible posts stored in that time."""
    author = (authors.c.network == posts.c.network) & (authors.c.author_id == posts.c.author_id)
    where = feed_rows.join(posts, posts.c.id == feed_rows.c.post_id).join(authors, author)
    statement = select(authors.c.network, authors.c.author_id).select_from(where)
    rows = connection.execute(
        statement.where(
            feed_rows.c.at >= since,
            feed_rows.c.at < until,
            feed_rows.c.kind == "post",
            authors.c.status != removals.SHOWN,
            posts.c.hidden == "",
            posts.c.removed_at.is_(None),
        )
    )
    return {(row.network, row.author_id) for row in rows}
