"""What a person does with a keyword's charts in a real browser: choosing what to compare."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.integration.browsers import shot, watched
from tests.store.posts import post, store, take
from tweeter import config
from tweeter.records import now_us
from tweeter.store import keywords, migrate
from tweeter.store.engine import make_engine
from tweeter.web import create_app

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages alone: a keyword with posts, and twelve others."""
    folder: Path = tmp_path_factory.mktemp("charts")
    found = config.load({"TWEETER_DATA_DIR": str(folder), "TWEETER_BLUESKY_URL": ""})
    engine = make_engine(f"sqlite:///{folder / 'tweeter.db'}")
    migrate.upgrade(engine)
    for expression in ("storm", "nothing at all", *(f"other {n}" for n in range(11))):
        keywords.add(engine, expression)
    hour = now_us() // HOUR_US * HOUR_US
    some = [post(n, f"storm {n}", occurred_at=hour - n * HOUR_US) for n in range(1, 60)]
    store(engine, take(engine), *some)
    server = make_server("127.0.0.1", 0, create_app(found, engine), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    engine.dispose()


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
