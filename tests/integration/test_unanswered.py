"""What a page shows says how old it is when tweeter does not answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browsers import pages_alone, shot, watched
from tweeter.store import keywords


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The first page of an installation; its keyword is `storm`."""
    context = browser.new_context(viewport={"width": 360, "height": 780})
    with (
        pages_alone(tmp_path) as (engine, url),
        watched(context, url, ("ERR_FAILED", "400")) as made,
    ):
        keywords.add(engine, "storm")
        made.goto(url)
        yield made
    context.close()


def test_sources_say_as_of_when_where_no_answer_ends(page: Any) -> None:
    page.goto(f"{page.url}sources")
    asked: list[Any] = []
    page.route(
        "**/api/v1/sources", lambda route: asked.append(route)
    )  # it hangs: no answer, no error
    page.locator("#fresh.stale").wait_for()
    words = page.locator("#stale").inner_text()
    assert words.startswith("tweeter does not answer. As of ")
    page.wait_for_timeout(5_000)
    assert len(asked) <= 3  # one after the other
    page.unroute("**/api/v1/sources")
    page.locator("#fresh:not(.stale)").wait_for()
    assert not page.locator("#stale").is_visible()


def test_a_preview_says_that_it_is_of_what_was_written_before(page: Any) -> None:
    page.goto(f"{page.url}add_keyword")
    field, place = page.get_by_label("Keyword", exact=True), page.locator("#preview-place")
    page.route("**/preview", lambda route: route.abort())
    field.fill("storm")
    place.get_by_text("tweeter does not answer.", exact=False).wait_for()
    assert page.locator("#preview-said").inner_text().startswith("tweeter does not answer.")
    page.unroute("**/preview")
    place.get_by_role("button", name="Try again").click()
    place.get_by_text("already says the same").wait_for()
    assert place.locator(".state-note").count() == 0
    assert field.evaluate("one => one === document.activeElement")

    page.route("**/preview", lambda route: route.abort())
    field.fill("flood")
    note = place.get_by_text("This is of what was written before.")
    note.wait_for()
    assert place.evaluate("one => one.classList.contains('stale')")
    shot(page, "preview-stale-360")
    page.unroute("**/preview")
    field.fill("flood OR rain")
    note.wait_for(state="detached")
    assert place.get_by_text("No post is stored yet to try it on").is_visible()
    assert not place.evaluate("one => one.classList.contains('stale')")

    page.context.clear_cookies()  # what is sent then is refused: it could be another site's
    field.fill("rain")
    place.get_by_text("This is of what was written before.").wait_for()
