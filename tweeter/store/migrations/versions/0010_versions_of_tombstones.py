"""An edit that matched nothing is kept, so that no older version of its post is stored later

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"

_KEY = sa.String(190).with_variant(
    mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def _is_there() -> bool:
    """Whether the column is there: MySQL keeps a part of a step that was interrupted."""
    columns = sa.inspect(op.get_bind()).get_columns("tombstones")
    return any(column["name"] == "version" for column in columns)


def upgrade() -> None:
    if not _is_there():
        op.add_column(
            "tombstones", sa.Column("version", _KEY, nullable=False, server_default=sa.text("''"))
        )


def downgrade() -> None:
    if _is_there():
        op.execute("DELETE FROM tombstones WHERE version <> ''")
        op.drop_column("tombstones", "version")
