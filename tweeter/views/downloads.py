"""Posts that are found, as a file: CSV for spreadsheets, or JSON lines as the API gives posts."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine

from tweeter.filters import Filter
from tweeter.harmless import cell
from tweeter.store.posts import StoredPost
from tweeter.store.search import search
from tweeter.views.show import exact

MOST = 5_000  # posts in a file that is asked for by a link
LIMIT_S = 6.0  # for looking for them
PAGE = 500
_NAMES = (
    "id network occurred_at author_id author_handle author_name kind lang url text tags keywords"
)
HEADS = tuple(_NAMES.split())


def newest(engine: Engine, chosen: Filter) -> tuple[list[StoredPost], bool]:
    """The newest posts that are looked for, at most MOST, and whether they are all there are."""
    deadline, older = time.monotonic() + LIMIT_S, ""
    found: list[StoredPost] = []
    while True:
        left, left_s = MOST - len(found), deadline - time.monotonic()
        if left <= 0 or left_s <= 0:
            return found, False
        page = search(
            engine, chosen, older=older, limit=min(left, PAGE), counting=False, limit_s=left_s
        )
        found += page.posts
        older = page.older
        if not older:
            return found, True


def written(posts: Sequence[StoredPost], kind: str) -> str:
    """Posts as the text of a file. kind: csv or jsonl."""
    if kind == "jsonl":
        return "".join(f"{msgspec.json.encode(value(post)).decode()}\n" for post in posts)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(HEADS)
    rows.writerows(list(cells(post)) for post in posts)
    return text.getvalue()


def value(post: StoredPost) -> dict[str, Any]:
    """A post as programs are given it."""
    found: dict[str, Any] = msgspec.to_builtins(post)
    found |= {name: exact(found[name]) for name in found if name.endswith("_at")}
    return found | {"id": str(post.id)}  # over 2^53: as text


def cells(post: StoredPost) -> Iterator[str]:
    """A post as a row of CSV, under HEADS."""
    for name in HEADS:
        given = getattr(post, name)
        if name == "occurred_at":
            given = exact(given)
        text = " ".join(map(str, given)) if isinstance(given, list) else str(given)
        yield cell(text)
