"""The live deck in a real browser: columns, held and followed, over one line that breaks."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import lacking
from tests.integration.browsers import shot, watched
from tests.integration.conftest import ARGUMENTS, CHROMIUM
from tests.integration.proxy import Proxy
from tests.integration.running import Running, wait_for
from tests.simulators import jetstream

# Layout shifts that no one asked for, and where a card stands.
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    const moved = one.sources.map(({ node }) => node?.outerHTML?.slice(0, 200));
    if (!one.hadRecentInput) window.shifts.push([one.value, ...moved]);
  }
}).observe({ type: "layout-shift" });
"""
QUERY = "c1=all&c2=keyword:2&c2.title=Floods&c2.without=sale&c3=network:x"
TOP = "node => node.getBoundingClientRect().top"


@pytest.fixture(scope="module")
def tweeter(tmp_path_factory: pytest.TempPathFactory, served: Any) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("deck"), BLUESKY_URL=served.it.url) as running:
        wait_for(lambda: served.it.clients, 30, "for Jetstream")
        running.add_all(["storm", "flood"])
        said(served, "flood: is it there?")
        count = lambda: running.sql("SELECT count(*) FROM posts")[0][0]  # noqa: E731
        wait_for(lambda: count() or said(served, "flood: is it there?"), 30, "for the keywords")
        yield running


@pytest.fixture(scope="module")
def line(tweeter: Running) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", tweeter.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def chromium(tweeter: Running, line: Proxy) -> Iterator[Any]:
    """A browser that reaches tweeter over a line that can be cut."""
    if not CHROMIUM.exists():
        lacking("no /usr/bin/chromium")
    from playwright.sync_api import sync_playwright

    rule = f"--host-resolver-rules=MAP 127.0.0.1:{tweeter.port} 127.0.0.1:{line.port}"
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=str(CHROMIUM), args=[*ARGUMENTS, rule])
        yield made
        made.close()


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    made = chromium.new_context(viewport={"width": 1280, "height": 760})
    yield made
    made.close()


_number = iter(range(10_000))


def said(served: Any, *texts: str, **record: Any) -> list[dict[str, Any]]:
    events = [jetstream.post_event(text, number=next(_number), record=record) for text in texts]
    served.do(served.it.publish([json.dumps(event).encode() for event in events]))
    time.sleep(0.2)
    return events


def again(served: Any, event: dict[str, Any], text: str = "") -> None:
    """The post is edited, or (without a text) deleted."""
    commit = event["commit"]
    if text:
        record = commit["record"] | {"text": text}
        more = {"operation": "update", "rev": "3zzzzzzzzzzzz", "record": record}
        served.do(served.it.publish([event | {"commit": commit | more}]))
    else:
        gone = {k: commit[k] for k in ("rev", "collection", "rkey")} | {"operation": "delete"}
        served.do(served.it.publish([event | {"commit": gone}]))


def connected(context: Any, address: str) -> Any:
    """A page that follows."""
    page = context.new_page()
    page.goto(address)
    page.get_by_text("Connected").wait_for()
    return page


def column(page: Any, number: int) -> Any:
    return page.locator(f"#column-{number}")


def card(page: Any, number: int, text: str) -> Any:
    return column(page, number).locator(".item > article", has_text=text)


def says(page: Any, number: int, words: str) -> None:
    found = column(page, number).locator(".mode .words")
    until = time.monotonic() + 10
    while words not in found.inner_text():
        assert time.monotonic() < until, found.inner_text()
        page.wait_for_timeout(50)


def top_of(page: Any, number: int) -> float:
    return float(column(page, number).locator(".scroller").evaluate("node => node.scrollTop"))


def at_rest(page: Any, number: int) -> None:
    """What came has slid in."""
    wait_for(lambda: top_of(page, number) == 0, 10, "for the slide")
    page.wait_for_timeout(200)


