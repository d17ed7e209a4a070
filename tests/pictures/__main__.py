"""Takes every picture: `python -m tests.pictures [NAME …]`.

All go to build/screenshots; the chosen ones, small, to docs/screenshots.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.conftest import ROOT
from tests.integration.conftest import ARGUMENTS, CHROMIUM
from tests.pictures.scene import World, world
from tests.pictures.table import CHOSEN, PAGES, Shown

WIDTHS = {1280: 860, 360: 780}
THEMES = ("light", "dark")
LONGEST = 1900  # px of a page that are shown


def shoot(browser: Any, place: World, pages: list[Shown], suffix: str = "") -> None:
    """All pages at each width in each theme."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in WIDTHS.items():
        for theme in THEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                is_mobile=width < 500,
                has_touch=width < 500,
                reduced_motion="reduce",
                locale="en-GB",
                timezone_id="Europe/Berlin",
            )
            page = context.new_page()
            for shown in pages:
                page.goto(place.url + shown.address)
                page.locator(shown.ready).first.wait_for()
                page.wait_for_timeout(250)
                kind = f"{width}-{theme}"
                file = folder / f"{shown.name}{suffix}-{kind}.png"
                if not suffix and kind in CHOSEN.get(shown.name, ()):
                    keep(page, shown.name, kind)
                tall = page.evaluate("document.documentElement.scrollHeight")
                page.set_viewport_size({"width": width, "height": min(max(tall, height), LONGEST)})
                page.screenshot(path=str(file))
                page.set_viewport_size({"width": width, "height": height})
            context.close()


def keep(page: Any, name: str, kind: str) -> None:
    """A chosen picture: what fits the screen, as a small JPEG."""
    folder = ROOT / "docs" / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=str(folder / f"{name}-{kind}.jpg"), type="jpeg", quality=72)


def main(names: list[str]) -> None:
    """Take the pictures of these pages, or of all."""
    pages = [shown for shown in PAGES if not names or shown.name in names]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        with world(Path(folder) / "full") as place:
            shoot(browser, place, pages)
        with world(Path(folder) / "empty", filled=False) as place:
            shoot(browser, place, [shown for shown in pages if shown.empty], "-empty")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
