"""The posts behind a keyword's statistics: the list below them, and addresses of the search.

Both are asked with the filters of the page, as `statistics.behind` says them.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import url_for

from tweeter.choices import BadFilter, hashtag
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import parse
from tweeter.statistics import behind
from tweeter.statistics.spike_cards import SpikeCard
from tweeter.statistics.spikes import Spike
from tweeter.statistics.volume import Question
from tweeter.store import posts, questions, search
from tweeter.store.cells import US
from tweeter.store.keywords import KeywordRow
from tweeter.store.posts import StoredPost
from tweeter.views import asked
from tweeter.views.pages import engine

VALUES = 3  # of what is different in a spike are searched for
LIMIT_S = 0.5  # for looking through the posts that filters must be asked of


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
    if not question.has_filters:
        return None
    chosen = behind.filter_of(keyword_id, question, until=until // US)
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


def address(
    row: KeywordRow, question: Question, times: Mapping[str, str | None], **more: str
) -> str:
    """The posts behind the chart, in a stretch of time."""
    args: dict[str, Any] = behind.args(row.id, question)
    args |= {"since": times["from"], "until": times["to"]}
    both = {"q": "{} ({})", "without": "{} OR {}"}
    for name, expression in more.items():
        args[name] = both[name].format(*args[name], expression) if name in args else expression
    return url_for("pages.search", **args)


def of_bars(row: KeywordRow, question: Question) -> str:
    """The posts of the chart, as it counts them, without their times, which `of_bar` adds.

    "" where the search cannot ask for them.
    """
    if behind.filter_of(row.id, question.of_chart) is None:
        return ""
    return address(row, question.of_chart, {"from": None, "to": None})


def of_bar(bars: str, times: dict[str, str]) -> str:
    """The posts of a bar; bars: what `of_bars` gave."""
    return f"{bars}&{urlencode({'since': times['from'], 'until': times['to']}, safe=':')}"


def having_word(row: KeywordRow, question: Question, word: str, *, without: bool = False) -> str:
    """The posts of the chart that have a word, or all others."""
    times = asked.between(*question.span.asked)
    return address(row, question, times, **{"without" if without else "q": f'"{word}"'})


def of_spike(row: KeywordRow, question: Question, spike: Spike, **more: str) -> str:
    """The posts of a spike, as it was counted."""
    return address(row, question.of_chart, asked.between(spike.since, spike.until), **more)


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
        parse(f"{behind.ASKED_AS[facet]}{value}")
    except (BadFilter, KeywordSyntaxError):
        return ""
    return f"{behind.ASKED_AS[facet]}{value}"
