"""`tweeter search`: everything stored, by an expression and filters; as text, JSON lines or CSV."""

import csv
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from tweeter.choices import KINDS, NETWORKS, ONLY, STATES
from tweeter.cli_ground import JSON, pointing_at, say, set_up
from tweeter.cli_posts import print_post
from tweeter.filters import Filter
from tweeter.records import now_us
from tweeter.statistics.searched import Seen, seen
from tweeter.store.posts import StoredPost
from tweeter.store.search import Counts, search
from tweeter.store.unindexed import Unindexed
from tweeter.views import downloads
from tweeter.views.show import clock, total_of

PAGE = 200


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each filter; "-" before a value: not these."""
    options = (
        ("network", f"Only there: {', '.join(NETWORKS)}; -x: all but X. May be given again."),
        ("lang", "Only in this language: en; und: none is said; -en: in all others."),
        ("kind", f"Only {', '.join(KINDS)}; -repost: all but these."),
        ("keyword", "Only what this keyword (its number) matches; -7: what it does not."),
        ("state", f"Only {' or '.join(STATES)}; -edited: all but these."),
        ("tag", "Only with this hashtag; -tag: without it."),
        ("link", "Only with this link (https://…); -https://…: without it."),
        ("hour", "Only of this hour of the week: 0 is Monday 0:00 to 1:00 UTC; -0: all others."),
    )
    for name, words in reversed(options):
        command = click.option(f"--{name}", multiple=True, metavar="VALUE", help=words)(command)
    return command


@click.command(name="search")
@click.argument("expression", required=False, default="")
@_filters
@click.option("--without", default="", metavar="EXPRESSION", help="Only what this does not match.")
@click.option(
    "--only",
    type=click.Choice(ONLY),
    help="Only with pictures or films (media), with links; -media, -link: without.",
)
@click.option("--since", default="", help="Not older: 2d, 36h, a date, or ISO 8601.")
@click.option("--until", default="", help="Older than this.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Posts, at most."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "jsonl", "csv"]),
    default="text",
    show_default=True,
    help="How to print them.",
)
@JSON
def find(expression: str, limit: int, output: str, as_json: bool, **given: Any) -> None:
    """Stored posts that match EXPRESSION (without one: all), newest first.

    The language is that of keywords; removed posts are never shown.
    """
    _, engine = set_up()
    args = {
        name: [value] if isinstance(value, str) else value or () for name, value in given.items()
    }
    chosen = Filter.from_args({"q": [expression], **args})
    older, left = "", limit
    writer = _writer("jsonl" if as_json else output)
    with pointing_at(chosen.q):
        chosen.read()
        while left:
            page = search(
                engine, chosen, older=older, limit=min(left, PAGE), counting=not (older or as_json)
            )
            writer(page.posts)
            left -= len(page.posts)
            if page.counts is not None:
                say(_total(page.counts, seen(engine, chosen, page.counts.histogram, now_us())))
            if page.searched_until_us and left and not page.posts:
                say(f"Searched back to {clock(page.searched_until_us)}, going on …")
            if page.unindexed is not None and not older:
                _say_unindexed(page.unindexed)
            older = page.older
            if not older:
                return


def _total(counts: Counts, of_time: Seen) -> str:
    """As the page says it: "≥ 8 posts, 96.2 % covered."."""
    if of_time.figure.is_whole:
        return f"{total_of(counts)}."
    sign = "" if counts.about or counts.partial else "≥ "
    return f"{sign}{total_of(counts)}, {of_time.figure.percent} % covered."


def _say_unindexed(lacking: Unindexed) -> None:
    since = clock(lacking.since_us)
    if lacking.until_us:
        say(
            f"The search index does not have the posts from {since} to {clock(lacking.until_us)}"
            " yet: posts were read one after another."
        )
    else:
        say(
            f"Posts from {since} on are stored without the search index (search_index is off):"
            " posts were read one after another."
        )


def _writer(output: str) -> Callable[[Sequence[StoredPost]], None]:
    if output == "csv":
        rows = csv.writer(sys.stdout)
        rows.writerow(downloads.HEADS)
        return lambda found: rows.writerows(list(downloads.cells(post)) for post in found)

    def lines(found: Sequence[StoredPost]) -> None:
        for post in found:
            print_post(post, output == "jsonl")

    return lines
