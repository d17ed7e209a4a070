"""Addresses of the statistics that ask a little otherwise than the one that is shown.

All of the page's state is in its address; what it asks is read by `statistics.questions`.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from flask import g, request, url_for

from tweeter.errors import BadQuestion, TweeterError
from tweeter.moments import BadMoment, iso
from tweeter.statistics import questions
from tweeter.statistics.volume import Question
from tweeter.store import expressions
from tweeter.store.cells import US
from tweeter.views import pills
from tweeter.views.pages import engine
from tweeter.views.pills import Pill

_VIEW = ("range", "from", "to", "bucket", "by", "compare", "with", "scale")
STATE = (*_VIEW, *pills.NAMES, pills.OFF, pills.PIN)


_TIMES = {"range", "from", "to", "bucket"}


def question() -> Question:
    """What the request's address asks. Raises BadQuestion and BadMoment."""
    return questions.read(_args())


def _args() -> dict[str, list[str]]:
    found: dict[str, list[str]] | None = g.get("asked")
    return request.args.to_dict(flat=False) if found is None else found


def settle() -> TweeterError | None:
    """Leave out of what is asked all that cannot be; returns what was wrong first."""
    first: TweeterError | None = None
    while True:
        try:
            question()
            pills.of(state())
        except (BadQuestion, BadMoment) as error:
            first = first or error
            gone = _TIMES if error.field in _TIMES else {error.field}
            left = {name: values for name, values in _args().items() if name not in gone}
            g.asked = left if len(left) < len(_args()) else {}
        else:
            return first


def is_whole() -> bool:
    """Whether nothing had to be left out."""
    return g.get("asked") is None


def one(name: str) -> str:
    """The first value of a parameter, as far as it can be asked; "" for none."""
    return next(iter(_args().get(name, ())), "")


def names(chosen: Question) -> dict[str, str]:
    """What the keywords that it compares with are called, by the names of their series."""
    return {str(n): name for n, name in expressions.names(engine(), chosen.keywords).items()}


def back(keyword_id: int, endpoint: str = "pages.keyword", **values: Any) -> str:
    """The address of this page's state at another place; values: of that place's address."""
    args = state()
    if one("from") or one("to"):  # a form sends the range too, which the API refuses then
        args.pop("range", None)
    return url_for(endpoint, keyword_id=keyword_id, **args, **values)


def state() -> dict[str, Any]:
    """What of the request's address belongs to the statistics, by name."""
    return {name: given for name, given in _args().items() if name in STATE}


def here(keyword_id: int, **changes: Any) -> str:
    """The address of this page with other parameters: None takes one out, a list gives many."""
    args = state()
    if "from" in changes or "range" in changes:
        for name in ("range", "from", "to", "bucket"):
            args.pop(name, None)
    for name, value in changes.items():
        args.pop(name, None)
        if value is not None:
            args[name] = [str(one) for one in (value if isinstance(value, list) else [value])]
    return _at(keyword_id, args)


def between(since: int, until: int) -> dict[str, str]:
    """A stretch of time, seconds, as addresses name it."""
    return {"from": iso(since * US), "to": iso(until * US)}


def toggled(keyword_id: int, name: str, value: str) -> str:
    """With a value of a series narrowed to, left out ("!value"), or as it was before."""
    values = _args().get(name, [])
    bare = value.removeprefix("!")
    others = [one for one in values if one.removeprefix("!") != bare]
    if value not in values:
        others.append(value)
    return here(keyword_id, **{name: others or None})


def changed(keyword_id: int, pill: Pill, act: str) -> str:
    """With a filter "switched" on or off, "pinned" or no longer, or "dropped"."""
    acts = {"switched": pills.switched, "pinned": pills.pinned, "dropped": pills.dropped}
    return _at(keyword_id, acts[act](state(), pill))


def only(keyword_id: int, name: str, value: str) -> str:
    """With a value of a panel as the filter, or without it if it is."""
    return _at(keyword_id, pills.chosen(state(), name, value))


def only_of(keyword_id: int, name: str) -> Callable[[str], str]:
    """`only` for the many values of a panel, whose addresses mostly differ in the value alone."""
    place = "\ue000"  # where a value goes: a character that means nothing
    parts = only(keyword_id, name, place).split(quote(place))
    given = _args()
    is_taken = any(place in one for values in given.values() for one in values)
    chosen, off = given.get(name, []), given.get(pills.OFF, [])

    def address(value: str) -> str:
        if is_taken or value in chosen or f"{name}:{value}" in off:
            return only(keyword_id, name, value)
        return quote_plus(value, safe=_SAFE).join(parts)

    return address


_SAFE = "!$'()*,/:;?@"  # as Werkzeug writes values


def carried(keyword_id: int) -> str:
    """Another keyword's page, with the filters that are pinned here."""
    found = pills.carried(state())
    return _at(keyword_id, found) if found else page_of(keyword_id)


def _at(keyword_id: int, args: dict[str, Any]) -> str:
    query = urlencode(args, doseq=True, safe=_SAFE)
    return f"{page_of(keyword_id)}{'?' if query else ''}{query}#statistics"


def page_of(keyword_id: int) -> str:
    """The address of a keyword's page. Some pages have hundreds: Flask is asked for one of them."""
    if "pages" not in g:
        g.pages = url_for("pages.keyword", keyword_id=0).removesuffix("0")
    return f"{g.pages}{keyword_id}"
