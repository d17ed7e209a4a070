"""The API's routes about statistics: what the pages show, as numbers.

Buckets begin at `span.since` (seconds since 1970, UTC) and are `span.size` seconds long.
"""

from flask import Response, request

from tweeter.statistics import report as reports
from tweeter.store import keywords
from tweeter.store.cells import US
from tweeter.views import asked
from tweeter.views.api import answer, api
from tweeter.views.pages import engine


@api.get("/keywords/<int:keyword_id>/statistics")
def keyword_statistics(keyword_id: int) -> Response:
    """Everything of a keyword's page, with the parameters of the page's address."""
    row = keywords.get(engine(), keyword_id)
    found = reports.of_keyword(
        engine(),
        row.id,
        expression=row.expression,
        created_s=row.created_at // US,
        question=asked.question(request.args),
    )
    return answer({"statistics": reports.plain(found)})
