"""Search by the API, and the searches that are kept."""

import re
from urllib.parse import quote

from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store, take
from tests.views.test_api import is_problem
from tweeter.columns import Column
from tweeter.filters import Filter
from tweeter.records import Link, now_us
from tweeter.store import decks, keywords, search_texts, searches
from tweeter.views.show import exact

HOUR_US = 3_600_000_000


def fill(engine: Engine, *, indexed: bool = True) -> None:
    keywords.add(engine, "storm")
    some = [post(n, f"storm number {n}", lang=("en", "pt")[n % 2]) for n in range(7)]
    sale = post(9, "=SUM(1) storm\nsale", tags=("Sea",))
    store(engine, take(engine), *some, sale, indexed=indexed)


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


def test_a_language_without_a_code_is_shown_and_not_asked_for(
    client: FlaskClient, engine: Engine
) -> None:
    keyword = keywords.add(engine, "storm")
    odd = post(1, "storm", lang="english", occurred_at=now_us())
    store(engine, take(engine), odd, post(2, "storm", lang="en", occurred_at=now_us()))
    page = client.get("/search?q=storm").text
    assert '<bdi dir="auto">english</bdi>' in page
    assert "lang=en&" in page.replace('"', "&")
    assert "lang=english" not in page
    assert "lang=-english" not in page
    page = client.get(f"/keywords/{keyword.id}").text
    assert "<bdi>english</bdi>" in page
    assert "lang=en#" in page
    assert "lang=english" not in page
    assert "lang=!english" not in page
    for asked, status in (("/search?lang=english", 422), ("/live?c1=all&c1.lang=english", 400)):
        answer = client.get(asked)
        assert answer.status_code == status
        assert "expected a language&#39;s code, such as en or pt-br" in answer.text


def test_a_search_says_what_the_index_lacks(client: FlaskClient, engine: Engine) -> None:
    fill(engine, indexed=False)
    asked = "search?q=storm+NOT+sale&lang=-pt"
    found = client.get(f"/api/v1/{asked}").json
    assert [one["post_id"] for one in found["posts"]] == ["6", "4", "2", "0"]
    assert found["counts"]["counted"] == 4
    assert found["unindexed"] == {"since": exact(AT), "until": None}
    page = client.get(f"/{asked}").get_data(as_text=True)
    assert "on are stored without the search index (the setting search_index is off)" in page
    assert page.count('<article class="post"') == 4
    search_texts.FILLED, before = 3, search_texts.FILLED
    try:
        search_texts.fill(engine)
    finally:
        search_texts.FILLED = before
    assert client.get(f"/api/v1/{asked}").json["unindexed"]["until"] == exact(AT + 6)
    assert "The search index does not have the posts from" in client.get(f"/{asked}").text
    while search_texts.fill(engine):
        pass
    whole = client.get(f"/api/v1/{asked}").json
    assert (whole["posts"], whole["unindexed"]) == (found["posts"], None)
    assert "search index" not in client.get(f"/{asked}").text


def test_what_nothing_can_be_found_for_is_refused(client: FlaskClient, engine: Engine) -> None:
    fill(engine)
    for query, code, status, words in (
        ("q=storm&since=2d&until=3d", "bad_moment", 422, "The range ends before it begins."),
        ("q=storm&keyword=999", "keyword_not_found", 404, "There is no keyword 999."),
        ("q=storm&keyword=1,-999", "keyword_not_found", 404, "There is no keyword 999."),
    ):
        page = client.get(f"/search?{query}")
        assert page.status_code == 422
        assert words in page.text
        assert "0 posts" not in page.text
        for address in ("search", "search.csv"):
            told = is_problem(client.get(f"/api/v1/{address}?{query}"), status, code)
            assert words in told["detail"]
    body = {"name": "a", "query": "since=2d&until=3d"}
    is_problem(client.post("/api/v1/searches", json=body), 422, "bad_moment")
    keywords.set_state(
        engine, 1, "removed"
    )  # what it matched is there until it is deleted for good
    assert client.get("/api/v1/search?keyword=1").json["counts"]["counted"] == 8


