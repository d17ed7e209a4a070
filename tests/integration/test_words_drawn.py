"""What scripts draw is in the reader's language: an invented one, which the page brings."""

import json
import re
from pathlib import Path
from typing import Any

from tests.integration.browsers import watched
from tests.pictures.scene import world
from tests.views.test_words import Invented
from tweeter import changes
from tweeter.store import keywords, posts
from tweeter.views import words

# The words of cards that a script draws, without what is a stranger's.
STRANGE = re.compile(r"Bluesky|Mastodon|Tormenta, ruido|[\w.]+\.example")
DRAWN = """async ([posts, names]) => {
  const times = document.querySelector("script[src*=times]").src;
  const { bury, card } = await import(times.replace("times", "card"));
  return posts.map((post) => {
    const node = card(post, names);
    const label = node.getAttribute("aria-label").replace(post.card.who, "");
    const strangers = node.querySelectorAll(".text, .author, time, bdi, .links:not(.media)");
    strangers.forEach((one) => one.remove());
    const lists = [...node.querySelectorAll("[aria-label]")].map((one) => one.ariaLabel);
    return [label, node.textContent, ...lists].join(" ");
  });
}"""


def brought() -> str:
    """The block of texts that a page has in the invented language."""
    texts = json.dumps(words.of_scripts(Invented())).replace("<", "\\u003c")
    return f'<script type="application/json" id="words">{texts}</script></head>'


def translated(route: Any) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("</head>", brought()))


def test_scripts_say_what_the_page_brings(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    with world(tmp_path / "world") as place, watched(context, place.url) as page:
        for address in ("/live", "/sources"):
            page.route(place.url + address, translated)
        page.goto(f"{place.url}/live")
        lamp = page.locator("#lamp")
        page.locator("#lamp.state-live").wait_for()
        assert lamp.inner_text() == "● Ｃｏｎｎｅｃｔｅｄ"
        mode = page.locator(".mode .words")
        page.locator(
            ".mode .words", has_text="ｗｈａｔ ｃｏｍｅｓ ｏｆ ｔｈｅ ｏｔｈｅｒｓ ｉｓ ｓｈｏｗｎ"
        ).wait_for()
        page.locator(".mode .hold").click()
        held = "Ｈｅｌｄ ｂｅｃａｕｓｅ ｙｏｕ ｈｅｌｄ ｉｔ · 0 ｗａｉｔｉｎｇ"
        page.locator(".mode .words", has_text="ｉｓ ｄｏｗｎ ｓｉｎｃｅ").wait_for()
        assert mode.inner_text().startswith(held)
        page.goto(f"{place.url}/sources")
        place.beat()
        row = page.locator("#streams tr", has_text="ｌｉｖｅ").first
        row.wait_for()
        assert re.search("ｓｉｎｃｅ [A-Z0-9]", row.inner_text())
        found = posts.latest(place.engine, limit=10)
        names = {str(row.id): row.expression for row in keywords.list_all(place.engine)}
        sent = [json.loads(changes.encode(post)) for post in found]
        for drawn in page.evaluate(DRAWN, [sent, names]):
            assert "Ｐｏｓｔ ｂｙ" in drawn
            assert not re.search("[A-Za-z]{2}", STRANGE.sub("", drawn)), drawn
    context.close()
