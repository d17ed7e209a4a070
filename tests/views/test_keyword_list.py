"""The list of keywords: found by a piece of their text, sorted, a page at a time."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert, update

from tests.views.test_statistics import asked_of
from tweeter.store import keyword_lines, keywords
from tweeter.store.cells import HOUR, US
from tweeter.store.engine import writing
from tweeter.store.keyword_lines import Asked
from tweeter.store.schema import keywords as table
from tweeter.store.schema import totals

NOW = 1_790_000_000  # 13 minutes into an hour


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of the last hour stays so when an hour ends between two pages."""
    monkeypatch.setattr("tweeter.views.keyword_list.now_us", lambda: NOW * US)


def furnish(engine: Engine) -> None:
    """Four keywords: with posts of all time, posts of the last hour, a state."""
    last = NOW - NOW % HOUR - HOUR
    for name, posts, hour in (
        ("storm", 7, 1),
        ("Überfall", 90, 0),
        ("apple pie", 3, 8),
        ("b", 0, 0),
    ):
        row = keywords.add(engine, name)
        values = {"keyword_id": row.id, "seconds": HOUR, "network": "x", "gone": 0}
        with writing(engine) as connection:
            connection.execute(update(table).where(table.c.id == row.id).values(posts=posts))
            for start, count in ((last, hour), (last - HOUR, 50)):  # of another hour: not counted
                connection.execute(insert(totals).values(start=start, posts=count, **values))
    keywords.set_state(engine, 2, "paused")
    keywords.set_state(engine, keywords.add(engine, "gone").id, "removed")


def shown(page: str) -> list[str]:
    found = re.search(r'<table class="keywords">.*?</table>', page, re.DOTALL)
    return re.findall(r'<th scope="row"><a[^>]*><bdi dir="auto">([^<]*)', found[0]) if found else []


FOUND = {
    "": "b, apple pie, Überfall, storm",
    "sort=name": "apple pie, b, storm, Überfall",
    "sort=posts": "Überfall, storm, apple pie, b",
    "sort=hour": "apple pie, storm, Überfall, b",
    "sort=state": "Überfall, apple pie, b, storm",
    "sort=beauty": "b, apple pie, Überfall, storm",
    "state=paused": "Überfall",
    "find=über": "Überfall",
    "find=P&sort=name": "apple pie",
    "find=a&state=active": "apple pie",
    "find=gone": "",
}


def test_keywords_are_found_and_sorted(engine: Engine, client: FlaskClient) -> None:
    furnish(engine)
    for query, names in FOUND.items():
        page = client.get(f"/add_keyword?{query}")
        assert page.status_code == 200
        assert ", ".join(shown(page.text)) == names, query


def test_the_sort_is_of_all_keywords_and_a_button_leads_back_to_its_list(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweeter.views.keyword_list.ROWS", 2)
    furnish(engine)
    page = client.get("/add_keyword?sort=name").text
    assert shown(page) == ["apple pie", "b"]
    assert 'aria-sort="ascending"' in page
    assert "Page 1 of 2" in page
    assert 'rel="next" href="/add_keyword?sort=name&amp;page=2#list"' in page
    page = client.get("/add_keyword?sort=name&page=2").text
    assert shown(page) == ["storm", "Überfall"]
    assert 'rel="next"' not in page
    act = re.search(r'action="(/keywords/1/pause[^"]*)"', page)
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert act
    assert token
    answer = client.post(act[1].replace("&amp;", "&"), data={"csrf_token": token[1]})
    assert answer.location == "/add_keyword?sort=name&page=2"
    assert shown(client.get("/add_keyword?sort=name&page=9").text) == []
    assert shown(client.get("/add_keyword?older=3").text) == ["Überfall", "storm"]


def test_a_list_of_a_thousand_is_one_question(sqlite_engine: Engine) -> None:
    named = {"version": 1, "state": "active", "demo": False, "created_at": 1, "changed_at": 1}
    rows = [
        named | {"expression": f"word {n:04}", "canonical": f"word {n:04}", "posts": n}
        for n in range(1_000)
    ]
    hour = NOW - NOW % HOUR - HOUR
    sums = [
        {"keyword_id": n + 1, "seconds": HOUR, "start": hour - back * HOUR, "network": "x"}
        | {"posts": n % 7, "gone": 0}
        for n in range(1_000)
        for back in range(24)
    ]
    with writing(sqlite_engine) as connection:
        connection.execute(insert(table), rows)
        connection.execute(insert(totals), sums)
    for asked in (Asked(), Asked(sort="hour"), Asked(find="9", sort="name", page=2)):
        with asked_of(sqlite_engine) as statements:
            found = keyword_lines.lines(sqlite_engine, asked, NOW, limit=100)
        assert len([text for text, _ in statements if "SELECT" in text]) == 1
        assert len(found.lines) == 100


def test_other_addresses_lead_to_the_list(client: FlaskClient) -> None:
    assert client.get("/add").headers["Location"].endswith("/add_keyword")
    found = client.get("/keywords?find=storm&_anchor=x&_external=1&endpoint=/")
    assert found.status_code == 302
    assert found.headers["Location"] == "/add_keyword?find=storm#list"


@pytest.mark.parametrize("address", ["/keywords/9999", "/?with=9999&with=9998"])
def test_the_page_of_a_keyword_that_there_is_not_leads_to_the_list(
    client: FlaskClient, address: str
) -> None:
    answer = client.get(address)
    page = answer.get_data(as_text=True)
    assert (answer.status_code, "There is no keyword 9999.</p>" in page) == (404, True)
    assert '<a class="button" href="/add_keyword">All keywords</a>' in page
    assert "python -m" not in page
