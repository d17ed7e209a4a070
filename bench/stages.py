"""The stages by themselves, in memory: decode, match, write, publish. Each has its own figure.

They call the product's own functions, so that a regression shows where it is.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from bench import databases
from bench.events import Plan, Stream
from bench.figures import Figure
from bench.setting import KEYWORDS, SHARES, Bench
from tweeter import broadcast, changes, decode
from tweeter.digest import digest
from tweeter.keywords import Matcher
from tweeter.records import Keyword, Post, RawEvent, now_us
from tweeter.store import batches, feed, keywords, migrate, streams
from tweeter.store.batches import Batch
from tweeter.store.engine import make_engine
from tweeter.store.keywords import Options
from tweeter.store.leases import owner

SETS = {"10": 10, "1k": 1_000, "10k": 10_000, "100k": 100_000}
BATCH = 1_000  # the default of batch_posts


def timed(bench: Bench, figure: Figure, count: int, work: Callable[[], Any]) -> None:
    """So many a second, after a repetition that does not count."""
    work()
    for _ in range(bench.sizes.repeats):
        began_s = time.perf_counter()
        work()
        figure.values.append(count / (time.perf_counter() - began_s))


def raw_events(bench: Bench, network: str, share: str) -> tuple[Stream, list[RawEvent]]:
    """Events as a source hands them on."""
    stream = Stream(Plan(network, bench.sizes.bodies, KEYWORDS, SHARES[share]))
    at = now_us()
    bodies = map(stream.body, range(bench.sizes.stage))
    return stream, [RawEvent(shape=network, body=body, received_at=at) for body in bodies]


def decoding(bench: Bench) -> None:
    """Bytes to records, for each network."""
    for network, name in (("x", "X"), ("bluesky", "Jetstream"), ("mastodon", "Mastodon")):
        figure = bench.figure(f"decode/{network}", f"decode {name}")
        with bench.guarded(figure):
            _, events = raw_events(bench, network, "p1")
            if network == "mastodon":
                for n, event in enumerate(events):  # the source hands on an event with its name
                    events[n] = RawEvent(
                        shape=network,
                        body=b"event: update\ndata: " + event.body,
                        received_at=event.received_at,
                        origin="sim.example",
                    )
            one = decode.DECODERS[network]
            first = one(events[0])[0]
            if not isinstance(first, Post):
                figure.wrong = f"an event is decoded as {first}"
            sizes = sum(len(event.body) for event in events) / len(events)
            figure.note = f"{sizes:,.0f} bytes an event"
            timed(bench, figure, len(events), lambda one=one, all=events: [one(e) for e in all])


def matching(bench: Bench) -> None:
    """The same texts (1 % match of 10,000 keywords) against 10 to 100,000 keywords."""
    stream, events = raw_events(bench, "bluesky", "p1")
    texts = [decode.DECODERS["bluesky"](event)[0] for event in events]
    hits = stream.expected(0, len(events))
    expressions = Stream(Plan("bluesky", 10, 100_000, 0)).keywords
    expressions[:KEYWORDS] = stream.keywords
    for name, size in SETS.items():
        figure = bench.figure(f"match/{name}", f"match {size:,} keywords, 1 % of 10,000 match")
        with bench.guarded(figure):
            matcher = Matcher(Keyword(id=n, expression=expressions[n]) for n in range(size))
            for post, keyword in zip(texts, hits, strict=True):
                assert isinstance(post, Post)
                found = {match.keyword_id for match in matcher.match(post)} - _chance(size)
                right = {keyword} if 0 <= keyword < size else set()
                if found != right:
                    figure.wrong = f"{post.text!r} matches {found}, not {right}"
            timed(bench, figure, len(texts), lambda m=matcher: [m.match(post) for post in texts])
    small, large = bench.figures["match/10k"], bench.figures["match/100k"]
    cost = bench.figure("match/100k/cost", "cost of 100,000 keywords / of 10,000", "x")
    cost.wrong = small.wrong or large.wrong
    if not cost.wrong:
        values = zip(sorted(small.values), sorted(large.values), strict=True)
        cost.values = [few / many for few, many in values]


def _chance(size: int) -> set[int]:
    """Keywords that were not looked for in these texts when they were chosen: none of 10,000."""
    return set(range(KEYWORDS, size))


def digesting(bench: Bench) -> None:
    """Decode and match together, as the pipeline does it."""
    for network, name in (("x", "X"), ("bluesky", "Jetstream")):
        figure = bench.figure(f"digest/{network}", f"decode and match {name}, 10,000 keywords, 1 %")
        with bench.guarded(figure):
            stream, events = raw_events(bench, network, "p1")
            matcher = Matcher(Keyword(id=n, expression=e) for n, e in enumerate(stream.keywords))
            batch = digest(events, matcher, 0)
            right = sum(keyword >= 0 for keyword in stream.expected(0, len(events)))
            if len(batch.items) != right or batch.rejected:
                figure.wrong = f"{len(batch.items)} posts match, not {right}"
            timed(bench, figure, len(events), lambda m=matcher, e=events: digest(e, m, 0))


def writing(bench: Bench) -> None:
    """Posts with one match each into each database, in the default batches, all of them new."""
    for kind, name in databases.NAMES.items():
        figure = bench.figure(f"write/{kind}", f"write to {name}, a match a post: the transaction")
        figure.left_out = databases.lacking(kind)
        if figure.left_out:
            continue
        with (
            bench.guarded(figure),
            databases.fresh(kind, bench.new_folder(figure.name)) as url,
        ):
            Writing(bench, url).measure(figure)


class Writing:
    """A database with keywords and a lease, and batches to store in it."""

    def __init__(self, bench: Bench, url: str, stream: Stream | None = None) -> None:
        self.bench = bench
        self.engine = make_engine(url)
        migrate.upgrade(self.engine)
        plan = Plan("x", bench.sizes.bodies, 200, 1.0)
        self.stream = stream or Stream(plan)
        rows = [keywords.add(self.engine, e, Options()) for e in self.stream.keywords]
        self._revision, active = keywords.active(self.engine)
        assert len(active) == len(rows)
        self._matcher = Matcher(active)
        stream_id = streams.ensure(self.engine, "bench", "x", {})
        ((_, self.lease),) = streams.claim(self.engine, owner(), networks=["x"], only=stream_id)
        self.next = 0

    def batches(self, count: int, *, indexed: bool = True) -> list[Batch]:
        """The next posts, decoded and matched: this is not what is timed."""
        at, made = now_us(), []
        for start in range(self.next, self.next + count, BATCH):
            numbers = range(start, min(start + BATCH, self.next + count))
            bodies = map(self.stream.body, numbers)
            raw = [RawEvent(shape="x", body=body, received_at=at) for body in bodies]
            made.append(digest(raw, self._matcher, self._revision, indexed=indexed))
        self.next += count
        return made

    def store(self, count: int) -> float:
        """Posts a second."""
        made = self.batches(count)
        began_s = time.perf_counter()
        stored = sum(batches.commit(self.engine, self.lease, one).stored for one in made)
        took_s = time.perf_counter() - began_s
        if stored != count:
            raise RuntimeError(f"{stored:,} of {count:,} posts stored")
        return count / took_s

    def measure(self, figure: Figure) -> None:
        self.store(BATCH)
        count = max(self.bench.sizes.p100 // 2 // BATCH, 2) * BATCH
        for _ in range(self.bench.sizes.repeats):
            figure.values.append(self.store(count))
        found = sum(Counter(row.posts for row in keywords.list_all(self.engine)).elements())
        if found != self.next:
            figure.wrong = f"the counters add up to {found:,}, not {self.next:,}"
        self.engine.dispose()


def publishing(bench: Bench) -> None:
    """Stored posts as frames for browsers: read by their numbers, made into cards and JSON."""
    figure = bench.figure("publish", "publish: stored posts as frames for browsers (SQLite)")
    with bench.guarded(figure), databases.fresh("sqlite", bench.new_folder("publish")) as url:
        writing = Writing(bench, url)
        count = max(bench.sizes.p100 // 4 // BATCH, 2) * BATCH
        writing.store(count)
        frames = publish(writing.engine)
        if frames != count:
            figure.wrong = f"{frames:,} frames, not {count:,}"
        timed(bench, figure, count, lambda: publish(writing.engine))
        writing.engine.dispose()


def publish(engine: Engine) -> int:
    """All stored posts as frames for one reader; returns how many."""
    wanted = changes.OfKeyword(None)
    at, frames = 0, 0
    while entries := feed.since(engine, at, limit=broadcast.PULL):
        stretch = changes.Stretch(changes.changes(engine, entries))
        frames += wanted.events(stretch, wanted.places(stretch)).count("\nevent: post\n")
        at = entries[-1].seq
    return frames


def run(bench: Bench) -> None:
    """All of them."""
    decoding(bench)
    matching(bench)
    digesting(bench)
    writing(bench)
    publishing(bench)
