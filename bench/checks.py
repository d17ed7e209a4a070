"""Whether what is in the database is what was sent: rows, matches, counters, sums, nothing lost.

Expected is what the generator put into the posts, not what the program's matcher finds.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from bench import data
from bench.events import Stream
from tests.store.sums import sums_are_a_recount
from tweeter.store.engine import make_engine

SAMPLE = 50  # keywords whose sums are counted again

Sql = Callable[..., list[tuple[Any, ...]]]


class Beside(NamedTuple):
    """What else is known of a run.

    ignored: events that are not for us. counted: False if some came by a job over the past, which
    the streams do not count. indexed: False if no post may have words of search.
    """

    ignored: int = 0
    counted: bool = True
    indexed: bool = True


NOTHING = Beside()


def faults(sql: Sql, url: str, stream: Stream, total: int, beside: Beside = NOTHING) -> str:
    """What is wrong after the first `total` events of a stream, in words; "" if all is right."""
    keywords = stream.expected(0, total)
    hits = [number for number, keyword in enumerate(keywords) if keyword >= 0]
    wrong = _rows(sql, {stream.key(n) for n in hits}) + _words(sql, beside)
    if beside.counted:
        right = {
            "events": total + beside.ignored,
            "stored": len(hits),
            "unmatched": total - len(hits),
        }
        wrong += _counts(sql, right)
    expected = Counter(stream.keywords[n] for n in keywords if n >= 0)
    wrong += _counters(sql, expected)
    if not wrong:
        wrong += _sums(sql, url, expected)
    return "; ".join(wrong)


def _counts(sql: Sql, right: dict[str, int]) -> list[str]:
    names = ("events", "stored", "unmatched", "duplicates", "quarantined")
    sums = ", ".join(f"sum({name})" for name in names)
    found = dict(zip(names, map(int, sql(f"SELECT {sums} FROM streams")[0]), strict=True))
    return [
        f"{name}: {found[name]:,}, not {right.get(name, 0):,}"
        for name in names
        if found[name] != right.get(name, 0)
    ]


def _rows(sql: Sql, keys: set[str]) -> list[str]:
    found = [row[0] for row in sql("SELECT p.key FROM posts p")]
    there = set(found)
    wrong = {
        "posts lost": len(keys - there),
        "posts invented": len(there - keys),
        "posts twice": len(found) - len(there),
        "posts not in the feed": len(found)
        - sql("SELECT count(DISTINCT post_id) FROM feed WHERE kind = 'post'")[0][0],
        "stretches said to be lost": sql(
            "SELECT count(*) FROM intervals WHERE state = 'lost' OR outcome = 'lost'"
        )[0][0],
    }
    return [f"{count:,} {words}" for words, count in wrong.items() if count]


def _words(sql: Sql, beside: Beside) -> list[str]:
    """Words of the search: of each post, or of none."""
    if beside.indexed:
        lacking = sql(
            "SELECT count(*) FROM posts p WHERE NOT EXISTS"
            " (SELECT 1 FROM search_texts t WHERE t.post_id = p.id)"
        )[0][0]
        return [f"{lacking:,} posts without their words"] if lacking else []
    written = sql("SELECT count(*) FROM search_texts")[0][0]
    return [f"{written:,} posts with words, where the index is off"] if written else []


def _counters(sql: Sql, expected: Counter[str]) -> list[str]:
    """Every keyword's counter and rows, by what the generator put in."""
    counted = dict(sql("SELECT keyword_id, count(*) FROM matches GROUP BY keyword_id"))
    rows = sql("SELECT id, expression, posts FROM keywords")
    wrong_counters = sum(posts != expected[expression] for _, expression, posts in rows)
    wrong_rows = sum(counted.get(n, 0) != expected[expression] for n, expression, _ in rows)
    missing = set(expected) - {expression for _, expression, _ in rows}
    wrong = {"keywords missing": len(missing), "counters wrong": wrong_counters}
    wrong["keywords with wrong matches"] = wrong_rows
    return [f"{count:,} {words}" for words, count in wrong.items() if count]


def _sums(sql: Sql, url: str, expected: Counter[str]) -> list[str]:
    """The sums of a sample of keywords, and of all posts by day."""
    ids = {expression: n for n, expression in sql("SELECT id, expression FROM keywords")}
    names = sorted(expected)
    some = random.Random(data.SEED).sample(names, min(SAMPLE, len(names)))
    wrong = []
    engine = make_engine(url)
    try:
        sums_are_a_recount(engine, [ids[name] for name in some])
    except AssertionError:
        wrong.append(f"the sums of {len(some)} keywords are not a recount")
    finally:
        engine.dispose()
    day = "SELECT sum(posts) FROM totals WHERE keyword_id = 0 AND seconds = 86400"
    found, posts = sql(day)[0][0] or 0, sql("SELECT count(*) FROM posts")[0][0]
    if int(found) != posts:
        wrong.append(f"the sum of all days is {found}, not {posts:,}")
    return wrong
