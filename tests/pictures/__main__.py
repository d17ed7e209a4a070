"""Takes every picture: `python -m tests.pictures [NAME …]`.

All go to build/screenshots; the chosen ones, small, to docs/screenshots.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from sqlalchemy import text

from tests.conftest import ROOT
from tests.integration.conftest import ARGUMENTS, CHROMIUM
from tests.pictures.scene import World, world
from tests.pictures.table import BROKEN, CHOSEN, LOADING, LOST, MEDIA, MORE, PAGES, Shown

WIDTHS = {1280: 860, 360: 780}
THEMES = ("light", "dark")
LONGEST = 1900  # px of a page that are shown
WAIT_MS = 20_000
QUALITY = 72  # of the JPEGs in docs


def opened(browser: Any, width: int, theme: str) -> Any:
    """A page of a browser of that width and theme, in one place and language."""
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width]},
        color_scheme=theme,
        is_mobile=width < 500,
        has_touch=width < 500,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    return context.new_page()


def take(page: Any, name: str, kind: str) -> None:
    """The picture of a page as far as LONGEST, and a small one of its screen if it is chosen."""
    size = page.viewport_size
    if kind in CHOSEN.get(name, ()):
        file = ROOT / "docs" / "screenshots" / f"{name}-{kind}.jpg"
        file.parent.mkdir(exist_ok=True)
        page.screenshot(path=str(file), type="jpeg", quality=QUALITY)
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size(
        {"width": size["width"], "height": max(min(tall, LONGEST), size["height"])}
    )
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}-{kind}.png"))
    page.set_viewport_size(size)


def shoot(
    browser: Any,
    place: World,
    pages: list[Shown],
    suffix: str = "",
    after: Callable[[], None] | None = None,
) -> None:
    """All pages at each width in each theme. after: what happens once they are all open."""
    waiting = []
    for width in WIDTHS:
        for theme in THEMES:
            for shown in pages:
                place.beat()
                page = opened(browser, width, theme)
                page.goto(place.url + shown.address)
                if after is None:
                    settle(page, shown, suffix, f"{width}-{theme}")
                else:
                    waiting.append((page, shown, f"{width}-{theme}"))
    if after is not None:
        after()
    for page, shown, kind in waiting:
        settle(page, shown, suffix, kind)


def settle(page: Any, shown: Shown, suffix: str, kind: str, then: Sequence[Any] = ()) -> None:
    """Press what is to be pressed, wait for what must be there, take the picture, and close.

    then: requests that were held back until now.
    """
    if shown.press:
        page.locator(shown.press).click()
    page.locator(shown.ready).first.wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(150)
    take(page, shown.name + suffix, kind)
    for route in then:
        route.abort()
    page.context.close()


def hold(page: Any) -> list[Any]:
    """What the page asks for from now on, which is not answered."""
    held: list[Any] = []
    page.route("**/*", lambda route: held.append(route))  # (a method of a list is not taken)
    return held


def shoot_waiting(browser: Any, place: World, pages: list[Shown]) -> None:
    """Pages while they wait for an answer: whatever they ask for once they are there is held."""
    for width in WIDTHS:
        for theme in THEMES:
            for shown in pages:
                page = opened(browser, width, theme)
                page.goto(place.url + shown.address)
                settle(page, shown, "-loading", f"{width}-{theme}", then=hold(page))


def shoot_media(browser: Any, place: World, pages: list[Shown]) -> None:
    """Pages on paper, and in forced colours."""
    for width in WIDTHS:
        for kind, media in (
            ("print", {"media": "print"}),
            ("forced-light", {"forced_colors": "active", "color_scheme": "light"}),
            ("forced-dark", {"forced_colors": "active", "color_scheme": "dark"}),
        ):
            for shown in pages:
                page = opened(browser, width, "light")
                page.emulate_media(**media)
                page.goto(place.url + shown.address)
                settle(page, shown, f"-{kind}", str(width))


def break_database(place: World) -> None:
    """What a database looks like that somebody else has had in hand."""
    with place.engine.begin() as connection:
        connection.execute(text("DROP TABLE posts"))


def main(names: list[str]) -> None:
    """Take the pictures of these pages, or of all."""

    def wanted(pages: list[Shown]) -> list[Shown]:
        return [shown for shown in pages if not names or shown.name in names]

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        with world(Path(folder) / "full") as place:
            shoot(browser, place, wanted(PAGES + MORE))
            shoot_waiting(browser, place, wanted(LOADING))
            shoot_media(browser, place, wanted(MEDIA))
            shoot(browser, place, wanted(LOST), "-lost", place.stop)
        with world(Path(folder) / "empty", filled=False) as place:
            shoot(browser, place, wanted([shown for shown in PAGES if shown.empty]), "-empty")
            break_database(place)
            shoot(browser, place, wanted(BROKEN), "-broken")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
