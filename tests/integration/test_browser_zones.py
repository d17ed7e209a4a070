"""Tables, and words that show when the pointer rests on a mark, in the zone of the frame."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.commands.conftest import follow
from tests.integration.browsers import pages_alone, shot, watched
from tests.store.posts import AT, post, store
from tweeter.moments import iso
from tweeter.store import annotations, keywords

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
FIRST = AT // HOUR_US * HOUR_US
SPRING = 1_774_746_000_000_000  # 29 March 2026, 1:00: clocks in Berlin change
AUTUMN = SPRING + 210 * 24 * HOUR_US  # 25 October 2026, 1:00: they change back
OF_DAY = f"from={iso(FIRST)}&to={iso(FIRST + 24 * HOUR_US)}"
OF_SPRING = f"from={iso(SPRING - 24 * HOUR_US)}&to={iso(SPRING + 24 * HOUR_US)}"
OF_AUTUMN = f"from={iso(AUTUMN - 9 * HOUR_US)}&to={iso(AUTUMN + 9 * HOUR_US)}&bucket=3600"
ZONES = [
    ("Asia/Tokyo", "GMT+9", 9),
    ("America/Bogota", "GMT-5", -5),
    ("Asia/Kolkata", "GMT+5:30", 5.5),
]
MOVED = """([texts, zone]) => {
    const full = { dateStyle: "medium", timeStyle: "medium", timeZone: zone };
    const moved = new Intl.DateTimeFormat("en-GB", full);
    const moment = /[0-9]+ [A-Z][a-z]{2} [0-9]{4} ([0-9]{2}:?){3}( UTC)?/g;
    return texts.map((text) => text.replace(moment, (found) =>
        moved.format(new Date(`${found.replace(" UTC", "")} UTC`))));
}"""
WORDS = """found => found.map((one) =>
    one.dataset.moments ? one.getAttribute(one.dataset.moments) : one.textContent)"""
CELLS = """links => links.map((link) => {
    const cell = link.closest("td");
    return [Number(/hour=([0-9]+)$/.exec(link.getAttribute("href"))[1]), cell.dataset.label,
        cell.cellIndex, cell.parentNode.rowIndex - 1, link.getAttribute("aria-label")];
})"""
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


class Abroad(NamedTuple):
    """A page in a zone, a page without scripts, which is as the server wrote it, and the zone."""

    page: Any
    plain: Any
    zone: str
    short: str
    hours: float

    def go(self, address: str) -> None:
        self.page.goto(address)
        self.plain.goto(address)

    def moved(self, texts: list[str]) -> list[str]:
        """The server's texts with their moments in the zone."""
        found: list[str] = self.page.evaluate(MOVED, [texts, self.zone])
        return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages alone: a keyword with posts, an edit, a note and a gap; and another."""
    with pages_alone(tmp_path_factory.mktemp("zones")) as (engine, address):
        for expression in ("storm", "flood"):
            keywords.add(engine, expression)
        keywords.edit(engine, 1, "storm OR gale")
        lease = follow(engine, gap_s=(36_000, 39_600))
        note = (FIRST + 5 * HOUR_US, FIRST + 6 * HOUR_US)
        annotations.add(engine, 1, "Landfall at 24 Nov 2026 05:00:00 UTC", *note)
        some = [post(n, f"storm {n}", occurred_at=FIRST + n * 20 * MINUTE_US) for n in range(72)]
        some += [
            post(n, f"storm {n}", occurred_at=SPRING + (n - 95) * HOUR_US) for n in range(80, 110)
        ]
        some += [
            post(n, f"storm {n}", occurred_at=AUTUMN + (n - 125) * HOUR_US) for n in range(110, 140)
        ]
        some += [
            post(n, f"storm {n}", occurred_at=AUTUMN + (n - 142) * HOUR_US + 30 * MINUTE_US)
            for n in range(140, 145)
        ]
        store(engine, lease, *some)
        yield address


@pytest.fixture(params=ZONES, ids=lambda zone: zone[0].partition("/")[2])
def abroad(browser: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Abroad]:
    zone, short, hours = request.param
    context = browser.new_context(timezone_id=zone, locale="en-GB")
    without = browser.new_context(java_script_enabled=False)
    with watched(context, url) as page:
        yield Abroad(page, without.new_page(), zone, short, hours)
    context.close()
    without.close()


def switch(page: Any) -> None:
    page.get_by_role("button", name="Times in UTC").click()


def fold(page: Any, place: str) -> None:
    page.locator(f"{place} details", has=page.locator("table")).locator("summary").first.click()


@pytest.mark.parametrize("address, place", [
    (f"/keywords/1?{OF_DAY}", "#volume"),
    (f"/?with=1&with=2&{OF_DAY}", "#voice"),
])  # fmt: skip
def test_rows_follow_the_switch(abroad: Abroad, url: str, address: str, place: str) -> None:
    page, heads, corner = abroad.page, f"{place} tbody th", f"{place} thead th"
    abroad.go(url + address)
    server = abroad.plain.locator(heads).all_text_contents()
    own = abroad.moved(server)
    assert len(server) >= 24
    assert not set(server) & set(own)
    assert abroad.plain.locator(corner).first.text_content() == "From (UTC)"
    fold(page, place)
    for now, zone in ((own, abroad.short), (server, "UTC"), (own, abroad.short)):
        page.locator(corner).get_by_text(f"From ({zone})").wait_for()
        assert page.locator(heads).all_inner_texts() == now
        switch(page)
    fold(page, place)  # one that is folded away is written when it is opened
    switch(page)
    fold(page, place)
    page.locator(corner).get_by_text(f"From ({abroad.short})").wait_for()
    assert page.locator(heads).all_inner_texts() == own


def test_words_with_moments_follow_the_switch(abroad: Abroad, url: str) -> None:
    page, words = abroad.page, "[data-moments]"
    abroad.go(f"{url}/keywords/1?{OF_DAY}")

    def check(least: int, *, as_fixed: bool = True) -> None:
        own = page.locator(words).evaluate_all(WORDS)
        switch(page)
        server = page.locator(words).evaluate_all(WORDS)
        assert abroad.moved(server) == own
        assert len(server) >= least
        assert all("UTC" in one for one in server)
        assert not any("UTC" in one for one in own)
        switch(page)
        assert page.locator(words).evaluate_all(WORDS) == own
        abroad.plain.goto(page.url)  # strips of a time that ends now, and counts, are others
        plain = abroad.plain.locator(words).evaluate_all(WORDS)
        assert len(plain) == len(server)
        fixed = [one for one in server if as_fixed and not one.startswith("Counted at")]
        assert set(fixed) <= set(plain)

    check(100)
    assert page.locator("circle.mark title").count() == 0  # the edit is of now
    note = page.locator("g.note title").text_content()
    assert note == "1: Landfall at 24 Nov 2026 05:00:00 UTC"  # the reader's own words
    page.locator("#later").click()  # the part of the page is another, the page is not
    page.wait_for_url("**to=*")
    page.locator(f"#statistics:not([aria-busy])[data-since='{FIRST // 10**6 + 86_400}']").wait_for()
    check(100)
    page.goto(f"{url}/keywords/1?range=hour&bucket=60")
    assert page.locator("circle.mark title").count() == 2
    check(100, as_fixed=False)
    page.goto(f"{url}/search?q=storm&since={iso(FIRST)}")
    assert page.locator("svg title[data-moments]").count() > 10
    page.evaluate("document.cookie = 'tweeter_times=local; path=/'")
    check(10)


def test_what_is_read_below_the_chart_follows_the_switch(abroad: Abroad, url: str) -> None:
    page, readout = abroad.page, abroad.page.locator("#readout")
    page.goto(f"{url}/keywords/1?{OF_DAY}")
    page.locator("#volume svg.drawn").hover()
    own = readout.inner_text()
    switch(page)
    assert re.fullmatch(
        r"18 Nov 2026, \d\d:\d\d UTC: posts \d+|.* UTC: bluesky \d+", readout.inner_text()
    )
    switch(page)
    assert readout.inner_text() == own


def test_the_hours_of_the_week_move_in_their_table_too(abroad: Abroad, url: str) -> None:
    page, place = abroad.page, ".week-hours"
    abroad.go(f"{url}/keywords/1?{OF_DAY}")
    fold(page, place)
    by, zone = (int(abroad.hours), abroad.short) if abroad.hours % 1 == 0 else (0, "UTC")
    links, titles = page.locator(f"{place} td a"), page.locator(f"{place} svg title")
    posts = dict(zip(*_by_hour(abroad.plain), strict=True))
    assert len(posts) == 24
    for moves, said in ((by, zone), (0, "UTC"), (by, zone)):
        found = links.evaluate_all(CELLS)
        for hour, label, column, row, words in found:
            own = (hour + moves) % 168
            assert (column - 1, row) == divmod(own, 24)
            assert label == DAYS[column - 1]
            assert words == f"{label} {row}:00 to {row + 1}:00 {said}, {posts[hour]}"
        assert len(found) == len(posts)
        assert sorted(titles.all_text_contents()) == sorted(words for *_, words in found)
        assert page.locator(f"{place} thead th").first.inner_text() == f"Hour ({said})"
        heads = page.locator(f"{place} tbody th").all_inner_texts()
        assert heads == [f"{hour:02}" for hour in range(24)]
        switch(page)


def _by_hour(page: Any) -> tuple[list[int], list[str]]:
    found = page.locator(".week-hours td a").evaluate_all(CELLS)
    return [hour for hour, *_ in found], [words.partition(", ")[2] for *_, words in found]


def test_the_overviews_hours_follow_the_switch(abroad: Abroad, url: str) -> None:
    page = abroad.page
    abroad.go(f"{url}/?hours=table")
    heads = "table.hours thead th.number"
    server = abroad.plain.locator(heads).evaluate_all("all => all.map((one) => one.title)")
    digits = abroad.plain.locator(heads).all_text_contents()
    own = abroad.moved(server)
    half = "" if abroad.hours % 1 == 0 else ":30"
    short = [f"{(int(one) + int(abroad.hours // 1)) % 24:02}{half}" for one in digits]
    labels = "table.hours tbody tr:first-child td"
    of_server = abroad.plain.locator(labels).evaluate_all(
        "all => all.map((one) => one.dataset.label)"
    )
    for titles, words, zone in (
        (own, short, abroad.short),
        (server, digits, "UTC"),
        (own, short, abroad.short),
    ):
        assert page.locator(heads).evaluate_all("all => all.map((one) => one.title)") == titles
        assert page.locator(heads).all_inner_texts() == words
        found = page.locator(labels).evaluate_all("all => all.map((one) => one.dataset.label)")
        assert found == (of_server if zone == "UTC" else [one[:-3] for one in own])
        said = page.locator("#hours").inner_text()
        assert said == f"Posts by hour ({zone}), the running one last"
        switch(page)


def test_over_a_change_of_the_clock_the_zone_has_its_place_for_a_name(
    browser: Any, url: str
) -> None:
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?{OF_SPRING}")
        for place in ("#volume", ".week-hours"):
            fold(page, place)
        page.locator("#volume thead").get_by_text("From (Europe/Berlin)").wait_for()
        heads = page.locator("#volume tbody th").all_inner_texts()
        at = heads.index("29 Mar 2026, 01:00:00")
        assert heads[at + 1] == "29 Mar 2026, 03:00:00"
        assert page.locator(".week-hours thead th").first.inner_text() == "Hour (UTC)"
        moved = page.locator(".week-hours td a").evaluate_all(CELLS)
        assert all(hour == 24 * (column - 1) + row for hour, _, column, row, _ in moved)
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            page.locator("#volume table").scroll_into_view_if_needed()
            shot(page, f"zones-{width}", whole=False)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()


def test_rows_of_an_hour_that_comes_twice_say_which_it_is(browser: Any, url: str) -> None:
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
    with watched(context, url) as page:
        page.goto(f"{url}/keywords/1?{OF_AUTUMN}")
        fold(page, "#volume")
        page.locator("#volume thead").get_by_text("From (Europe/Berlin)").wait_for()
        heads = page.locator("#volume tbody th").all_inner_texts()
        at = heads.index("25 Oct 2026, 02:00:00")
        assert heads[at + 1] == "25 Oct 2026, 02:00:00 (GMT+1)"
        assert len(set(heads)) == len(heads) == 18
        page.goto(f"{url}/keywords/1?{OF_AUTUMN.replace('3600', '1800')}")
        fold(page, "#volume")
        page.locator("#volume thead").get_by_text("From (Europe/Berlin)").wait_for()
        heads = page.locator("#volume tbody th").all_inner_texts()
        at = heads.index("25 Oct 2026, 02:00:00")
        twice = [f"25 Oct 2026, 02:{minute}:00" for minute in ("00", "30")]
        assert heads[at : at + 4] == [*twice, *(f"{one} (GMT+1)" for one in twice)]
        assert len(set(heads)) == len(heads) == 18 + 5
    context.close()


def test_bars_of_an_hour_are_cut_elsewhere_in_a_zone_with_half_hours(
    browser: Any, url: str
) -> None:
    for zone, words in (
        ("Asia/Kolkata", "cut in UTC, the axis in GMT+5:30"),
        ("Asia/Tokyo", "GMT+9"),
    ):
        context = browser.new_context(timezone_id=zone, locale="en-GB")
        with watched(context, url) as page:
            page.goto(f"{url}/keywords/1?{OF_DAY}&bucket=3600")
            page.locator("#volume .axis-zone").get_by_text(words, exact=True).wait_for()
        context.close()
