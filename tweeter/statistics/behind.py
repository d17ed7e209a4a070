"""The posts that a keyword's statistics are counted from: their filters, as the search asks them.

The search finds at least what the statistics count (tests/views/test_statistics.py holds it for
each of the values of a panel): a host with the sites below it, a name with those of other servers.
"""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine

from tweeter import moments
from tweeter.choices import NO_LANGUAGE
from tweeter.errors import TweeterError
from tweeter.filters import Filter
from tweeter.statistics.volume import Question
from tweeter.store import questions, samples, sums
from tweeter.store.cells import US, Made, Volume
from tweeter.store.sums import SERIES

ASKED_AS = {"domain": "url:", "author": "from:", "mention": "@"}  # in the keyword language
LOOSE = tuple(ASKED_AS)  # of these the search does not ask exactly what the statistics count
LIMIT_S = 0.5  # for looking for them while somebody waits
BEHIND_S = 10.0  # while nobody does
_ACCOUNT = re.compile(r"https://([^/?#]+)/(?:@|users/)([\w.-]+)")  # of Mastodon


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
        name = _ACCOUNT.sub(r"\2@\1", bare) if facet == "author" else bare
        found["without" if is_not else "q"] = [f"{ASKED_AS[facet]}{name}"]
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
    times = moments.iso(since * US), moments.iso(until * US)
    return msgspec.structs.replace(chosen, since=times[0], until=times[1])


class Newest(NamedTuple):
    """Visible posts, newest first, with `samples.COUNTED` and what `Sampled` has.

    Some may not pass the filters (`passes`); all that do are there, back to a moment (seconds).
    are_all: before it there are none.
    """

    rows: Sequence[Mapping[Any, Any]]
    back_to: int
    are_all: bool


def newest(
    engine: Engine,
    keyword_id: int,
    question: Question,
    times: tuple[int, int],
    *,
    limit: int,
    deadline: float,
) -> Newest | None:
    """The newest `limit` posts between two moments (seconds) that may pass all filters.

    None where the search cannot ask for them, or found none before the deadline (time.monotonic).
    """
    chosen = _as_good_as(keyword_id, question, times)
    if chosen is None:
        return None
    asked = questions.of_filters(engine, chosen)
    rows, are_all = samples.passing(engine, asked, limit, deadline)
    if not (rows or are_all):
        return None
    back_to = times[0] if are_all else rows[-1]["occurred_at"] // US
    return Newest(rows, back_to, are_all)


def _as_good_as(keyword_id: int, question: Question, times: tuple[int, int]) -> Filter | None:
    """A filter that lets all through that pass, and few others where the search can say so."""
    facet, value = question.which
    is_vague = value.startswith("!") or (facet == "author" and _ACCOUNT.match(value))
    since, until = times
    found = None if is_vague else filter_of(keyword_id, question, since=since, until=until)
    without = msgspec.structs.replace(question, which=("", ""))
    return found or filter_of(keyword_id, without, since=since, until=until)


def passes(question: Question, row: Made) -> bool:
    """Whether a post passes all filters, as the statistics count it."""
    return not lacking(question, row.volume.as_read) and has_value(question, row.facets)


def lacking(question: Question, counted: Volume) -> list[str]:
    """The names of the series by which it does not pass. counted: as it is read."""
    return [
        name
        for name in SERIES
        if not sums.counts(getattr(counted, name), getattr(question.narrow, name))
    ]


def has_value(question: Question, found: Set[tuple[str, str]]) -> bool:
    """Whether it passes with these values of facets."""
    facet, value = question.which
    if not facet:
        return True
    return ((facet, value.removeprefix("!")) in found) != value.startswith("!")
