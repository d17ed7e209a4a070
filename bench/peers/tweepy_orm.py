"""The pattern of the program of 2016: tweepy, and for each post an ORM add and a commit.

X matched the post already; the tag of its rule is the keyword.
"""

import tweepy
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.peers import ground


class Base(DeclarativeBase):
    pass


class Keyword(Base):
    __tablename__ = "keywords"
    keyword: Mapped[str] = mapped_column(primary_key=True)
    posts: Mapped[int]


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str]
    author_id: Mapped[int] = mapped_column(index=True)
    lang: Mapped[str]
    created_at: Mapped[str] = mapped_column(index=True)


class Match(Base):
    __tablename__ = "matches"
    keyword: Mapped[str] = mapped_column(ForeignKey("keywords.keyword"), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), primary_key=True, index=True)


class Stream(tweepy.StreamingClient):  # type: ignore[misc]
    def __init__(self, token: str, session: Session, count: int) -> None:
        super().__init__(token)
        self.database = session
        self.left = count

    def on_response(self, response: tweepy.StreamResponse) -> None:
        tweet = response.data
        post = Post(id=int(tweet.id), text=tweet.text, author_id=int(tweet.author_id))
        post.lang, post.created_at = tweet.lang, str(tweet.created_at)
        self.database.add(post)
        for rule in response.matching_rules:
            keyword = self.database.get(Keyword, rule.tag)
            if keyword is None:
                keyword = Keyword(keyword=rule.tag, posts=0)
                self.database.add(keyword)
            keyword.posts += 1
            self.database.add(Match(keyword=rule.tag, post_id=post.id))
        self.database.commit()
        self.left -= 1
        if not self.left:
            self.disconnect()


def main() -> None:
    asked = ground.arguments()
    engine = ground.database(asked.file)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        stream = Stream("sim-token", session, asked.count)
        stream.session.mount("https://api.twitter.com", ground.ToSource(asked.url))
        stream.add_rules(tweepy.StreamRule("keyword", tag="keyword"))
        fields = "created_at,author_id,lang,entities,referenced_tweets"
        stream.filter(tweet_fields=fields, expansions="author_id")
        posts = session.scalar(select(func.count()).select_from(Post)) or 0
        counted = session.scalar(select(func.sum(Keyword.posts))) or 0
        ground.done(posts=posts, matches=counted)


if __name__ == "__main__":
    main()
