"""X's recent search: queries of the keywords, and pages from new to old.

Wire facts: docs.x.com, "recent search": 512 characters a query, 10 to 100 posts a page, 7 days;
since_id and until_id are both exclusive. A search does not look into quoted posts, as rules do.
"""

from collections.abc import Iterable, Sequence

import msgspec

from tweeter.decode.times import X_EPOCH_MS
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import NotForX, compile_for_x, parse
from tweeter.keywords.x_limits import SEARCH
from tweeter.keywords.x_pack import pack
from tweeter.records import Keyword, RawEvent
from tweeter.sources.lookup import ask_x, x_events
from tweeter.sources.x_client import XClient

ROUTE = "/2/tweets/search/recent"


class Page(msgspec.Struct, frozen=True):
    """Posts, newest first. oldest: their smallest id; next: token of the page after, "" at the end.

    wait_us: X wants no request before that moment; 0: none such.
    """

    events: list[RawEvent]
    oldest: int
    next: str
    wait_us: int


class Queries(msgspec.Struct, frozen=True):
    """What to search for, and why some keywords are not: id -> sentence."""

    texts: tuple[str, ...]
    left_out: dict[int, str]


def queries_of(keywords: Iterable[Keyword]) -> Queries:
    """The fewest queries found that deliver all that the keywords match, and maybe more."""
    pieces: list[str] = []
    left_out: dict[int, str] = {}
    for keyword in keywords:
        if keyword.networks and "x" not in keyword.networks:
            left_out[keyword.id] = "It is not followed at X."
        elif keyword.held:
            left_out[keyword.id] = keyword.held
        else:
            try:
                tree = parse(keyword.expression)
                pieces += compile_for_x(tree, limit=SEARCH.characters).pieces
            except (NotForX, KeywordSyntaxError) as error:
                left_out[keyword.id] = str(error)
    unique = tuple(dict.fromkeys(pieces))
    return Queries(_packed(unique), left_out)


def _packed(pieces: Sequence[str]) -> tuple[str, ...]:
    if not pieces:
        return ()
    return pack(pieces, limit=SEARCH.characters, present=(), max_rules=len(pieces)).rules


def first_id(moment_us: int) -> int:
    """The smallest id that a post of this moment can have (X's snowflakes)."""
    return max(moment_us // 1000 - X_EPOCH_MS, 0) << 22


async def search(
    client: XClient, query: str, *, since_id: int, until_id: int, most: int, token: str = ""
) -> Page:
    """A page of the posts between two ids, both exclusive. Raises SourceError."""
    params = {"query": query, "since_id": str(since_id), "until_id": str(until_id)}
    params |= {"max_results": str(most)} | ({"next_token": token} if token else {})
    answer, wait_us = await ask_x(client, ROUTE, params)
    ids = [int(post["id"]) for post in answer.get("data") or [] if str(post.get("id")).isdigit()]
    following = str((answer.get("meta") or {}).get("next_token") or "")
    return Page(x_events(answer), min(ids, default=0), following, wait_us)
