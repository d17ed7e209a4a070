"""What a person changes in a deck by hand is kept, whatever the line to tweeter does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browsers import watched
from tests.integration.running import Running, wait_for

ORDER = "() => [...document.querySelectorAll('section.column')].map((one) => one.dataset.of)"

SLOW = """() => {
  const { fetch } = window;
  const later = (...asked) => (done) => window.setTimeout(() => done(fetch(...asked)), 400);
  window.fetch = (...asked) => new Promise(later(...asked));
}"""


@pytest.fixture(scope="module")
def tweeter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("changes")
    with Running(folder) as running:
        running.add_all(["storm", "flood", "vote"])
        yield running


@pytest.fixture
def page(browser: Any, tweeter: Running) -> Iterator[Any]:
    """The deck of three keywords; what fails on purpose says so to the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 760})
    with watched(context, tweeter.url, ("ERR_FAILED",)) as made:
        made.goto(f"{tweeter.url}/live?c1=keyword:1&c2=keyword:2&c3=keyword:3")
        made.get_by_text("Connected").wait_for()
        yield made
    context.close()


def press(page: Any, title: str, *labels: str) -> None:
    """Buttons of a column's menu, one right after the other."""
    column = page.locator("section.column", has=page.get_by_role("heading", name=title))
    column.get_by_label(f"Change the column {title}").click()
    for label in labels:
        column.get_by_role("button", name=f"{label}: {title}").click()


def kept(page: Any) -> list[str]:
    """What a new page shows that is opened by the address that this one has now."""
    other = page.context.new_page()
    other.goto(page.url)
    found: list[str] = other.evaluate(ORDER)
    other.close()
    return found


def test_changes_that_follow_each_other_fast_are_all_kept(page: Any) -> None:
    page.evaluate(SLOW)
    right = "Move to the right"
    press(page, "storm", right, right)
    order = ["keyword:2", "keyword:3", "keyword:1"]
    assert page.evaluate(ORDER) == order
    page.wait_for_url("**&c3=keyword:1")
    assert kept(page) == order


def test_a_form_that_is_sent_behind_a_change_has_it_in_it(page: Any) -> None:
    page.evaluate(SLOW)
    press(page, "storm", "Move to the right")
    page.get_by_role("button", name="Add a column").click()
    page.get_by_role("heading", name="Add a column").wait_for()
    assert page.evaluate(ORDER) == ["keyword:2", "keyword:1", "keyword:3"]


def test_a_change_is_kept_when_tweeter_answers_again_and_until_then_it_is_said(page: Any) -> None:
    page.route("**/live/change", lambda route: route.abort())
    press(page, "storm", "Move to the right")
    note = page.get_by_text("What you changed is not kept yet")
    note.wait_for()
    assert "c1=keyword:1" in page.url
    press(page, "vote", "Narrow")
    page.unroute("**/live/change")
    note.wait_for(state="hidden")
    page.wait_for_url("**c3.width=s")
    assert kept(page) == ["keyword:2", "keyword:1", "keyword:3"]


def test_a_column_of_a_paused_keyword_says_that_nothing_new_comes(
    page: Any, tweeter: Running
) -> None:
    tweeter.cli("keyword", "pause", "2")
    page.reload()
    paused = "Nothing new comes: the keyword is paused"
    bar = page.locator("#column-2 .mode .words")
    page.locator("#column-2 .mode", has_text=paused).wait_for()
    assert paused not in page.locator("#column-1 .mode .words").inner_text()
    page.locator("#column-2 .hold").click()
    assert bar.inner_text() == f"Held because you held it · 0 waiting · {paused}"
    tweeter.cli("keyword", "resume", "2")
    page.reload()
    page.get_by_text("Connected").wait_for()
    assert paused not in bar.inner_text()


def test_a_keyword_that_is_paused_resumed_or_removed_elsewhere_is_said_in_its_column(
    page: Any, tweeter: Running
) -> None:
    bar, other = (page.locator(f"#column-{n} .mode .words") for n in (3, 1))
    follows = "Nothing comes: no stream follows it"  # so far as it is the keyword's matter
    page.locator("#column-3 .mode", has_text=follows).wait_for()
    for act, words in (
        ("pause", "Nothing new comes: the keyword is paused"),
        ("resume", follows),
        ("rm", "Nothing new comes: the keyword was removed"),
        ("restore", follows),
    ):
        tweeter.cli("keyword", act, "3")
        wait_for(lambda words=words: bar.inner_text() == words, 8, f"{act}: {words}")
        assert other.inner_text() == follows, act
    page.locator("#column-3 .trouble").wait_for(state="hidden")
