"""Quarantine: events that did not decode, with their reason, in bounded space.

The same bytes again only raise a counter. When rows or bytes exceed the bound the oldest go;
the stream's own counter of quarantined events keeps the sum.
"""

import hashlib

import msgspec
from sqlalchemy import Connection, Engine, delete, func, select, update

from tweeter.errors import DecodeError
from tweeter.harmless import mend
from tweeter.records import RawEvent
from tweeter.store.engine import chunks, insert_new, reading
from tweeter.store.schema import quarantine

BODY_BYTES = 64 * 1024
DETAIL_CHARACTERS = 500


class Rejected(msgspec.Struct, frozen=True):
    """An event that did not decode. place is for people, such as "posts.jsonl line 12"."""

    body: bytes
    reason: str
    detail: str
    place: str


def rejected(raw: RawEvent, error: DecodeError, place: str = "") -> Rejected:
    """An event, and why it is refused: in words of its own, perhaps, so these are mended."""
    words = mend(error.reason), mend(error.detail[:DETAIL_CHARACTERS])
    return Rejected(raw.body, *words, mend(place or raw.place))


def put(connection: Connection, stream_id: int, rejected: Rejected, now: int) -> None:
    """Keep the first BODY_BYTES of the event, or count it again if it is there."""
    digest = hashlib.sha256(rejected.body).hexdigest()
    row = {
        "stream_id": stream_id,
        "reason": rejected.reason[:64],
        "detail": rejected.detail[:DETAIL_CHARACTERS],
        "place": rejected.place[:500],
        "sha256": digest,
        "body": rejected.body[:BODY_BYTES],
        "size": len(rejected.body),
        "count": 1,
        "first_at": now,
        "last_at": now,
    }
    if not insert_new(connection, quarantine, [row], unique=("stream_id", "sha256")):
        connection.execute(
            update(quarantine)
            .where(quarantine.c.stream_id == stream_id, quarantine.c.sha256 == digest)
            .values(count=quarantine.c.count + 1, last_at=now)
        )


def trim(connection: Connection, *, rows: int, size_bytes: int) -> int:
    """Delete the oldest events over either bound; returns how many went."""
    lesser = func.min if connection.dialect.name == "sqlite" else func.least
    kept = lesser(quarantine.c.size, BODY_BYTES)
    total = func.sum(kept).over(order_by=(quarantine.c.last_at.desc(), quarantine.c.id.desc()))
    number = func.row_number().over(order_by=(quarantine.c.last_at.desc(), quarantine.c.id.desc()))
    ranked = select(quarantine.c.id, total.label("total"), number.label("number")).subquery()
    over = connection.execute(
        select(ranked.c.id).where((ranked.c.total > size_bytes) | (ranked.c.number > rows))
    ).scalars()
    gone = list(over)
    for some in chunks(gone):
        connection.execute(delete(quarantine).where(quarantine.c.id.in_(some)))
    return len(gone)


def by_reason(engine: Engine, stream_id: int | None = None) -> dict[str, int]:
    """Number of quarantined events by reason, of one stream or of all."""
    statement = select(quarantine.c.reason, func.sum(quarantine.c.count)).group_by(
        quarantine.c.reason
    )
    if stream_id is not None:
        statement = statement.where(quarantine.c.stream_id == stream_id)
    with reading(engine) as connection:
        return {reason: int(count) for reason, count in connection.execute(statement)}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be read, for people: body is the beginning of it as text."""

    reason: str
    detail: str
    place: str
    body: str
    size: int
    count: int
    first_at: int
    last_at: int


def newest(engine: Engine, stream_id: int, *, limit: int) -> list[Kept]:
    """The events of a stream that came last to quarantine."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(quarantine)
            .where(quarantine.c.stream_id == stream_id)
            .order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc())
            .limit(limit)
        )
        return [
            Kept(
                reason=row.reason,
                detail=row.detail,
                place=row.place,
                body=bytes(row.body[:500]).decode("utf-8", "replace"),
                size=row.size,
                count=row._mapping["count"],  # a row's own `count` is a method
                first_at=row.first_at,
                last_at=row.last_at,
            )
            for row in rows
        ]
