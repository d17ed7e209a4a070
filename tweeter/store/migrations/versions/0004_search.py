"""Search: the words of each post with the database's own full-text index, and saved searches

Revision 0004, after 0003. The posts that are stored already get their words here, in pieces.

SQLite: an FTS5 table that keeps no texts of its own (external content) and no places in them;
triggers keep it. PostgreSQL: GIN. MariaDB, MySQL: FULLTEXT, whose words must have three letters
and be no stop words; ours are made so (keywords.index_words).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import OperationalError

from tweeter.errors import StoreError
from tweeter.store import mysql as servers
from tweeter.store import search_texts

revision = "0004"
down_revision = "0003"

PIECE_POSTS = 1_000

_BINARY = mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin")
_KEY = sa.String(190).with_variant(_BINARY, "mysql", "mariadb")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQLITE = (
    "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_texts',"
    " content_rowid='post_id', tokenize='ascii', detail='none', columnsize=0)",
    "CREATE TRIGGER search_index_insert AFTER INSERT ON search_texts BEGIN"
    " INSERT INTO search_index(rowid, words) VALUES (NEW.post_id, NEW.words); END",
    "CREATE TRIGGER search_index_delete AFTER DELETE ON search_texts BEGIN"
    " INSERT INTO search_index(search_index, rowid, words)"
    " VALUES ('delete', OLD.post_id, OLD.words); END",
    "CREATE TRIGGER search_index_update AFTER UPDATE ON search_texts BEGIN"
    " INSERT INTO search_index(search_index, rowid, words)"
    " VALUES ('delete', OLD.post_id, OLD.words);"
    " INSERT INTO search_index(rowid, words) VALUES (NEW.post_id, NEW.words); END",
    "INSERT INTO search_index(search_index) VALUES ('rebuild')",
)
_POSTGRESQL = (
    "CREATE INDEX ix_search_texts_words ON search_texts"
    " USING gin (array_to_tsvector(string_to_array(words, ' ')))",
)
_MYSQL = ("CREATE FULLTEXT INDEX ix_search_texts_words ON search_texts (words)",)

_posts = sa.table(
    "posts",
    *(sa.column(name) for name in ("id", "occurred_at", "removed_at", *search_texts.COLUMNS)),
)
_texts = sa.table("search_texts", sa.column("post_id"), sa.column("words"))


def upgrade() -> None:
    connection = op.get_bind()
    for name in ("search_texts", "searches"):
        if sa.inspect(connection).has_table(name):  # MySQL: this step was interrupted
            op.drop_table(name)
    options: dict[str, Any] = {}
    if connection.dialect.name in ("mysql", "mariadb"):  # at once: changing it makes all anew
        collation = servers.collation(connection)
        options = {"mysql_charset": "utf8mb4", "mysql_collate": collation}
        options |= {f"mariadb_{name[6:]}": value for name, value in options.items()}
    op.create_table(
        "search_texts",
        sa.Column("post_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("words", _LONG, nullable=False),
        **options,
    )
    op.create_table(
        "searches",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", _KEY, nullable=False, unique=True),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    _fill(connection)
    if "ix_posts_occurred_at_id" not in _indexes("posts"):
        op.create_index("ix_posts_occurred_at_id", "posts", ["occurred_at", "id"])
    _fill(connection)  # what others stored meanwhile; from the line before on they wait
    _make_index(connection)


def _fill(connection: sa.Connection) -> None:
    """Give words to the posts that have none, going down."""
    below: int | None = None
    while True:
        statement = (
            sa.select(_posts)
            .outerjoin(_texts, _texts.c.post_id == _posts.c.id)
            .where(_texts.c.post_id.is_(None), _posts.c.removed_at.is_(None))
            .order_by(_posts.c.id.desc())
            .limit(PIECE_POSTS)
        )
        if below is not None:
            statement = statement.where(_posts.c.id < below)
        rows = connection.execute(statement).mappings().all()
        if rows:
            search_texts.add(connection, rows)
        if len(rows) < PIECE_POSTS:
            return
        below = rows[-1]["id"]


def _make_index(connection: sa.Connection) -> None:
    name = connection.dialect.name
    try:
        for words in {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}.get(name, _MYSQL):
            connection.exec_driver_sql(words)
    except OperationalError as error:
        if "no such module: fts5" not in str(error):
            raise
        raise StoreError(
            "This Python's SQLite has no full-text search (FTS5), which tweeter needs. Use a"
            " Python from python.org or your system, or another database."
        ) from error


def _indexes(table: str) -> set[str]:
    found = sa.inspect(op.get_bind()).get_indexes(table)
    return {str(index["name"]) for index in found}


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_index")  # its triggers go with search_texts
    for name in ("search_texts", "searches"):
        if sa.inspect(op.get_bind()).has_table(name):
            op.drop_table(name)
    if "ix_posts_occurred_at_id" in _indexes("posts"):
        op.drop_index("ix_posts_occurred_at_id", "posts")
