"""docs/statistics.md and databases.md: SQL runs on every database and gives what the pages say."""

import html
import random
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from tests.conftest import ROOT
from tests.store.posts import AT, take
from tests.store.test_rollups import commit, said
from tests.views.conftest import app, client  # noqa: F401 (fixtures)
from tweeter import moments
from tweeter.records import AccountChange, Removal
from tweeter.store import identities, keywords
from tweeter.store.cells import US
from tweeter.store.engine import reading
from tweeter.views import show

PAGE = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("statistics", "databases"))
SQL = dict(re.findall(r"^```sql (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
SINCE = AT // 1_000_000 // 86_400 * 86_400 - 6 * 86_400
UNTIL = SINCE + 7 * 86_400


@pytest.fixture
def storm(engine: Engine) -> int:
    """A keyword with posts over four days, some removed, some hidden; another beside it."""
    number = keywords.add(engine, "storm").id
    keywords.add(engine, "flood")
    dice = random.Random(11)
    lease = take(engine)
    commit(
        engine, lease, *(said(dice, n, network=dice.choice(["x", "bluesky"])) for n in range(80))
    )
    gone = [
        Removal(network="bluesky", key=f"at://did:plc:a/app.bsky.feed.post/{n}", occurred_at=AT)
        for n in range(0, 80, 7)
    ]
    hidden = AccountChange(network="x", author_id="did:plc:1", status="suspended", occurred_at=AT)
    commit(engine, lease, *gone, hidden)
    return number


def run(engine: Engine, name: str, keyword_id: int) -> list[tuple[Any, ...]]:
    values = {"keyword": keyword_id, "since": SINCE, "until": UNTIL}
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(text(SQL[name]), values)]


def iso(second: int) -> str:
    return moments.iso(second * US)


def test_the_sql_of_the_page_gives_what_the_api_says(
    engine: Engine,
    client: FlaskClient,  # noqa: F811
    storm: int,
) -> None:
    address = f"/api/v1/keywords/{storm}/statistics?from={iso(SINCE)}&to={iso(UNTIL)}&bucket=3600"
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    found = answer.json["statistics"]
    volume = found["volume"]
    assert volume["span"] == {
        "since": show.exact(SINCE * US),
        "until": show.exact(UNTIL * US),
        "size": 3600,
        "asked": {"since": show.exact(SINCE * US), "until": show.exact(UNTIL * US)},
    }
    drawn = {
        (SINCE + n * 3600, series["name"]): posts
        for series in volume["stacks"]
        for n, posts in enumerate(series["posts"])
        if posts
    }
    counted = {(row[0], row[1]): int(row[2]) for row in run(engine, "volume", storm) if row[2]}
    assert drawn == counted
    assert sum(drawn.values()) == volume["total"] > 20
    assert volume["gone"] == int(run(engine, "gone", storm)[0][0]) > 5
    languages = {row[0]: int(row[1]) for row in run(engine, "languages", storm)}
    assert found["shares"]["lang"] == languages
    (tags,) = [panel for panel in found["panels"] if panel["facet"] == "tag"]
    assert [(row["value"], row["posts"]) for row in tags["rows"]] == [
        (value, int(posts)) for value, posts in run(engine, "tags", storm)
    ]


def test_a_time_of_any_minutes_has_its_own_total_wherever_it_stands(
    engine: Engine,
    client: FlaskClient,  # noqa: F811
    storm: int,
) -> None:
    since, until = SINCE + 2 * 86_400 + 1_470, UNTIL - 86_400 - 4_230
    query = f"from={iso(since)}&to={iso(until)}&bucket=604800"
    values = {"keyword": storm, "since": since // 60 * 60, "until": until // 60 * 60 + 60}
    with reading(engine) as connection:
        total = int(connection.execute(text(SQL["total"]), values).scalar_one())
    volume = client.get(f"/api/v1/keywords/{storm}/statistics?{query}").json["statistics"]["volume"]
    assert volume["span"]["asked"]["since"] == show.exact(values["since"] * US)
    assert 0 < volume["total"] == total < 60
    times = f"from {iso(values['since'])} to {iso(values['until'])}"
    page = html.unescape(client.get(f"/keywords/{storm}?{query}").text)
    methods = page.partition('<p class="methods">')[2].partition("</p>")[0]
    assert times in methods, methods
    assert f": {total} posts." in methods
    search = f"keyword={storm}&since={iso(values['since'])}&until={iso(values['until'])}"
    assert client.get(f"/api/v1/search?{search}").json["counts"]["counted"] == total
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{query}").text.splitlines()
    assert data[1].startswith(iso(values["since"]))
    assert sum(int(n) for line in data[1:] for n in line.split(",")[1:-2] if n) == total


def test_the_posts_that_sql_finds_are_those_that_the_api_shows(
    engine: Engine,
    client: FlaskClient,  # noqa: F811
    storm: int,
) -> None:
    known = identities.Known("ann.example", "Ann")
    identities.remember(engine, ["did:plc:0"], {"did:plc:0": known})
    values = {"keyword": storm, "since": SINCE * US, "until": (UNTIL - 86_400) * US}
    with reading(engine) as connection:
        found = [row._asdict() for row in connection.execute(text(SQL["posts"]), values)]
    query = f"since={iso(SINCE)}&until={iso(UNTIL - 86_400)}&limit=500"
    shown = [
        one
        for one in client.get(f"/api/v1/keywords/{storm}/posts?{query}").json["posts"]
        if not one["removed_at"]
    ]
    assert 10 < len(found) < 80
    assert [(str(row["id"]), show.exact(row["occurred_at"]), row["text"]) for row in found] == [
        (one["id"], one["occurred_at"], one["text"]) for one in shown
    ]
    assert {row["handle"] for row in found if row["network"] == "bluesky"} == {"", "ann.example"}


WRONG = [
    ("range=decade", "expected one of hour, day"),
    ("by=colour", "expected one of network"),
    ("bucket=61", "do not exist"),
    ("bucket=x", "expected seconds"),
    ("from=yesterday", "ISO 8601"),
    ("from=1h&to=2h", "ends before it begins"),
    ("range=year&bucket=60", "choose longer"),
    ("with=a", "the number of a keyword"),
    ("with=1&with=2&with=3&with=4&with=5", "At most 4"),
    ("compare=never", "previous or week"),
    ("scale=log", "expected posts or index"),
]


def test_what_cannot_be_answered_is_said(
    client: FlaskClient,  # noqa: F811
    storm: int,
) -> None:
    for asked, words in WRONG:
        answer = client.get(f"/api/v1/keywords/{storm}/statistics?{asked}")
        assert answer.status_code == 422, answer.text
        assert words in answer.json["detail"]
        page = client.get(f"/keywords/{storm}?{asked}")
        assert page.status_code == 422
        assert words in page.text


def test_every_way_of_asking_gives_a_page(
    client: FlaskClient,  # noqa: F811
    storm: int,
) -> None:
    for asked in (
        "",
        "range=hour",
        "range=year&by=lang&compare=week",
        "range=year&by=lang&compare=week&scale=index",
        f"from={iso(SINCE)}&to={iso(UNTIL)}&by=kind&network=!x&lang=en&with=2",
        f"from={iso(SINCE)}&to={iso(UNTIL)}&tag=storm",
        f"from={iso(SINCE)}&author=%27%22%3E%3Cscript%3E",
    ):
        page = client.get(f"/keywords/{storm}?{asked}")
        assert page.status_code == 200, asked
        assert "<script>" not in page.text
        for link in re.findall(r'<a href="(/search[^"]*)">These posts', page.text):
            status = client.get(html.unescape(link)).status_code
            assert status == (422 if "script" in link else 200), link  # that is no account's name
    assert client.get("/").status_code == 200
