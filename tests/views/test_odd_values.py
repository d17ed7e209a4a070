"""Values that nobody means: refused with the reason, or taken for the nearest that there is."""

from io import BytesIO

from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.store.posts import post, store, take
from tests.views.test_api import is_problem
from tweeter.store import keywords


def test_a_nul_is_a_character_and_no_database_that_is_away(
    client: FlaskClient, engine: Engine
) -> None:
    keywords.add(engine, "storm")
    for name in ("tag", "link", "domain", "author", "mention"):
        for value in ("a%00b", "!a%00b"):
            for page in ("/api/v1/keywords/1/statistics", "/keywords/1"):
                answer = client.get(f"{page}?{name}={value}")
                assert answer.status_code == 200, (page, name, answer.text)
    for path, key, more in (
        ("/api/v1/searches", "search", {"query": "q=storm"}),
        ("/api/v1/decks", "deck", {"columns": [{}]}),
    ):
        added = client.post(path, json={"name": "a\0b\x01"} | more)
        assert added.status_code == 201, added.text
        assert added.json[key]["name"] == "a\ufffdb\ufffd"
        place = added.headers["Location"]
        renamed = client.patch(place, json={"name": "c\0"})
        assert renamed.json[key]["name"] == "c\ufffd"
        assert client.get(place).json == renamed.json


def test_a_search_that_cannot_be_asked_is_not_kept(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    for query, status, code in (
        ("q=storm&networks=x", 422, "unknown_parameter"),
        ("keyword=2", 404, "keyword_not_found"),
        ("keyword=-2", 404, "keyword_not_found"),
    ):
        answer = client.post("/api/v1/searches", json={"name": "mine", "query": query})
        is_problem(answer, status, code)
        is_problem(client.get(f"/api/v1/search?{query}"), status, code)
    assert client.get("/api/v1/searches").json == {"searches": []}
    kept = client.post("/api/v1/searches", json={"name": "mine", "query": "keyword=1"})
    assert kept.status_code == 201


def test_a_column_of_a_deck_with_a_name_that_there_is_not_is_refused(client: FlaskClient) -> None:
    right = {"name": "mine", "columns": [{"contains": "storm", "languages": ["en"]}]}
    assert client.post("/api/v1/decks", json=right).status_code == 201
    kept = client.get("/api/v1/decks").json
    for wrong in ({"q": "storm"}, {"language": ["en"]}, {"of": "all", "without": "sale"}):
        asked = (("POST", "/api/v1/decks", "other"), ("PATCH", "/api/v1/decks/1", "mine"))
        for method, path, name in asked:
            body = {"name": name, "columns": [{"of": "all"}, wrong]}
            answer = client.open(path, method=method, json=body)
            detail = is_problem(answer, 422, "body_invalid")["detail"]
            assert "$.columns[1]" in detail, detail
    assert client.get("/api/v1/decks").json == kept
    assert client.patch("/api/v1/decks/1", json={"columns": kept["decks"][0]["columns"]}).json


def test_what_a_list_would_not_heed_is_refused(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    for path, name in (
        ("keywords", "state=removed"),
        ("keywords/1/coverage", "from=2d"),
        ("keywords/1/posts", "snice=2d"),
        ("posts", "keyword=1"),
        ("preview", "expression=storm&network=x"),
        ("annotations", "from=2d"),
        ("gaps", "source=x"),
        ("quarantine", "since=2d"),
    ):
        assert client.get(f"/api/v1/{path}?{name.rpartition('&')[0]}").status_code == 200, path
        is_problem(client.get(f"/api/v1/{path}?{name}"), 422, "unknown_parameter")
    for path in ("keywords?removed", "search?counts", "search.csv?bom"):
        for value in ("true", "yes", "2", "%D9%A1"):
            is_problem(client.get(f"/api/v1/{path}={value}"), 400, "bad_request")
        for value in ("0", "1", ""):
            assert client.get(f"/api/v1/{path}={value}").status_code == 200, (path, value)


def test_a_form_that_is_too_large_is_said_on_a_page(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    large = {"expression": "a" * 2_000_000}
    for path in ("/add_keyword", "/keywords/preview", "/keywords/1/edit", "/searches", "/theme"):
        many = {f"field{n}": (BytesIO(b"a"), "a.txt") for n in range(1_001)}
        for form in (large, many):
            answer = client.post(path, data=form)
            assert answer.status_code == 413, (path, answer.status_code)
            assert "exceeds the capacity limit" in answer.text
    file = {"file": (BytesIO(b"a" * 17_000_000), "words.txt")}
    assert client.post("/keywords/import", data=file).status_code == 413
    assert len(keywords.list_all(engine)) == 1


def test_a_range_that_ends_before_it_begins_is_no_empty_list(
    client: FlaskClient, engine: Engine
) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1))
    lists = ("posts", "keywords/1/posts", "keywords/1/coverage", "gaps", "annotations", "search")
    for path in lists:
        for turned in ("since=1d&until=2d", "since=2026-11-24&until=2026-11-24"):
            answer = client.get(f"/api/v1/{path}?{turned}")
            detail = is_problem(answer, 422, "bad_moment")["detail"]
            assert detail == "The range ends before it begins.", path
        assert client.get(f"/api/v1/{path}?since=2d&until=1d").status_code == 200, path
    turned_column = {"since": "1d", "until": "2d"}
    answers = [
        client.post("/api/v1/decks", json={"name": "mine", "columns": [{}, turned_column]}),
        client.get("/api/v1/decks/posts?c1=all&c1.since=1d&c1.until=2d"),
    ]
    for answer in answers:
        assert is_problem(answer, 422, "column_invalid")["field"] == "until"
    for words in ("2999-01-01", "9999-12-31T23:59:59.999999-12:00"):
        is_problem(client.get(f"/api/v1/gaps?since={words}"), 422, "bad_moment")


def test_a_range_until_before_1970_is_not_open(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1))
    for until in ("1970-01-01", "1969-12-31", "0001-01-01", "999999w"):
        for path in ("posts", "keywords/1/posts", "search", "decks/posts"):
            name = "c1=all&c1.until" if path == "decks/posts" else "until"
            answer = client.get(f"/api/v1/{path}?{name}={until}")
            assert answer.json["posts"] == [], (path, until)
    for since in ("1970-01-01", "0001-01-01"):
        note = client.post("/api/v1/annotations", json={"text": "old", "since": since})
        assert note.json["annotation"]["since"].startswith("1970-01-01T00:00:00")
        assert len(client.get(f"/api/v1/posts?since={since}").json["posts"]) == 1