def test_a_deck_is_made_of_what_there_is(client: FlaskClient, engine: Engine) -> None:
    fill(engine)
    column, gone = {"of": "keyword:1"}, searches.save(engine, "mine", Filter(q="storm")).id
    made = {"name": "a", "columns": [column, {"of": f"search:{gone}"}]}
    assert client.post("/api/v1/decks", json=made).status_code == 201
    searches.remove(engine, gone)
    for new, code in (
        ({"of": "keyword:999"}, "keyword_not_found"),
        ({"of": "all", "keywords": ["-999"]}, "keyword_not_found"),
        ({"of": f"search:{gone + 1}"}, "search_not_found"),
    ):
        body = {"name": "b", "columns": [column, new]}
        is_problem(client.post("/api/v1/decks", json=body), 404, code)
        body = {"columns": [*made["columns"], new]}
        is_problem(client.patch("/api/v1/decks/1", json=body), 404, code)
    assert client.patch("/api/v1/decks/1", json={"columns": made["columns"]}).status_code == 200
    is_problem(client.get("/api/v1/decks/posts?c1=keyword:999"), 404, "keyword_not_found")


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
    for query in ("qq=storm", "?q=storm", "/search?q=storm", "storm"):
        unknown = client.post("/api/v1/searches", json={"name": "a", "query": query})
        is_problem(unknown, 422, "unknown_parameter")
    client.post("/api/v1/searches", json={"name": "My storms", "query": ""})
    renamed = client.patch("/api/v1/searches/1", json={"name": "Z"}).json["search"]
    assert (renamed["name"], renamed["query"]) == ("Z", row["query"])
    is_problem(client.patch("/api/v1/searches/1", json={"name": "My storms"}), 409)
    names = [one["name"] for one in client.get("/api/v1/searches").json["searches"]]
    assert names == ["My storms", "Z"]
    assert client.delete("/api/v1/searches/1", json={}).json["search"]["name"] == "Z"
    is_problem(client.get("/api/v1/searches/1"), 404, "search_not_found")


def test_what_posts_have_is_listed_and_asked_for(client: FlaskClient, engine: Engine) -> None:
    keywords.add(engine, "storm")
    page, other = (Link(url=f"https://example.org/{name}") for name in ("a,b?utm_source=c", "d"))
    some = [
        post(1, "storm", links=(page, other), traits=("media",)),
        post(2, "storm", links=(page, Link(url="https://localhost/x"))),
        post(3, "storm"),
    ]
    store(engine, take(engine), *some)
    facets = client.get("/api/v1/search").json["counts"]["facets"]
    assert facets["link"] == [["https://example.org/a,b", 2], ["https://example.org/d", 1]]
    assert facets["only"] == [["link", 2], ["media", 1]]

    def found(query: str) -> list[str]:
        answer = client.get(f"/search?{query}").text
        assert "is-wrong" not in answer
        posts = client.get(f"/api/v1/search?{query}").json["posts"]
        return sorted(one["post_id"] for one in posts)

    link = quote("https://example.org/a,b")
    assert found(f"link={link}") == ["1", "2"]
    assert found(f"link={link}&link=-https://example.org/d") == ["2"]
    assert found(f"link=-{link}") == ["3"]
    assert found("only=media") == ["1"]
    assert found("only=-media") == ["2", "3"]
    assert found(f"only=-link&q={quote('storm')}") == ["3"]
    shown = client.get(f"/search?only=-media&link={link}").text
    assert "Has: <b>not</b>" in shown
    assert 'href="/search?link=https%3A%2F%2Fexample.org%2Fa%2Cb&amp;only=media"' in shown  # flip
    assert "Follow this as a keyword" not in shown
    assert "To follow it as a keyword: A keyword cannot ask for one link" in shown
    assert "follow it as a keyword" not in client.get("/search").text
    followed = client.get("/search?q=storm&kind=post&since=2d").text
    assert 'name="expression" value="storm NOT is:reply NOT is:repost NOT is:quote"' in followed
    assert "The times are left out" in followed
    fields = hidden_of(shown)
    assert (fields["link"], fields["only"]) == ("https://example.org/a,b", "-media")
    column = f"/live?c1=all&c1.link={link}&c1.only=-media"
    shown = client.get(f"{column}&edit=1").text
    assert "example.org/a,b · only without media" in shown
    assert re.search('name="link"[^>]* value="https://example.org/a,b"', shown)
    is_problem(client.get("/api/v1/search?link=nothing"), 422, "bad_filter")


def hidden_of(page: str) -> dict[str, str]:
    form = page.split("Show it live")[0].rsplit("<form", 1)[1]
    return dict(re.findall(r'name="([a-z_]+)"(?: type="hidden")? value="([^"]*)"', form))


