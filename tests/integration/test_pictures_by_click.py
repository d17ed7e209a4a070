"""Pictures by click, in a browser: no foreign host hears of anything before, one afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import update

from tests.integration.browsers import shot
from tests.integration.running import wait_for
from tests.integration.test_look import RULES
from tests.pictures import posts as invented
from tests.pictures.scene import World, world
from tests.pictures.strangers import strangers
from tests.store.posts import store, take
from tweeter.records import Post, Removal, now_us
from tweeter.store import posts, schema
from tweeter.store.engine import writing

DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="480" height="320">
<rect width="480" height="320" fill="#2a6f97"/>
<circle cx="240" cy="160" r="90" fill="#f4d35e"/></svg>"""
PICTURE = "https://pictures.varnholm.example/engine.jpg"
SHOW = "Show picture from pictures.varnholm.example"
LEFT = "Show picture from files.quay.example"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pictures") / "world") as made:
        yield made


@contextmanager
def asked(browser: Any, place: World, **options: Any) -> Iterator[tuple[Any, list[Any]]]:
    """A page, and the requests of its context to hosts other than ours, which get no further."""
    context = browser.new_context(**options)
    strange: list[Any] = []

    def answered(route: Any) -> None:
        strange.append(route.request)
        route.fulfill(status=200, content_type="image/svg+xml", body=DRAWING)

    context.route(lambda url: not url.startswith((place.url, "data:")), answered)
    place.beat()
    yield context.new_page(), strange
    context.close()


def card_of(page: Any, words: str) -> Any:
    return page.locator("article", has_text=words).first


def said(at: int, number: int, text: str) -> Post:
    """A post of X with a picture, which is not stored yet."""
    post = invented.decoded(invented.x_post(at, number, text=text), at)
    assert isinstance(post, Post)
    return post


def watch(page: Any, place: World) -> None:
    """The live page, when it is told of posts."""
    page.goto(f"{place.url}/live")
    page.locator("#lamp.state-live").wait_for()


def drawn(page: Any) -> Any:
    """The picture in the frame, once it is there."""
    picture = page.frame_locator("iframe.picture").locator("img")
    wait_for(lambda: picture.evaluate("img => img.complete && img.naturalWidth"), 10)
    return picture


@pytest.mark.parametrize("address", ["/live", "/search?q=varnholm", "/keywords/1"])
def test_a_click_asks_one_host_once(browser: Any, place: World, address: str) -> None:
    with asked(browser, place, viewport={"width": 1100, "height": 900}) as (page, strange):
        errors: list[str] = []
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(place.url + address)
        link = page.get_by_role("link", name=SHOW).first
        link.wait_for()
        page.wait_for_timeout(300)
        assert strange == []
        link.click()
        frame = page.locator("iframe.picture")
        picture = drawn(page)
        assert [one.url for one in strange] == [PICTURE]
        assert "referer" not in strange[0].all_headers()
        assert frame.get_attribute("sandbox") == ""
        assert frame.get_attribute("title") == "Picture: A blue engine under snow"
        assert frame.get_attribute("referrerpolicy") == "no-referrer"
        box, inside = frame.bounding_box(), picture.bounding_box()
        assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.05)
        assert inside["height"] <= box["height"]  # its own sheet was not refused
        hide = page.get_by_role("link", name="Hide picture")
        assert hide.get_attribute("aria-expanded") == "true"
        page.wait_for_timeout(200)
        hide.click()
        assert frame.count() == 0
        page.get_by_role("link", name=SHOW).first.wait_for()
        assert len(strange) == 1
        assert errors == []
        assert len(page.context.pages) == 1


