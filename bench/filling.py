"""Fills a database with invented posts for measuring: five million in minutes, not in hours.

What the store's own functions make of a post (its row, its search text, its matches and what it
adds to the sums) is written in large pieces while the indexes are away; they are made again at the
end. A server is filled with a copy of the SQLite file. A test compares all tables with those of
the same posts stored by `batches.commit`.
"""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update

from tweeter.records import Link, Match, Post, now_us
from tweeter.store import batches, feed, fences, keywords, migrate, rollups, search_texts
from tweeter.store.batches import Batch, Outcome
from tweeter.store.engine import make_engine, reading, writing
from tweeter.store.leases import Lease, owner
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import metadata, posts
from tweeter.store.streams import claim, ensure

KEYWORDS = 1_000
DAYS = 60
PIECE = 20_000  # posts in a transaction of the filling
BATCH = 2_000  # of the product's own storing
DAY_US = 86_400_000_000
NETWORKS = ("bluesky", "bluesky", "mastodon", "x")
LANGUAGES = ("en", "en", "ja", "de", "pt", "")
KINDS = ("post", "post", "reply", "repost")
AUTHORS, SITES, TAGS, VOCABULARY = 200_000, 5_000, 20_000, 20_000

Item = tuple[Post, tuple[Match, ...]]


