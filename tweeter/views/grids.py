"""Markup of what has hundreds of cells: the chart's table, the hours of the week, the strips.

Written here, as templates take five times as long for each cell; each is one value of a template.
"""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from tweeter.statistics.panels import Hours
from tweeter.store.cells import US
from tweeter.store.coverage import Bar
from tweeter.views import show
from tweeter.views.chart_table import Row
from tweeter.views.words import hours_of_week, ngettext, told, word

NOT_KNOWN = "–"


def cells(row: Row, heads: Sequence[str], address: str) -> Markup:
    """A row of the chart's table: when it begins and its numbers. heads: what the series are
    called, as markup; address: of its posts, or ""."""
    at = show.clock(row.start * US).removesuffix(" UTC")
    found = [
        f'<th scope="row"><a href="{escape(address)}">{at}</a></th>'
        if address
        else f'<th scope="row">{at}</th>'
    ]
    for number, (head, value) in enumerate(zip(heads, row.posts, strict=True)):
        text = NOT_KNOWN if value is None else f"{value:,}"
        if row.index:
            index = row.index[number]
            text = f"{NOT_KNOWN if index is None else f'{index:.1f}'} <small>({text})</small>"
        found.append(f'<td class="number" data-label="{head}">{text}</td>')
    return Markup("".join(found))  # noqa: S704


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """The hours of the week: squares of each day, and cells of the table for each hour."""

    squares: list[Markup]
    rows: list[Markup]


def hours(found: Hours, address: str) -> Grid:
    """address: of the search for their posts, to which the number of an hour is added."""
    days = [escape(told(day)) for day in show.DAYS]
    href = escape(f"{address}&hour=")
    called = hours_of_week()
    squares, rows = [""] * 7, [""] * 24
    for day, of_day in enumerate(found.posts):
        for hour, posts in enumerate(of_day):
            at = f'x="{16 + 10 * hour}" y="{10 * day}" width="9" height="9"'
            if not posts:
                squares[day] += f'<rect class="cell none" {at}/>'
                rows[hour] += f'<td class="number none" data-label="{days[day]}">0</td>'
                continue
            number = 24 * day + hour
            words, link = _words(called[number], posts), f'href="{href}{number}"'
            shade = f'fill-opacity="{0.12 + 0.88 * posts / found.most:.2f}"'
            squares[day] += (
                f'<a {link} tabindex="-1"><rect class="cell" {at} {shade}>'
                f"<title>{words}</title></rect></a>"
            )
            rows[hour] += (
                f'<td class="number" data-label="{days[day]}">'
                f'<a {link} aria-label="{words}">{posts:,}</a></td>'
            )
    return Grid(squares=[*map(Markup, squares)], rows=[*map(Markup, rows)])


def _words(hour: str, posts: int) -> Markup:
    text = ngettext("%(hour)s, %(posts)s post", "%(hour)s, %(posts)s posts", posts)
    return escape(text % {"hour": hour, "posts": f"{posts:,}"})


def strip(bars: Sequence[Bar]) -> Markup:
    """The bars of a stream's coverage."""
    found = []
    for bar in bars:
        words = f"{show.clock(bar.since)}: {told(word(bar.verdict))}"
        if bar.posts:
            text = ngettext("%(num)s post", "%(num)s posts", bar.posts)
            words += f", {text % {'num': bar.posts}}"
        if bar.words:
            words += f". {told(bar.words)}"
        found.append(
            f'<i class="{escape(bar.verdict)}" title="{escape(words)}" data-moments="title"></i>'
        )
    return Markup("".join(found))  # noqa: S704
