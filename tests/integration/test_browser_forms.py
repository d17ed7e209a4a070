"""Keywords tried, imported and explained, and sources checked, in a real browser."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.browsers import shot, watched, window
from tests.integration.running import Running, wait_for
from tests.simulators import jetstream, x
from tests.simulators.served import Served

TOKEN = "A" * 90 + "9f2c"
TEXTS = ("A storm over the bay", "a storm and a flood", "storm sale today")
LONG = "w" * 150  # no place to break it
# After the last element of a page the focus goes to the browser's own bar.
FOCUS_IS_SEEN = """
    document.activeElement === document.body
        || getComputedStyle(document.activeElement).outlineStyle !== 'none'
"""


@pytest.fixture(scope="module")
def limited_x() -> Iterator[Any]:
    with Served(x.XSimulator(TOKEN)) as simulator:
        reset = {"x-rate-limit-reset": str(int(time.time()) + 800)}
        simulator.it.answers = [(429, reset, {"title": "Too Many"})] * 500
        yield simulator


@pytest.fixture(scope="module")
def tweeter(
    tmp_path_factory: pytest.TempPathFactory, served: Any, limited_x: Any
) -> Iterator[Running]:
    settings = {
        "BLUESKY_URL": served.it.url,
        "X_API_BASE": limited_x.it.url,
        "X_BEARER_TOKEN": TOKEN,
    }
    with Running(tmp_path_factory.mktemp("forms"), **settings) as running:
        wait_for(lambda: served.it.clients, 30, "for Jetstream")
        running.add_all(["storm", LONG])
        time.sleep(2)  # the keyword reaches the stream
        events = [jetstream.post_event(text, number=n) for n, text in enumerate(TEXTS)]
        served.do(served.it.publish([json.dumps(event).encode() for event in events]))
        wait_for(lambda: running.sql("SELECT count(*) FROM posts")[0][0] >= len(TEXTS), 20)
        yield running


@pytest.fixture
def page(browser: Any, tweeter: Running) -> Iterator[Any]:
    with window(browser, tweeter.url) as made:
        yield made


def field(page: Any) -> Any:
    return page.get_by_label("Keyword", exact=True)


def test_the_preview_follows_the_keys_and_the_newest_one_wins(page: Any, tweeter: Running) -> None:
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/preview") else None)
    page.goto(f"{tweeter.url}/add_keyword")
    field(page).press_sequentially("storm AND flood", delay=20)
    place = page.locator("#preview-place")
    place.get_by_text("1 of the newest").wait_for()
    assert len(asked) == 1  # it waits for a pause
    assert place.locator("mark.hit").all_inner_texts()[:2] == ["storm", "flood"]
    assert place.get_by_text("without flood").count() >= 1
    field(page).fill("storm OR (flood")
    place.get_by_text("never closed").wait_for()
    assert place.locator("mark").inner_text() == "("
    field(page).fill("storm")
    place.get_by_text("already says the same").wait_for()
    assert field(page).evaluate("node => node === document.activeElement")
    field(page).fill("")
    wait_for(lambda: place.inner_text() == "", 5)
    assert tweeter.sql("SELECT count(*) FROM keywords") == [(2,)]


def test_without_javascript_the_button_previews_and_options_are_kept(
    browser: Any, tweeter: Running
) -> None:
    context = browser.new_context(java_script_enabled=False)
    made = context.new_page()
    made.goto(f"{tweeter.url}/add_keyword")
    field(made).fill("flood NOT sale")
    made.get_by_text("Networks, budget").click()
    made.get_by_label("Bluesky").check()
    made.get_by_label("Delete its posts after").fill("30")
    made.get_by_role("button", name="Try it first").click()
    made.get_by_text("1 of the newest").wait_for()
    assert made.get_by_label("Bluesky").is_checked()
    made.get_by_role("button", name="Follow it").click()
    made.get_by_text("is followed from now on").wait_for()
    context.close()
    found = tweeter.sql("SELECT networks, keep_days FROM keywords ORDER BY id DESC LIMIT 1")
    assert found == [("bluesky", 30)]


def test_a_wrong_budget_is_named_at_its_field_which_has_the_focus(
    page: Any, tweeter: Running
) -> None:
    page.goto(f"{tweeter.url}/add_keyword")
    field(page).fill("hail")
    page.get_by_text("Networks, budget").click()
    page.get_by_label("Posts read at X a day").fill("many")
    page.get_by_role("button", name="Follow it").click()
    page.locator("#day_budget-error").wait_for()
    assert page.evaluate("document.activeElement.id") == "day_budget"
    assert page.locator("#day_budget").input_value() == "many"
    assert field(page).input_value() == "hail"


def test_an_import_shows_a_verdict_a_line_then_adds_the_good_ones(
    page: Any, tweeter: Running
) -> None:
    page.goto(f"{tweeter.url}/keywords/import")
    page.locator("#lines").fill("wind\n(rain\nstorm\nWind\nhail AND snow")
    page.get_by_role("button", name="Check the lines").click()
    page.get_by_text("5 lines: 2 good, 1 wrong, 1 known, 1 twice").wait_for()
    before = tweeter.sql("SELECT count(*) FROM keywords")
    page.get_by_role("button", name="Add 2 keywords").click()
    page.get_by_text("2 keywords are followed from now on").wait_for()
    ((count,),) = tweeter.sql("SELECT count(*) FROM keywords")
    assert count == before[0][0] + 2


def test_the_strip_has_a_table_that_says_the_same(page: Any, tweeter: Running) -> None:
    page.goto(f"{tweeter.url}/keywords/1?range=week")
    strips = page.locator(".strip")
    assert strips.count() == 2
    assert all("covered" in (s.get_attribute("aria-label") or "") for s in strips.all())
    page.locator("#seen summary", has_text="As a table").click()
    page.locator("td", has_text="X limits our rate").first.wait_for()
    assert page.locator(".figures .percent").first.inner_text().endswith("% covered")
    page.get_by_role("link", name="month").click()
    page.get_by_role("link", name="month", exact=True).wait_for()
    page.wait_for_url("**range=month**")


def test_sources_say_since_when_and_count_down_to_the_next_try(page: Any, tweeter: Running) -> None:
    page.goto(f"{tweeter.url}/sources")
    row = page.locator("#streams tr", has=page.get_by_role("link", name="x", exact=True))
    row.get_by_text("since").wait_for()
    first = row.locator(".countdown").inner_text()
    assert re.fullmatch(r"in (\d+ min )?\d+ s", first)
    wait_for(lambda: row.locator(".countdown").inner_text() != first, 5, "for the countdown")
    with page.expect_response(re.compile("api/v1/sources")):
        pass  # it asks by itself
    assert row.get_by_role("link").get_attribute("href") == "/sources/x"
    row.get_by_text("since").wait_for()
    row.get_by_role("link").click()
    page.get_by_role("heading", name="x", exact=True).wait_for()


def test_a_check_says_what_failed_and_what_to_do(page: Any, tweeter: Running) -> None:
    page.goto(f"{tweeter.url}/sources/x")
    page.get_by_role("button", name="Check credentials").click()
    page.get_by_role("heading", name="The check: stream failed").wait_for(timeout=30_000)
    wait_for(lambda: page.evaluate("document.activeElement.id") == "check-title", 5)
    last = page.locator(".check tbody tr").last
    assert "failed" in last.inner_text()
    assert "What to do:" in last.inner_text()
    assert last.locator(".countdown").inner_text().startswith("in ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_each_page_fits_and_can_be_used_by_keyboard(
    browser: Any, tweeter: Running, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 780}, color_scheme=scheme, is_mobile=width < 500
    )
    addresses = {
        "list": "/add_keyword",
        "import": "/keywords/import",
        "keyword": "/keywords/1",
        "long": "/keywords/2",
        "sources": "/sources",
        "source": "/sources/x",
    }
    with watched(context, tweeter.url) as page:
        for name, address in addresses.items():
            page.goto(f"{tweeter.url}{address}")
            for summary in page.locator("summary").all():
                summary.click()
            if name == "list":
                field(page).fill(f"{LONG} OR storm")
                page.locator("#preview").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            shot(page, f"{name}-{width}-{scheme}")
            for _ in range(4):
                page.keyboard.press("Tab")
                assert page.evaluate(FOCUS_IS_SEEN), name
    context.close()
