"""Sums by network alone, which most pages are made of: totals

Revision 0008, after 0007.

volumes.size becomes volumes.seconds: a process of an older version that still runs keeps no such
sums, and must not be able to store a post from here on. It gets an error, stores nothing, and ends
as soon as it looks at the revision.
"""

import sqlalchemy as sa
from alembic import op

from tweeter.store import mysql as ours
from tweeter.store import rollups

revision = "0008"
down_revision = "0007"

_OLD, _NEW = "size", "seconds"
# (seconds of the new sums, of those that they are made of): these have all of their series.
_MADE_OF = ((300, 60), (3_600, 3_600), (86_400, 86_400))


def _has_table(table: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(table)


def _rename(old: str, new: str) -> None:
    """Copies nothing. Not if it was done before this step was interrupted."""
    columns = {one["name"] for one in sa.inspect(op.get_bind()).get_columns("volumes")}
    if old in columns:
        op.execute(f"ALTER TABLE volumes RENAME COLUMN {old} TO {new}")


def upgrade() -> None:
    _rename(_OLD, _NEW)  # first: from here on nobody else writes
    if _has_table("totals"):  # this step was interrupted
        op.drop_table("totals")
    op.create_table(
        "totals",
        sa.Column("keyword_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seconds", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("network", sa.String(16), primary_key=True),
        sa.Column("posts", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    if connection.dialect.name in ("mysql", "mariadb"):
        ours.make_binary(connection, ["totals"])  # before it has rows
    if connection.execute(sa.text("SELECT 1 FROM volumes LIMIT 1")).first() is None:
        rollups.recount(connection)  # it comes from a revision without sums
        return
    for seconds, of in _MADE_OF:
        at = f"start - start % {seconds}"
        op.execute(
            f"INSERT INTO totals SELECT keyword_id, {seconds}, {at}, network, SUM(posts), SUM(gone)"  # noqa: S608
            f" FROM volumes WHERE seconds = {of} AND network <> ''"
            f" GROUP BY keyword_id, {at}, network ORDER BY keyword_id, {at}, network"
        )
    op.execute("DELETE FROM volumes WHERE network = ''")  # all networks together


def downgrade() -> None:
    op.execute("DELETE FROM volumes WHERE network = ''")
    op.execute(
        "INSERT INTO volumes (keyword_id, seconds, start, network, kind, lang, posts, gone)"
        " SELECT keyword_id, seconds, start, '', '', '', SUM(posts), SUM(gone) FROM totals"
        " WHERE seconds >= 3600 GROUP BY keyword_id, seconds, start"
    )
    op.drop_table("totals")
    _rename(_NEW, _OLD)
