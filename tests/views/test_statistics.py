"""A keyword's statistics as a page: what it asks of the database, and what it shows."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient
from sqlalchemy import Engine, event

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tweeter.store import figures, keywords
from tweeter.store.keywords import Options
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


def test_compared_series_are_indexed_to_their_own_means(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "=flood <b>").id
    lease, since = follow(engine), AT // HOUR_US * HOUR_US
    numbers = iter(range(100))
    for hour, count in enumerate((2, 4, 6, 8)):
        at = since + hour * HOUR_US
        some = [post(next(numbers), occurred_at=at + n) for n in range(count)]
        store(engine, lease, *some)
    times = f"from={iso(since)}&to={iso(since + 4 * HOUR_US)}&bucket=3600"
    asked = f"{times}&with={flood}&scale=index"
    volume = client.get(f"/api/v1/keywords/{storm}/statistics?{asked}").json["statistics"]["volume"]
    mine, other = volume["indexes"]
    assert (mine["name"], mine["mean"], other["name"]) == ("", 5, str(flood))
    assert mine["values"] == other["values"] == [40, 80, 120, 160]
    page = client.get(f"/keywords/{storm}?{asked}").text
    assert page.count('<path class="line s') == 2
    assert '<path class="bar s' not in page.partition('id="volume"')[2].partition("</svg>")[0]
    assert "160.0 <small>(8)</small>" in page
    assert "100 = 5 a" in page
    assert f"with={flood}#statistics" in page  # the way back to posts
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{asked}").text.splitlines()
    heads = "from,storm,'=flood <b>,storm (index),'=flood <b> (index),not covered,notes"
    assert data[0] == heads
    assert data[1] == f"{iso(since)},2,2,40,40,,"
    parts = client.get(f"/api/v1/keywords/{storm}/statistics?{times}&scale=index").json
    assert [one["name"] for one in parts["statistics"]["volume"]["indexes"]] == ["bluesky"]
    assert "indexes" in client.get(f"/api/v1/keywords/{storm}/statistics?{times}").text
    empty = client.get(f"/keywords/{storm}?range=hour&with={flood}&scale=index")
    assert "no post to compare with" in empty.text


def test_the_words_to_copy_name_the_networks(engine: Engine, client: FlaskClient) -> None:
    options = Options(networks=("x", "mastodon"))
    keyword = keywords.add(engine, "storm", options)
    assert (
        "by the networks' own times, on mastodon, x:" in client.get(f"/keywords/{keyword.id}").text
    )


def test_a_theme_chosen_on_a_keywords_page_leads_back_to_it(
    engine: Engine, client: FlaskClient
) -> None:
    address = f"/keywords/{keywords.add(engine, 'storm').id}?range=week"
    assert f'name="back" value="{address}"' in client.get(address).text
