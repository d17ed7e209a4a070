"""Notes on the axis of time: on the page, in the chart's data, by the API; harmless anywhere."""

import csv
import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tweeter.moments import iso
from tweeter.store import annotations, keywords
from tweeter.store.annotations import EVERY
from tweeter.views.show import exact

HOUR = 3_600_000_000
SINCE = AT // HOUR * HOUR
HOSTILE = "=1+1 </title></script><script>alert(1)</script>\u202e\u0007"


def send(client: FlaskClient, path: str, **given: str) -> Any:
    """A form of the page, with its proof that the page sent it."""
    page = client.get("/add_keyword").text
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert token
    return client.post(path, data=given | {"csrf_token": token[1]})


@pytest.fixture
def storm(engine: Engine) -> int:
    number = keywords.add(engine, "storm").id
    store(engine, follow(engine, gap_s=(7200, 7800)), *(post(n) for n in range(3)))
    return number


def address(keyword_id: int, path: str = "", hours: int = 6) -> str:
    times = f"from={iso(SINCE)}&to={iso(SINCE + hours * HOUR)}&bucket=3600"
    return f"/keywords/{keyword_id}{path}?{times}"


def test_a_note_is_added_changed_and_removed_on_the_page(
    engine: Engine, client: FlaskClient, storm: int
) -> None:
    given = {"text": "The harbour  closed", "since": iso(SINCE + HOUR), "until": ""}
    answer = send(client, address(storm, "/annotations"), **given)
    assert (answer.status_code, answer.location) == (
        303,
        f"{address(storm)}#annotations",
    )
    page = client.get(answer.location).text
    assert page.count("The harbour closed") == 4  # in the chart, its table, the list, its form
    (one,) = annotations.between(engine)
    assert (one.keyword_id, one.since, one.until) == (storm, SINCE + HOUR, 0)
    given |= {"until": iso(SINCE + 2 * HOUR), "everywhere": "y"}
    assert send(client, address(storm, f"/annotations/{one.id}"), **given).status_code == 303
    assert 'class="span" x="16.667%" y="20" width="16.666%"' in client.get(address(storm)).text
    other = keywords.add(engine, "flood").id
    assert "The harbour closed" in client.get(address(other)).text
    send(client, address(storm, f"/annotations/{one.id}"), act="remove")
    assert annotations.between(engine) == []
    assert "harbour" not in client.get(address(storm)).text


def test_what_is_wrong_is_said_at_the_note_and_nothing_is_lost(
    engine: Engine, client: FlaskClient, storm: int
) -> None:
    kept = annotations.add(engine, storm, "kept", SINCE)
    for path, given, words in (
        ("", {"text": "a note", "since": "yesterday"}, "“From” is &#39;yesterday&#39;"),
        ("", {"text": " ", "since": "1h"}, "needs a text"),
        (f"/{kept.id}", {"text": "other", "since": iso(SINCE), "until": iso(SINCE)}, "before it"),
    ):
        page = send(client, address(storm, f"/annotations{path}"), **given)
        assert page.status_code == 422
        assert words in page.text
        assert page.text.count('role="alert"') == 1
        assert f'value="{given["text"]}"' in page.text
        assert 'value="storm"' in page.text  # the form of the keyword itself
    assert annotations.between(engine) == [kept]
    gone = send(client, address(storm, "/annotations/99"), act="remove")
    assert gone.status_code == 303
    assert "may have been removed" in client.get(gone.location).text
    assert send(client, address(9, "/annotations"), text="x").status_code == 404


