"""Rows of jobs: their kinds, and what each begins as: waiting, held by nobody."""

from typing import Any

from sqlalchemy import Connection, insert

from tweeter.store.schema import jobs

PAST = ("look_back", "repair", "recheck")  # over a stream's past; the subject is a stream
IMPORT = "import"  # of a part of a file; likewise


def add(connection: Connection, kind: str, subject: int, now: int, **more: Any) -> int:
    """A new job of a kind about a subject; `more` are columns of its own. Returns its id."""
    values: dict[str, Any] = {
        "kind": kind,
        "subject": subject,
        "version": 0,
        "position": 0,
        "state": "waiting",
        "owner": "",
        "lease_until": 0,
        "epoch": 0,
        "done": 0,
        "created_at": now,
        "ended_at": None,
    }
    made = connection.execute(insert(jobs).values(values | more))
    return int(made.inserted_primary_key[0])  # type: ignore[index]
