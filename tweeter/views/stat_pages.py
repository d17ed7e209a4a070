"""The statistics on a keyword's page: what the address asks, and the pictures of the answer."""

from functools import cache, partial
from typing import Any

from flask import request, url_for
from markupsafe import Markup, escape

from tweeter.choices import NO_LANGUAGE, BadFilter, hashtag
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import parse
from tweeter.records import now_us
from tweeter.statistics import report as reports
from tweeter.statistics.panels import whole_hours
from tweeter.statistics.questions import COMPARED
from tweeter.statistics.report import Report, SpikeCard
from tweeter.statistics.spans import PRESETS, Span
from tweeter.statistics.spikes import Spike
from tweeter.statistics.volume import Question, Volume
from tweeter.store import keywords
from tweeter.store.cells import MINUTE, US
from tweeter.store.keywords import KeywordRow
from tweeter.store.posts import StoredPost
from tweeter.store.sums import SERIES
from tweeter.views import asked, chart_table, charts, grids, pills
from tweeter.views.pages import engine
from tweeter.views.show import iso
from tweeter.views.words import told

OTHERS = 100  # keywords offered for comparison, beside those that are compared
VALUES = 3  # of what is different in a spike are searched for
ALONG = 10  # keywords offered to go to with the filters that are pinned


def of_keyword(row: KeywordRow) -> dict[str, Any]:
    """What templates/statistics.html needs; what cannot be asked is left out, and said."""
    wrong = asked.settle()
    question, filters = asked.question(), pills.of(asked.state())
    covered = reports.seen(engine(), row, question.span)
    found = reports.of_keyword(engine(), row, question, covered=covered)
    return {
        "asked": question,
        "covered": covered.asked,
        "report": found,
        "chart": charts.of_volume(found.volume),
        "here": asked.here,
        "back": asked.back,
        "toggled": asked.toggled,
        "pills": filters,
        "changed": asked.changed,
        "only": asked.only,
        "only_of": asked.only_of,
        "carried": cache(asked.carried),  # the same keywords stand under many posts
        "choices": _choices(row, question, found) | {"wrong": wrong},
    }


def examples(found: Report) -> list[StoredPost]:
    """The posts that its spikes show."""
    return [post for card in found.spikes for post in card.examples]


def _choices(row: KeywordRow, question: Question, found: Report) -> dict[str, Any]:
    span, volume = question.span, found.volume
    series = volume.drawn
    called = {"": row.expression} if question.scale and volume.others else {}
    others, _ = keywords.page(engine(), limit=OTHERS)
    compared = asked.names(question)
    names = {str(other.id): other.expression for other in others} | compared
    offered = {int(number): name for number, name in compared.items()}
    offered |= {other.id: other.expression for other in others if other.id != row.id}
    heads = [told(one) for one in chart_table.heads(volume, names | called)]
    return {
        "range": _preset(),
        "from": request.args.get("from", ""),
        "to": request.args.get("to", ""),
        "search": _search(row, question, _between(*span.asked)),
        "of_chart": ("network", question.which[0]) if question.which[0] else SERIES,
        "between": _between,
        "earlier": _moved(span, -1),
        "later": _moved(span, 1),
        "wider": _wider(span),
        "closer": _closer(span),
        "running": not asked.one("to"),
        "unfiltered": dict.fromkeys(pills.NAMES),
        "nearest": {"range": "month"} if row.posts and not volume.total else None,
        "others": [other for other in others if other.id != row.id],
        "offered": list(offered.items()),
        "most": COMPARED,
        "along": [other for other in others if other.id != row.id][:ALONG],
        "names": names,
        "table": _table(volume, heads),
        "heads": heads,
        "legend": _legend(question, volume, heads),
        "missed_s": sum(band.until - band.since for band in volume.bands),
        "spikes": charts.spike_marks(span, [card.spike for card in found.spikes]),
        "word": partial(_word, row, question),
        "hours": grids.hours(found.hours, _search(row, question, _between(*whole_hours(span)))),
        "posts_of": partial(_counted_in, row, question),
        "different": partial(_different, row, question),
        "data": {
            "names": heads,
            "posts": [one.posts for one in series],
            "index": [one.values for one in volume.indexes],
            "unknown": [one.unknown for one in series],
        },
    }


def _table(found: Volume, heads: list[str]) -> list[tuple[chart_table.Row, Markup]]:
    """The rows that show something, with their numbers as markup."""
    called = [escape(head) for head in heads]
    rows = chart_table.rows(found)
    return [(one, grids.cells(one, called)) for one in rows if not one.is_empty]


