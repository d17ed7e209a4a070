"""The script draws each post as the page does: compared node by node, in a browser."""

import json
from pathlib import Path
from typing import Any

from tests.integration.browsers import HOSTILE, watched
from tests.pictures.scene import world
from tests.pictures.strangers import strangers
from tweeter import changes
from tweeter.store import keywords, posts

# Cards whose nodes are not the same as those of the page; blanks between nodes do not count.
DIFFERENT_CARDS = """async ([posts, names]) => {
  const times = document.querySelector("script[src*=times]").src;
  const { card } = await import(times.replace("times", "card"));
  const bared = (node) => {
    const copy = node.cloneNode(true);
    const walker = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
    const blank = [];
    while (walker.nextNode()) {
      const text = walker.currentNode;
      if (text.data.trim() === "" && !text.parentElement.closest(".text")) blank.push(text);
    }
    blank.forEach((text) => text.remove());
    copy.normalize();
    return copy;
  };
  return posts.filter((post) => {
    const theirs = bared(document.getElementById(`p${post.id}`));
    return !theirs.isEqualNode(bared(card(post, names)));
  }).map((post) => [document.getElementById(`p${post.id}`).outerHTML, card(post, names).outerHTML]);
}"""
# What a removal leaves of cards beside the words and the name of the network.
BURIED = """async ([posts, names]) => {
  const times = document.querySelector("script[src*=times]").src;
  const { bury, card } = await import(times.replace("times", "card"));
  const left = posts.map((post) => {
    const node = card(post, names);
    bury(node, "");
    node.querySelectorAll(".network, footer").forEach((part) => part.remove());
    return node.textContent.trim() + node.querySelectorAll("a").length;
  });
  return left.filter((words) => words !== "0").join("\\n");
}"""


def test_the_script_draws_the_same_card_as_the_page(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    with world(tmp_path / "world") as place, watched(context, place.url) as page:
        strangers(place)
        page.goto(f"{place.url}/keywords/1")
        found = posts.page(place.engine, keyword_id=1, limit=50).posts
        assert len(found) > 2 * len(HOSTILE)
        names = {str(row.id): row.expression for row in keywords.list_all(place.engine)}
        sent = [json.loads(changes.encode(post)) for post in found]
        assert page.evaluate(DIFFERENT_CARDS, [sent, names]) == []
        assert page.locator("article :is(script, img, [onload], [onerror])").count() == 0
        assert page.evaluate(BURIED, [sent, names]) == ""
    context.close()
