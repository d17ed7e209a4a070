"""Addresses of the statistics that ask a little otherwise than the one that is shown.

All of the page's state is in its address; what it asks is read by `statistics.questions`.
"""

from typing import Any

from flask import request, url_for

from tweeter.statistics import questions
from tweeter.statistics.panels import PANELS
from tweeter.statistics.volume import Question
from tweeter.store import keywords
from tweeter.store.sums import SERIES
from tweeter.views.pages import engine

STATE = ("range", "from", "to", "bucket", "by", "compare", "with", "scale", *SERIES, *PANELS)


def question() -> Question:
    """What the request's address asks. Raises BadQuestion and BadMoment."""
    return questions.read(request.args.to_dict(flat=False))


def names(chosen: Question) -> dict[str, str]:
    """What the keywords that it compares with are called, by the names of their series."""
    return {str(n): name for n, name in keywords.names(engine(), chosen.keywords).items()}


def back(keyword_id: int, endpoint: str = "pages.keyword", **values: Any) -> str:
    """The address of this page's state at another place; values: of that place's address."""
    return url_for(endpoint, keyword_id=keyword_id, **state(), **values)


def state() -> dict[str, Any]:
    """What of the request's address belongs to the statistics, by name."""
    return {name: given for name, given in request.args.lists() if name in STATE}


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
    return url_for("pages.keyword", keyword_id=keyword_id, _anchor="statistics", **args)


def toggled(keyword_id: int, name: str, value: str) -> str:
    """With a value of a series narrowed to, left out ("!value"), or as it was before."""
    values = request.args.getlist(name)
    bare = value.removeprefix("!")
    others = [one for one in values if one.removeprefix("!") != bare]
    if value not in values:
        others.append(value)
    return here(keyword_id, **{name: others or None})
