"""The posts that a keyword's statistics are counted from: their filters, as the search asks them.

The search finds what the statistics count, which tests/views/test_statistics.py holds for each of
the values of a panel.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine

from tweeter import moments
from tweeter.choices import NO_LANGUAGE
from tweeter.errors import TweeterError
from tweeter.filters import Filter
from tweeter.statistics.volume import Question
from tweeter.store import questions, samples
from tweeter.store.cells import US
from tweeter.store.sums import SERIES

ASKED_AS = {"domain": "url:", "author": "from:", "mention": "@"}  # in the keyword language
LIMIT_S = 0.5  # for looking for them while somebody waits
BEHIND_S = 10.0  # while nobody does
_ISO = "%Y-%m-%dT%H:%M:%SZ"


def args(keyword_id: int, question: Question) -> dict[str, list[str]]:
    """The filters of a question, as the search names them."""
    facet, value = question.which
    bare, is_not = value.removeprefix("!"), value.startswith("!")
    found = {"keyword": [str(keyword_id)]}
    if facet in ("tag", "link"):
        found[facet] = [f"-{bare}" if is_not else bare]
    elif facet == "media":
        found["only"] = ["media" if (bare == "with") != is_not else "-media"]
    elif facet in ASKED_AS:
        found["without" if is_not else "q"] = [f"{ASKED_AS[facet]}{bare}"]
    narrow = {name: getattr(question.narrow, name) for name in SERIES}
    return found | {name: [_as_filter(name, one) for one in narrow[name]] for name in SERIES}


def _as_filter(name: str, value: str) -> str:
    """A value of a series as the search asks for it."""
    sign, bare = ("-", value[1:]) if value.startswith("!") else ("", value)
    return sign + (bare or NO_LANGUAGE if name == "lang" else bare)


def filter_of(
    keyword_id: int, question: Question, *, since: int = 0, until: int = 0
) -> Filter | None:
    """What the search is asked, between two moments (seconds; 0: open). None: it cannot be."""
    try:
        chosen = Filter.from_args(args(keyword_id, question))
        chosen.read()
    except TweeterError:
        return None
    times = {
        name: moments.clock(at * US, _ISO) if at else ""
        for name, at in zip(("since", "until"), (since, until), strict=True)
    }
    return msgspec.structs.replace(chosen, **times)


class Newest(NamedTuple):
    """Visible posts that pass, newest first, and whether there are no others in that time."""

    rows: Sequence[Mapping[Any, Any]]
    are_all: bool


def newest(
    engine: Engine,
    keyword_id: int,
    question: Question,
    times: tuple[int, int],
    limit: int,
    *,
    is_waited_for: bool = True,
) -> Newest | None:
    """The newest posts between two moments (seconds) that pass all filters, with `samples.COUNTED`.

    None where the search cannot ask for them, or found none in LIMIT_S (BEHIND_S).
    """
    chosen = filter_of(keyword_id, question, since=times[0], until=times[1])
    if chosen is None:
        return None
    asked = questions.of_filters(engine, chosen)
    deadline = time.monotonic() + (LIMIT_S if is_waited_for else BEHIND_S)
    found = Newest(*samples.passing(engine, asked, limit, deadline))
    return found if found.rows or found.are_all else None
