"""A recorded stretch with a spike, a gap, edits and deletes: the page against a recount."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.integration.browsers import HOSTILE, shot, shots, watched
from tests.integration.running import Running, wait_for
from tests.simulators.jetstream import now_us, post_event
from tweeter import moments

HOUR_US = 3_600_000_000
HOURS = 24 * 20
TAGS = ("harbour", "ferry", "wind")


class Recorded:
    """The events of a file, and what they come to. hours: posts still there, by hour (us)."""

    def __init__(self, until_us: int) -> None:
        dice = random.Random(20)
        self.events: list[dict[str, Any]] = []
        self.hours: Counter[int] = Counter()
        self.tags: Counter[str] = Counter()
        self.gone = 0
        self.spike = until_us - 30 * HOUR_US
        number = 0
        for back in range(HOURS, 0, -1):
            start = until_us - back * HOUR_US
            for _ in range(240 if start == self.spike else dice.choice((4, 5, 6))):
                number += 1
                at = start + dice.randrange(HOUR_US - 600_000_000)
                self.say(dice, number, at, start)
        self.events.sort(key=lambda event: event["time_us"])

    def say(self, dice: random.Random, number: int, at: int, start: int) -> None:
        tag = "sunk" if start == self.spike and dice.random() < 0.8 else dice.choice(TAGS)
        event = post_event(f"a storm #{tag} {number}", number, time_us=at, record={"tags": [tag]})
        event["commit"]["rev"] = f"3a{number:011d}"
        self.events.append(event)
        fate = dice.random()
        if fate < 0.05:
            gone = {k: event["commit"][k] for k in ("collection", "rkey")}
            later = {"rev": f"3b{number:011d}", "operation": "delete"}
            self.events.append(event | {"time_us": at + 60_000_000, "commit": gone | later})
            self.gone += 1
            return
        if fate < 0.1:
            tag = "wind"
            text = f"a storm, corrected #{tag} {number}"
            record = event["commit"]["record"] | {"text": text, "tags": [tag]}
            later = {"operation": "update", "rev": f"3b{number:011d}", "record": record}
            self.events.append(
                event | {"time_us": at + 60_000_000, "commit": event["commit"] | later}
            )
        self.hours[start] += 1
        self.tags[tag] += 1

    def write(self, path: Path) -> Path:
        path.write_text("".join(f"{json.dumps(event)}\n" for event in self.events))
        return path


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    now = now_us()
    return Recorded(now - now % HOUR_US)


@pytest.fixture(scope="module")
def tweeter(tmp_path_factory: pytest.TempPathFactory, recorded: Recorded) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("statistics")
    with Running(folder, BLUESKY_URL="") as running:
        running.add_all(["storm", "nothing at all"])
        running.cli("replay", str(recorded.write(folder / "posts.jsonl")), "--wait")
        # As if it had been followed all the time, but for two hours.
        begun, gap = recorded.events[0]["time_us"] - 5 * HOUR_US, recorded.spike - 9 * HOUR_US
        running.sql("UPDATE keywords SET created_at = ?", begun)
        ask = "SELECT id FROM streams WHERE name = 'bluesky'"  # it is there from the first tick on
        (stream,) = wait_for(lambda: running.sql(ask))
        running.sql(
            "UPDATE streams SET covered_until = ?, created_at = ? WHERE id = ?",
            now_us(),
            begun,
            stream[0],
        )
        running.sql("DELETE FROM intervals WHERE stream_id = ?", stream[0])
        for state, since, until, outcome in (
            ("live", begun, gap, ""),
            ("down", gap, gap + 2 * HOUR_US, "lost"),
            ("live", gap + 2 * HOUR_US, now_us(), ""),
        ):
            running.sql(
                "INSERT INTO intervals (stream_id, state, cause, started_at, ended_at, outcome,"
                " kind, repair, repaired_posts)"
                " VALUES (?, ?, 'The line broke.', ?, ?, ?, '', '', 0)",
                stream[0],
                state,
                since,
                until,
                outcome,
            )
        yield running


def number(text: str) -> int:
    return int(re.sub(r"[^\d]", "", text) or 0)  # "–" where nothing is known


def rows_of(figure: Any) -> dict[str, int]:
    """The table beside the chart: posts by its first column."""
    figure.locator("summary", has_text="As a table").click()
    found = figure.locator("details table tbody tr")
    cells = "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    return {row[0]: sum(map(number, row[1:])) for row in found.evaluate_all(cells)}


def test_the_page_says_what_the_file_comes_to(
    browser: Any, tweeter: Running, recorded: Recorded
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="UTC")
    with watched(context, tweeter.url) as page:
        since, until = recorded.spike - 24 * HOUR_US, recorded.spike + 24 * HOUR_US
        asked = f"from={iso(since)}&to={iso(until)}&bucket=3600"
        page.goto(f"{tweeter.url}/keywords/1?{asked}")
        figure = page.locator("#volume")
        true = {at: n for at, n in recorded.hours.items() if since <= at < until}
        shown = rows_of(figure)
        assert list(shown.values()) == [true[at] for at in sorted(true)]
        total = figure.locator(".figures").inner_text()
        assert f"≥ {sum(true.values()):,} posts" in total
        assert "removed since" in total
        assert figure.locator("rect.gap").count() == 1  # hatched, and the table says why
        assert figure.locator("li", has_text="The line broke").count() == 1
        spike = page.locator(".spikecard")
        assert f"{recorded.hours[recorded.spike]} in the highest hour" in spike.inner_text()
        assert spike.locator(".pill", has_text="#sunk").count() == 1
        assert spike.locator("article.post", has_text="#sunk").count() == 3
        zoomed(page, figure)
        narrowed(page)
        shot(page, "statistics")
        page.goto(f"{tweeter.url}/keywords/1?{asked}")
        spike.get_by_role("link", name="for the first of these").click()
        hits = page.locator(".headline").inner_text()
        assert 0 < number(hits) < recorded.hours[recorded.spike], hits
    context.close()


def zoomed(page: Any, figure: Any) -> None:
    """A drag over the bars asks for that time, in the address."""
    box = figure.locator("svg.drawn").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    assert re.search(r"\d", page.locator("#readout").inner_text())
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 100, steps=4)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#volume').dataset.count < 200")
    page.wait_for_url(re.compile("from="))
    page.locator("#statistics:not([aria-busy])").wait_for()
    page.locator("#wider").click()
    page.locator("#statistics:not([aria-busy])").wait_for()
    bucket = figure.get_attribute("data-size")
    page.keyboard.press("+")
    page.locator(f"#volume:not([data-size='{bucket}'])").wait_for()
    page.keyboard.press("c")
    assert page.evaluate("document.activeElement.name") == "compare"
    page.locator("#keymap-open").click()
    page.get_by_label("Keys are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("-")
    assert page.locator("#statistics[aria-busy]").count() == 0


def narrowed(page: Any) -> None:
    """A value narrows the chart to itself; a click takes it away again."""
    page.locator("section[aria-label='Hashtags'] a", has_text="#sunk").click()
    page.get_by_role("heading", name="Posts over time: tag sunk").wait_for()
    page.get_by_role("link", name="Take the filter away: tag: sunk").click()
    page.get_by_role("heading", name="Posts over time", exact=True).wait_for()
    page.get_by_role("link", name="Without #sunk").click()
    page.get_by_role("heading", name="Posts over time: not tag sunk").wait_for()
    page.get_by_role("link", name="Take the filter away: not tag: sunk").click()
    page.get_by_role("heading", name="Posts over time", exact=True).wait_for()


def test_all_of_the_time_comes_to_all_posts(
    browser: Any, tweeter: Running, recorded: Recorded
) -> None:
    """Also without JavaScript: totals, tags and what was removed, over the whole file."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    with watched(context, tweeter.url) as page:
        page.goto(f"{tweeter.url}/keywords/1?range=month&by=lang")
        words = page.locator("#volume .figures").inner_text()
        assert f"{sum(recorded.hours.values()):,} posts" in words
        assert f"{recorded.gone:,} removed since" in words
        rows = page.locator("section[aria-label='Hashtags'] li").all_inner_texts()
        tags = {row.split()[0].lstrip("#"): number(row.split()[2]) for row in rows}
        assert tags == dict(recorded.tags)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(tweeter.url)
        assert page.locator("#overview tbody tr").count() == 2
        shot(page, "overview-360")
    context.close()


