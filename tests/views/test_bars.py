"""A bar of a keyword's chart leads to its posts: as many as it counts, whatever filters are on."""

import re
from html import unescape
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tweeter import config
from tweeter.moments import iso
from tweeter.records import Link
from tweeter.store import keywords
from tweeter.web import create_app

US = 1_000_000
MINUTE_US = 60 * US
HOUR_US = 3_600 * US
SINCE = (AT // HOUR_US + 1) * HOUR_US
TIMES = f"from={iso(SINCE + 10 * MINUTE_US)}&to={iso(SINCE + 4 * HOUR_US - 20 * MINUTE_US)}"


def furnish(engine: Engine) -> int:
    """Posts of four hours: in two languages, with tags, links and media, replies among them."""
    storm = keywords.add(engine, "storm").id
    some = [
        post(
            n,
            occurred_at=SINCE + n * 7 * MINUTE_US,
            lang=("en", "de-AT", "")[n % 3],
            kind=("post", "reply")[n % 2],
            tags=["quay"] if n % 4 else [],
            links=[Link(url="https://www.a.org/x", display="a.org/x")] if n % 5 else [],
        )
        for n in range(34)
    ]
    store(engine, follow(engine), *some)
    return storm


def bars(page: str) -> list[tuple[str, int]]:
    """Where each row of the chart's table leads, and its posts."""
    table = page.partition('<table class="moments">')[2].partition("</table>")[0]
    found = []
    for row in table.split("<tr>")[2:]:
        link = re.search(r'<th scope="row"><a href="([^"]+)">', row)
        numbers = re.findall(r'<td class="number"[^>]*>([\d,]+)</td>', row)
        numbers = numbers or re.findall(r"<small>\((\d+)\)", row)[:1]  # of indexes: its own
        assert link, row
        found.append((unescape(link[1]), sum(map(int, numbers))))
    return found


QUERIES = (
    "",
    "bucket=600",
    "by=lang",
    "by=kind&lang=!en",
    "lang=en&kind=reply",
    "network=!bluesky",
    "tag=quay",
    "tag=!quay&lang=de",
    "link=https://a.org/x&bucket=7200",
    "scale=index&compare=previous",
)


def test_the_search_behind_a_bar_finds_as_many(engine: Engine, client: FlaskClient) -> None:
    storm = furnish(engine)
    for query in QUERIES:
        page = client.get(f"/keywords/{storm}?{TIMES}&{query}").text
        found = bars(page)
        assert bool(found) == (query != "network=!bluesky"), query
        for link, posts in found:
            assert client.get(f"/api/v1{link}").json["counts"]["counted"] == posts, (query, link)
        assert "Each time leads to its posts" in page
        assert "another number" not in page


def test_a_filter_that_the_search_asks_otherwise_is_said(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    storm = furnish(sqlite_engine)
    found = config.load({"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_BLUESKY_URL": ""})
    client = create_app(found, sqlite_engine).test_client()
    page = client.get(f"/keywords/{storm}?{TIMES}&domain=a.org").text
    assert bars(page)
    assert "it may find another number" in page
    page = client.get(f"/keywords/{storm}?{TIMES}&author=a!b%20c").text
    assert "The search cannot ask for this filter" in page
