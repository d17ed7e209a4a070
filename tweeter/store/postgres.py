"""PostgreSQL: many rows in one parameter.

A thousand posts are thirty thousand parameters, each of which the driver, the wire and the
parser handle alone. As one JSON text, which the server takes apart into the table's own types,
they are stored several times faster (docs/databases.md).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Table, column, text
from sqlalchemy.dialects import postgresql

_FORMAT = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


def insert(table: Table, names: Sequence[str]) -> postgresql.Insert:
    """INSERT of these columns from the parameter that `packed` makes."""
    listed = ", ".join(_FORMAT(name) for name in names)
    source = text(
        f"SELECT {listed} FROM json_populate_recordset("  # noqa: S608 (names of our own schema)
        f"NULL::{_FORMAT(table.name)}, CAST(:packed AS json))"
    ).columns(*(column(name) for name in names))
    return postgresql.insert(table).from_select(list(names), source, include_defaults=False)


def packed(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The rows as the statement's only parameter."""
    return {"packed": msgspec.json.encode([_plain(row) for row in rows]).decode()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {n: f"\\x{v.hex()}" if isinstance(v, bytes) else v for n, v in row.items()}
