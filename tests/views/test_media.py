"""A picture's own page: what it may load, who may frame it, and for which posts there is none."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from tests.store.posts import post, removal, store, take
from tests.views import visits
from tests.views.test_words import Invented, english
from tests.views.visits import VISITS, Visit
from tweeter.records import AccountChange, Media
from tweeter.store import keywords, posts, schema
from tweeter.store.engine import writing
from tweeter.views import words
from tweeter.views.guard import WITH_CARDS

PICTURE = Media("picture", 'rain "<b>', "https://files.example/1.jpg?a=1&b=2")
SEEN = "bluesky.example/1"


def kept(engine: Engine, *media: Media, **fields: object) -> str:
    """The address of the page of the first picture of a post."""
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1, url=f"https://{SEEN}", media=media or (PICTURE,), **fields))
    return f"/media/{posts.latest(engine)[0].id}/1?host=files.example"


def test_the_page_may_load_pictures_of_one_host_and_be_framed_by_us(
    client: FlaskClient, engine: Engine
) -> None:
    address = kept(engine)
    answer = client.get(address)
    rules = dict(
        rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert rules["img-src"] == "'self' https://files.example"
    assert rules["frame-ancestors"] == "'self'"
    assert rules["default-src"] == "'none'"
    assert "frame-src" not in rules
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (
        '<img src="https://files.example/1.jpg?a=1&amp;b=2" alt="Picture: rain &#34;&lt;b&gt;"'
        ' referrerpolicy="no-referrer">'
    ) in answer.text
    assert "Picture from files.example" in answer.text
    assert f'href="https://{SEEN}"' in answer.text
    assert answer.text.count("files.example/1.jpg") == 1
    framed = client.get(f"{address}&framed=1")
    assert framed.headers["Content-Security-Policy"] == answer.headers["Content-Security-Policy"]
    assert "<img" in framed.text
    assert "<a" not in framed.text


@pytest.mark.parametrize("agreed", ["", "?host=", "?host=other.example", "?host=FILES.EXAMPLE"])
def test_a_host_that_nobody_agreed_to_ask_is_named_and_not_asked(
    client: FlaskClient, engine: Engine, agreed: str
) -> None:
    address = kept(engine)
    bare = address.partition("?")[0]
    answer = client.get(bare + agreed)
    framed = client.get(f"{bare}{agreed or '?'}&framed=1")
    for page in (answer, framed):
        assert page.status_code == 200
        assert "img-src 'self';" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
        assert "<img" not in page.text
        assert "https://files.example" not in page.text
        assert "you were not asked about files.example yet" in page.text
    assert f'<a href="{address}">Show picture from files.example</a>' in answer.text
    assert "<a" not in framed.text


def test_cards_say_the_host_and_hold_no_address_of_it(client: FlaskClient, engine: Engine) -> None:
    address = kept(engine)
    answer = client.get("/")
    assert (
        f'<a class="show-picture" href="{address}" rel="noopener noreferrer" target="_blank">'
        "Show picture from files.example</a>"
    ) in answer.text
    assert "https://files.example" not in answer.text
    rules = answer.headers["Content-Security-Policy"].split("; ")
    assert {"frame-src 'self'", "img-src 'self'", "frame-ancestors 'none'"} <= set(rules)
    health = client.get("/health").headers["Content-Security-Policy"]
    assert "frame-src" not in health
    assert "frame-ancestors 'none'" in health


def test_there_is_no_page_without_a_picture_that_may_be_shown(
    client: FlaskClient, engine: Engine
) -> None:
    address = kept(engine)
    assert client.get(address).status_code == 200
    post_id = address.split("/")[2]
    for wrong in (
        f"/media/{post_id}/2",
        f"/media/{post_id}/0",
        f"/media/{post_id}/-1",
        f"/media/{'9' * 30}/1",
        "/media/7/1",
    ):
        answer = client.get(wrong)
        assert (answer.status_code, "Not Found" in answer.text) == (404, True), wrong
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    lease = take(engine, "another")
    away = AccountChange(
        network="bluesky", author_id="did:plc:a", status="suspended", occurred_at=1
    )
    store(engine, lease, away)
    assert client.get(address).status_code == 404
    back = AccountChange(network="bluesky", author_id="did:plc:a", status="active", occurred_at=2)
    store(engine, lease, back)
    assert client.get(address).status_code == 200
    store(engine, lease, removal(1))
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "media, fields",
    [
        (Media("picture", "rain"), {}),
        (PICTURE, {"warning": "!hide"}),
        (PICTURE, {"warning": "!no-unauthenticated"}),
        (Media("picture", "", "http://a.example/1.jpg"), {}),
        (Media("picture", "", 'https://a.example/"onerror="alert(1)'), {}),
        (Media("picture", "", "https://a.example;script-src *"), {}),
        (Media("picture", "", "https://me@a.example/"), {}),
    ],
)
def test_what_came_into_the_database_by_another_way_is_looked_at_again(
    client: FlaskClient, engine: Engine, media: Media, fields: dict[str, str]
) -> None:
    address = kept(engine, media, **fields)
    assert client.get(address).status_code == 404
    assert "show-picture" not in client.get("/").text


def test_rows_of_before_have_media_without_an_address(client: FlaskClient, engine: Engine) -> None:
    address = kept(engine)
    with writing(engine) as connection:
        old = '[{"kind":"picture","alt":"rain"}]'
        connection.execute(update(schema.posts).values(media=old))
    assert posts.latest(engine)[0].media == [Media("picture", "rain")]
    assert client.get(address).status_code == 404
    assert "Picture: rain" in client.get("/").text


def test_every_page_with_a_card_may_frame_a_picture(
    app: Flask, client: FlaskClient, engine: Engine
) -> None:
    assert set(app.view_functions) >= WITH_CARDS
    visits.furnish(engine)
    asked = [*VISITS, Visit("/live")]
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get("/add_keyword").text)
    assert token
    with_cards = 0
    for address, form in asked:
        data = {"csrf_token": token[1]} | (form or {})
        answer = client.get(address) if form is None else client.post(address, data=data)
        if '<article class="post"' in answer.text:
            with_cards += 1
            assert "frame-src 'self'" in answer.headers["Content-Security-Policy"], address
    assert with_cards > 5


def test_the_page_can_be_translated(app: Flask, engine: Engine) -> None:
    address = kept(engine)
    words.speak(app, Invented())
    with app.test_client() as client:
        data = (PICTURE.alt, "files.example", "bluesky.example", "Bluesky")
        for asked in (address, f"{address}&framed=1", address.partition("?")[0]):
            page = client.get(asked).text
            assert re.search("[Ａ-Ｚ]", page)
            assert list(english(page, data)) == []
