"""Decks of the live page

Revision 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"

_BINARY = mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin")
_KEY = sa.String(190).with_variant(_BINARY, "mysql", "mariadb")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _is_there() -> bool:
    return sa.inspect(op.get_bind()).has_table("decks")


def upgrade() -> None:
    if _is_there():  # empty: this step was interrupted
        op.drop_table("decks")
    op.create_table(
        "decks",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", _KEY, nullable=False, unique=True),
        sa.Column("columns", _LONG, nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    if _is_there():
        op.drop_table("decks")
