"""The frame of every page: where one can go, which theme it wears, and the static files.

The theme is a cookie that the server reads, so that no page flashes in the wrong one and
none needs a script for it.
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Flask, current_app, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from tweeter.texts import mark
from tweeter.views.pages import pages

THEMES = ("light", "dark", "system")
THEME_COOKIE = "tweeter_theme"
TIMES_COOKIE = "tweeter_times"  # set by static/frame.js: without it all times are in UTC
YEAR_S = 31_536_000

# Path, name, icon, the key after "g", and what else belongs to it.
_PLACES = (
    ("/", mark("Overview"), "overview", "o", ""),
    ("/live", mark("Live"), "live", "l", ""),
    ("/add_keyword", mark("Keywords"), "keywords", "k", "/keywords"),
    ("/search", mark("Search"), "search", "e", ""),
    ("/sources", mark("Sources"), "sources", "s", "/sources/"),
    ("/health", mark("Health"), "health", "h", ""),
)


class Place(msgspec.Struct, frozen=True):
    """An entry of the navigation; current is aria-current's value, "" elsewhere."""

    path: str
    label: str
    icon: str
    key: str
    current: str


def _exists(path: str) -> bool:
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except HTTPException:
        return False
    return True


def places() -> list[Place]:
    """The pages that there are, in the order of the navigation."""
    found = []
    for path, label, icon, key, inside in _PLACES:
        if not _exists(path):
            continue
        current = "page" if request.path == path else ""
        if not current and inside and request.path.startswith(inside):
            current = "true"
        found.append(Place(path, label, icon, key, current))
    return found


def theme() -> str:
    """What the reader chose: "light", "dark" or "system"."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"


def _frame() -> dict[str, Any]:
    here = request.full_path.rstrip("?") if request.method == "GET" else request.path
    in_utc = request.cookies.get(TIMES_COOKIE) == "utc"
    return {"theme": theme(), "in_utc": in_utc, "places": places(), "address": here}


def back_to(address: str) -> str:
    """The address if it is one of our pages, else the first page."""
    parts = urlsplit(address)
    # Browsers leave control characters out, and take a backslash for a slash.
    is_plain = address.isprintable() and "\\" not in address
    ours = is_plain and address.startswith("/") and not address.startswith("//")
    return address if ours and not parts.netloc and not parts.scheme else "/"


@pages.post("/theme")
def set_theme() -> Response:
    """Remember a theme, without JavaScript."""
    answer = redirect(back_to(request.form.get("back", "/")), 303)
    chosen = request.form.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie(THEME_COOKIE, chosen, max_age=YEAR_S, samesite="Lax", path="/")
    return answer


def dress(app: Flask) -> None:
    """Give every page of the application, also those of errors, its frame."""
    app.context_processor(_frame)
