"""Invented Jetstream events through decode and match, and into SQLite, beside the obvious way.

The obvious way reads with the standard library, looks for each keyword by a compiled regular
expression, and commits each post by itself with the same settings of SQLite.
"""

import json
import random
import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

from tests.simulators.jetstream import post_event
from tweeter.keywords import Matcher
from tweeter.pipeline import digest
from tweeter.records import Keyword, RawEvent, now_us
from tweeter.store import batches, keywords, migrate, streams
from tweeter.store.engine import make_engine, reading
from tweeter.store.leases import owner

EVENTS = 20_000
KEYWORDS = 1_000
SHARE = 0.01  # of the events that match


def invented() -> list[bytes]:
    dice = random.Random(2016)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(dice.choices(letters, k=dice.randint(3, 9))) for _ in range(5_000)]
    events = []
    for number in range(EVENTS):
        text = " ".join(dice.choices(words, k=18))
        if dice.random() < SHARE:
            text += f" keyword{dice.randrange(KEYWORDS)}"
        events.append(json.dumps(post_event(text, number)).encode())
    return events


def best(work: Callable[[], Any], count: int, rounds: int = 3) -> float:
    """Events a second, the best of some rounds."""
    found = []
    for _ in range(rounds):
        began_at = time.perf_counter()
        work()
        found.append(count / (time.perf_counter() - began_at))
    return max(found)


def obvious(events: list[bytes], patterns: list[re.Pattern[str]]) -> int:
    hits = 0
    for event in events:
        text = json.loads(event)["commit"]["record"]["text"].casefold()
        hits += any(pattern.search(text) for pattern in patterns)
    return hits


def matching(events: list[bytes]) -> None:
    raw = [RawEvent(shape="bluesky", body=body, received_at=now_us()) for body in events]
    matcher = Matcher(Keyword(id=n, expression=f"keyword{n}") for n in range(KEYWORDS))
    ours = best(lambda: digest(raw, matcher, 0), len(raw))
    patterns = [re.compile(rf"\bkeyword{n}\b") for n in range(KEYWORDS)]
    few = events[:200]
    theirs = best(lambda: obvious(few, patterns), len(few), 1)
    print(f"decode and match, {KEYWORDS:,} keywords, {SHARE:.0%} match: {ours:,.0f} events/s,")
    print(f"  {ours / theirs:,.0f} times the obvious way ({theirs:,.0f}/s)")


def storing(events: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{folder}/bench.db")
        migrate.upgrade(engine)
        row = keywords.add(engine, "keyword OR a OR b")
        stream_id = streams.ensure(engine, "bench", "bluesky", {})
        ((_, lease),) = streams.claim(engine, owner(), networks=["bluesky"], only=stream_id)
        with reading(engine) as connection:
            revision = keywords.revision(connection)
        raw = [RawEvent(shape="bluesky", body=body, received_at=now_us()) for body in events]
        matcher = Matcher([Keyword(id=row.id, expression="did OR a OR b")])
        batch = digest(raw, matcher, revision)
        every = [(item[0], matcher.match(item[0])) for item in batch.items]  # type: ignore[index]

        def store(size: int, first: int, last: int) -> None:
            for start in range(first, last, size):
                part = batches.Batch(
                    items=every[start : min(start + size, last)],  # type: ignore[arg-type]
                    counts=batch.counts,
                    rejected=[],
                    revision=revision,
                )
                batches.commit(engine, lease, part)

        count = len(every)
        many = best(lambda: store(1_000, 0, count - 500), count - 500, 1)
        one = best(lambda: store(1, count - 500, count), 500, 1)
        print(f"store {count - 500:,} posts in batches of 1,000: {many:,.0f}/s,")
        print(f"  {many / one:,.1f} times one post a transaction ({one:,.0f}/s)")
        engine.dispose()


def main() -> None:
    events = invented()
    matching(events)
    storing([e.replace(b'"text": "', b'"text": "a ') for e in events])


if __name__ == "__main__":
    main()