def _legend(question: Question, found: Volume, heads: list[str]) -> list[dict[str, Any]]:
    """What each colour stands for, with its posts or, of an index, what 100 is.

    keyword: the number of a keyword that it is compared with, else 0.
    """
    own = len(found.drawn) - len(found.others)
    return [
        {
            "name": head,
            "total": series.total,
            "keyword": int(series.name) if n >= own and question.keywords else 0,
            "is_line": bool(found.indexes) or n >= own,
            "mean": found.indexes[n].mean if found.indexes else None,
        }
        for n, (head, series) in enumerate(zip(heads, found.drawn, strict=True))
    ]


_ASKED_AS = {"domain": "url:", "author": "from:", "mention": "@"}  # in the keyword language


def _search(row: KeywordRow, question: Question, times: dict[str, str], **more: str) -> str:
    """The posts behind the chart, in a stretch of time."""
    facet, value = question.which
    bare, is_not = value.removeprefix("!"), value.startswith("!")
    args: dict[str, Any] = {"keyword": row.id}
    if facet == "tag":
        args["tag"] = f"-{bare}" if is_not else bare
    elif facet == "link":
        args["link"] = f"-{bare}" if is_not else bare
    elif facet == "media":
        args["only"] = "media" if (bare == "with") != is_not else "-media"
    elif facet in _ASKED_AS:
        args["without" if is_not else "q"] = f"{_ASKED_AS[facet]}{bare}"
    for name in SERIES:
        args[name] = [_as_filter(name, one) for one in getattr(question.narrow, name)]
    args |= {"since": times["from"], "until": times["to"]}
    for name, expression in more.items():
        between = " " if name == "q" else " OR "
        args[name] = f"{args[name]}{between}{expression}" if name in args else expression
    return url_for("pages.search", **args)


def _as_filter(name: str, value: str) -> str:
    """A value of a series as the search asks for it."""
    sign, bare = ("-", value[1:]) if value.startswith("!") else ("", value)
    return sign + (bare or NO_LANGUAGE if name == "lang" else bare)


def _word(row: KeywordRow, question: Question, word: str, *, without: bool = False) -> str:
    """The posts of the chart that have a word, or all others."""
    times = _between(*question.span.asked)
    return _search(row, question, times, **{"without" if without else "q": f'"{word}"'})


def _counted_in(row: KeywordRow, question: Question, spike: Spike, **more: str) -> str:
    """The posts of a spike, as it was counted: with no filter of the page."""
    every = Question(span=question.span)
    return _search(row, every, _between(spike.since, spike.until), **more)


def _different(row: KeywordRow, question: Question, card: SpikeCard) -> str:
    """The posts of a spike that have one of what is most different in it; "" if none can be
    asked for."""
    asked = [_as_expression(facet, term.value) for facet, _, term in card.different]
    some = [one for one in asked if one][:VALUES]
    return _counted_in(row, question, card.spike, q=" OR ".join(some)) if some else ""


def _as_expression(facet: str, value: str) -> str:
    """In the language of keywords; "" for what it cannot say, as a hashtag of two words."""
    try:
        if facet == "tag":
            return f"#{hashtag(value)}"
        parse(f"{_ASKED_AS[facet]}{value}")
    except (BadFilter, KeywordSyntaxError):
        return ""
    return f"{_ASKED_AS[facet]}{value}"


def _preset() -> str:
    if asked.one("from") or asked.one("to"):
        return ""
    chosen = asked.one("range") or "day"
    return chosen if chosen in PRESETS else "day"


def _between(since: int, until: int) -> dict[str, str]:
    return {"from": iso(since * US), "to": iso(until * US)}


def _moved(span: Span, steps: int) -> dict[str, str] | None:
    length = span.asked[1] - span.asked[0]
    since, until = span.asked[0] + steps * length, span.asked[1] + steps * length
    if steps > 0 and not asked.one("to"):  # it ends now
        return None
    if since >= now_us() // US:
        return None
    return _between(since, until)


def _wider(span: Span) -> dict[str, str]:
    length = span.asked[1] - span.asked[0]
    until = min(span.asked[1] + length, now_us() // US)
    return _between(span.asked[0] - length, max(until, span.asked[1]))


def _closer(span: Span) -> dict[str, str] | None:
    """The middle half, of at least four minutes."""
    quarter = (span.asked[1] - span.asked[0]) // 4
    return _between(span.asked[0] + quarter, span.asked[1] - quarter) if quarter >= MINUTE else None
