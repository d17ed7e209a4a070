"""The API: what it can do, how it fails, and that no page of another site can use it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tests.store.test_store import at_once
from tweeter import problems
from tweeter.sources.demo_words import DEMO_KEYWORDS
from tweeter.store import keywords
from tweeter.store.engine import writing
from tweeter.store.quarantine import Rejected, put
from tweeter.views.show import clock, exact

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
AS_JSON = {"Content-Type": "application/json"}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def routes(app: Flask) -> list[tuple[str, str]]:
    """Each method and path of the API, with its arguments as {name}."""
    return sorted(
        (method, re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def filled(path: str, **values: str) -> str:
    known = {"keyword_id": "1", "act": "pause", "name": "none", "search_id": "1", "deck_id": "1"}
    known |= {"annotation_id": "1"} | values
    return re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path)


def is_problem(answer: Any, status: int, code: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json"
    body = json.loads(answer.get_data())
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    assert body["status"] == status
    assert body["type"] == f"urn:tweeter:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert code in ("", body["code"]), body
    return body


def test_each_route_is_documented(app: Flask) -> None:
    documented = re.findall(r"`(GET|POST|PATCH|DELETE) (/api/v1[^`?]*)", DOCS)
    assert sorted(documented) == routes(app)


def test_each_code_is_documented() -> None:
    codes = {code for _, code, _, _ in problems.KINDS} | set(problems.OF_REQUESTS)
    assert set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE)) == codes


def test_whatever_is_asked_of_a_route_its_errors_are_problems(
    app: Flask, client: FlaskClient
) -> None:
    every = {"GET", *UNSAFE}
    paths = {path for _, path in routes(app)}
    for path in sorted(paths):
        able = {method for method, other in routes(app) if other == path}
        address = filled(path)
        for method in sorted(every - able):
            answer = client.open(address, method=method, headers=AS_JSON)
            if answer.status_code == 405:  # another route may have the same shape
                assert answer.headers["Allow"]
            is_problem(answer, answer.status_code)
        for method in sorted(able - {"GET"}):
            if path.endswith("/demo"):
                continue  # it takes no body, and nothing can be wrong with it
            takes_no_body = path.endswith(("{act}", "check"))
            body, status = ("{}", 404) if takes_no_body else ("{", 400)
            answer = client.open(address, method=method, headers=AS_JSON, data=body)
            is_problem(answer, status)
        if "{" in path and "GET" in able:
            is_problem(client.get(address), 404)
    is_problem(client.get("/api/v1/nothing"), 404, "not_found")
    assert client.get("/nothing").mimetype == "text/html"


@pytest.mark.parametrize("method", UNSAFE)
def test_no_page_of_another_site_can_change_anything(
    app: Flask, client: FlaskClient, engine: Engine, method: str
) -> None:
    keywords.add(engine, "storm")
    for able, path in routes(app):
        if able != method:
            continue
        address = filled(path)
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:5001"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = client.open(address, method=method, headers=AS_JSON | headers, data="{}")
            is_problem(answer, 403, "foreign_origin")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            answer = client.open(address, method=method, headers={"Content-Type": kind}, data="{}")
            is_problem(answer, 415, "body_not_json")
    assert [row.state for row in keywords.list_all(engine)] == ["active"]
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/api/v1/keywords", headers=AS_JSON | ours, data='{"expression": "a"}')
    assert answer.status_code == 201


def test_a_keyword_from_its_first_to_its_last_day(client: FlaskClient) -> None:
    body = {"expression": "storm", "networks": ["x"], "day_budget": 5}
    made = client.post("/api/v1/keywords", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/keywords/1")
    row = made.json["keyword"]
    assert (row["networks"], row["day_budget"], row["figure"]) == ("x", 5, "0 posts")
    assert row["created_at"].endswith("Z")
    is_problem(client.post("/api/v1/keywords", json=body), 409, "keyword_exists")
    edited = client.patch("/api/v1/keywords/1", json={"expression": "storm*"}).json["keyword"]
    assert (edited["version"], edited["networks"], edited["day_budget"]) == (2, "x", 5)
    for act, state in (("pause", "paused"), ("resume", "active")):
        answer = client.post(f"/api/v1/keywords/1/{act}", json={})
        assert answer.json["keyword"]["state"] == state
    removed = client.delete("/api/v1/keywords/1", json={"purge": True}).json["keyword"]
    assert removed["state"] == "removed"
    assert removed["purge_at"].endswith("Z")
    assert client.get("/api/v1/keywords").json == {"keywords": [], "older": ""}
    assert len(client.get("/api/v1/keywords?removed=1").json["keywords"]) == 1
    for answer in (
        *(client.post(f"/api/v1/keywords/1/{act}", json={}) for act in ("pause", "resume")),
        client.patch("/api/v1/keywords/1", json={"keep_days": 3}),
    ):
        is_problem(answer, 409, "keyword_removed")
    assert client.post("/api/v1/keywords/1/restore", json={}).json["keyword"]["state"] == "active"
    shown = client.get("/api/v1/keywords/1").json
    assert shown["held"][0]["state"] == "pending"


def test_changes_at_once_do_not_undo_each_other(app: Flask, engine: Engine) -> None:
    keywords.add(engine, "storm", keywords.Options(networks=("x",)))
    bodies = [{"day_budget": 5}, {"month_budget": 70}, {"expression": "flood"}, {"keep_days": 3}]
    bodies += [{"networks": ["bluesky"]}]

    def change(body: dict[str, Any]) -> int:
        return app.test_client().patch("/api/v1/keywords/1", json=body).status_code

    answers: list[int] = []
    at_once(engine, *(lambda body=body: answers.append(change(body)) for body in bodies))
    assert answers == [200] * len(bodies)
    row = keywords.get(engine, 1)
    assert (row.day_budget, row.month_budget, row.keep_days) == (5, 70, 3)
    assert (row.expression, row.networks, row.version) == ("flood", "bluesky", 3)


def test_a_syntax_error_has_its_position_and_a_hint(client: FlaskClient) -> None:
    for answer in (
        client.post("/api/v1/keywords", json={"expression": "storm OR (flood"}),
        client.get("/api/v1/preview?expression=storm+OR+(flood"),
    ):
        body = is_problem(answer, 422, "keyword_syntax")
        assert body["position"] == 9
        (shown,) = re.findall(r'^(\{"type".*?\})$', DOCS, re.MULTILINE | re.DOTALL)
        assert json.loads(shown) == body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"expression": 1},
        {"expression": "a", "networks": ["myspace"]},
        {"expression": "a", "day_budget": -1},
        {"expression": "a", "keep_days": 1e9},
        {"expression": "a" * 1025},
        {"expression": "a", "typo": 1},
        [],
    ],
)
def test_a_body_that_does_not_fit_is_named(client: FlaskClient, body: Any) -> None:
    is_problem(client.post("/api/v1/keywords", json=body), 422, "body_invalid")
    assert client.get("/api/v1/keywords").json["keywords"] == []


def test_questions_that_cannot_be_read_are_refused(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    is_problem(client.get("/api/v1/gaps?since=yesterday"), 422, "bad_moment")
    is_problem(client.get("/api/v1/keywords/1/coverage?until=2026-13-01T05:00"), 422, "bad_moment")
    is_problem(client.get("/api/v1/keywords/1/posts?older=x"), 422, "bad_position")
    is_problem(client.get("/api/v1/keywords?limit=many"), 422, "bad_position")
    is_problem(client.get("/api/v1/gaps?stream=none"), 404, "stream_not_found")
    is_problem(client.get("/api/v1/gaps?keyword=9"), 404, "keyword_not_found")
    is_problem(client.get("/api/v1/sources/none"), 404, "stream_not_found")
    is_problem(client.post("/api/v1/sources/none/check", json={}), 404, "source_not_found")
    far = client.post("/api/v1/keywords", data="x" * (2 << 20), headers=AS_JSON)
    is_problem(far, 413, "too_large")


def test_totals_gaps_and_posts_say_what_was_covered(client: FlaskClient, engine: Engine) -> None:
    row = keywords.add(engine, "storm")
    lease = follow(engine, gap_s=(60, 120))
    store(engine, lease, *(post(n) for n in range(5)))
    (listed,) = client.get("/api/v1/keywords").json["keywords"]
    assert 0 < listed["covered"] < 1
    assert listed["figure"].startswith("≥ 5 posts, ")
    span = f"since={exact(AT)}&until={exact(AT + 240_000_000)}"
    page = client.get(f"/api/v1/keywords/{row.id}/posts?{span}&limit=2").json
    assert (len(page["posts"]), page["covered"], page["total"]) == (2, 0.75, None)
    more = client.get(f"/api/v1/keywords/{row.id}/posts?older={page['older']}").json
    assert (len(more["posts"]), more["total"]) == (3, 5)
    assert len(client.get("/api/v1/posts").json["posts"]) == 5
    for query in ("", f"&keyword={row.id}", "&stream=test"):
        (gap,) = client.get(f"/api/v1/gaps?since={exact(AT)}{query}").json["gaps"]
        assert (gap["outcome"], gap["words"]) == ("lost", "The server closed.")
    stretches = client.get(f"/api/v1/keywords/{row.id}/coverage?{span}").json["coverage"]
    assert stretches[0]["share"] == 0.75
    source = client.get("/api/v1/sources/test").json
    assert source["gaps"][0]["cause"] == "The server closed."
    assert client.get("/api/v1/sources").json["sources"][0]["name"] == "test"


def test_what_cannot_be_read_again_and_again_says_since_when(
    client: FlaskClient, engine: Engine
) -> None:
    lease = follow(engine)
    with writing(engine) as connection:
        for at in (AT, AT + 3_600_000_000):
            put(connection, lease.stream_id, Rejected(b"{", "not JSON", "", ""), at)
    (kept,) = client.get("/api/v1/quarantine").json["quarantine"]["test"]
    assert (kept["count"], kept["first_at"]) == (2, exact(AT))
    page = client.get("/sources/test").text
    first, last = (page.index(clock(at)) for at in (AT, AT + 3_600_000_000))
    assert page.index("not JSON") < first < last


def test_an_import_of_ten_thousand_long_lines(client: FlaskClient) -> None:
    lines = [f"word{n} OR {'x' * 200}{n}" for n in range(10_000)] + [""]
    body = {"text": "\n".join(lines), "dry_run": True}
    checked = client.post("/api/v1/keywords/import", json=body).json
    assert [v["verdict"] for v in checked["verdicts"]] == ["good"] * 10_000
    assert client.get("/api/v1/keywords").json["keywords"] == []
    lines = ["storm", "(flood"]
    none = client.post(
        "/api/v1/keywords/import", json={"text": "\n".join(lines), "all_or_none": True}
    )
    assert none.json["ids"] == []
    some = client.post("/api/v1/keywords/import", json={"text": "\n".join(lines)}).json
    assert some["ids"] == [1]
    too_many = {"text": "a\n" * 10_001}
    is_problem(client.post("/api/v1/keywords/import", json=too_many), 413, "too_many_lines")


def test_lists_of_keywords_are_paged(client: FlaskClient) -> None:
    client.post("/api/v1/keywords/import", json={"text": "\n".join(f"w{n}" for n in range(25))})
    seen, older = [], ""
    for _ in range(3):
        page = client.get(f"/api/v1/keywords?limit=10&older={older}").json
        seen += [row["expression"] for row in page["keywords"]]
        older = page["older"]
    assert older == ""
    assert seen == [f"w{n}" for n in range(24, -1, -1)]


def test_the_demo_comes_and_goes(client: FlaskClient) -> None:
    assert len(client.post("/api/v1/demo", json={}).json["keywords"]) == len(DEMO_KEYWORDS)
    assert client.delete("/api/v1/demo", json={}).json == {
        "removed_posts": 0,
        "kept_keywords": [],
    }


def test_a_database_that_is_away_is_a_problem_too(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE keyword_versions"))
    body = is_problem(client.post("/api/v1/keywords", json={"expression": "a"}), 503, "database")
    assert "keyword_versions" not in body["detail"]


def test_a_deck_is_kept_changed_and_forgotten_and_its_columns_are_read(
    client: FlaskClient, engine: Engine
) -> None:
    keywords.add(engine, "storm")
    store(engine, follow(engine), *(post(n, lang="en" if n % 2 else "fr") for n in range(6)))
    body = {"name": "Weather", "columns": [{"of": "keyword:1", "languages": ["en"], "width": "l"}]}
    made = client.post("/api/v1/decks", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/decks/1")
    assert made.json["deck"]["columns"][0]["languages"] == ["en"]
    is_problem(client.post("/api/v1/decks", json=body), 409, "deck_exists")
    wrong = client.post("/api/v1/decks", json=body | {"columns": [{"contains": "(storm"}]})
    assert is_problem(wrong, 422, "column_invalid")["field"] == "with"
    is_problem(client.post("/api/v1/decks", json=body | {"name": " "}), 422, "column_invalid")
    renamed = client.patch("/api/v1/decks/1", json={"name": "Storms"}).json["deck"]
    assert (renamed["name"], renamed["columns"]) == ("Storms", made.json["deck"]["columns"])
    assert client.get("/api/v1/decks").json["decks"] == [renamed]
    assert client.get("/api/v1/decks/1").json["deck"] == renamed
    first = client.get("/api/v1/decks/posts?c1=keyword:1&c1.lang=en&limit=2").json
    more = client.get(f"/api/v1/decks/posts?c1=keyword:1&c1.lang=en&older={first['older']}").json
    assert [p["post_id"] for p in first["posts"] + more["posts"]] == ["5", "3", "1"]
    assert more["older"] == ""
    between = client.get("/api/v1/decks/posts?c1=all&c1.lang=en&after=1&before=5").json
    assert {p["post_id"] for p in between["posts"]} == {"1", "3"}
    assert (between["before"], between["forgotten"]) == (0, False)
    is_problem(client.get("/api/v1/decks/posts?c1=user:a"), 422, "column_invalid")
    is_problem(client.get("/api/v1/decks/posts?older=x"), 422, "bad_position")
    assert client.delete("/api/v1/decks/1", json={}).json["deck"] == renamed
    is_problem(client.get("/api/v1/decks/1"), 404, "deck_not_found")


def test_posts_dated_outside_all_years_are_shown(client: FlaskClient, engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    late, early = 253_402_300_799_000_000 + 50_400_000_000, -62_135_596_800_000_000 - 50_400_000_000
    lease = follow(engine)
    store(engine, lease, post(1, created_at=late, edited_at=late), post(2, created_at=early))
    for path in ("posts", "search", f"keywords/{keyword.id}/posts", "decks/posts?c1=all"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, path
        assert len(answer.json["posts"]) == 2
    for page in ("/", "/live", "/search", f"/keywords/{keyword.id}"):
        assert client.get(page).status_code == 200, page
    dates = [one["created_at"] for one in client.get("/api/v1/posts").json["posts"]]
    assert dates == ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]


@pytest.mark.parametrize(
    "path",
    [
        "keywords?states=paused",
        "keywords/1/coverage?from=1d",
        "keywords/1/posts?lang=en",
        "posts?network=x",
        "gaps?network=x",
        "quarantine?source=x",
        "annotations?keyword_id=1",
        "preview?expression=storm&network=x",
        "decks/posts?column=keyword:1",
        "decks/posts?c1=all&c1.language=en",
        "decks/posts?c1=all&c2.lang=en",
    ],
)
def test_a_name_that_would_change_nothing_is_refused(
    client: FlaskClient, engine: Engine, path: str
) -> None:
    keywords.add(engine, "storm")
    wrong = is_problem(client.get(f"/api/v1/{path}"), 422, "unknown_parameter")
    assert "means nothing here; there are " in wrong["detail"]


@pytest.mark.parametrize(
    "path", ["keywords/1/coverage", "keywords/1/posts", "posts", "gaps", "annotations"]
)
def test_a_range_that_ends_before_it_begins_is_refused(
    client: FlaskClient, engine: Engine, path: str
) -> None:
    keywords.add(engine, "storm")
    told = is_problem(client.get(f"/api/v1/{path}?since=1d&until=2d"), 422, "bad_moment")
    assert told["detail"] == "The range ends before it begins."
    for query in ("since=2d&until=1d", "until=2d"):
        assert client.get(f"/api/v1/{path}?{query}").status_code == 200, query


def test_a_preview_is_of_networks_that_there_are(client: FlaskClient) -> None:
    for networks in ("myspace", "x,bluesky", "-x"):
        address = f"/api/v1/preview?expression=storm&networks={networks}"
        assert "expected one of x" in is_problem(client.get(address), 422, "bad_filter")["detail"]
    for query in ("networks=x%20bluesky", "networks=x&networks=bluesky"):
        told = client.get(f"/api/v1/preview?expression=storm&{query}").json["networks"]
        assert [one["words"] == "Not chosen." for one in told] == [False, False, True]


def test_a_column_with_a_member_that_there_is_not_is_refused(client: FlaskClient) -> None:
    body = {"name": "a", "columns": [{"of": "all", "language": ["en"]}]}
    assert "`language`" in is_problem(client.post("/api/v1/decks", json=body), 422)["detail"]
    assert client.post("/api/v1/decks", json={"name": "a", "columns": [{}]}).status_code == 201
    is_problem(client.patch("/api/v1/decks/1", json={"columns": body["columns"]}), 422)


def test_a_search_refuses_what_it_would_not_heed(client: FlaskClient) -> None:
    wrong = is_problem(client.get("/api/v1/search?q=love&networks=x"), 422, "unknown_parameter")
    assert "“networks” means nothing here" in wrong["detail"]
    turned = client.get("/api/v1/search?since=2021-06-05&until=2021-06-04")
    assert is_problem(turned, 422, "bad_moment")["detail"] == "The range ends before it begins."
    assert client.get("/api/v1/search?since=2021-06-04&until=2021-06-05").status_code == 200
    is_problem(client.get("/api/v1"), 404, "not_found")
