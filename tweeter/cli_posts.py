"""`tweeter posts` and `tweeter tail`: stored posts, and new ones as they come."""

import sys
import time

import click

from tweeter.cli_ground import ID, JSON, MOMENT, data, print_lines, say, set_up
from tweeter.moments import refuse_turned
from tweeter.records import now_us
from tweeter.store import feed, figures, keywords, posts
from tweeter.store.posts import StoredPost
from tweeter.views import downloads
from tweeter.views.show import clock


@click.command(name="posts")
@click.option("--keyword", "keyword_id", type=ID, help="Only this keyword's.")
@click.option("--since", type=MOMENT, default=0, help="Not older: 2d, 36h, or ISO 8601.")
@click.option("--until", type=MOMENT, default=0, help="Older than this.")
@JSON
def print_posts(keyword_id: int | None, since: int, until: int, as_json: bool) -> None:
    """Stored posts, newest first; of a keyword also how much of the time was covered."""
    refuse_turned(since, until)
    _, engine = set_up()
    if keyword_id is not None:
        keywords.get(engine, keyword_id)
    count = 0
    for post in posts.every(engine, keyword_id=keyword_id, since=since, until=until):
        print_post(post, as_json)
        count += 1
    if keyword_id is None:
        return
    figure = figures.of_keyword(engine, keyword_id, since, until or now_us())
    if not (as_json and figure.is_whole):  # a program need not be told that all is well
        say(f"{figure.words(count)}.")


def print_post(post: StoredPost, as_json: bool) -> None:
    """One post: a line for people, or as the API gives it."""
    if as_json:
        data(downloads.value(post))
        return
    text = " ".join(post.text.split()) if post.removed_at is None else "(removed)"
    who = post.author_handle or post.author_name or post.author_id
    print_lines(f"{clock(post.occurred_at)}  {post.network:<9} {who}: {text}")


@click.command()
@click.option("--keyword", "keyword_id", type=ID, help="Only this keyword's.")
@JSON
def tail(keyword_id: int | None, as_json: bool) -> None:
    """Print each new post as it is stored, until Ctrl-C."""
    _, engine = set_up()
    if keyword_id is not None:
        keywords.get(engine, keyword_id)
    position = feed.last(engine)
    while True:
        entries = feed.since(engine, position)
        found = posts.by_ids(engine, [entry.post_id for entry in entries])
        for entry in entries:
            position = entry.seq
            post = found.get(entry.post_id)
            if entry.kind == "post" and post and keyword_id in (None, *post.keywords):
                print_post(post, as_json)
        sys.stdout.flush()
        time.sleep(0.2)
