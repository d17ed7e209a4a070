"""A person's notes on the axis of time

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"

_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEX = "ix_annotations_keyword_id_started_at"


def _is_there() -> bool:
    return sa.inspect(op.get_bind()).has_table("annotations")


def upgrade() -> None:
    if _is_there():  # empty: this step was interrupted
        op.drop_table("annotations")
    op.create_table(
        "annotations",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("keyword_id", sa.BigInteger(), nullable=False),
        sa.Column("words", _LONG, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    op.create_index(_INDEX, "annotations", ["keyword_id", "started_at"])


def downgrade() -> None:
    if _is_there():
        op.drop_table("annotations")
