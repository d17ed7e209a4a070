"""How values and axes of time look on a page."""

from datetime import UTC, datetime

import pytest

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import parse
from tweeter.statistics.spans import Span
from tweeter.store.cells import DAY
from tweeter.views import charts
from tweeter.views.show import pace


def span(since: str, until: str) -> Span:
    first, last = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in (since, until)
    )
    return Span(since=first, until=last, size=DAY, asked=(first, last))


@pytest.mark.parametrize(
    "since, until, words",
    [
        ("2006-11-27", "2026-11-27", ["2010", "2015", "2020", "2025"]),
        ("2024-02-27", "2026-11-27", ["Jul 2024", "Jan 2025", "Jul", "Jan 2026", "Jul"]),
        ("2025-11-27", "2026-11-27", ["Jan 2026", "Apr", "Jul", "Oct"]),
        ("2026-03-10", "2026-08-10", ["Apr 2026", "May", "Jun", "Jul", "Aug"]),
        ("2026-03-10", "2026-03-15", ["11 Mar", "12 Mar", "13 Mar", "14 Mar"]),
    ],
)
def test_an_axis_of_months_and_years_says_which(since: str, until: str, words: list[str]) -> None:
    assert [tick.word for tick in charts._along(span(since, until))] == words


def test_how_often_posts_come_is_said_in_a_unit_that_leaves_a_number() -> None:
    years = 20 * 365.25 * 24
    assert pace(0) == "0 an hour"
    assert pace(1.5) == "1.5 an hour"
    assert pace(2) == "2 an hour"
    assert pace(9.96) == "10 an hour"
    assert pace(12.4) == "12 an hour"
    assert pace(5_070) == "5,070 an hour"
    assert pace(0.5) == "12 a day"
    assert pace(0.1) == "2.4 a day"
    assert pace(154 / years) == "8 a year"


def test_what_is_wrong_with_an_expression_is_said_in_whole_sentences() -> None:
    with pytest.raises(KeywordSyntaxError) as caught:
        parse("(storm")
    words = "This parenthesis is never closed. Add “)”. (Character 1.)"
    assert str(caught.value) == words