def test_columns_filter_hold_and_fold_and_nothing_that_is_read_moves(
    context: Any, tweeter: Running, served: Any
) -> None:
    with watched(context, tweeter.url) as page:
        page.goto(f"{tweeter.url}/live?{QUERY}")
        page.get_by_text("Connected").wait_for()
        page.evaluate(WATCH_SHIFTS)
        said(served, "storm one", "flood one", "flood sale one")
        card(page, 1, "flood sale one").wait_for()
        card(page, 2, "flood one").wait_for()
        assert card(page, 2, "sale").count() == card(page, 3, "one").count() == 0
        events = held_by_the_pointer(page, served)
        assert page.evaluate("window.shifts") == []
        edited_and_removed(page, served, events)
        page.wait_for_timeout(200)
        page.evaluate("window.shifts = []")  # a card that grows at the top pushes those below it
        held_by_scrolling(page, served, events)
        said(served, *["flood, all say the same"] * 3)
        column(page, 2).locator(".same summary", has_text="×3").wait_for()
        new = context.new_page()
        new.goto(f"{tweeter.url}/live?{QUERY}")
        assert column(new, 2).locator(".same summary", has_text="×3").count() == 1
        new.close()
        assert page.evaluate("window.shifts") == []


def held_by_the_pointer(page: Any, served: Any) -> list[dict[str, Any]]:
    """The first column is read: nothing moves there, and the second goes on."""
    at_rest(page, 1)
    read = card(page, 1, "storm one")
    box = read.bounding_box()
    for step in range(3):
        page.mouse.move(box["x"] + 40 + step, box["y"] + 20)
        page.wait_for_timeout(50)
    says(page, 1, "Held because the pointer is on it · 0 waiting")
    before = read.evaluate(TOP)
    events = said(served, *(f"flood held {n}" for n in range(4)))
    says(page, 1, "4 waiting")
    card(page, 2, "flood held 3").wait_for()
    assert read.evaluate(TOP) == before
    assert card(page, 1, "flood held").count() == 0
    shot(page, "deck-held")
    page.mouse.move(2, 2)
    card(page, 1, "flood held 3").wait_for()
    return events


def edited_and_removed(page: Any, served: Any, events: list[dict[str, Any]]) -> None:
    """The cards change where they stand."""
    again(served, events[3], "flood corrected into a sale")
    card(page, 1, "flood corrected").get_by_text("edited").wait_for()
    item = column(page, 2).locator(".item", has_text="corrected")
    item.get_by_text("belongs no more to this column").wait_for()
    again(served, events[2])
    for number in (1, 2):
        column(page, number).locator(".gone").wait_for()
        assert card(page, number, "flood held 2").count() == 0


def held_by_scrolling(page: Any, served: Any, events: list[dict[str, Any]]) -> None:
    """Further down, what is read stays where it is; Space goes back to the top."""
    said(served, *(f"flood more {n}\n\n\nlong" for n in range(6)))
    card(page, 2, "flood more 5").wait_for()
    at_rest(page, 2)
    column(page, 2).locator(".scroller").evaluate("node => node.scrollTo(0, 150)")
    says(page, 2, "Held because you scrolled · 0 waiting")
    read = card(page, 2, "flood more 2")
    before = read.evaluate(TOP)
    said(served, "flood while scrolled")
    again(served, events[0], "flood held 0, at length\n\n\n\nand again")
    says(page, 2, "1 waiting")
    assert read.evaluate(TOP) == before
    page.keyboard.press("2")
    page.keyboard.press("Space")
    card(page, 2, "flood while scrolled").wait_for()
    at_rest(page, 2)
    says(page, 2, "Following")


# Scrolls down as soon as a card has come, while it slides in.
SCROLL_WHILE_IT_SLIDES = """
([number, to]) => new Promise((done) => {
  const scroller = document.querySelector(`#column-${number} .scroller`);
  new MutationObserver((_, observer) => {
    observer.disconnect();
    setTimeout(() => { scroller.scrollTo({ top: to, behavior: "instant" }); done(); }, 60);
  }).observe(scroller.querySelector(".cards"), { childList: true });
})
"""