def test_series_of_different_size_are_indexed_to_100(browser: Any, tweeter: Running) -> None:
    """By a link, without JavaScript; with it the line under the chart says both numbers."""
    for script in (False, True):
        context = browser.new_context(
            java_script_enabled=script, viewport={"width": 360, "height": 800}
        )
        with watched(context, tweeter.url) as page:
            page.goto(f"{tweeter.url}/keywords/1?range=week&compare=previous&bucket=86400")
            assert page.locator("svg.drawn path.bar").count() == 1
            page.get_by_role("link", name="Index to 100").click()
            page.locator("svg.drawn .hundred").wait_for(state="attached")
            assert page.locator("svg.drawn path.line").count() == 2
            assert "scale=index" in page.url
            if script:
                page.locator("svg.drawn").hover()
                said = page.locator("#readout").inner_text()
                assert re.search(r"storm \d+\.\d \(\d+\), the time before \d+", said), said
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            shot(page, f"index-360{'' if script else '-noscript'}", whole=False)
            page.get_by_role("link", name="Posts again").click()
            page.locator("svg.drawn path.bar").first.wait_for()
        context.close()


def test_a_filter_is_switched_off_without_being_lost_and_goes_along_when_pinned(
    browser: Any, tweeter: Running
) -> None:
    """All of it links, in the address; with and without JavaScript, as wide as a phone."""
    for script in (False, True):
        context = browser.new_context(
            java_script_enabled=script, viewport={"width": 360, "height": 800}
        )
        with watched(context, tweeter.url) as page:
            page.goto(f"{tweeter.url}/keywords/1?range=month&network=!bluesky&tag=wind")
            page.get_by_text("No post in this time").wait_for()
            page.get_by_role("link", name="Switch off: not network: bluesky").click()
            page.locator("svg.drawn path.bar").first.wait_for()
            assert "off=network:!bluesky" in unquote(page.url)
            page.get_by_role("link", name="Pin: not network: bluesky", exact=True).click()
            page.get_by_role("link", name="Unpin: not network: bluesky").wait_for()
            page.get_by_role("link", name="Pin: tag: wind", exact=True).click()
            page.get_by_role("link", name="Unpin: tag: wind").wait_for()
            along = page.get_by_role("navigation", name="Other keywords, with the pinned filters")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            shot(page, f"pills-360{'' if script else '-noscript'}", whole=False)
            along.get_by_role("link", name="nothing at all").click()
            page.get_by_role("heading", name="nothing at all").wait_for()
            assert page.locator(".filterpill.pinned").count() == 2
            assert page.locator(".filterpill.off").count() == 1
            page.get_by_role("link", name="Switch on: not network: bluesky").click()
            page.locator(".filterpill:not(.off)").nth(1).wait_for()
            assert "network=!bluesky" in unquote(page.url)
        context.close()


