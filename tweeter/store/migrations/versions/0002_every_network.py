"""Fields of the language, budgets, identities, repair of gaps, look-back

Revision 0002, after 0001.

MySQL commits each change of a table at once, so a step that was interrupted is begun again with
a part of it done: each change is made only where it is missing.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

_BINARY = mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin")
_KEY = sa.String(190).with_variant(_BINARY, "mysql", "mariadb")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_ADDED: dict[str, list[tuple[str, Any]]] = {
    "posts": [("traits", sa.String(64)), ("checked_at", sa.BigInteger())],
    "keywords": [
        ("networks", sa.String(64)),
        ("day_budget", sa.BigInteger()),
        ("month_budget", sa.BigInteger()),
        ("keep_days", sa.Integer()),
        ("looked_back", sa.Integer()),
    ],
    "streams": [("memory", _LONG)],
    "intervals": [
        ("kind", sa.String(16)),
        ("repair", sa.Text()),
        ("repaired_posts", sa.BigInteger()),
    ],
    "jobs": [
        ("options", sa.Text()),
        ("words", sa.Text()),
        ("stored", sa.BigInteger()),
        ("retry_at", sa.BigInteger()),
    ],
}


def _column(name: str, kind: Any) -> "sa.Column[Any]":
    default = "''" if isinstance(kind, sa.String) else "0"
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        default = f"({default})"  # texts take no literal default there
    return sa.Column(name, kind, nullable=False, server_default=sa.text(default))


def _columns(table: str) -> set[str]:
    """Names of a table's columns; none if there is no such table."""
    found = sa.inspect(op.get_bind())
    if not found.has_table(table):
        return set()
    return {column["name"] for column in found.get_columns(table)}


_TABLES = (
    "keyword_intervals",
    "identities",
    "followed_names",
    "reads",
    "installation",
    "leaders",
)
_INDEXES = (
    ("ix_posts_network_occurred_at", "posts", ["network", "occurred_at"]),
    ("ix_post_aliases_network_key", "post_aliases", ["network", "key"]),
)


def upgrade() -> None:
    _create_tables()
    for table, columns in _ADDED.items():
        there = _columns(table)
        for name, kind in columns:
            if name not in there:
                op.add_column(table, _column(name, kind))
    for name, table, names in _INDEXES:
        if name not in _indexes(table):
            op.create_index(name, table, names)
    op.execute("UPDATE posts SET traits = kind WHERE kind <> 'post' AND traits = ''")


def _create_tables() -> None:
    for name in _TABLES:
        if _columns(name):  # empty: this step was interrupted
            op.drop_table(name)
    op.create_table(
        "keyword_intervals",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("keyword_id", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
    )
    op.create_index(
        "ix_keyword_intervals_keyword_id_started_at",
        "keyword_intervals",
        ["keyword_id", "started_at"],
    )
    op.create_table(
        "identities",
        sa.Column("network", sa.String(16), primary_key=True),
        sa.Column("author_id", _KEY, primary_key=True),
        sa.Column("handle", _KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_identities_handle", "identities", ["handle"])
    op.create_index("ix_identities_due_at", "identities", ["due_at"])
    op.create_table(
        "followed_names",
        sa.Column("keyword_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", _KEY, primary_key=True),
        sa.Column("network", sa.String(16), nullable=False),
        sa.Column("author_id", _KEY, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_followed_names_name", "followed_names", ["name"])
    op.create_index("ix_followed_names_author_id", "followed_names", ["author_id"])
    op.create_table(
        "reads",
        sa.Column("network", sa.String(16), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("keyword_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("posts", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "leaders",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("owner", _KEY, nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
    )


def _indexes(table: str) -> set[str]:
    found = sa.inspect(op.get_bind()).get_indexes(table)
    return {str(index["name"]) for index in found}


def downgrade() -> None:
    for name, table, _ in _INDEXES:
        if name in _indexes(table):
            op.drop_index(name, table)
    for table, columns in _ADDED.items():
        there = _columns(table)
        with op.batch_alter_table(table) as batch:
            for name, _ in columns:
                if name in there:
                    batch.drop_column(name)
    for name in _TABLES:
        if _columns(name):
            op.drop_table(name)