class Inventor:
    """Posts with their matches: the nth author, tag, site and word has a chance of 1/n (Zipf).

    The largest of 1,000 keywords matches half of all posts; each post matches one or two.
    """

    def __init__(self, ids: Sequence[int], seed: int = 7) -> None:
        self.random = random.Random(seed).random
        self.ids = ids

    def rank(self, most: int) -> int:
        """Of 0 to most - 1; the chance of n is about 1 / (n + 1)."""
        return int(most ** self.random()) - 1

    def one_of(self, values: Sequence[Any]) -> Any:
        return values[int(self.random() * len(values))]

    def keyword(self) -> int:
        """Steeper than `rank`: every other post is of the first."""
        return self.ids[min(int((1 - self.random()) ** -1.25), len(self.ids)) - 1]

    def post(self, number: int, at: int) -> Item:
        found = {self.keyword() for _ in range(self.one_of((1, 1, 2)))}
        words = [f"word{self.rank(VOCABULARY)}" for _ in range(14)]
        if self.random() < 0.0005:
            words.append(f"rare{int(self.random() * 20)}")
        author = self.rank(AUTHORS)
        links: tuple[Link, ...] = ()
        if self.random() < 0.3:
            page = int(self.random() * 50)
            links = (Link(f"https://site{self.rank(SITES)}.example.org/{page}"),)
        post = Post(
            network=NETWORKS[author % 4],
            key=f"p{number}",
            post_id=str(number),
            url="",
            text=" ".join(words),
            lang=LANGUAGES[author // 4 % 6],
            kind=self.one_of(KINDS),
            author_id=f"did:plc:{author:024d}",
            author_handle=f"a{author}.example.org",
            author_name=f"Author {author}",
            tags=(f"tag{self.rank(TAGS)}",) if self.random() < 0.4 else (),
            links=links,
            created_at=at,
            occurred_at=at,
            received_at=at,
            sort_us=at,
        )
        return post, tuple(Match(number, 1) for number in sorted(found))


def take(engine: Engine) -> Lease:
    """The lease of the stream that stores, whoever had it."""
    stream_id = ensure(engine, "bench", "bluesky", {"url": "ws://127.0.0.1:1"})
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE streams SET lease_until = 0")
    ((_, lease),) = claim(engine, owner(), networks=["bluesky"], only=stream_id)
    return lease


def put(engine: Engine, lease: Lease, items: Sequence[Item]) -> None:
    """Store posts in the product's own way."""
    batches.commit(engine, lease, as_batch(engine, items))


def as_batch(engine: Engine, items: Sequence[Item]) -> Batch:
    """What one transaction is to store, matched with the keywords of now."""
    with reading(engine) as connection:
        revision = keywords.revision(connection)
    return Batch(items=list(items), counts=Counter(), rejected=[], revision=revision)


def fill(engine: Engine, count: int, folder: Path) -> None:
    """Bring a database to `count` posts of the last DAYS days, in order of time, and to now.

    What an earlier run stored is kept. A server takes the SQLite file of the folder.
    """
    migrate.upgrade(engine)
    if _number(engine) < count:
        if engine.dialect.name == "sqlite":
            extend(engine, count, DAYS * DAY_US // count)
        else:
            file = make_engine(f"sqlite:///{folder / f'{count}.db'}")
            fill(file, count, folder)
            copy(file, engine)
            file.dispose()
    _bring_to_now(engine, count)


def _number(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(posts)).scalar_one())


def extend(engine: Engine, count: int, apart_us: int) -> None:
    """Bring an SQLite database to `count` posts, so far apart, from DAYS days ago on."""
    ids = followed(engine)
    done, lease = _number(engine), take(engine)
    with reading(engine) as connection:
        begun = int(connection.execute(select(func.min(keyword_table.c.created_at))).scalar_one())
    inventor, began_s = Inventor(ids, seed=done), time.monotonic()
    with _without_indexes(engine):
        for start in range(done, count, PIECE):
            some = range(start, min(start + PIECE, count))
            items = [inventor.post(n, begun + n * apart_us) for n in some]
            with writing(engine) as connection:
                put_quickly(connection, lease, items)
            if start % (10 * PIECE) == 0:
                rate = (some.stop - done) / (time.monotonic() - began_s)
                print(f"  {some.stop:,} of {count:,} stored, {rate:,.0f} a second", flush=True)


def followed(engine: Engine) -> list[int]:
    """The ids of KEYWORDS keywords that were followed for all of the time, made if need be."""
    ids = sorted(row.id for row in keywords.list_all(engine))
    if len(ids) < KEYWORDS:
        while len(ids) < KEYWORDS:
            ids.append(keywords.add(engine, f"keyword{len(ids)}").id)
        begun = now_us() - DAYS * DAY_US
        with writing(engine) as connection:
            connection.execute(
                update(keyword_table).values(created_at=begun, changed_at=begun, complete_at=begun)
            )
    return ids


def put_quickly(connection: Connection, lease: Lease, items: Sequence[Item]) -> None:
    """Store new posts as `put` does, into SQLite; that they are new is not looked up."""
    rows = [(batches._row(post, "", 0), found) for post, found in items]
    now = now_us()
    names = list(rows[0][0])
    connection.exec_driver_sql(
        f"INSERT INTO posts ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        [tuple(row.values()) for row, _ in rows],
    )
    search_texts.add(connection, [row for row, _ in rows])
    pairs, sums, per_keyword = [], rollups.Sums(), Counter[int]()
    for row, found in rows:
        ids = [match.keyword_id for match in found]
        pairs += [(m.keyword_id, row["id"], m.keyword_version, row["occurred_at"]) for m in found]
        per_keyword.update(ids)
        sums.add(row, [rollups.EVERYTHING, *ids])
    connection.exec_driver_sql("INSERT INTO matches VALUES (?, ?, ?, ?)", pairs)
    counted = [(by, keyword_id) for keyword_id, by in sorted(per_keyword.items())]
    connection.exec_driver_sql("UPDATE keywords SET posts = posts + ? WHERE id = ?", counted)
    sums.write(connection)
    feed.publish(connection, [("post", row["id"]) for row, _ in rows], now)
    nothing = Batch(items=[], counts=Counter(), rejected=[], revision=0)
    fences.advance(connection, lease, nothing, Outcome(stored=len(rows)), now)


_KEPT = "bench_indexes"  # what is to be made again, if this process is killed


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """The indexes that a database can do without while it is filled are away inside."""
    with closing(engine.raw_connection()) as raw:  # the pool gives it to all that follows
        raw.driver_connection.execute("PRAGMA synchronous=OFF")
        raw.driver_connection.execute("PRAGMA cache_size=-500000")
    with writing(engine) as connection:
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {_KEPT} (type, name, sql)")
        connection.exec_driver_sql(
            f"INSERT INTO {_KEPT} SELECT type, name, sql FROM sqlite_master WHERE"
            " (type = 'index' AND sql IS NOT NULL AND tbl_name IN ('posts', 'matches', 'feed'))"
            " OR name = 'search_index_insert'"
        )
        kept = connection.exec_driver_sql(f"SELECT type, name, sql FROM {_KEPT}").all()
        for kind, name, _ in kept:
            connection.exec_driver_sql(f"DROP {kind} IF EXISTS {name}")
    yield
    began_s = time.monotonic()
    with writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO search_index(search_index) VALUES ('rebuild')")
        for _, _, sql in kept:
            connection.exec_driver_sql(sql)
        connection.exec_driver_sql(f"DROP TABLE {_KEPT}")
    engine.dispose()
    print(f"  indexes made in {time.monotonic() - began_s:,.0f} s", flush=True)


def copy(source: Engine, target: Engine) -> None:
    """Make the tables of an SQLite file those of a PostgreSQL database, indexes last."""
    began_s = time.monotonic()
    file = sqlite3.connect(str(source.url.database))
    with closing(file), writing(target) as connection:
        file.execute("BEGIN")  # one moment of it
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
        indexes = connection.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
            " AND indexdef NOT LIKE 'CREATE UNIQUE%%'"
        ).all()
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        raw = connection.connection.dbapi_connection
        assert raw is not None
        for table in metadata.sorted_tables:
            names = ", ".join(column.name for column in table.columns)
            connection.exec_driver_sql(f"TRUNCATE {table.name}")
            with (
                raw.cursor() as cursor,
                cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as into,
            ):
                for row in file.execute(f"SELECT {names} FROM {table.name}"):
                    into.write_row(row)
            print(f"  {table.name} copied, {time.monotonic() - began_s:,.0f} s", flush=True)
        for _, made in indexes:
            connection.exec_driver_sql(made)
        _count_on(connection)
    with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    print(f"  all copied in {time.monotonic() - began_s:,.0f} s", flush=True)


def _count_on(connection: Connection) -> None:
    """Let the columns that count by themselves go on behind what was copied."""
    for table in metadata.sorted_tables:
        first, *more = table.primary_key
        if not more and first.autoincrement is True:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{first.name}'),"
                f" COALESCE(max({first.name}), 1), max({first.name}) IS NOT NULL)"
                f" FROM {table.name}"
            )


def _bring_to_now(engine: Engine, count: int) -> None:
    """Store posts since the newest, as many a day as before: pages of today have today's."""
    apart = DAYS * DAY_US // count
    ids = followed(engine)
    with reading(engine) as connection:
        newest = int(connection.execute(select(func.max(posts.c.occurred_at))).scalar_one())
    inventor, lease = Inventor(ids, seed=newest), take(engine)
    times = range(newest + apart, now_us(), apart)
    for start in range(0, len(times), BATCH):
        put(engine, lease, [inventor.post(at, at) for at in times[start : start + BATCH]])
