"""Every page of tests/pictures/table.py: axe, narrow screens, layout shift, script bytes, keys."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.integration.browsers import watched
from tests.pictures.scene import World, world
from tests.pictures.strangers import strangers
from tests.pictures.table import PAGES, Shown

SCRIPT_BYTES = 60_000  # packed, a page
LEAST_TARGET = 24  # px
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

SHIFT = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
UNFOLD = "for (const d of document.querySelectorAll('main details')) d.open = true"
WEAR = "theme => { document.documentElement.dataset.theme = theme }"
SCRIPT_SIZE = """performance.getEntriesByType("resource")
  .filter((one) => one.initiatorType === "script" || one.name.endsWith(".js"))
  .reduce((sum, one) => sum + one.encodedBodySize, 0)
"""
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
# A link inside a sentence may be lower (WCAG 2.5.8); what stands alone may not.
SMALL = """least => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
  .filter((node) => node.checkVisibility() && node.type !== "hidden")
  .filter((node) => !node.closest(".skip, .text"))
  .filter((node) => !(node.matches("a") && getComputedStyle(node).display === "inline"))
  .filter((node) => {
    const box = node.getBoundingClientRect();
    return box.width && (box.width < least || box.height < least);
  }).map((node) => node.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("look") / "world") as made:
        strangers(made)
        yield made


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("look") / "bare", filled=False) as made:
        yield made


def opened(page: Any, place: World, shown: Shown) -> None:
    place.beat()
    page.goto(place.url + shown.address)
    page.locator(shown.ready).first.wait_for()


def faults(page: Any, rules: list[str]) -> list[str]:
    """What axe finds, a line each."""
    found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]}).response
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]


@pytest.mark.timeout(600)  # every page, twice
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_on_any_page_in_either_theme(
    browser: Any, place: World, bare: World, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, is_mobile=width < 500, reduced_motion="reduce"
    )
    page = context.new_page()
    found: dict[str, list[str]] = {}
    looks = [(place, shown) for shown in PAGES] + [(bare, shown) for shown in PAGES if shown.empty]
    for where, shown in looks:
        opened(page, where, shown)
        page.evaluate(UNFOLD)
        for theme, rules in (("light", RULES), ("dark", ["color-contrast"])):  # all that differs
            page.evaluate(WEAR, theme)
            name = f"{shown.name}{'' if where is place else ' (empty)'} {theme}"
            found[name] = faults(page, rules)
        found[f"{shown.name} small targets"] = page.evaluate(SMALL, LEAST_TARGET)
    context.close()
    wrong = [f"{name}: {line}" for name, lines in found.items() for line in lines]
    assert not wrong, "\n".join(wrong)


def test_pages_fit_320_px_move_nothing_and_bring_few_bytes(browser: Any, place: World) -> None:
    found = {}
    for width in (1280, 360, 320):
        context = browser.new_context(viewport={"width": width, "height": 780})
        context.add_init_script(SHIFT)
        with watched(context, place.url, allowed=("404",)) as page:
            for shown in PAGES:
                opened(page, place, shown)
                page.wait_for_timeout(150)
                size = page.evaluate(SCRIPT_SIZE)
                shifted = page.evaluate("window.shifted")
                page.evaluate(UNFOLD)
                wide = page.evaluate(OVERFLOW)
                if wide > 0 or shifted or not 0 < size <= SCRIPT_BYTES:
                    found[shown.name, width] = (wide, shifted, size)
        context.close()
    assert not found, "page, width: px too wide, layout shift, bytes of scripts"


# Names in the bar of pages that reach over their own place.
CROWDED = """() => {
  const wide = (node) => node.getBoundingClientRect().width;
  return [...document.querySelectorAll(".top nav a span")]
    .filter((name) => wide(name) > wide(name.parentElement)).map((name) => name.textContent);
}"""


def test_text_of_twice_the_size_fits_a_phone(browser: Any, place: World) -> None:
    """WCAG 1.4.4, as a browser does it that makes only the text larger."""
    found = {}
    context = browser.new_context(viewport={"width": 360, "height": 780})
    with watched(context, place.url, allowed=("404",)) as page:
        for shown in PAGES:
            opened(page, place, shown)
            assert page.evaluate(CROWDED) == []
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            wide, crowded = page.evaluate(OVERFLOW), page.evaluate(CROWDED)
            if wide > 0 or crowded:
                found[shown.name] = (wide, crowded)
        page.keyboard.press("Tab")
        last = page.locator(".top nav a").last
        last.focus()  # it can be reached
        box = last.bounding_box()
        assert box["x"] + box["width"] <= 361, box
    context.close()
    assert not found, "page: px too wide, names that lie over each other"


