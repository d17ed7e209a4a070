"""Pictures and films of a post, in words

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _is_there() -> bool:
    """Whether the column is there: MySQL keeps a part of a step that was interrupted."""
    columns = sa.inspect(op.get_bind()).get_columns("posts")
    return any(column["name"] == "media" for column in columns)


def upgrade() -> None:
    if _is_there():
        return
    is_mysql = op.get_bind().dialect.name in ("mysql", "mariadb")
    default = sa.text("('[]')" if is_mysql else "'[]'")  # texts take no literal default there
    op.add_column("posts", sa.Column("media", _LONG, nullable=False, server_default=default))


def downgrade() -> None:
    if _is_there():
        op.drop_column("posts", "media")
