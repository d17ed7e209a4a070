"""Matches lie by post: one tree less to keep, and a new post's lie side by side

Revision 0009, after 0008.

A process of an older version that still runs reads and writes the table as before. SQLite writes it
anew: two seconds for 630,000 matches, half a minute for ten million, in which nothing is stored.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OF_POSTS = "ix_matches_post_id"
_OF_KEYWORDS = "ix_matches_keyword_id_occurred_at_post_id"


def _set_key(*names: str) -> None:
    """Give the table this primary key, if it has another one."""
    found = sa.inspect(op.get_bind()).get_pk_constraint("matches")["constrained_columns"]
    if found != list(names):
        ways = {"sqlite": _set_key_sqlite, "postgresql": _set_key_postgresql}
        ways.get(op.get_bind().dialect.name, _set_key_mysql)(", ".join(names))


def _set_key_sqlite(names: str) -> None:
    by_itself = "" if names.startswith("keyword_id") else " WITHOUT ROWID"
    op.execute(
        "CREATE TABLE matches_new (keyword_id BIGINT NOT NULL, post_id BIGINT NOT NULL,"
        " version INTEGER NOT NULL, occurred_at BIGINT NOT NULL,"
        f" CONSTRAINT pk_matches PRIMARY KEY ({names})){by_itself}"
    )
    op.execute(
        "INSERT INTO matches_new SELECT keyword_id, post_id, version, occurred_at FROM matches"  # noqa: S608
        f" ORDER BY {names}"
    )
    op.execute("DROP TABLE matches")
    op.execute("ALTER TABLE matches_new RENAME TO matches")
    op.execute(f"CREATE INDEX {_OF_KEYWORDS} ON matches (keyword_id, occurred_at, post_id)")


def _set_key_postgresql(names: str) -> None:
    op.execute(
        "ALTER TABLE matches DROP CONSTRAINT pk_matches,"
        f" ADD CONSTRAINT pk_matches PRIMARY KEY ({names})"
    )


def _set_key_mysql(names: str) -> None:
    op.execute(f"ALTER TABLE matches DROP PRIMARY KEY, ADD PRIMARY KEY ({names})")


def _has_index() -> bool:
    return any(one["name"] == _OF_POSTS for one in sa.inspect(op.get_bind()).get_indexes("matches"))


def upgrade() -> None:
    _set_key("post_id", "keyword_id")
    if _has_index():  # SQLite's went with the table
        op.drop_index(_OF_POSTS, "matches")


def downgrade() -> None:
    _set_key("keyword_id", "post_id")
    if not _has_index():
        op.create_index(_OF_POSTS, "matches", ["post_id"])
