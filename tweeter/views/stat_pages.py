"""The statistics on a keyword's page: what the address asks, and the pictures of the answer."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from flask import request
from markupsafe import Markup, escape

from tweeter.errors import TweeterError
from tweeter.records import now_us
from tweeter.statistics import behind
from tweeter.statistics import report as reports
from tweeter.statistics.questions import COMPARED, can_be
from tweeter.statistics.report import Report
from tweeter.statistics.spans import PRESETS, Span
from tweeter.statistics.volume import Question, Volume
from tweeter.store import expressions
from tweeter.store.cells import MINUTE, US
from tweeter.store.coverage import Coverage
from tweeter.store.keywords import KeywordRow
from tweeter.store.posts import StoredPost
from tweeter.store.sums import SERIES
from tweeter.views import asked, chart_table, charts, grids, pills, posts_behind
from tweeter.views.pages import engine
from tweeter.views.words import told

OTHERS = 100  # keywords offered for comparison, beside those that are compared
ALONG = 10  # keywords offered to go to with the filters that are pinned


def of_keyword(row: KeywordRow, wrong: TweeterError | None) -> dict[str, Any]:
    """What templates/statistics.html needs. wrong: what was left out of what is asked, if any."""
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
        "choices": _choices(row, question, found)
        | {"wrong": wrong, "is_deleted": _is_deleted(covered.asked)},
    }


def _is_deleted(covered: Sequence[Coverage]) -> bool:
    return any(stretch.state == "deleted" for one in covered for stretch in one.stretches)


def examples(found: Report) -> list[StoredPost]:
    """The posts that its spikes show."""
    return [post for card in found.spikes for post in card.examples]


def _choices(row: KeywordRow, question: Question, found: Report) -> dict[str, Any]:
    span, volume = question.span, found.volume
    series = volume.drawn
    called = {"": row.expression} if question.scale and volume.others else {}
    others = expressions.newest(engine(), OTHERS)
    beside = [other for other in others if other.id != row.id]
    compared = asked.names(question)
    names = {str(other.id): other.expression for other in others} | compared
    offered = {int(number): name for number, name in compared.items()}
    offered |= {other.id: other.expression for other in beside}
    heads = [told(one) for one in chart_table.heads(volume, names | called)]
    bars = posts_behind.of_bars(row, question)
    search = posts_behind.address(row, question, asked.between(*span.asked))
    return {
        "range": _preset(),
        "from": request.args.get("from", ""),
        "to": request.args.get("to", ""),
        "search": search,
        "of_chart": ("network", question.which[0]) if question.which[0] else SERIES,
        "between": asked.between,
        "earlier": _moved(span, -1),
        "later": _moved(span, 1),
        "wider": _wider(span),
        "closer": _closer(span),
        "running": not asked.one("to"),
        "unfiltered": dict.fromkeys(pills.NAMES),
        "nearest": {"range": "month"} if row.posts and not volume.total else None,
        "others": beside,
        "offered": list(offered.items()),
        "most": COMPARED,
        "along": beside[:ALONG],
        "names": names,
        "table": _table(volume, heads, bars),
        "bars": bars,
        "is_loose": question.which[0] in behind.LOOSE,
        "heads": heads,
        "legend": _legend(question, volume, heads),
        "missed_s": sum(band.until - band.since for band in volume.bands),
        "unfollowed_s": sum(until - since for since, until in volume.unfollowed),
        "is_ahead": span.asked[1] > now_us() // US + MINUTE,
        "spikes": charts.spike_marks(span, [card.spike for card in found.spikes]),
        "can_be": can_be,
        "word": partial(posts_behind.having_word, row, question),
        "hours": grids.hours(found.hours, search),
        "posts_of": partial(posts_behind.of_spike, row, question),
        "different": partial(posts_behind.different, row, question),
        "data": {
            "names": heads,
            "posts": [one.posts for one in series],
            "index": [one.values for one in volume.indexes],
            "unknown": [one.unknown for one in series],
            "totals": list(map(sum, zip(*(one.posts for one in volume.stacks), strict=True))),
            "bars": bars,
        },
    }


def _table(found: Volume, heads: list[str], bars: str) -> list[tuple[chart_table.Row, Markup]]:
    """The rows that show something, with their numbers as markup. bars: address of their posts."""
    called = [escape(head) for head in heads]

    def cells(row: chart_table.Row) -> Markup:
        times = asked.between(row.start, row.end)
        leads = posts_behind.of_bar(bars, times) if bars and row.total else ""
        return grids.cells(row, called, leads)

    return [(one, cells(one)) for one in chart_table.rows(found) if not one.is_empty]


def _legend(question: Question, found: Volume, heads: list[str]) -> list[dict[str, Any]]:
    """What each colour stands for, with its posts or, of an index, what 100 is.

    keyword: the number of a keyword that it is compared with, else 0.
    """
    own = len(found.drawn) - len(found.others)
    keywords = len(found.drawn) - len(question.others)  # they come last
    return [
        {
            "name": head,
            "total": series.total,
            "colour": found.colours[n],
            "keyword": question.others[n - keywords] if n >= keywords else 0,
            "is_line": bool(found.indexes) or n >= own,
            "mean": found.indexes[n].mean if found.indexes else None,
        }
        for n, (head, series) in enumerate(zip(heads, found.drawn, strict=True))
    ]


def _preset() -> str:
    if asked.one("from") or asked.one("to"):
        return ""
    chosen = asked.one("range") or "day"
    return chosen if chosen in PRESETS else "day"


def _moved(span: Span, steps: int) -> dict[str, str] | None:
    length = span.asked[1] - span.asked[0]
    since, until = span.asked[0] + steps * length, span.asked[1] + steps * length
    # What ends now, or begins after it, has nothing later.
    if steps > 0 and (not asked.one("to") or since >= now_us() // US):
        return None
    return asked.between(since, until)


def _wider(span: Span) -> dict[str, str]:
    length = span.asked[1] - span.asked[0]
    until = min(span.asked[1] + length, now_us() // US)
    return asked.between(span.asked[0] - length, max(until, span.asked[1]))


def _closer(span: Span) -> dict[str, str] | None:
    """The middle half, of at least four minutes."""
    quarter = (span.asked[1] - span.asked[0]) // 4
    if quarter < MINUTE:
        return None
    return asked.between(span.asked[0] + quarter, span.asked[1] - quarter)
