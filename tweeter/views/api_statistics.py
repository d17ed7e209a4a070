"""The API's routes about statistics: what the pages show, as numbers.

Buckets begin at `span.since` and are `span.size` seconds long; the first and last hold only what is
in `span.asked`.
"""

from collections.abc import Iterable

from flask import Response, request

from tweeter.errors import BadQuestion
from tweeter.records import now_us
from tweeter.statistics import questions, summary, voice
from tweeter.statistics import report as reports
from tweeter.statistics.panels import PANELS
from tweeter.statistics.volume import Question, volume
from tweeter.store import keywords
from tweeter.store.cells import US
from tweeter.store.engine import one_moment
from tweeter.views import asked, chart_table, pills
from tweeter.views.api import answer, api, attachment, byte_order_mark, number, only
from tweeter.views.pages import engine

PAGE = 100
_TIMES = ("range", "from", "to", "bucket")
_RANGES = (("range", "from"), ("range", "to"))
_ONE_OF = (PANELS, *_RANGES, *((name,) for name in (*_TIMES, "by", "compare", "scale")))


@api.get("/overview")
def keywords_overview() -> Response:
    """The last 24 hours of the newest keywords; `older` is the next page."""
    only("older", "limit")
    before, limit = number("older", 0, 0, 1 << 62), number("limit", PAGE, 1, PAGE)
    with one_moment(engine()):
        rows, older = keywords.page(engine(), older=before, limit=limit)
        found = reports.plain(summary.of_keywords(engine(), rows, now_us() // US))
    return answer({"overview": found, "older": str(older) if older else ""})


@api.get("/overview/shares")
def keyword_shares() -> Response:
    """Share of voice of the keywords ?with=, over time, as on the first page."""
    only("with", *_TIMES)
    _refuse_seconds(_RANGES)
    chosen, span = questions.voices(request.args.to_dict(flat=False))
    if not chosen:
        raise BadQuestion("Name the keywords by “with”, once for each.")
    rows = [keywords.get(engine(), number) for number in chosen]
    found = voice.of_keywords(engine(), rows, span, now_us() // US)
    return answer({"voice": reports.plain_voice(found)})


def _asked(*more: str) -> Question:
    """What the address asks, if it names nothing that there is not: neither names nor values."""
    only(*asked.STATE, *more)
    _refuse_seconds(_ONE_OF)
    pills.of(asked.state())
    return asked.question()


def _refuse_seconds(groups: Iterable[Iterable[str]]) -> None:
    """Raises BadQuestion where two of a group are given and one would be left out in silence."""
    args = request.args
    for names in groups:
        given = [f"{name}={value[:50]}" for name in names for value in args.getlist(name) if value]
        if len(given) > 1:
            raise BadQuestion(f"“{given[0]}” and “{given[1]}”: one of them can be asked at a time.")


@api.get("/keywords/<int:keyword_id>/statistics")
def keyword_statistics(keyword_id: int) -> Response:
    """Everything of a keyword's page, with the parameters of the page's address."""
    question = _asked()
    with one_moment(engine()):
        row = keywords.get(engine(), keyword_id)
        found = reports.of_keyword(engine(), row, question)
    return answer({"statistics": reports.plain(found)})


@api.get("/keywords/<int:keyword_id>/chart.csv")
def keyword_chart(keyword_id: int) -> Response:
    """The chart of the same address as CSV: a line a bucket, with what was missed and the notes."""
    question, mark = _asked("bom"), byte_order_mark()
    row = keywords.get(engine(), keyword_id)
    covered = reports.seen(engine(), row, question.span).asked
    found = volume(engine(), row.id, row.created_at // US, question, covered)
    names = asked.names(question)
    if question.scale and found.others:
        names[""] = row.expression
    text = "".join(chart_table.as_csv(found, names))
    return attachment(mark + text, "text/csv", f"keyword-{row.id}.csv")