def test_without_javascript_nothing_is_asked_until_the_link_is_followed(
    browser: Any, place: World
) -> None:
    with asked(browser, place, java_script_enabled=False) as (page, strange):
        page.goto(f"{place.url}/keywords/1")
        link = page.get_by_role("link", name=SHOW)
        assert strange == []
        with page.context.expect_page() as opened:
            link.click()
        alone = opened.value
        alone.get_by_role("heading", name="Picture from pictures.varnholm.example").wait_for()
        alone.wait_for_load_state()
        assert [one.url for one in strange] == [PICTURE]
        assert "referer" not in strange[0].all_headers()
        assert alone.get_by_text("A blue engine under snow").count() == 1
        view = alone.get_by_role("link", name="View on X")
        assert view.get_attribute("href").startswith("https://x.com/mara_lind_demo/status/")


def test_a_host_that_sends_on_to_another_shows_nothing(browser: Any, place: World) -> None:
    with asked(browser, place) as (page, strange):
        elsewhere = {"Location": "https://elsewhere.example/1.jpg"}
        page.route(PICTURE, lambda route: route.fulfill(status=302, headers=elsewhere))
        failed: list[tuple[str, str]] = []
        page.on("requestfailed", lambda one: failed.append((one.url, one.failure)))
        page.goto(f"{place.url}/keywords/1")
        page.get_by_role("link", name=SHOW).first.click()
        picture = page.frame_locator("iframe.picture").locator("img")
        wait_for(lambda: picture.evaluate("img => img.complete"), 10)
        page.wait_for_timeout(300)
        assert picture.evaluate("img => img.naturalWidth") == 0
        assert (PICTURE, "csp") in failed  # what it sends on to is refused before it is asked for
        assert strange == []


def test_a_fold_is_opened_first(browser: Any, place: World) -> None:
    with asked(browser, place) as (page, strange):
        page.goto(f"{place.url}/keywords/1")
        card = card_of(page, "Tormenta, ruido")
        link = card.get_by_role("link", name=LEFT)
        assert card.locator("details.covered").count() == 1
        assert link.count() == 0
        card.locator("details.covered > summary").click()
        link.click()
        drawn(page)
        assert strange[0].url == "https://files.quay.example/small/1.jpg"


def test_a_picture_goes_with_its_post_and_opens_elsewhere_with_a_key(
    browser: Any, place: World
) -> None:
    at = now_us()
    post = said(at, 9, "harbour, soon gone")
    lease = take(place.engine, "soon gone")
    with asked(browser, place) as (page, strange):
        watch(page, place)
        store(place.engine, lease, post)
        card = card_of(page, "soon gone")
        with page.context.expect_page() as opened:
            card.get_by_role("link", name=SHOW).click(modifiers=["Control"])
        opened.value.wait_for_load_state()
        assert page.locator("iframe").count() == 0
        card.get_by_role("link", name=SHOW).click()
        drawn(page)
        assert {one.url for one in strange} == {PICTURE}  # the second time it is kept
        store(place.engine, lease, Removal(network="x", key=post.key, occurred_at=at))
        page.locator("iframe.picture").wait_for(state="detached")
        card_of(page, "Removed by its author").wait_for()
        assert page.get_by_role("link", name="Hide picture").count() == 0


def test_a_picture_stays_open_when_its_post_is_edited(browser: Any, place: World) -> None:
    post = said(now_us(), 10, "harbour, first words")
    assert len(post.media) == 1
    lease = take(place.engine, "edited twice")

    def edit(text: str, *, host: str = "") -> None:
        media = post.media
        if host:
            media = tuple(
                msgspec.structs.replace(one, url=f"https://{host}/1.jpg") for one in media
            )
        newer = {"text": text, "media": media, "edited_at": now_us(), "version": str(now_us())}
        store(place.engine, lease, msgspec.structs.replace(post, operation="update", **newer))

    with asked(browser, place) as (page, strange):
        watch(page, place)
        store(place.engine, lease, post)
        card = card_of(page, "first words")
        card.get_by_role("link", name=SHOW).click()
        drawn(page)
        page.get_by_role("link", name="Hide picture").focus()
        edit("harbour, second words")
        card_of(page, "second words").wait_for()
        drawn(page)
        assert card_of(page, "second words").locator("iframe.picture").count() == 1
        assert page.evaluate("document.activeElement.textContent") == "Hide picture"
        assert {one.url for one in strange} == {PICTURE}
        page.get_by_role("link", name="Hide picture").click()
        assert page.locator("iframe.picture").count() == 0
        card_of(page, "second words").get_by_role("link", name=SHOW).click()
        edit("harbour, third words", host="other.example")
        card_of(page, "third words").wait_for()  # another host: nobody agreed to ask it
        page.get_by_role("link", name="Show picture from other.example").wait_for()
        page.wait_for_timeout(300)
        assert page.locator("iframe.picture").count() == 0
        assert {one.url for one in strange} == {PICTURE}


