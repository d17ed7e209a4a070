"""A keyword's charts in a real browser: what they are compared with, and in which zone they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.browsers import pages_alone, shot, watched
from tests.store.posts import post, store, take
from tweeter.records import now_us
from tweeter.store import keywords

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages alone: a keyword with posts, and twelve others."""
    with pages_alone(tmp_path_factory.mktemp("charts")) as (engine, address):
        for expression in ("storm", "nothing at all", *(f"other {n}" for n in range(11))):
            keywords.add(engine, expression)
        hour = now_us() // HOUR_US * HOUR_US
        some = [post(n, f"storm {n}", occurred_at=hour - n * HOUR_US) for n in range(1, 60)]
        store(engine, take(engine), *some)
        yield address


def fits(page: Any, name: str) -> None:
    """Nothing reaches over the edge, on a screen and on a phone."""
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 780})
        page.locator(".pick").first.scroll_into_view_if_needed()
        shot(page, f"charts-{name}-{width}", whole=False)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_keywords_to_compare_are_found_and_chosen(browser: Any, url: str) -> None:
    context = browser.new_context()
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week")
        page.get_by_text("Range, stack, compare").click()
        seek, shown = (
            page.get_by_label("Find among these keywords"),
            page.locator(".pick li:visible"),
        )
        assert shown.count() == 12
        seek.fill("ALL nothing")
        page.get_by_text("1 found").wait_for()
        assert shown.all_inner_texts() == ["nothing at all"]
        seek.press("Enter")  # it looks, and sends nothing
        page.get_by_label("nothing at all").check()
        seek.fill("")
        for number in range(1, 5):
            page.get_by_label(f"other {number}", exact=True).click()
        page.get_by_text("At most 4: leave out another first").wait_for()
        assert page.locator(".pick :checked").count() == 4
        fits(page, "pick")
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator("#volume .legend").get_by_text("other 3").wait_for()
        first = page.locator(".pick li").first
        assert first.locator(":checked").count() == 1  # what is chosen stands first
        page.get_by_label("Find among these keywords").fill("other 3")  # on the new page too
        page.get_by_text("1 found").wait_for()
        page.goto(url)
        page.get_by_label("Find among these keywords").fill("storm")
        page.get_by_text("1 found").wait_for()
        fits(page, "shares")
    context.close()