def test_who_scrolls_while_posts_slide_in_is_not_taken_back_to_the_top(
    context: Any, tweeter: Running, served: Any
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:2")
    said(served, *(f"flood to read {n}\n\n\nlong" for n in range(8)))
    card(page, 1, "flood to read 7").wait_for()
    at_rest(page, 1)
    page.evaluate(f"args => {{ window.scrolled = ({SCROLL_WHILE_IT_SLIDES})(args); }}", [1, 700])
    said(served, "flood that slides in")
    page.evaluate("() => window.scrolled")
    says(page, 1, "Held because you scrolled")
    read = card(page, 1, "flood to read 4")
    before = read.evaluate(TOP)
    said(served, "flood that waits")
    says(page, 1, "1 waiting")
    assert read.evaluate(TOP) == before
    page.close()


def test_a_deck_is_kept_under_a_name_and_changed_in_place(context: Any, tweeter: Running) -> None:
    with watched(context, tweeter.url) as page:
        page.goto(f"{tweeter.url}/live?{QUERY}")
        # Kept under a name, moved by a button, and still so on a new page.
        page.locator("summary", has_text="Decks").click()
        page.get_by_label("Keep this deck as").fill("Weather")
        page.keyboard.press("Enter")
        page.get_by_text("Kept as “Weather”").wait_for()
        column(page, 2).get_by_label("Change the column Floods").click()
        with page.expect_response("**/live/change"):
            column(page, 2).get_by_role("button", name="Move to the left: Floods").click()
        column(page, 3).get_by_label("Change the column X").click()
        with page.expect_response("**/live/change"):
            column(page, 3).get_by_role("button", name="Remove the column: X").click()
        page.goto(f"{tweeter.url}/live?deck=1")
        titles = page.locator(".column h2").all_inner_texts()
        assert titles == ["Floods", "Everything"]
        assert column(page, 1).locator("article").count() > 0
        page.keyboard.press("?")
        page.get_by_label("Keys are on in this browser").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("Space")
        says(page, 1, "Following")


def test_two_tabs_share_a_line_that_breaks_and_miss_nothing(
    context: Any, tweeter: Running, line: Proxy, served: Any
) -> None:
    asked: list[list[str]] = [[], []]
    pages = [context.new_page() for _ in asked]
    for n, page in enumerate(pages):
        page.on(
            "request", lambda r, n=n: asked[n].append(r.url) if "/live/stream" in r.url else None
        )
        page.goto(f"{tweeter.url}/live?c1=keyword:{n + 1}&c2=all")
        page.get_by_text("Connected").wait_for()
    said(served, "storm shared", "flood shared")
    card(pages[0], 1, "storm shared").wait_for()
    card(pages[1], 1, "flood shared").wait_for()
    assert card(pages[0], 1, "flood").count() == 0
    assert asked[0]
    assert asked[1] == []

    line.cut()
    for page in pages:
        page.get_by_text("Connection lost").wait_for()
        assert "last post" in page.locator("#lamp").inner_text()
        assert "retry" in page.locator("#lamp").inner_text()
        says(page, 1, "Nothing comes: the connection is lost")  # not "Following"
    said(served, *(f"flood away {n}." for n in range(40)))
    time.sleep(1)
    line.mend()
    for page in pages:
        page.locator(".divider", has_text="arrived while away: 40").first.wait_for(timeout=30_000)
        texts = column(page, 2).locator(".item > article .text").all_text_contents()
        assert texts[:40] == [f"flood away {n}." for n in range(39, -1, -1)]
    shot(pages[1], "deck-away")

    pages[0].close()
    said(served, "flood after the first tab is closed")
    card(pages[1], 1, "first tab is closed").wait_for(timeout=10_000)
    assert asked[1]
    pages[1].close()


def test_all_that_came_while_the_line_was_down_is_shown_also_more_than_a_column_keeps(
    context: Any, tweeter: Running, line: Proxy, served: Any
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1&every=1")
    line.cut()
    page.get_by_text("Connection lost").wait_for()
    for first in range(0, 130, 26):
        said(served, *(f"storm gone {first + n}." for n in range(26)))
    line.mend()
    column(page, 1).get_by_text("arrived while away: 130").wait_for(timeout=30_000)
    assert column(page, 1).locator(".cards .gap").count() == 0
    kept = card(page, 1, "storm gone").count()
    assert 90 < kept <= 100
    left = int(column(page, 1).locator(".bottom span").inner_text().split()[0])
    assert left >= 130 - kept
    page.close()


def test_many_posts_are_shown_one_in_n_and_all_are_counted(
    context: Any, tweeter: Running, served: Any
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    for first in range(0, 200, 20):
        said(served, *(f"storm much {first + n}." for n in range(20)))
    says(page, 1, "all stored")
    assert "showing 1 in" in column(page, 1).locator(".mode .words").inner_text()
    row = column(page, 1).locator(".cards .gap")
    row.wait_for(timeout=20_000)
    shown = card(page, 1, "storm much").count()
    assert int(row.inner_text().split()[0]) == 200 - shown
    while row.count():
        with page.expect_response("**/api/v1/decks/posts?*"):
            row.get_by_role("button", name="load").click()
        page.wait_for_timeout(100)
    assert card(page, 1, "storm much").count() == 200
    page.close()


def test_a_wall_shows_nothing_but_the_posts(context: Any, tweeter: Running) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1&wall=1")
    for place in (".top", "main .find", ".decktools"):
        assert not page.locator(place).is_visible(), place
    assert page.evaluate("getComputedStyle(document.body).padding") == "0px"
    page.close()


# Moves of each column's scroller to its top that it is asked for, and how.
WATCH_SLIDES = """
window.slides = [];
const scrollTo = Element.prototype.scrollTo;
Element.prototype.scrollTo = function (how) {
  if (this.matches(".scroller")) window.slides.push(how.behavior);
  return scrollTo.call(this, how);
};
null;
"""


def test_a_flood_does_not_slide_and_the_newest_of_it_are_shown(
    context: Any, tweeter: Running, served: Any
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    page.evaluate(WATCH_SLIDES)
    for first in range(0, 300, 20):
        said(served, *(f"storm sea {first + n}." for n in range(20)))
        if first == 180:
            says(page, 1, "all stored")
            page.evaluate("window.slides = []")
    says(page, 1, "all stored")
    page.wait_for_timeout(500)
    assert "smooth" not in page.evaluate("window.slides")
    shown = [int(text.rpartition(" ")[2].rstrip(".")) for text in texts(page, "storm sea")]
    assert shown == sorted(shown, reverse=True)
    assert max(shown) > 240
    page.close()


# A column of its own in the page, with a deck that does nothing; `came` brings posts at once.
COLUMN = """
const scripts = performance.getEntriesByType("resource").map((one) => one.name);
const script = (name) => import(scripts.find((one) => one.endsWith(name)));
const { Column } = await script("/column.js");
const nothing = () => {};
const deck = {
  names: {}, share: () => 1, isSeen: () => true, count: nothing, settle: nothing, point: nothing,
};
const column = new Column(document.querySelector(".column").cloneNode(true), deck);
let number = 0;
const came = (count) => {
  for (const until = number + count; number < until; number += 1) {
    column.take({ id: String(number), occurred_at: number }, "", number, false);
  }
};
const soon = (ms) => new Promise((done) => setTimeout(done, ms));
"""


def test_what_is_shown_of_a_flood_is_the_newest_when_it_is_drawn(
    context: Any, tweeter: Running
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    shown, passed, held = page.evaluate(
        f"""async () => {{ {COLUMN}
            came(350);
            column.choose();
            const [shown, passed] = [column.waiting.map((one) => one.post.id), column.passed.count];
            column.manual = true;
            for (let n = 0; n < 300; n += 1) {{ came(50); column.flush(); }}
            return [shown, passed, column.waiting.filter((one) => one.post).at(-1).post.id];
        }}"""
    )
    assert shown == ["345", "346", "347", "348", "349"]
    assert passed == 345
    assert int(held) > 350 + 300 * 50 - 5_000  # one that is held goes on to keep the newest
    page.close()


def test_a_flood_is_known_after_some_posts_and_a_burst_is_none(
    context: Any, tweeter: Running
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    burst, flood = page.evaluate(
        f"""async () => {{ {COLUMN}
            came(20);
            const burst = column.oneIn();
            await soon(80);
            came(1);
            return [burst, column.oneIn()];
        }}"""
    )
    assert burst == 1
    assert flood > 1
    page.close()


def test_cards_out_of_sight_in_a_flood_are_whole_for_who_scrolls_to_them(
    context: Any, tweeter: Running, served: Any
) -> None:
    said(served, *(f"storm before {n}. " + "word " * (20 * (n % 4)) for n in range(60)))
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    far = column(page, 1).locator(".item.far")
    for first in range(0, 300, 20):
        said(served, *(f"storm tide {first + n}." for n in range(20)))
    assert far.count() > 0
    scroller = column(page, 1).locator(".scroller")
    scroller.evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    says(page, 1, "Held because you scrolled")
    assert far.count() == 0
    read = page.evaluate_handle(
        """() => {
            const { top } = document.querySelector(".scroller").getBoundingClientRect();
            const all = [...document.querySelectorAll(".item")];
            return all.find((one) => one.getBoundingClientRect().bottom > top + 50);
        }"""
    )
    before = read.evaluate(TOP)
    said(served, *(f"storm ebb {n}." for n in range(20)))
    says(page, 1, "waiting")
    assert read.evaluate(TOP) == before
    page.close()


def test_a_page_that_nobody_sees_draws_nothing_until_it_is_seen(
    context: Any, tweeter: Running, served: Any
) -> None:
    page = connected(context, f"{tweeter.url}/live?c1=keyword:1")
    hide = """value => {
        Object.defineProperty(document, "hidden", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }"""
    page.evaluate(hide, True)
    said(served, "storm behind")
    page.wait_for_timeout(1500)
    assert card(page, 1, "storm behind").count() == 0
    page.evaluate(hide, False)
    card(page, 1, "storm behind").wait_for(timeout=5_000)
    page.close()


def test_a_page_reads_one_event_a_post_of_a_server_that_knows_no_batches(
    context: Any, tweeter: Running, served: Any
) -> None:
    """As after a step back to an older version, while the page is open."""
    page = context.new_page()
    asked: list[str] = []

    def older(route: Any) -> None:
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("&batch=1", ""))

    page.route("**/live/stream?*", older)
    page.goto(f"{tweeter.url}/live?c1=keyword:1")
    page.get_by_text("Connected").wait_for()
    (event,) = said(served, "storm alone")
    card(page, 1, "storm alone").wait_for()
    again(served, event)
    column(page, 1).get_by_text("Removed by its author or network.").wait_for()
    assert "&batch=1" in asked[0]
    page.close()


def texts(page: Any, words: str) -> list[str]:
    found: list[str] = card(page, 1, words).locator(".text").all_text_contents()
    return found


def test_what_cannot_be_sent_again_is_one_row_with_its_count(
    context: Any, tweeter: Running, served: Any
) -> None:
    """The page was asleep for so long that the feed has forgotten what came next."""
    said(served, *(f"flood forgotten {n}" for n in range(8)))
    time.sleep(1)
    (last,) = tweeter.sql("SELECT value FROM positions WHERE name = 'feed'")[0]
    tweeter.sql("DELETE FROM feed WHERE seq <= ?", last - 5)
    page = context.new_page()
    address = f"{tweeter.url}/live?c1=keyword:2&c1.with=later"

    def as_of_long_ago(route: Any) -> None:
        answer = route.fetch()
        body = answer.text().replace(f'data-after="{last}"', 'data-after="1"')
        route.fulfill(response=answer, body=body)

    page.route(address, as_of_long_ago)
    page.goto(address)
    row = column(page, 1).locator(".gap", has_text="passed while this page was away")
    row.wait_for()
    assert row.inner_text().startswith("At least 5 posts of all columns")
    assert row.get_by_role("link", name="the keyword's page").count() == 1
    said(served, "flood, later")
    card(page, 1, "flood, later").wait_for()
    row.get_by_role("button", name="load").click()
    column(page, 1).locator(".gap", has_text="no longer kept").wait_for()
    page.close()


def test_columns_of_a_hashtag_and_of_a_saved_search_which_is_then_deleted(
    context: Any, tweeter: Running, served: Any
) -> None:
    with watched(context, tweeter.url) as page:
        said(served, "flood, before the search")
        page.goto(f"{tweeter.url}/search?q=flood+NOT+sale&lang=-pt")
        page.get_by_label("Save it as").fill("Floods, no sales")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("is kept among the saved searches").wait_for()
        page.get_by_role("button", name="Add the column").click()
        assert page.url.endswith("/live?c1=search:1")
        assert page.locator(".column h2").all_inner_texts() == ["Floods, no sales"]
        card(page, 1, "flood, before the search").wait_for()
        page.get_by_role("button", name="Add a column").click()
        page.get_by_label("or a hashtag").fill("#Sea")
        page.get_by_label("Does not contain").fill("calm")
        page.get_by_role("button", name="Add it").click()
        assert page.url.endswith("/live?c1=search:1&c2=tag:sea&c2.without=calm")
        page.get_by_text("Connected").wait_for()
        said(served, "flood #sea", "flood sale #sea", "storm calm #SEA", tags=["Sea"])
        said(served, "flood at the end")
        card(page, 1, "flood at the end").wait_for()
        card(page, 2, "flood sale").wait_for()
        assert page.locator(".column h2").all_inner_texts() == ["Floods, no sales", "#sea"]
        assert card(page, 1, "sale").count() == card(page, 2, "calm").count() == 0
        shot(page, "deck-search-and-tag")

        tweeter.sql("DELETE FROM searches WHERE id = 1")
        column(page, 1).get_by_text("saved search that this column shows was deleted").wait_for()
        said(served, "flood #sea, after it is deleted", tags=["sea"])
        card(page, 2, "after it is deleted").wait_for()
        assert card(page, 1, "after it is deleted").count() == 0
        assert card(page, 1, "flood at the end").count() == 1
        page.reload()
        column(page, 1).get_by_text("saved search that this column shows was deleted").wait_for()
        assert column(page, 1).locator("article").count() == 0
        assert not column(page, 1).locator(".mode").is_visible()
        assert page.locator(".column h2").all_inner_texts() == ["search 1", "#sea"]
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 760})
            shot(page, f"deck-search-deleted-{width}", whole=False)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.set_viewport_size({"width": 1280, "height": 760})
        column(page, 1).get_by_label("Change the column search 1").click()
        column(page, 1).get_by_role("button", name="Title and filters").click()
        page.get_by_label("Shows").select_option(label="search 1 (deleted)")
        page.locator("summary", has_text="Hashtags, links, keywords, times").click()
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 760})
            shot(page, f"deck-form-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_one_column_and_a_browser_without_scripts_all(
    chromium: Any, tweeter: Running, served: Any
) -> None:
    deck = f"{tweeter.url}/live?c1=all&c2=keyword:2&c2.title=Floods"
    context = chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True)
    page = connected(context, deck)
    page.locator(".tabs a", has_text="Floods").click()
    page.locator(".tabs a[aria-current]", has_text="Floods").wait_for()
    page.get_by_role("link", name="Everything", exact=True).wait_for()
    said(served, "storm out of sight", "storm out of sight, again")
    page.get_by_role("link", name="Everything 2 new", exact=True).wait_for()
    page.get_by_role("link", name="Floods", exact=True).wait_for()
    assert page.locator(".tabs .count").first.inner_text() == "2"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".tabs a", has_text="Everything").click()
    page.get_by_role("link", name="Everything", exact=True).wait_for()
    page.goto(f"{tweeter.url}/live?" + "&".join(f"c{n}=all" for n in range(1, 13)))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()

    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(deck)
    assert column(page, 2).locator("article").count() > 0
    page.get_by_role("button", name="Add a column").click()
    page.get_by_label("Shows").select_option(label="Bluesky")
    page.get_by_label("Contains", exact=True).fill("(storm")
    page.get_by_role("button", name="Add it").click()
    page.get_by_text("This parenthesis is never closed").wait_for()
    page.get_by_label("Contains", exact=True).fill("storm")
    page.get_by_role("button", name="Add it").click()
    assert column(page, 3).locator(".says").inner_text() == "with storm"
    assert "c3=network:bluesky&c3.with=storm" in page.url
    column(page, 3).locator("summary").first.click()
    column(page, 3).get_by_role("button", name="Move to the left").click()
    assert page.locator(".column h2").all_inner_texts() == ["Everything", "Bluesky", "Floods"]
    context.close()