def test_a_post_that_was_edited_before_the_click_arrived_asks_nobody(
    browser: Any, place: World
) -> None:
    post = said(now_us(), 11, "harbour, a moment late")
    with asked(browser, place) as (page, strange):
        watch(page, place)
        store(place.engine, take(place.engine, "a moment late"), post)
        link = card_of(page, "a moment late").get_by_role("link", name=SHOW)
        link.wait_for()
        with writing(place.engine) as connection:  # the page has not heard of it yet
            media = '[{"kind":"picture","url":"https://other.example/1.jpg"}]'
            is_it = schema.posts.c.text == "harbour, a moment late"
            assert connection.execute(
                update(schema.posts).where(is_it).values(media=media)
            ).rowcount
        link.click()
        words = page.frame_locator("iframe.picture").get_by_text(
            "not asked about other.example yet"
        )
        words.wait_for()
        assert strange == []


@pytest.mark.parametrize("width, theme", [(1280, "light"), (320, "dark")])
def test_the_page_and_the_frame_look_neat(
    browser: Any, place: World, width: int, theme: str
) -> None:
    view = {"width": width, "height": 800}
    with asked(browser, place, viewport=view, color_scheme=theme) as (page, strange):
        page.goto(f"{place.url}/keywords/1")
        page.get_by_role("link", name=SHOW).first.click()
        page.locator("iframe.picture").scroll_into_view_if_needed()
        drawn(page)
        assert len(strange) == 1
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        assert Axe().run(page, options=options).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        frame = page.locator("iframe.picture").bounding_box()
        below = page.locator("article", has=page.locator("iframe")).locator(".base").bounding_box()
        assert frame["y"] + frame["height"] <= below["y"]
        shot(page, f"picture-in-card-{width}-{theme}", whole=False)
        found = next(p for p in posts.latest(place.engine, limit=50) if p.media and p.media[0].url)
        host = urlsplit(found.media[0].url).hostname
        page.goto(f"{place.url}/media/{found.id}/1?host={host}")
        assert Axe().run(page, options=options).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        shot(page, f"picture-{width}-{theme}")


def test_no_hostile_address_leaves_its_place(browser: Any, tmp_path: Path) -> None:
    with world(tmp_path / "world") as place:
        strangers(place)
        with asked(browser, place) as (page, strange):
            page.goto(f"{place.url}/keywords/1")
            page.locator("article").first.wait_for()
            links = page.locator("a.show-picture")
            hosts = {text.removeprefix("Show picture from ") for text in links.all_text_contents()}
            assert "x.example" in hosts
            assert "a.example" not in hosts
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
            shown = links.count()
            for _ in range(shown):
                page.get_by_role("link", name="Show picture").first.click()
            assert page.locator("iframe.picture").count() == shown
            assert page.locator("article :is(script, img, [onload], [onerror])").count() == 0
            page.wait_for_timeout(500)
            asked_for = {one.url.partition("/")[2].split("/")[1] for one in strange}
            assert asked_for <= hosts
            assert "gone" not in page.title()
