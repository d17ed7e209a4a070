"""A keyword's statistics as a page: what it asks of the database, and what it shows."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient
from sqlalchemy import Engine, event

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tweeter.store import figures, keywords
from tweeter.views.show import iso

US = 1_000_000
HOUR_US = 3_600 * US


@contextmanager
def asked_of(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """The statements that the engine is given meanwhile, with their values, as text."""
    found: list[tuple[str, str]] = []

    def note(_c: object, _k: object, statement: str, values: object, *_: object) -> None:
        found.append((statement, str(values)))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_page_asks_once_what_was_covered_of_its_stretch(
    engine: Engine, client: FlaskClient
) -> None:
    keyword = keywords.add(engine, "storm")
    store(engine, follow(engine, gap_s=(600, 1200)), post(1))
    since, until = AT - HOUR_US, AT + HOUR_US
    with asked_of(engine) as statements:
        page = client.get(f"/keywords/{keyword.id}?from={iso(since)}&to={iso(until)}")
    assert page.status_code == 200
    whole = [values for text, values in statements if "FROM intervals" in text]
    assert len([values for values in whole if str(since // US * US) in values]) == 1, whole
    assert (
        page.text.count("83.3 % covered") == 4
    )  # the figure, the strip (twice), the words to copy
    figure = figures.of_keyword(engine, keyword.id, since // US * US, until // US * US)
    assert figure.percent == "83.3"
