"""Search by the API, and the searches that are kept."""

from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.store.posts import AT, post, store, take
from tests.views.test_api import is_problem
from tweeter.store import keywords
from tweeter.views.show import exact


def fill(engine: Engine) -> None:
    keywords.add(engine, "storm")
    some = [post(n, f"storm number {n}", lang=("en", "pt")[n % 2]) for n in range(7)]
    store(engine, take(engine), *some, post(9, "=SUM(1) storm\nsale", tags=("Sea",)))


def test_a_search_by_the_api(client: FlaskClient, engine: Engine) -> None:
    fill(engine)
    first = client.get("/api/v1/search?q=storm+NOT+sale&lang=-pt&limit=3").json
    assert [one["post_id"] for one in first["posts"]] == ["6", "4", "2"]
    assert isinstance(first["posts"][0]["id"], str)
    assert first["searched_until"] is None
    counts = first["counts"]
    assert (counts["counted"], counts["about"], counts["partial"]) == (4, 0, False)
    assert counts["back_to"] == exact(AT)
    assert counts["facets"]["lang"] == [["en", 4]]
    assert counts["histogram"]["bars"][0]["since"].endswith("Z")
    older = first["older"]
    rest = client.get(f"/api/v1/search?q=storm+NOT+sale&lang=-pt&older={older}&counts=0").json
    assert [one["post_id"] for one in rest["posts"]] == ["0"]
    assert (rest["older"], rest["counts"]) == ("", None)
    is_problem(client.get("/api/v1/search?q=storm+OR"), 422, "keyword_syntax")
    is_problem(client.get("/api/v1/search?kind=poem"), 422, "bad_filter")
    is_problem(client.get("/api/v1/search?since=soon"), 422, "bad_moment")
    is_problem(client.get("/api/v1/search?older=x"), 422, "bad_position")
    assert client.get("/search?older=x").status_code == 400


def test_saved_searches(client: FlaskClient) -> None:
    body = {"name": " my  storms ", "query": "lang=en&q=storm+NOT+sale&older=5.5"}
    made = client.post("/api/v1/searches", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/searches/1")
    row = made.json["search"]
    assert (row["name"], row["query"]) == ("my storms", "q=storm+NOT+sale&lang=en")
    is_problem(client.post("/api/v1/searches", json={"name": "my storms"}), 409, "search_exists")
    is_problem(client.post("/api/v1/searches", json={"name": " "}), 422, "search_invalid")
    bad = {"name": "a", "query": "network=y"}
    is_problem(client.post("/api/v1/searches", json=bad), 422, "bad_filter")
    client.post("/api/v1/searches", json={"name": "My storms", "query": ""})
    renamed = client.patch("/api/v1/searches/1", json={"name": "Z"}).json["search"]
    assert (renamed["name"], renamed["query"]) == ("Z", row["query"])
    is_problem(client.patch("/api/v1/searches/1", json={"name": "My storms"}), 409)
    names = [one["name"] for one in client.get("/api/v1/searches").json["searches"]]
    assert names == ["My storms", "Z"]
    assert client.delete("/api/v1/searches/1", json={}).json["search"]["name"] == "Z"
    is_problem(client.get("/api/v1/searches/1"), 404, "search_not_found")