def test_a_note_stands_where_it_happened(
    browser: Any, tweeter: Running, recorded: Recorded
) -> None:
    """Written, changed and removed without JavaScript; on a phone as on a desk; only text."""
    since, until = recorded.spike - 24 * HOUR_US, recorded.spike + 24 * HOUR_US
    asked = f"from={iso(since)}&to={iso(until)}&bucket=3600"
    for width in (1280, 360):
        context = browser.new_context(
            java_script_enabled=False, viewport={"width": width, "height": 800}
        )
        with watched(context, tweeter.url, allowed=("422",)) as page:
            page.goto(f"{tweeter.url}/keywords/1?{asked}")
            noted(page, HOSTILE[6], iso(recorded.spike))
            marks = page.locator("svg.drawn .note")
            box, mark = page.locator("svg.drawn").bounding_box(), marks.locator("line").first
            place = mark.bounding_box()["x"] - box["x"]
            assert place == pytest.approx(box["width"] / 2, abs=2)
            shown = page.locator(".notes > li")
            assert shown.locator("bdi.said").inner_text() == HOSTILE[6]
            assert page.title() != "gone"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.locator("#annotations").screenshot(path=str(shots() / f"notes-{width}.png"))
            shown.locator("summary").click()
            shown.locator("input[name=until]").fill(iso(since))
            shown.get_by_role("button", name="Save").click()
            assert "ends before it begins" in page.get_by_role("alert").inner_text()
            assert shown.locator("input[name=until]").input_value() == iso(since)
            shown.locator("input[name=until]").fill(iso(recorded.spike + 12 * HOUR_US))
            shown.get_by_role("button", name="Save").click()
            assert marks.locator("rect.span").bounding_box()["width"] == pytest.approx(
                box["width"] / 4, abs=2
            )
            shown.locator("summary").click()
            shown.get_by_role("button", name="Remove").click()
            assert marks.count() == shown.locator("bdi").count() == 0
        context.close()


def test_the_page_says_when_there_is_nothing_and_what_to_do(browser: Any, tweeter: Running) -> None:
    context = browser.new_context(java_script_enabled=False)
    with watched(context, tweeter.url) as page:
        page.goto(f"{tweeter.url}/keywords/2")
        words = page.locator("#volume .empty").inner_text()
        assert words.startswith("No post yet. The bar that is running is full at "), words
        page.goto(f"{tweeter.url}/keywords/2?from=2020-01-01T00:00Z&to=2020-02-01T00:00Z")
        assert page.locator("#volume .empty").inner_text() == "No post in this time."
        page.goto(f"{tweeter.url}/keywords/1?range=month&lang=xx")
        assert "with these filters" in page.locator("#volume .empty").inner_text()
        page.get_by_role("link", name="Show all posts of this time").click()
        assert page.locator("svg.drawn path.bar").count() > 0
        page.goto(f"{tweeter.url}/keywords/1?from=2020-01-01T00:00Z&to=2020-02-01T00:00Z")
        page.get_by_role("link", name="Go to the newest ones").click()
        assert page.locator("svg.drawn path.bar").count() > 0
    context.close()


