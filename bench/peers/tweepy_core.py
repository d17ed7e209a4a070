"""A sensible one: tweepy, pyahocorasick, and SQLAlchemy Core in batches of 1,000.

Texts are case-folded; a keyword is a whole word. Posts that come again are not counted again.
"""

from pathlib import Path
from typing import Any

import ahocorasick
import tweepy
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from bench.peers import ground

BATCH = 1_000

metadata = MetaData()
posts = Table(
    "posts",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text),
    Column("author_id", BigInteger, index=True),
    Column("lang", Text),
    Column("created_at", Text, index=True),
)
matches = Table(
    "matches",
    metadata,
    Column("keyword_id", Integer, primary_key=True),
    Column("post_id", BigInteger, primary_key=True),
    Index("ix_matches_post_id", "post_id"),
)
keywords = Table(
    "keywords",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("keyword", Text),
    Column("posts", Integer),
)


def automaton(lines: list[str]) -> Any:
    made = ahocorasick.Automaton()
    for number, line in enumerate(lines):
        word = line.strip('"').casefold()
        made.add_word(word, (number, len(word)))
    made.make_automaton()
    return made


def found(words: Any, text: str) -> set[int]:
    """Keywords in a text; those of letters with spaces between words as whole words only."""
    folded = text.casefold()
    hits = set()
    for end, (number, length) in words.iter(folded):
        start = end - length + 1
        if folded[start] < "\u3000":
            before = folded[start - 1 : start] if start else ""
            after = folded[end + 1 : end + 2]
            if before.isalnum() or after.isalnum():
                continue
        hits.add(number)
    return hits


def store(connection: Connection, words: Any, batch: list[dict[str, Any]]) -> None:
    new = insert(posts).on_conflict_do_nothing().returning(posts.c.id)
    stored = set(connection.execute(new, batch).scalars())
    pairs = [
        {"keyword_id": number, "post_id": row["id"]}
        for row in batch
        if row["id"] in stored
        for number in found(words, row["text"])
    ]
    counts: dict[int, int] = {}
    for pair in pairs:
        counts[pair["keyword_id"]] = counts.get(pair["keyword_id"], 0) + 1
    if pairs:
        connection.execute(insert(matches).on_conflict_do_nothing(), pairs)
        more = (
            update(keywords)
            .where(keywords.c.id == bindparam("which"))
            .values(posts=keywords.c.posts + bindparam("more"))
        )
        connection.execute(more, [{"which": n, "more": c} for n, c in counts.items()])


class Stream(tweepy.StreamingClient):  # type: ignore[misc]
    def __init__(self, token: str, engine: Engine, words: Any, count: int) -> None:
        super().__init__(token)
        self.engine, self.words, self.left = engine, words, count
        self.batch: list[dict[str, Any]] = []

    def on_tweet(self, tweet: tweepy.Tweet) -> None:
        row = {"id": int(tweet.id), "text": tweet.text, "author_id": int(tweet.author_id)}
        row |= {"lang": tweet.lang, "created_at": str(tweet.created_at)}
        self.batch.append(row)
        self.left -= 1
        if len(self.batch) >= BATCH or not self.left:
            with self.engine.begin() as connection:
                store(connection, self.words, self.batch)
            self.batch.clear()
        if not self.left:
            self.disconnect()


def main() -> None:
    asked = ground.arguments()
    lines = Path(asked.keywords).read_text().splitlines()
    engine = ground.database(asked.file)
    metadata.create_all(engine)
    rows = [{"id": n, "keyword": line, "posts": 0} for n, line in enumerate(lines)]
    with engine.begin() as connection:
        connection.execute(insert(keywords), rows)
    stream = Stream("sim-token", engine, automaton(lines), asked.count)
    stream.session.mount("https://api.twitter.com", ground.ToSource(asked.url))
    stream.add_rules(tweepy.StreamRule("keyword", tag="keyword"))
    fields = "created_at,author_id,lang,entities,referenced_tweets"
    stream.filter(tweet_fields=fields, expansions="author_id")
    with engine.connect() as connection:
        stored = connection.execute(select(func.count()).select_from(posts)).scalar_one()
        counted = connection.execute(select(func.sum(keywords.c.posts))).scalar_one()
    ground.done(posts=stored, matches=counted)


if __name__ == "__main__":
    main()