def test_a_search_becomes_a_column_of_a_deck(client: FlaskClient, engine: Engine) -> None:
    fill(engine)
    page = client.get("/search?q=storm&lang=-pt&lang=en&tag=sea&only=link").get_data(as_text=True)
    fields = hidden_of(page)
    token = {"csrf_token": fields.pop("csrf_token")}
    assert fields == {"of": "all", "with": "storm", "lang": "-pt,en", "tag": "sea", "only": "link"}
    put = client.post("/live/change", data=fields | token | {"act": "put:new", "deck": ""})
    assert put.headers["Location"] == (
        "/live?c1=all&c1.with=storm&c1.lang=-pt,en&c1.tag=sea&c1.only=link"
    )
    shown = client.get(put.headers["Location"]).get_data(as_text=True)
    assert "en · not pt · #sea · with storm · only with links" in shown

    searches.save(engine, "mine", Filter(q="storm", lang=("en",)))
    decks.add(engine, "weather", [Column()])
    page = client.get("/search?q=storm&lang=en").get_data(as_text=True)
    assert '<option value="1">weather</option>' in page
    fields = hidden_of(page)
    assert fields["of"] == "search:1"
    assert "with" not in fields
    put = client.post("/live/change", data=fields | {"act": "put:new", "deck": "1"})
    assert put.headers["Location"] == "/live?deck=1"
    assert [one.of for one in decks.get(engine, 1).columns] == ["all", "search:1"]
    assert "At most 300 characters" in client.get(f"/search?q={'a' * 301}").get_data(as_text=True)


def test_columns_of_a_hashtag_and_of_a_saved_search_by_the_api(
    client: FlaskClient, engine: Engine
) -> None:
    fill(engine)
    row = searches.save(engine, "mine", Filter(q="storm", lang=("en",)))
    columns = [{"of": "tag:#Sea"}, {"of": "search:1", "languages": ["-pt"], "states": ["-edited"]}]
    made = client.post("/api/v1/decks", json={"name": "a", "columns": columns}).json["deck"]
    assert made["columns"][0]["of"] == "tag:sea"
    assert made["columns"][1]["states"] == ["-edited"]

    def found(query: str) -> list[str]:
        posts = client.get(f"/api/v1/decks/posts?{query}").json["posts"]
        return [one["post_id"] for one in posts]

    assert found("c1=tag:sea") == ["9"]
    assert found("c1=search:1") == ["6", "4", "2", "0"]
    assert found("c1=search:1&c1.without=2") == ["6", "4", "0"]
    assert found("c1=search:1&after=0&before=100") == ["6", "4", "2", "0"]
    searches.remove(engine, row.id)
    is_problem(client.get("/api/v1/decks/posts?c1=search:1"), 404, "search_not_found")
    page = client.get("/live?c1=search:1&c2=all").get_data(as_text=True)
    assert "The saved search that this column shows was deleted." in page
    assert page.count('<p class="warning trouble" role="status" hidden>') == 1
    nowhere = client.get("/live?c1=keyword:99&c2=all&c2.keyword=99&c3=all&c3.keyword=-99")
    assert nowhere.get_data(as_text=True).count("There is no such keyword any more.") == 2
    is_problem(client.post("/api/v1/searches", json={"name": "b", "query": "q=a+OR"}), 422)


def test_what_was_not_covered_is_no_silence(client: FlaskClient, engine: Engine) -> None:
    storm = keywords.add(engine, "storm")
    hour = AT // HOUR_US * HOUR_US + HOUR_US
    gap = ((hour - AT) // 1_000_000 + 600, (hour - AT) // 1_000_000 + 1200)
    some = [post(n, occurred_at=hour + n * HOUR_US // 10) for n in range(1, 10)]
    store(engine, follow(engine, gap_s=gap), *some)
    times = f"since={exact(hour)}&until={exact(hour + HOUR_US)}"
    for query in ("", f"&keyword={storm.id}", "&network=bluesky", "&q=nothing"):
        page = client.get(f"/search?{times}{query}").text
        assert "Partly covered: 10 min of the time" in page, query
        assert "83.3 % covered" in page
        assert "The server closed." in page
        found = client.get(f"/api/v1/search?{times}{query}").json["coverage"]
        assert (round(found["covered"], 3), found["missed_s"]) == (0.833, 600)
        assert (found["since"], found["until"]) == (exact(hour), exact(hour + HOUR_US))
        (band,) = found["bands"]
        begins = exact(AT + gap[0] * 1_000_000)
        assert (band["since"], band["whole"]) == (begins, True)
        assert "The server closed." in band["words"]
        (region,) = re.findall('<rect class="gap.*?>', page) or ["nothing is drawn"]
        assert ("nothing" in query) == ("nothing" in region)
    page = client.get(f"/search?{times}").text
    assert '<rect class="gap" fill="url(#gap)" x="16.667%"' in page
    assert "<b>≥ 9 posts</b>" in page
    for query in (f"{times}&network=x", f"since={exact(hour + HOUR_US // 2)}"):
        assert "Partly covered" not in client.get(f"/search?{query}").text
        assert not client.get(f"/api/v1/search?{query}").json["coverage"]["bands"]
    assert client.get("/api/v1/search?counts=0").json["coverage"] is None
