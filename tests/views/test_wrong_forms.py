"""What is wrong with a form is said at its field, which has the focus, with what was typed."""

from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tweeter.columns import Column
from tweeter.filters import Filter
from tweeter.records import now_us
from tweeter.store import annotations, decks, keywords, searches

Attributes = dict[str, str]


class Tags(HTMLParser):
    """Every element of a page, as its attributes and its tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Attributes] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        self.found.append({"tag": tag} | {name: value or "" for name, value in attrs})


NOTE, DECK = "/keywords/1/annotations", {"columns": "c1=all"}
LONG = "a" * 1025
WRONG: list[tuple[str, dict[str, str] | None, str, str]] = [
    ("/keywords/1?from=soon&lang=en", None, "from", "soon"),
    ("/keywords/1?from=1d&to=2d", None, "to", "2d"),
    ("/keywords/1?by=weather", None, "by", ""),
    ("/?with=1", None, "with", "1"),
    ("/?with=1&with=2&to=never", None, "to", "never"),
    ("/search?q=(oops&since=2d", None, "q", "(oops"),
    ("/search?q=storm&until=never&lang=en", None, "until", "never"),
    ("/searches", {"query": "q=a", "name": "taken"}, "name", "taken"),
    ("/searches/2/rename", {"name": "taken"}, "name", "taken"),
    ("/live/change", {**DECK, "act": "save", "name": "mine"}, "name", "mine"),
    ("/live/change", {**DECK, "act": "put:1", "with": "(oops"}, "with", "(oops"),
    ("/live/change", {**DECK, "act": "put:new", "hashtag": "a b"}, "hashtag", "a b"),
    ("/live/change", {**DECK, "act": "put:1", "hour": "200"}, "hour", "200"),
    ("/live/change", {**DECK, "act": "put:1", "since": "1d", "until": "2d"}, "until", "2d"),
    ("/live/change", {**DECK, "act": "put:new", "lang": "english"}, "lang", "english"),
    (NOTE, {"text": " ", "since": "1h"}, "text", " "),
    (NOTE, {"text": "A walk", "since": "soon"}, "since", "soon"),
    (NOTE, {"text": "A walk", "since": "1h", "until": "2h"}, "until", "2h"),
    ("/add_keyword", {"expression": "(a", "keep_days": "x"}, "keep_days", "x"),
    ("/add_keyword", {"expression": "(a"}, "expression", "(a"),
    ("/keywords/1/edit", {"expression": "flood"}, "expression", "flood"),
    ("/add_keyword", {"expression": LONG}, "expression", LONG),
    ("/add_keyword", {"expression": LONG, "act": "preview"}, "expression", LONG),
    ("/keywords/1/edit", {"expression": LONG}, "expression", LONG),
    (f"/search?q={LONG}", None, "q", LONG),
    ("/keywords/import", {"lines": "\n \n", "act": "check"}, "lines", ""),
    ("/keywords/import", {"lines": "# a remark", "act": "add"}, "lines", ""),
    ("/keywords/import", {"lines": "expression,networks", "act": "check"}, "lines", ""),
]


@pytest.fixture
def furnished(engine: Engine, client: FlaskClient) -> FlaskClient:
    for expression in ("storm", "flood"):
        keywords.add(engine, expression)
    for name in ("taken", "other"):
        searches.save(engine, name, Filter(q=name))
    decks.add(engine, "mine", (Column(),))
    return client


def test_the_field_says_so_and_keeps_what_was_typed(furnished: FlaskClient) -> None:
    found = Tags(furnished.get("/add_keyword").text).found
    token = next(one["value"] for one in found if one.get("name") == "csrf_token")
    for address, form, name, typed in WRONG:
        said = (address, form)
        sent = {"csrf_token": token} | (form or {})
        answer = furnished.post(address, data=sent) if form else furnished.get(address)
        assert answer.status_code == 422, said
        found = Tags(answer.text).found
        (field,) = [one for one in found if one.get("aria-invalid") == "true"]
        focused = [one for one in found if "autofocus" in one]
        assert field["name"] == name, said
        assert focused == [field], said
        ids = {one["id"] for one in found if "id" in one}
        assert set(field["aria-describedby"].split()) <= ids, said
        assert field.get("value", "") == typed, said


def test_what_is_too_long_is_refused_and_not_cut_by_the_field(furnished: FlaskClient) -> None:
    fields = ("expression", "q")
    for address in ("/add_keyword", "/keywords/1", "/search"):
        found = [
            one for one in Tags(furnished.get(address).text).found if one.get("name") in fields
        ]
        assert found
        for one in found:  # a character may be two to the browser
            assert int(one.get("maxlength", 1 << 20)) > 2 * 1024, (address, one)


def test_the_address_of_a_wrong_form_leads_to_its_page(furnished: FlaskClient) -> None:
    for address, page in (
        ("/keywords/1/edit", "/keywords/1"),
        (f"{NOTE}?range=week&lang=en", "/keywords/1?range=week&lang=en#annotations"),
        (f"{NOTE}/7?range=week", "/keywords/1?range=week#annotations"),
        ("/searches/2/rename", "/searches"),
        ("/live/change?deck=1", "/live?deck=1"),
        ("/live/change?c1=all&c2=all", "/live?c1=all&c2=all"),
    ):
        answer = furnished.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (302, page)
        assert furnished.get(page).status_code == 200
    for deck in ("deck=1", "c1=keyword:1&c2=all"):
        found = Tags(furnished.get(f"/live?{deck}&edit=1").text).found
        forms = [one["id"] for one in found if one.get("action") == f"/live/change?{deck}"]
        assert sorted(forms) == ["edit", "keep"]


def test_a_file_without_a_line_is_what_is_wrong(furnished: FlaskClient) -> None:
    found = Tags(furnished.get("/add_keyword").text).found
    token = next(one["value"] for one in found if one.get("name") == "csrf_token")
    sent = {"csrf_token": token, "act": "check", "file": (BytesIO(b"\n# none\n"), "none.txt")}
    answer = furnished.post("/keywords/import", data=sent)
    assert answer.status_code == 422
    assert "There is no line with a keyword" in answer.text
    (field,) = [one for one in Tags(answer.text).found if one.get("aria-invalid") == "true"]
    assert field["name"] == "file"


def test_what_no_field_asks_is_said_by_the_form(furnished: FlaskClient) -> None:
    named = [f"/keywords/1?{one}" for one in ("range=century", "off=weather", "kind=poem")]
    named += [f"/keywords/1?{one}" for one in ("lang=english", "lang=!pt-br", "media=some")]
    for address in (*named, "/keywords/1?network=myspace", "/search?kind=novel"):
        answer = furnished.get(address)
        assert answer.status_code == 422
        (focused,) = [one for one in Tags(answer.text).found if "autofocus" in one]
        assert (focused["tag"], focused["tabindex"]) == ("div", "-1")
    page = furnished.get("/keywords/1?from=soon&lang=en&tag=a").text
    assert "lang=en" in page  # what can be asked stays, and no link leads to what cannot
    assert 'href="/keywords/1?from=soon' not in page


def test_a_deck_that_cannot_be_is_not_there(furnished: FlaskClient) -> None:
    found = Tags(furnished.get("/add_keyword").text).found
    token = next(one["value"] for one in found if one.get("name") == "csrf_token")
    for number in (str(1 << 63), "9" * 5_000):
        sent = {"csrf_token": token, "deck": number, "act": "remove:1", **DECK}
        assert furnished.post("/live/change", data=sent).status_code < 500


def test_what_was_removed_in_another_tab_stays_so(furnished: FlaskClient, engine: Engine) -> None:
    found = Tags(furnished.get("/keywords/1").text).found
    token = next(one["value"] for one in found if one.get("name") == "csrf_token")
    removed = keywords.set_state(engine, 1, "removed", purge=True)
    words = "Keyword 1 (storm) is removed. Restore it first."
    for act in ("pause", "resume"):
        answer = furnished.post(
            f"/keywords/1/{act}?to=keyword", data={"csrf_token": token}, follow_redirects=True
        )
        assert words in answer.text
    sent = {"csrf_token": token, "expression": "storms"}
    answer = furnished.post("/keywords/1/edit", data=sent)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert keywords.get(engine, 1) == removed


FORMS = (
    (
        "/add_keyword?find=st",
        {"expression": 'vote "<b>"', "networks": ["x", "mastodon"], "keep_days": "many"},
    ),
    ("/keywords/1/edit", {"expression": "storm OR gale", "month_budget": "500"}),
    ("/keywords/import", {"lines": "vote\n<b>", "act": "add"}),
)


def drawn_again(page: str) -> list[Attributes]:
    """The tags of a page on which nothing is wrong but that the form was too old."""
    found = Tags(page).found
    (focused,) = [one for one in found if "autofocus" in one]
    assert focused["tag"] == "div"
    assert "aria-invalid" not in page
    return found


@pytest.mark.parametrize("token", ["", "x", "theirs"])
@pytest.mark.parametrize(("address", "typed"), FORMS, ids=[one[0] for one in FORMS])
def test_a_form_that_is_too_old_comes_back_with_what_was_typed(
    furnished: FlaskClient, engine: Engine, address: str, typed: dict[str, Any], token: str
) -> None:
    def tokens(page: str) -> set[str]:
        return {one["value"] for one in Tags(page).found if one.get("name") == "csrf_token"}

    before = keywords.list_all(engine)
    if token == "theirs":
        (token,) = tokens(furnished.get("/add_keyword").text)
        furnished.delete_cookie("tweeter")
    answer = furnished.post(address, data={"csrf_token": token} | typed)
    assert answer.status_code == 400
    assert "The form was too old, or another site sent it." in answer.text
    assert keywords.list_all(engine) == before
    found = drawn_again(answer.text)
    for name, value in typed.items():
        fields = [one for one in found if one.get("name") == name]
        if name == "lines":
            assert "vote\n&lt;b&gt;</textarea>" in answer.text
        elif name == "networks":
            assert [one["value"] for one in fields if "checked" in one] == value
        elif name != "act":
            assert [one["value"] for one in fields] == [value]

    (fresh,) = tokens(answer.text)
    assert furnished.post(address, data={"csrf_token": token} | typed).status_code == 400
    again = furnished.post(address, data={"csrf_token": fresh} | typed | {"keep_days": "0"})
    assert (again.status_code, keywords.list_all(engine) == before) in ((303, False), (200, False))


NAMED = (
    (NOTE, {"text": "A walk", "since": "soon", "until": "2h", "everywhere": "y"}, {}),
    (f"{NOTE}/1", {"text": "A walk", "since": "1h", "until": ""}, {"act": "save"}),
    ("/searches", {"name": "storms <b>"}, {"query": "q=storm&lang=en"}),
    ("/searches/2/rename", {"name": "storms"}, {}),
    ("/live/change", {"name": "storms"}, {**DECK, "act": "save"}),
    ("/live/change", {"name": "storms"}, {"deck": "1", "act": "rename"}),
    ("/live/change", {"with": "gale", "title": "Wind"}, {**DECK, "act": "put:new"}),
)


@pytest.mark.parametrize(("address", "typed", "more"), NAMED)
def test_what_a_person_named_or_noted_comes_back_too(
    furnished: FlaskClient,
    engine: Engine,
    address: str,
    typed: dict[str, str],
    more: dict[str, str],
) -> None:
    now = now_us()
    annotations.add(engine, keyword_id=1, text="A run", since=now - 60_000_000, until=0)
    kept = searches.list_all(engine), decks.list_all(engine)
    answer = furnished.post(address, data=typed | more)
    assert answer.status_code == 400
    assert "look at it, and send it again." in answer.text
    assert (searches.list_all(engine), decks.list_all(engine)) == kept
    found = drawn_again(answer.text)
    for name, value in typed.items():
        fields = [one for one in found if one.get("name") == name]
        assert value in [one["value"] for one in fields if name != "everywhere" or "checked" in one]


def test_a_form_that_cannot_be_drawn_again_says_that_nothing_was_changed(
    furnished: FlaskClient, engine: Engine
) -> None:
    before = keywords.list_all(engine)
    for address in (
        *("/keywords/99/edit", "/keywords/1/edit?older=no", "/keywords/1/remove"),
        *("/keywords/99/annotations", "/searches/9/rename", "/searches/1/remove"),
        "/live/change",
    ):
        answer = furnished.post(address, data={"expression": "gale"})
        assert (answer.status_code, "Nothing was changed" in answer.text) == (400, True), address
        assert "Go back, reload the page, send it again." in answer.text, address
    keywords.set_state(engine, 2, "removed")  # it has no form
    answer = furnished.post("/keywords/2/edit", data={"expression": "gale"})
    assert (answer.status_code, "The form was too old" in answer.text) == (400, True)
    before = [row for row in before if row.id != 2]
    assert keywords.list_all(engine) == before