def test_the_theme_is_remembered_and_never_flashes(browser: Any, place: World) -> None:
    for script in (True, False):
        context = browser.new_context(color_scheme="light", java_script_enabled=script)
        page = context.new_page()
        page.goto(f"{place.url}/sources?x=1")
        page.get_by_role("button", name="Dark").click()
        page.locator("html[data-theme=dark]").wait_for()
        assert page.url == f"{place.url}/sources?x=1"
        page.goto(f"{place.url}/health")  # as the server writes it, before any script
        raw = page.request.get(f"{place.url}/health").text()
        assert '<html lang="en" data-theme="dark">' in raw
        assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="As the system").click()
        page.locator("html:not([data-theme])").wait_for()
        context.close()


def test_times_are_in_the_readers_zone_or_in_utc_as_chosen(browser: Any, place: World) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
    with watched(context, place.url) as page:
        page.goto(f"{place.url}/keywords/1")
        time, tick = page.locator("#seen time").first, page.locator("text.along title").first
        button = page.get_by_role("button", name="Times in UTC")
        assert not time.inner_text().endswith("UTC")
        button.click()
        assert time.inner_text()[-9:] == f"{time.get_attribute('datetime')[14:19]} UTC"
        assert tick.text_content().endswith("UTC")
        page.goto(f"{place.url}/")
        assert button.get_attribute("aria-pressed") == "true"
        assert all(
            one.endswith("UTC") for one in page.locator("time.when, .when time").all_inner_texts()
        )
        page.go_back()
        button.click()
        assert not time.inner_text().endswith("UTC")
        assert not tick.text_content().endswith("UTC")
    context.close()
    context = browser.new_context(timezone_id="Asia/Kolkata", java_script_enabled=False)
    page = context.new_page()
    page.goto(place.url)
    assert page.locator(".when").first.inner_text().endswith("UTC")
    assert not page.locator("#zone").is_visible()
    context.close()


def test_keys_lead_to_pages_but_never_while_one_types(browser: Any, place: World) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(place.url)
    for key, address in (("h", "/health"), ("k", "/add_keyword"), ("l", "/live"), ("o", "/")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(place.url + address)
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.locator("#keymap").wait_for(state="hidden")
    page.keyboard.press("n")
    page.wait_for_url(f"{place.url}/add_keyword#expression")
    field = page.get_by_label("Keyword", exact=True)
    assert field.evaluate("node => node === document.activeElement")
    field.blur()
    page.keyboard.press("n")
    assert field.evaluate("node => node === document.activeElement")
    page.keyboard.type("g h?/n")
    assert field.input_value() == "g h?/n"
    assert page.url == f"{place.url}/add_keyword#expression"
    page.locator("#keymap-open").click()
    page.get_by_label("Keys are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.goto(f"{place.url}/sources")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.keyboard.press("?")
    page.wait_for_timeout(200)
    assert page.url == f"{place.url}/sources"
    assert not page.locator("#keymap").is_visible()
    page.locator("#keymap-open").click()  # the map itself stays within reach
    page.get_by_label("Keys are on").check()
    page.keyboard.press("Escape")
    page.locator("#keymap").wait_for(state="hidden")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url(f"{place.url}/health")
    context.close()


def test_the_ring_of_a_card_with_the_focus_is_seen_on_the_live_page(
    browser: Any, place: World
) -> None:
    page = browser.new_context().new_page()
    place.beat()
    page.goto(f"{place.url}/live")
    card = page.locator(".item .post").first
    card.wait_for()
    ring = "node => getComputedStyle(node, '::after').borderTopWidth"  # above the leaf
    assert card.evaluate(ring) == "0px"
    page.keyboard.press("Tab")
    card.evaluate("node => node.focus({ focusVisible: true })")
    assert card.evaluate(ring) == "3px"
    page.context.close()


def test_static_files_are_kept_for_good_under_their_digest(place: World) -> None:
    with urllib.request.urlopen(place.url) as answer:
        page = answer.read().decode()
    address = next(w.split('"')[0] for w in page.split('href="') if "tweeter.css" in w)
    with urllib.request.urlopen(place.url + address) as answer:
        assert "immutable" in answer.headers["Cache-Control"]
    old = "/static/v/000000/tweeter.css"
    with urllib.request.urlopen(place.url + old) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
