"""The list of keywords as its address asks for it, and the addresses of its other pages."""

from collections.abc import Mapping
from typing import Any

from flask import request, url_for

from tweeter.records import now_us
from tweeter.store import keyword_lines
from tweeter.store.cells import US
from tweeter.store.keyword_lines import SORTS, STATES, Asked
from tweeter.views.pages import engine, row_id

ROWS = 100  # keywords on a page
FIND_CHARACTERS = 200


def asked() -> Asked:
    """What the request's address asks; what it cannot say is left out."""
    given = request.args.get
    sort, state = given("sort", "new"), given("state", "")
    return Asked(
        find=given("find", "").strip()[:FIND_CHARACTERS],
        state=state if state in STATES else "",
        sort=sort if sort in SORTS else "new",
        page=max(row_id("page") or 1, 1),
        older=row_id("older") or 0,
    )


def shown() -> dict[str, Any]:
    """A page of the list, for its template."""
    chosen = asked()
    found = keyword_lines.lines(engine(), chosen, now_us() // US, limit=ROWS)
    pages = -(-(found.found or 0) // ROWS)
    return {
        "rows": found.lines,
        "older": found.older,
        "listing": {
            "asked": chosen,
            "found": found.found,
            "every": found.every,
            "pages": pages,
            "states": STATES,
            "sorts": {name: _address(chosen, sort=name, page=1) for name in SORTS},
            "before": _address(chosen, page=min(chosen.page - 1, max(pages, 1))),
            "after": _address(chosen, page=chosen.page + 1) if chosen.page < pages else "",
            "unfiltered": _address(chosen, find="", state="", page=1),
            "kept": args(chosen),
        },
    }


def args(chosen: Asked) -> dict[str, Any]:
    """As parameters of an address: those that are not what they are by themselves."""
    plain = Asked()
    values = {name: getattr(chosen, name) for name in Asked.__struct_fields__}
    if not chosen.is_plain:
        values["older"] = 0
    return {name: value for name, value in values.items() if value != getattr(plain, name)}


def back() -> str:
    """The list that a button stood on, as its own address says it."""
    return url_for("pages.add_keyword", **args(asked()))


def _address(chosen: Asked, **changes: Any) -> str:
    values: Mapping[str, Any] = {n: getattr(chosen, n) for n in ("find", "state", "sort", "page")}
    return url_for("pages.add_keyword", **args(Asked(**{**values, **changes})), _anchor="list")
