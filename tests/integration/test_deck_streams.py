"""A live column says what of its networks does not come, while its own line is up."""

from pathlib import Path
from typing import Any

from tests.integration.browsers import shot, watched
from tests.integration.running import Running, wait_for
from tests.simulators import jetstream
from tests.simulators.served import Served


def says(page: Any, number: int, words: str) -> str:
    """What stands in the bar of a column, once it has these words."""
    found = page.locator(f"#column-{number} .mode .words")
    wait_for(lambda: words in found.inner_text(), 20, words)
    text: str = found.inner_text()
    return text


def test_a_column_says_which_network_is_down_and_that_the_demo_is_gone(
    browser: Any, tmp_path: Path
) -> None:
    with (
        Served(jetstream.JetstreamSimulator()) as served,
        Running(tmp_path, BLUESKY_URL=served.it.url) as tweeter,
    ):
        wait_for(lambda: served.it.clients, 30, "for Jetstream")
        tweeter.add("storm")
        tweeter.cli("demo")
        context = browser.new_context(viewport={"width": 1280, "height": 760})
        with watched(context, tweeter.url) as page:
            page.goto(f"{tweeter.url}/live?c1=keyword:1&c2=network:bluesky&c3=network:demo")
            page.locator("#column-3 article").nth(2).wait_for()
            for number in (1, 2, 3):
                says(page, number, "Following")

            served.do(served.it.stop())
            assert says(page, 1, "is down").startswith("Bluesky is down since ")
            says(page, 1, "; what comes of the others is shown")
            says(page, 2, "Nothing comes: Bluesky is down since ")
            says(page, 3, "Following")
            page.get_by_text("Connected").wait_for()
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 760})
                shot(page, f"deck-down-{width}", whole=False)

            tweeter.cli("demo", "--remove")
            says(page, 3, "Nothing comes: no stream follows it")
            says(page, 1, "Nothing comes: Bluesky is down since ")
            page.locator(".ribbon").wait_for(state="hidden")
            text = page.locator("#column-3 article .text")
            wait_for(lambda: text.count() == 0, 10, "for the demo's posts to go")
        context.close()
        for table in ("posts", "matches"):
            assert tweeter.sql(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_a_page_of_another_database_is_loaded_again(browser: Any, tmp_path: Path) -> None:
    with Running(tmp_path) as tweeter, watched(browser.new_context(), tweeter.url) as page:
        loads: list[str] = []

        def load(route: Any) -> None:
            loads.append(route.request.url)
            answer = route.fetch()
            head = "99" if len(loads) == 1 else "0"
            body = answer.text().replace('data-after="0"', f'data-after="{head}"')
            route.fulfill(response=answer, body=body)

        page.route("**/live?c1=all", load)
        page.goto(f"{tweeter.url}/live?c1=all")
        page.locator('#deck[data-after="0"]').wait_for()
        says(page, 1, "Following")
        assert len(loads) == 2


def test_esc_leaves_the_form_of_a_column(browser: Any, tmp_path: Path) -> None:
    with Running(tmp_path) as tweeter, watched(browser.new_context(), tweeter.url) as page:
        page.goto(f"{tweeter.url}/live?c1=all")
        page.get_by_role("button", name="Add a column").click()
        page.get_by_label("or a hashtag").fill("sea")
        page.keyboard.press("Escape")
        page.locator("#edit").wait_for(state="detached")
        assert page.url.endswith("/live?c1=all")
