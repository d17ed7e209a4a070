"""The posts behind a keyword's statistics: the list below them, and addresses of the search.

Both are asked with the filters of the page; the search finds what the statistics count, which
tests/views/test_statistics.py holds for each of their values.
"""

from typing import Any

import msgspec
from flask import url_for

from tweeter.choices import NO_LANGUAGE, BadFilter, hashtag
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.filters import Filter
from tweeter.keywords import parse
from tweeter.statistics.report import SpikeCard
from tweeter.statistics.spikes import Spike
from tweeter.statistics.volume import Question
from tweeter.store import posts, questions, search
from tweeter.store.keywords import KeywordRow
from tweeter.store.posts import StoredPost
from tweeter.store.sums import SERIES
from tweeter.views import asked
from tweeter.views.pages import engine
from tweeter.views.show import iso

VALUES = 3  # of what is different in a spike are searched for
LIMIT_S = 0.5  # for looking through the posts that filters must be asked of
_ASKED_AS = {"domain": "url:", "author": "from:", "mention": "@"}  # in the keyword language


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a keyword's posts, newest first.

    older: the position of the next page, "" at the end. is_narrowed: by the filters of the page.
    until: where the stretch ends that is shown, microseconds; 0: now. searched_until: where the
    time was over before the page was full, else 0.
    """

    posts: list[StoredPost]
    older: str
    is_narrowed: bool = False
    until: int = 0
    searched_until: int = 0


def narrowed(keyword_id: int, question: Question, until: int, older: str) -> Listed | None:
    """The keyword's posts before `until` that the filters of the page let through.

    None where no filter is on, or the search cannot ask for one. older: `Listed.older` of the page
    before, or "". Not inside `one_moment`: its time is bounded.
    """
    chosen = _filter(keyword_id, question, until)
    if chosen is None:
        return None
    wanted = questions.of_filters(engine(), chosen)
    found = search.newest(engine(), wanted, older=older, limit_s=LIMIT_S)
    return Listed(
        posts=found.posts,
        older=found.older,
        is_narrowed=True,
        until=until,
        searched_until=found.searched_until_us,
    )


def every(keyword_id: int, until: int, older: str) -> Listed:
    """The keyword's posts before `until`, whatever filters are on."""
    page = posts.page(engine(), keyword_id=keyword_id, until=until, older=older)
    return Listed(posts=page.posts, older=page.older, until=until)


def _filter(keyword_id: int, question: Question, until: int) -> Filter | None:
    """What the search is asked; None where no filter is on, or it cannot be asked."""
    if not question.has_filters:
        return None
    try:
        chosen = Filter.from_args(_args(keyword_id, question))
        chosen.read()
    except TweeterError:
        return None
    return msgspec.structs.replace(chosen, until=iso(until)) if until else chosen


def _args(keyword_id: int, question: Question) -> dict[str, list[str]]:
    """The filters of the page, as the search names them."""
    facet, value = question.which
    bare, is_not = value.removeprefix("!"), value.startswith("!")
    found = {"keyword": [str(keyword_id)]}
    if facet in ("tag", "link"):
        found[facet] = [f"-{bare}" if is_not else bare]
    elif facet == "media":
        found["only"] = ["media" if (bare == "with") != is_not else "-media"]
    elif facet in _ASKED_AS:
        found["without" if is_not else "q"] = [f"{_ASKED_AS[facet]}{bare}"]
    narrow = {name: getattr(question.narrow, name) for name in SERIES}
    return found | {name: [_as_filter(name, one) for one in narrow[name]] for name in SERIES}


def address(row: KeywordRow, question: Question, times: dict[str, str], **more: str) -> str:
    """The posts behind the chart, in a stretch of time."""
    args: dict[str, Any] = _args(row.id, question)
    args |= {"since": times["from"], "until": times["to"]}
    for name, expression in more.items():
        between = " " if name == "q" else " OR "
        args[name] = between.join([*args.get(name, ()), expression])
    return url_for("pages.search", **args)


def _as_filter(name: str, value: str) -> str:
    """A value of a series as the search asks for it."""
    sign, bare = ("-", value[1:]) if value.startswith("!") else ("", value)
    return sign + (bare or NO_LANGUAGE if name == "lang" else bare)


def having_word(row: KeywordRow, question: Question, word: str, *, without: bool = False) -> str:
    """The posts of the chart that have a word, or all others."""
    times = asked.between(*question.span.asked)
    return address(row, question, times, **{"without" if without else "q": f'"{word}"'})


def of_spike(row: KeywordRow, question: Question, spike: Spike, **more: str) -> str:
    """The posts of a spike, as it was counted: with no filter of the page."""
    every = Question(span=question.span)
    return address(row, every, asked.between(spike.since, spike.until), **more)


def different(row: KeywordRow, question: Question, card: SpikeCard) -> str:
    """The posts of a spike that have one of what is most different in it; "" if none can be
    asked for."""
    every = (_as_expression(facet, term.value) for facet, _, term in card.different)
    some = [one for one in every if one][:VALUES]
    return of_spike(row, question, card.spike, q=" OR ".join(some)) if some else ""


def _as_expression(facet: str, value: str) -> str:
    """In the language of keywords; "" for what it cannot say, as a hashtag of two words."""
    try:
        if facet == "tag":
            return f"#{hashtag(value)}"
        parse(f"{_ASKED_AS[facet]}{value}")
    except (BadFilter, KeywordSyntaxError):
        return ""
    return f"{_ASKED_AS[facet]}{value}"
