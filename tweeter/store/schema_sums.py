"""The tables of the statistics, kept by `rollups`; a part of `schema`."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from tweeter.store.schema_types import KeyText, metadata

volumes = Table(
    "volumes",
    metadata,
    # Matches of a keyword by time and series; keyword 0: every stored post once.
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seconds", Integer, primary_key=True, autoincrement=False),  # 60, 3600, 86400
    Column("start", BigInteger, primary_key=True, autoincrement=False),  # s since 1970, UTC
    Column("network", String(16), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("lang", String(8), primary_key=True),  # first part of the tag; "": not said
    Column("posts", BigInteger, nullable=False),  # that readers see
    Column("gone", BigInteger, nullable=False),  # removed, or of a hidden account
    sqlite_with_rowid=False,
)

totals = Table(
    "totals",
    metadata,
    # The same by network alone, of which most pages are made: fewer rows, side by side.
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seconds", Integer, primary_key=True, autoincrement=False),  # 300, 3600, 86400
    Column("start", BigInteger, primary_key=True, autoincrement=False),  # s since 1970, UTC
    Column("network", String(16), primary_key=True),
    Column("posts", BigInteger, nullable=False),
    Column("gone", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
facets = Table(
    "facets",
    metadata,
    # Visible posts of a keyword by what is in them, by hour.
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("facet", String(8), primary_key=True),  # tag, link, domain, author, mention, media
    Column("start", BigInteger, primary_key=True, autoincrement=False),  # s since 1970, UTC
    Column("network", String(16), primary_key=True),
    Column("value", KeyText, primary_key=True),
    Column("posts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
