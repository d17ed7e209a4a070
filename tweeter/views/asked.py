"""What an address asks of the statistics, and addresses that ask a little otherwise.

All of the page's state is in its address; one that is damaged is answered with what is wrong.
"""

from collections.abc import Mapping
from typing import Any

from flask import request, url_for
from werkzeug.datastructures import MultiDict

from tweeter import moments
from tweeter.errors import BadQuestion
from tweeter.records import now_us
from tweeter.statistics import spans
from tweeter.statistics.panels import PANELS
from tweeter.statistics.spans import PRESETS, Span
from tweeter.statistics.volume import Question
from tweeter.store.cells import HOUR, US
from tweeter.store.sums import SERIES, Narrow

COMPARED = 4
STACKS = (*SERIES, "nothing")


def question(args: Mapping[str, Any] | None = None) -> Question:
    """Read an address (default: the request's). Raises BadQuestion."""
    given = MultiDict(args) if args is not None else request.args
    by = given.get("by", "network")
    if by not in STACKS:
        raise BadQuestion(f"“by” is {by[:30]!r}: expected one of {', '.join(STACKS)}.")
    compare = given.get("compare", "")
    if compare not in ("", "previous", "week"):
        raise BadQuestion(f"“compare” is {compare[:30]!r}: expected previous or week.")
    which = next(((name, given[name]) for name in PANELS if given.get(name)), ("", ""))
    return Question(
        span=span(given, hours=bool(which[0])),
        by="" if by == "nothing" else by,
        narrow=Narrow(**{name: tuple(given.getlist(name)) for name in SERIES}),
        which=which,
        compare=compare,
        keywords=_keywords(given),
    )


def _keywords(given: "MultiDict[str, str]") -> tuple[int, ...]:
    found = []
    for value in given.getlist("with"):
        if not value.isascii() or not value.isdigit() or len(value) > 15:
            raise BadQuestion(f"“with” is {value[:30]!r}: expected the number of a keyword.")
        found.append(int(value))
    if len(found) > COMPARED:
        raise BadQuestion(
            f"At most {COMPARED} other keywords are compared; these are {len(found)}."
        )
    return tuple(found)


def span(given: "MultiDict[str, str]", *, hours: bool = False) -> Span:
    """The stretch of time; hours: its buckets are of whole hours."""
    now = now_us()
    chosen = given.get("range", "")
    size = given.get("bucket", "0")
    if not size.isascii() or not size.isdigit() or len(size) > 9:
        raise BadQuestion(f"“bucket” is {size[:30]!r}: expected seconds.")
    if given.get("from") or given.get("to"):
        since = moments.read(given.get("from") or "1d", now, "“from”") // US
        until = moments.read(given["to"], now, "“to”") // US if given.get("to") else now // US
    elif chosen and chosen not in PRESETS:
        raise BadQuestion(f"“range” is {chosen[:30]!r}: expected one of {', '.join(PRESETS)}.")
    else:
        until = now // US
        since = until - PRESETS[chosen or "day"]
    try:
        found = spans.cut(since, until, int(size))
        if hours and found.size < HOUR:
            found = spans.cut(since, until, HOUR)
    except ValueError as error:
        raise BadQuestion(str(error)) from error
    return found


def here(keyword_id: int, **changes: Any) -> str:
    """The address of this page with other parameters: None takes one out, a list gives many."""
    args: dict[str, Any] = {
        name: values for name, values in request.args.lists() if name not in ("older", "panel")
    }
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