def test_a_page_of_another_site_adds_no_note(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    assert (
        client.post("/keywords/1/annotations", data={"text": "x", "since": "1h"}).status_code == 400
    )
    assert annotations.between(engine) == []


def test_a_hostile_note_is_only_text(engine: Engine, client: FlaskClient, storm: int) -> None:
    annotations.add(engine, storm, HOSTILE, SINCE + HOUR)
    page = client.get(address(storm))
    assert page.text.count("&lt;script&gt;alert(1)") == 4
    assert "<script>alert" not in page.text
    assert "\u0007" not in page.text
    data = client.get(f"/api/v1{address(storm, '/chart.csv')}").text
    (row,) = [row for row in csv.reader(io.StringIO(data)) if "alert" in row[-1]]
    assert row[-1].startswith("'=1+1 </title>")


def test_the_charts_data_have_the_notes(engine: Engine, client: FlaskClient, storm: int) -> None:
    annotations.add(engine, storm, "began before", SINCE - HOUR, SINCE + HOUR)
    annotations.add(engine, EVERY, "of all", SINCE + 3 * HOUR)
    annotations.add(engine, storm, "later", SINCE + 7 * HOUR)
    answer = client.get(f"/api/v1{address(storm, '/chart.csv')}")
    assert answer.mimetype == "text/csv"
    assert "keyword-1.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["from"] for row in rows] == [iso(SINCE + n * HOUR) for n in range(6)]
    first = (AT - SINCE) // HOUR
    assert [row["bluesky"] for row in rows] == ["3" if n == first else "0" for n in range(6)]
    gap = (AT + 2 * HOUR - SINCE) // HOUR
    assert [n for n, row in enumerate(rows) if row["not covered"] == "partly"] == [gap]
    times = f"({iso(SINCE - HOUR)} to {iso(SINCE + HOUR)})"
    assert rows[0]["notes"] == f"began before {times}"
    assert rows[3]["notes"] == f"of all ({iso(SINCE + 3 * HOUR)})"
    found = client.get(f"/api/v1{address(storm, '/statistics')}").json["statistics"]["volume"]
    noted = [(one["text"], one["since"], one["until"]) for one in found["annotations"]]
    assert noted[1] == ("of all", exact(SINCE + 3 * HOUR), None)
    assert [text for text, _, _ in noted] == ["began before", "of all"]


def test_notes_by_the_api(client: FlaskClient, storm: int) -> None:
    def ask(method: str, path: str = "", **body: Any) -> Any:
        answer = client.open(f"/api/v1/annotations{path}", method=method, json=body)
        return answer.status_code, answer.json

    status, made = ask("POST", text="a speech", keyword_id=storm, since=exact(AT))
    assert (status, made["annotation"]["since"]) == (201, exact(AT))
    assert ask("POST", text="of all now")[1]["annotation"]["until"] is None
    status, changed = ask("PATCH", "/1", until=exact(AT + HOUR))
    assert (status, changed["annotation"]["text"]) == (200, "a speech")
    assert ask("PATCH", "/1", until="")[1]["annotation"]["until"] is None
    assert client.get("/api/v1/annotations?keyword=99").status_code == 404
    listed = client.get(f"/api/v1/annotations?keyword={storm}&until={exact(AT + 1)}").json
    assert [one["text"] for one in listed["annotations"]] == ["a speech"]
    for body, code in (
        ({"text": "x", "since": "never"}, "bad_moment"),
        ({"text": "x", "keyword_id": 9}, "keyword_not_found"),
        ({"text": " "}, "annotation_invalid"),
        ({"text": "x", "keyword_id": -1}, "body_invalid"),
        ({}, "body_invalid"),
    ):
        assert ask("POST", **body)[1]["code"] == code, body
    assert ask("PATCH", "/1", since="")[1]["code"] == "bad_moment"
    assert ask("DELETE", "/1")[1]["annotation"]["text"] == "a speech"
    assert ask("DELETE", "/1")[1]["code"] == "annotation_not_found"


def test_notes_that_are_near_stand_below_each_other(
    engine: Engine, client: FlaskClient, storm: int
) -> None:
    for n in range(6):
        annotations.add(engine, storm, f"note {n}", SINCE + n * HOUR // 10)
    annotations.add(engine, storm, "far", SINCE + 5 * HOUR)
    page = client.get(address(storm)).text
    flags = re.findall(r'<svg x="([\d.]+)%" y="(\d+)" width="1"', page)
    assert [int(y) for _, y in flags] == [258, 278, 298, 318, 318, 258, 258]
    assert 'class="chart drawn lanes4" width="100%" height="344"' in page


@pytest.mark.parametrize("name", ["keyword_id", "endpoint", "_external", "_anchor", "values"])
def test_any_name_in_the_address_does_no_harm(client: FlaskClient, storm: int, name: str) -> None:
    page = client.get(f"/keywords/{storm}?{name}=7&range=hour")
    assert page.status_code == 200
    assert f"{name}=7" not in page.text.partition('id="statistics"')[2].partition("</section>")[0]