def test_the_page_says_what_is_partial_loading_and_stale(browser: Any, tweeter: Running) -> None:
    """In words that stay until they are true no more; the newest click wins."""
    for width in (1280, 360):
        context = browser.new_context(viewport={"width": width, "height": 800})
        with watched(context, tweeter.url, allowed=("ERR_FAILED",)) as page:
            page.clock.install()
            page.goto(f"{tweeter.url}/keywords/1?range=month")
            partial = page.locator("#volume.partial > .state-note").inner_text()
            assert re.match(r"Partly covered: 2 h of this time in one stretch", partial), partial
            page.evaluate("() => { window.same = true; }")
            page.get_by_role("link", name="What was seen").click()  # a jump is no new page
            page.go_back()
            page.wait_for_timeout(300)
            assert page.evaluate("window.same")
            note, section = page.locator("#statistics-note"), page.locator("#statistics")
            page.route("**/keywords/1?range=week*", lambda _: None)  # no answer comes
            page.get_by_role("link", name="week", exact=True).click()
            page.clock.run_for(400)
            assert note.inner_text() == "Loading …"
            assert section.get_attribute("aria-busy") == "true"
            shot(page, f"statistics-loading-{width}", whole=False)
            page.get_by_role("link", name="year", exact=True).click()
            page.locator(".controls a.chosen", has_text="year").wait_for()
            assert not note.is_visible()
            page.route("**/keywords/1?range=day*", lambda route: route.abort())
            page.get_by_role("link", name="day", exact=True).click()
            page.locator("#statistics.stale").wait_for()
            assert note.inner_text().startswith("tweeter does not answer. As of ")
            assert page.locator(".controls a.chosen").inner_text() == "year"  # what is shown
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            shot(page, f"statistics-stale-{width}", whole=False)
            page.unroute("**/keywords/1?range=day*")
            note.get_by_role("link", name="Try again").click()
            page.locator(".controls a.chosen", has_text="day").wait_for()
            assert not note.is_visible()
            page.clock.fast_forward("10:00")
            page.locator("#statistics.stale").wait_for()
            assert note.inner_text().startswith("A newer bar has begun. As of ")
            note.get_by_role("link", name="Show it").click()
            page.locator("#statistics:not(.stale):not([aria-busy])").wait_for()
        context.close()


def test_on_paper_and_in_forced_colours_the_page_is_whole(browser: Any, tweeter: Running) -> None:
    """What can only be pressed is not printed; what is drawn keeps its marks and colours."""
    context = browser.new_context(viewport={"width": 800, "height": 1000})
    with watched(context, tweeter.url) as page:
        page.goto(f"{tweeter.url}/keywords/1?range=month&network=bluesky&off=lang:en&scale=index")
        page.emulate_media(media="print")
        for pressed in (
            ".controls",
            ".filterpill a",
            "#readout",
            "#scale",
            ".annotations details",
            ".find",
        ):
            assert not page.locator(pressed).first.is_visible(), pressed
        for shown in (
            "svg.drawn",
            "svg.drawn text.along",
            ".filterpill .what",
            "#volume .legend",
            "#volume .state-note",
        ):
            assert page.locator(shown).first.is_visible(), shown
        exact = "e => getComputedStyle(e).webkitPrintColorAdjust"
        assert page.locator("svg.drawn").evaluate(exact) == "exact"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shot(page, "statistics-print")
        page.emulate_media(media="screen", forced_colors="active", color_scheme="dark")
        line = page.locator("svg.drawn path.line").first
        stroke, ground = (
            "e => getComputedStyle(e).stroke",
            "() => getComputedStyle(document.body).backgroundColor",
        )
        assert line.evaluate(stroke) not in ("none", page.evaluate(ground))
        assert page.locator(".filterpill a").first.is_visible()
        shot(page, "statistics-forced")
    context.close()


def noted(page: Any, words: str, at: str) -> None:
    page.locator("summary", has_text="Add a note").click()
    new = page.locator("#annotations > details form")
    new.locator("input[name=text]").fill(words)
    new.locator("input[name=since]").fill(at)
    new.get_by_role("button", name="Add").click()
    page.get_by_text("The note is kept.").wait_for()


def iso(moment: int) -> str:
    return moments.iso(moment)