def test_without_a_script_the_list_is_chosen_from_all_the_same(browser: Any, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week&by=nothing")
        page.get_by_text("Range, stack, compare").click()
        assert not page.get_by_label("Find among these keywords").is_visible()
        for number in (2, 5):
            page.get_by_label(f"other {number}", exact=True).check()
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator("#volume .legend").get_by_text("other 5").wait_for()
        assert page.url.count("with=") == 2
        for number in (1, 3, 4):
            page.get_by_label(f"other {number}", exact=True).check()
        page.get_by_role("button", name="Show", exact=True).click()
        page.get_by_text("At most 4 other keywords are compared; these are 5.").wait_for()
    context.close()


PLACES = """texts => texts.map((text) => [
    Number(text.dataset.at), parseFloat(text.getAttribute("x")), text.firstChild.textContent,
])"""
SQUARES = """rects => rects.map((rect) => [
    /hour=([0-9]+)/.exec(rect.closest("a").getAttribute("href"))[1],
    Number(rect.getAttribute("x")), Number(rect.getAttribute("y")),
])"""


@pytest.mark.parametrize("name, hours", [("Asia/Tokyo", 9), ("Asia/Kolkata", 5.5), ("UTC", 0)])
@pytest.mark.parametrize("span", ["hour", "day", "month"])
def test_axes_and_hours_of_the_week_follow_the_switch(
    browser: Any, url: str, name: str, hours: float, span: str
) -> None:
    context = browser.new_context(timezone_id=name, locale="en-GB")
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range={span}")
        page.set_viewport_size({"width": 1280, "height": 1250})
        figure, week = page.locator("#volume"), page.locator(".week-hours")
        names = ("since", "size", "count")
        since, size, count = (int(figure.get_attribute(f"data-{n}")) for n in names)
        step = int(page.locator("g.ticks").get_attribute("data-step"))
        ticks = page.locator("g.ticks text")
        own = ticks.evaluate_all(PLACES)
        assert len(own) >= 2
        for at, place, words in own:
            local = datetime.fromtimestamp(at, UTC) + timedelta(hours=hours)
            assert local.timestamp() % step == 0
            assert place == pytest.approx(100 * (at - since) / (size * count), abs=0.01)
            is_day = step >= 86_400 or (local.hour, local.minute) == (0, 0)
            assert words == (f"{local.day} {local:%b}" if is_day else f"{local:%H:%M}")
        of_bars = figure.locator(".axis-zone").inner_text()
        zone = {9: "GMT+9", 5.5: "GMT+5:30", 0: "UTC"}[hours]
        as_cut = not hours or (size <= 3600 and hours * 3600 % size == 0)
        assert of_bars == (zone if as_cut else f"cut in UTC, the axis in {zone}")
        by = int(hours) if hours == int(hours) else 0
        assert week.locator(".axis-zone").inner_text() == (zone if by or not hours else "UTC")
        squares = week.locator("a rect.cell").evaluate_all(SQUARES)
        assert all(
            (int(hour) + by) % 168 == 24 * (y / 10) + (x - 16) / 10 for hour, x, y in squares
        )
        page.get_by_role("button", name="Times in UTC").click()
        assert figure.locator(".axis-zone").inner_text() == "UTC"
        assert all(at % step == 0 for at, _, _ in ticks.evaluate_all(PLACES))
        assert all(
            int(hour) == 24 * (y / 10) + (x - 16) / 10
            for hour, x, y in week.locator("a rect.cell").evaluate_all(SQUARES)
        )
        page.get_by_role("button", name="Times in UTC").click()
        assert ticks.evaluate_all(PLACES) == own
        shot(page, f"charts-{name.replace('/', '-')}-{span}", whole=False)
    context.close()


def test_a_square_that_has_moved_leads_to_its_posts(browser: Any, url: str) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo", viewport={"width": 360, "height": 780})
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week")
        square = page.locator(".week-hours a:has(rect)").last
        posts = square.locator("title").text_content().split(", ")[-1]
        page.goto(f"{url}{square.get_attribute('href')}")
        page.get_by_text(posts, exact=True).wait_for()
        first = page.locator("article time").first.get_attribute("datetime")
        at = datetime.fromisoformat(first)
        assert f"hour={24 * at.weekday() + at.hour}" in page.url
        page.goto(f"{url}/keywords/1?range=week")
        page.locator(".week-hours").scroll_into_view_if_needed()
        shot(page, "charts-week-360", whole=False)
    context.close()


def found(page: Any) -> tuple[int, list[str]]:
    """How many posts the search says it has, and when those were."""
    page.wait_for_url("**/search?*")
    shown = page.locator("article time").evaluate_all("all => all.map((one) => one.dateTime)")
    return int(page.locator(".headline b").inner_text().split()[0]), shown


def test_a_bar_that_is_pressed_leads_to_its_posts(browser: Any, url: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week&bucket=10800")
        figure, chart = page.locator("#volume"), page.locator("svg.drawn")
        since, count = (int(figure.get_attribute(f"data-{n}")) for n in ("since", "count"))
        totals = page.locator("#volume-data").evaluate("one => JSON.parse(one.textContent).totals")
        bar = max(n for n, posts in enumerate(totals) if posts == 3)
        box = chart.bounding_box()
        at = {"x": box["width"] * (bar + 0.5) / count, "y": 100}
        chart.click(position=at)
        posts, moments = found(page)
        assert posts == 3
        begin = since + bar * 10_800
        times = [datetime.fromisoformat(one).timestamp() - begin for one in moments]
        assert all(0 <= one < 10_800 for one in times)
        page.go_back()
        page.locator("svg.drawn[role=slider]").focus()
        page.keyboard.press("End")
        for _ in range(count - 1 - bar):
            page.keyboard.press("ArrowLeft")
        assert "3" in chart.get_attribute("aria-valuetext")
        assert page.locator(".brush").is_visible()
        shot(page, "charts-bar-keys", whole=False)
        page.keyboard.press("Enter")
        assert found(page) == (posts, moments)
        page.go_back()
        chart.click(position={"x": 2, "y": 100})  # a bar of nothing
        assert "/keywords/1" in page.url
    context.close()


def test_a_finger_is_told_first_and_the_table_needs_no_script(browser: Any, url: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780}, has_touch=True)
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week&bucket=86400")
        chart = page.locator("svg.drawn")
        width = chart.bounding_box()["width"]
        chart.tap(position={"x": width * 6.5 / 8, "y": 100})
        link = page.get_by_role("link", name="Show its posts")
        told = page.locator("#readout").inner_text()
        shot(page, "charts-bar-360", whole=False)
        link.click()
        posts, _ = found(page)
        assert f" {posts} " in told
    context.close()
    context = browser.new_context(java_script_enabled=False)
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=week&bucket=86400")
        page.locator("#volume summary", has_text="As a table").click()
        row = page.locator("#volume table.moments tbody tr").nth(1)
        number = int(row.locator("td").first.inner_text())
        row.get_by_role("link").click()
        assert found(page)[0] == number
    context.close()


NAME = "() => document.activeElement.ariaLabel ?? document.activeElement.textContent"


def test_the_focus_stays_where_it_was_when_another_time_is_shown(browser: Any, url: str) -> None:
    context = browser.new_context()
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=day")
        said = page.locator("#statistics-said")
        heard: set[str] = set()

        def enter(link: Any, name: str) -> None:
            """The key Enter on a link; then the element with this name has the focus."""
            link.focus()
            address = page.url
            page.keyboard.press("Enter")
            page.wait_for_function("before => window.location.href !== before", arg=address)
            assert page.evaluate(NAME) == name
            assert said.inner_text() not in heard
            heard.add(said.inner_text())

        for _ in range(2):  # one key after the other
            enter(page.locator("#earlier"), "← earlier")
        assert "Posts over time" in said.inner_text()
        enter(page.get_by_role("link", name="week", exact=True), "week")
        enter(page.get_by_label("Without bluesky"), "Without bluesky")
        chart = page.locator("svg.drawn[role=slider]")
        chart.focus()
        address = page.url
        page.keyboard.press("[")
        page.wait_for_function("before => window.location.href !== before", arg=address)
        assert chart.evaluate("one => one === document.activeElement")
    context.close()


def test_a_note_that_is_being_written_is_there_when_another_time_is_shown(
    browser: Any, url: str
) -> None:
    context = browser.new_context()
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=day")
        page.get_by_text("Add a note").click()
        notes = page.locator("#annotations")
        notes.get_by_label("Text").fill("The dam broke")
        notes.get_by_label("On every keyword's chart").check()
        page.get_by_role("link", name="week", exact=True).click()
        page.locator(".controls a.chosen", has_text="week").wait_for()
        assert notes.get_by_label("Text").is_visible()
        assert notes.get_by_label("Text").input_value() == "The dam broke"
        assert notes.get_by_label("On every keyword's chart").is_checked()
        notes.get_by_label("From").fill("2h")
        notes.get_by_role("button", name="Add").click()
        page.locator("#annotations .notes").get_by_text("The dam broke").wait_for()
        assert "range=week" in page.url
    context.close()


def test_a_table_that_is_read_stays_open_when_another_time_is_shown(browser: Any, url: str) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata")
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?range=day")
        page.locator("#volume summary", has_text="As a table").click()
        page.get_by_text("How complete this is").click()
        page.get_by_role("link", name="week", exact=True).click()
        page.locator(".controls a.chosen", has_text="week").wait_for()
        table = page.locator("#volume table.moments")
        assert table.is_visible()
        assert "GMT+5:30" in table.locator("thead").inner_text()  # drawn again as when it is opened
        assert page.locator("details.quality p").first.is_visible()
        assert not page.locator("table.hours").is_visible()
    context.close()
