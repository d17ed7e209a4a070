"""Sums for the statistics: volumes and facets

Revision 0003, after 0002. Revision 0008 counts what they have.

matches.keyword_version becomes matches.version: a process of an older version that still runs
keeps no sums, and must not be able to store a match from here on. It gets an error, stores
nothing, and ends as soon as it looks at the revision.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from tweeter.store import mysql as ours

revision = "0003"
down_revision = "0002"

_BINARY = mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin")
_KEY = sa.String(190).with_variant(_BINARY, "mysql", "mariadb")
_OLD, _NEW = "keyword_version", "version"


def _exists(table: str, column: str = "") -> bool:
    found = sa.inspect(op.get_bind())
    if not found.has_table(table):
        return False
    return not column or column in {one["name"] for one in found.get_columns(table)}


def upgrade() -> None:
    for table in ("volumes", "facets"):
        if _exists(table):  # this step was interrupted
            op.drop_table(table)
    op.create_table(
        "volumes",
        sa.Column("keyword_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("size", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("network", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("lang", sa.String(8), primary_key=True),
        sa.Column("posts", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "facets",
        sa.Column("keyword_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("facet", sa.String(8), primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("network", sa.String(16), primary_key=True),
        sa.Column("value", _KEY, primary_key=True),
        sa.Column("posts", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    if _exists("matches", _OLD):
        _rename(_OLD, _NEW)
    connection = op.get_bind()
    if connection.dialect.name in ("mysql", "mariadb"):
        ours.make_binary(connection, ["volumes", "facets"])  # before they have rows


def _rename(old: str, new: str) -> None:
    op.execute(f"ALTER TABLE matches RENAME COLUMN {old} TO {new}")  # copies nothing


def downgrade() -> None:
    op.drop_table("facets")
    op.drop_table("volumes")
    _rename(_NEW, _OLD)
