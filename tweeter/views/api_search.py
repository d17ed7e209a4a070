"""The API's routes about searching what is stored, and about the searches that are kept."""

from typing import Annotated, Any

import msgspec
from flask import Response, request, url_for

from tweeter.filters import MANY, ONE, Filter
from tweeter.records import now_us
from tweeter.statistics.report import plain
from tweeter.statistics.searched import seen
from tweeter.store import questions, searches
from tweeter.store.search import Found, search
from tweeter.views import downloads
from tweeter.views.api import (
    MOST,
    Nothing,
    answer,
    api,
    attachment,
    body_of,
    byte_order_mark,
    flag,
    number,
    only,
    paging,
)
from tweeter.views.pages import engine

PAGE = 50
_OF_A_PAGE = ("older", "limit", "counts")  # no part of the search, and not kept with it

Text = Annotated[str, msgspec.Meta(max_length=searches.QUERY_CHARACTERS)]


class NewSearch(msgspec.Struct, forbid_unknown_fields=True):
    """The body that keeps a search: query as in the address of the page."""

    name: Text
    query: Text = ""


class RenamedSearch(msgspec.Struct, forbid_unknown_fields=True):
    """The body that gives it another name."""

    name: Text


@api.get("/search")
def find() -> Response:
    """Stored posts that are looked for, newest first; ?counts=0 leaves counts and coverage out."""
    only(*ONE, *MANY, *_OF_A_PAGE)
    chosen = Filter.from_args(request.args.to_dict(flat=False))
    chosen.read()
    with paging():
        found = search(
            engine(),
            chosen,
            older=request.args.get("older", ""),
            limit=number("limit", PAGE, 1, MOST),
            counting=flag("counts", True),
        )
    return answer(msgspec.structs.asdict(found) | {"coverage": _coverage(chosen, found)})


@api.get("/search.csv")
def find_csv() -> Response:
    """The newest posts that are looked for, as CSV."""
    mark = byte_order_mark()
    text, name = _file("csv", "bom")
    return attachment(mark + text, "text/csv", name)


@api.get("/search.jsonl")
def find_lines() -> Response:
    """The same as JSON lines."""
    text, name = _file("jsonl")
    return attachment(text, "application/x-ndjson", name)


def _file(kind: str, *more: str) -> tuple[str, str]:
    """A file, and its name, which says whether it has all that is found, and how many posts."""
    only(*ONE, *MANY, *more)
    chosen = Filter.from_args(request.args.to_dict(flat=False))
    chosen.read()
    found, is_all = downloads.newest(engine(), chosen)
    name = f"search-{'all' if is_all else 'newest'}-{len(found)}.{kind}"
    return downloads.written(found, kind), name


def _coverage(chosen: Filter, found: Found) -> dict[str, Any] | None:
    """How much was covered of the time that the counts are of, and what of it was not."""
    if found.counts is None:
        return None
    of_time = seen(engine(), chosen, found.counts.histogram, now_us())
    told: dict[str, Any] = {
        "covered": of_time.figure.covered,
        "missed_s": of_time.missed_s,
        "since": of_time.since,
        "until": of_time.until,
        "bands": of_time.bands,
    }
    return dict(plain(told))


@api.get("/searches")
def list_searches() -> Response:
    """The searches that are kept, by name."""
    return answer({"searches": searches.list_all(engine())})


@api.post("/searches")
def keep_search() -> Response:
    """Keep a search."""
    body = body_of(NewSearch)
    args = searches.args_of(body.query)
    only(*ONE, *MANY, *_OF_A_PAGE, given=args)
    chosen = Filter.from_args(args)
    questions.refuse_unknown(engine(), chosen)
    row = searches.save(engine(), body.name, chosen)
    place = url_for("api.one_search", search_id=row.id)
    return answer({"search": row}, 201, Location=place)


@api.get("/searches/<int:search_id>")
def one_search(search_id: int) -> Response:
    """One of them."""
    return answer({"search": searches.get(engine(), search_id)})


@api.patch("/searches/<int:search_id>")
def rename_search(search_id: int) -> Response:
    """Give it another name."""
    name = body_of(RenamedSearch).name
    return answer({"search": searches.rename(engine(), search_id, name)})


@api.delete("/searches/<int:search_id>")
def forget_search(search_id: int) -> Response:
    """Forget it."""
    body_of(Nothing)
    return answer({"search": searches.remove(engine(), search_id)})
