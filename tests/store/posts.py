"""Invented posts, streams and batches for tests of the store."""

from collections import Counter
from typing import Any

from sqlalchemy import Engine

from tweeter.records import Match, Post, Removal
from tweeter.store import batches, keywords, streams
from tweeter.store.batches import Batch, Outcome
from tweeter.store.engine import reading
from tweeter.store.leases import Lease, owner

AT = 1_795_000_000_000_000


def post(number: int, text: str = "a storm", **fields: Any) -> Post:
    values: dict[str, Any] = {
        "network": "bluesky",
        "key": f"at://did:plc:a/app.bsky.feed.post/{number}",
        "post_id": str(number),
        "url": "",
        "text": text,
        "author_id": "did:plc:a",
        "created_at": AT + number,
        "occurred_at": AT + number,
        "received_at": AT + number,
        "sort_us": AT + number * 1000,
    }
    return Post(**(values | fields))


def removal(number: int) -> Removal:
    key = f"at://did:plc:a/app.bsky.feed.post/{number}"
    return Removal(network="bluesky", key=key, occurred_at=AT)


def take(engine: Engine, name: str = "test", network: str = "bluesky") -> Lease:
    """A stream and its lease."""
    stream_id = streams.ensure(engine, name, network, {"url": "ws://x"})
    ((_, lease),) = streams.claim(engine, owner(), networks=[network], only=stream_id)
    return lease


def store(
    engine: Engine,
    lease: Lease,
    *items: Any,
    cursor: str = "",
    indexed: bool = True,
    prepared: bool = False,
    **counts: int,
) -> Outcome:
    """Commit posts (matched by every keyword), edits and removals."""
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    found = tuple(Match(row.id, row.version) for row in keywords.list_all(engine)[::-1])
    batch = Batch(
        items=[(item, found) if isinstance(item, Post) else item for item in items],
        counts=Counter(counts),
        rejected=[],
        revision=revision,
        cursor=cursor,
        indexed=indexed,
    )
    if prepared:
        batches.prepare(batch)
    return batches.commit(engine, lease, batch)
