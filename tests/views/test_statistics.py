"""A keyword's statistics as a page: what it asks of the database, and what it shows."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, delete, event, update

from tests.commands.conftest import follow
from tests.store.posts import AT, post, removal, store, take
from tests.store.sums import sums_are_a_recount
from tests.views.test_api import is_problem
from tweeter.moments import iso
from tweeter.records import Link, now_us
from tweeter.statistics import behind, narrowed, report, spans
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.panels import PANELS
from tweeter.statistics.spike_cards import spike_cards
from tweeter.statistics.spikes import Spike
from tweeter.statistics.volume import Question
from tweeter.store import cells, figures, keyword_ledger, keywords, sums
from tweeter.store.cells import DAY, HOUR
from tweeter.store.engine import reading, writing
from tweeter.store.keywords import Options
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import matches, totals
from tweeter.store.schema import posts as post_table
from tweeter.views import charts, pages, posts_behind

US = 1_000_000
HOUR_US = 3_600 * US


@contextmanager
def asked_of(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """The statements that the engine is given meanwhile, with their values, as text."""
    found: list[tuple[str, str]] = []

    def note(_c: object, _k: object, statement: str, values: object, *_: object) -> None:
        found.append((statement, str(values)))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_page_asks_once_what_was_covered(engine: Engine, client: FlaskClient) -> None:
    keyword = keywords.add(engine, "storm")
    store(engine, follow(engine, gap_s=(600, 1200)), post(1))
    since = AT // (60 * US) * (60 * US) - HOUR_US
    until = since + 2 * HOUR_US
    with asked_of(engine) as statements:
        page = client.get(f"/keywords/{keyword.id}?from={iso(since)}&to={iso(until)}")
    assert page.status_code == 200
    for asked in ("AND intervals.started_at <", "FROM keyword_intervals"):
        assert len([text for text, _ in statements if asked in text]) == 1, statements
    # The figure, the strip (twice), the words to copy; each panel; words and hours.
    assert page.text.count("83.1 % covered") == 4 + 3 + 6 + 2
    figure = figures.of_keyword(engine, keyword.id, since // US * US, until // US * US)
    assert figure.percent == "83.1"


def test_compared_series_are_indexed_to_their_own_means(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "=flood <b>").id
    lease, since = follow(engine), (AT // HOUR_US + 1) * HOUR_US
    numbers = iter(range(100))
    for hour, count in enumerate((2, 4, 6, 8)):
        at = since + hour * HOUR_US
        some = [post(next(numbers), occurred_at=at + n) for n in range(count)]
        store(engine, lease, *some)
    times = f"from={iso(since)}&to={iso(since + 4 * HOUR_US)}&bucket=3600"
    asked = f"{times}&with={flood}&scale=index"
    volume = client.get(f"/api/v1/keywords/{storm}/statistics?{asked}").json["statistics"]["volume"]
    mine, other = volume["indexes"]
    assert (mine["name"], mine["mean"], other["name"]) == ("", 5, str(flood))
    assert mine["values"] == other["values"] == [40, 80, 120, 160]
    page = client.get(f"/keywords/{storm}?{asked}").text
    assert page.count('<path class="line s') == 2
    assert '<path class="bar s' not in page.partition('id="volume"')[2].partition("</svg>")[0]
    assert "160.0 <small>(8)</small>" in page
    assert "100 = 5 a" in page
    assert f"with={flood}#statistics" in page  # the way back to posts
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{asked}").text.splitlines()
    heads = "from,storm,'=flood <b>,storm (index),'=flood <b> (index),not covered,notes"
    assert data[0] == heads
    assert data[1] == f"{iso(since)},2,2,40,40,,"
    parts = client.get(f"/api/v1/keywords/{storm}/statistics?{times}&scale=index").json
    assert [one["name"] for one in parts["statistics"]["volume"]["indexes"]] == ["bluesky"]
    assert "indexes" in client.get(f"/api/v1/keywords/{storm}/statistics?{times}").text
    empty = client.get(f"/keywords/{storm}?range=hour&with={flood}&scale=index")
    assert "no post to compare with" in empty.text


def test_indexes_are_as_exact_in_the_table_for_spreadsheets(
    engine: Engine, client: FlaskClient
) -> None:
    storm, since = keywords.add(engine, "storm").id, (AT // HOUR_US + 1) * HOUR_US
    moments = [since + n * 60 * US for n in (*range(4), *[7] * 7)]
    store(engine, follow(engine), *(post(n, occurred_at=at) for n, at in enumerate(moments)))
    asked = f"from={iso(since)}&to={iso(since + 24 * HOUR_US)}&bucket=60&scale=index&by=nothing"
    (one,) = client.get(f"/api/v1/keywords/{storm}/statistics?{asked}").json["statistics"][
        "volume"
    ]["indexes"]
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{asked}").text.splitlines()
    told = [float(line.split(",")[2] or 0) for line in data[1:]]
    assert told == one["values"]
    assert max(told) == 91_636.36


def test_a_network_and_a_kind_keep_their_colour_whatever_is_shown(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    networks = ("mastodon", "mastodon", "mastodon", "x", "x", "bluesky")
    kinds = ("reply", "reply", "post", "reply", "quote", "reply")
    both = enumerate(zip(networks, kinds, strict=True))
    some = [
        post(n, "flood, storm", network=network, key=str(n), kind=kind)
        for n, (network, kind) in both
    ]
    store(engine, take(engine), *some)
    since = AT // HOUR_US * HOUR_US
    times = f"from={iso(since)}&to={iso(since + HOUR_US)}"

    def shown(query: str) -> list[tuple[str, int]]:
        page = client.get(f"/keywords/{storm}?{times}&{query}").text
        drawn = page.partition('<svg class="chart drawn')[2].partition("</figure>")[0]
        legend = page.partition('class="legend"')[2].partition("</ul>")[0]
        found = re.findall('swatch(?: line)? s([0-9]+)".*?<bdi dir="auto">(.*?)</bdi>', legend)
        colours = [int(number) for number, _ in found]
        paths = [int(one) for one in re.findall('<path class="(?:bar|line) s([0-9]+)"', drawn)]
        assert paths == colours, query  # each has a post
        return [(name, int(number)) for number, name in found]

    every = [("mastodon", 3), ("x", 1), ("bluesky", 2)]
    assert shown("") == every
    for query, left in (
        ("network=x", every[1:2]),
        ("network=!mastodon", every[1:]),
        ("kind=quote", every[1:2]),
        (f"with={flood}", [*every, ("flood", 5)]),
        (f"with={flood}&network=x", [every[1], ("flood", 5)]),
        (f"with={flood}&scale=index", [("storm", 1), ("flood", 5)]),
        (f"with={flood}&by=nothing", [("posts", 1), ("flood", 2)]),
    ):
        assert shown(query) == left, query
    assert shown("by=kind") == [("reply", 2), ("post", 1), ("quote", 4)]
    assert shown("by=kind&kind=quote") == [("quote", 4)]


def test_an_earlier_time_and_keywords_are_compared_together(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since - 3 * HOUR_US, (1, 2, 0, 3, 0, 4))
    times = f"from={iso(since)}&to={iso(since + 3 * HOUR_US)}&bucket=3600"
    asked = f"{times}&compare=previous&with={flood}&with={flood}"
    others = statistics(client, storm, asked)["volume"]["others"]
    assert [(one["name"], one["posts"]) for one in others] == [
        ("the time before", [1, 2, 0]),
        (str(flood), [3, 0, 4]),
    ]
    page = client.get(f"/keywords/{storm}?{asked}").text
    legend = page.partition('class="legend"')[2].partition("</ul>")[0]
    assert f'href="/keywords/{flood}"' in legend
    assert legend.index("the time before") < legend.index("flood")
    indexes = statistics(client, storm, f"{asked}&scale=index")["volume"]["indexes"]
    assert [one["name"] for one in indexes] == ["", "the time before", str(flood)]


def test_the_words_to_copy_name_the_networks(engine: Engine, client: FlaskClient) -> None:
    options = Options(networks=("x", "mastodon"))
    keyword = keywords.add(engine, "storm", options)
    assert (
        "by the networks' own times, on mastodon, x:" in client.get(f"/keywords/{keyword.id}").text
    )


def test_a_theme_chosen_on_a_keywords_page_leads_back_to_it(
    engine: Engine, client: FlaskClient
) -> None:
    address = f"/keywords/{keywords.add(engine, 'storm').id}?range=week"
    assert f'name="back" value="{address}"' in client.get(address).text


def hourly(engine: Engine, since: int, counts: tuple[int, ...], **gap: tuple[int, int]) -> None:
    """So many posts in each hour; the first of an hour has a tag."""
    lease = follow(engine, **gap)
    for hour, count in enumerate(counts):
        at = since + hour * HOUR_US
        some = [
            post(100 * hour + n, occurred_at=at + n, tags=("quay",) if n == 0 else ())
            for n in range(count)
        ]
        store(engine, lease, *some)


def statistics(client: FlaskClient, keyword_id: int, query: str) -> Any:
    answer = client.get(f"/api/v1/keywords/{keyword_id}/statistics?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["statistics"]


def test_programs_are_told_of_what_cannot_be_asked(engine: Engine, client: FlaskClient) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    base, shares = f"/api/v1/keywords/{storm}", f"/api/v1/overview/shares?with={storm}&with={flood}"
    names = [f"{base}/statistics?networks=x", f"{base}/chart.csv?utm_source=y", f"{shares}&by=lang"]
    for address in (*names, "/api/v1/overview?sort=day"):
        wrong = is_problem(client.get(address), 422, "unknown_parameter")
        assert re.match(
            r"“(networks|utm_source|by|sort)” means nothing here; there are \w+, ", wrong["detail"]
        ), wrong
    values = {
        "kind=bogus": "“kind” is 'bogus': expected one of post, reply, repost, quote.",
        "network=!myspace": "“network” is '!myspace': expected one of x, bluesky, mastodon, demo.",
        "lang=english": "“lang” is 'english': expected a language's code, such as en, without a",
        "lang=pt-br": "“lang” is 'pt-br': expected a language's code",
        "media=some": "“media” is 'some': expected one of with, without.",
        "off=colour:red": "“off” is 'colour:red': expected a filter such as network:x.",
        "tag=a&media=with": "“tag=a” and “media=with”: one of them can be asked at a time.",
        "tag=a&tag=!b": "“tag=a” and “tag=!b”: one",
        "by=lang&by=kind": "“by=lang” and “by=kind”: one",
    }
    for query, words in values.items():
        for path in ("statistics", "chart.csv"):
            wrong = is_problem(client.get(f"{base}/{path}?{query}"), 422, "bad_question")
            assert wrong["detail"].startswith(words), wrong
    asked = "network=X&lang=!EN&lang=&kind=post&media=!with&off=lang:de&pin=lang:de&range=week"
    assert client.get(f"{base}/statistics?{asked}").status_code == 200
    assert client.get(f"{base}/chart.csv?{asked}").status_code == 200
    assert client.get(f"/keywords/{storm}?utm_source=y&fbclid=z&{asked}").status_code == 200
    page = client.get(f"/keywords/{storm}?kind=bogus&lang=en")
    assert page.status_code == 422
    assert "“kind” is &#39;bogus&#39;: expected one of post, reply" in page.text


def test_a_range_beside_two_moments_is_refused_and_the_page_links_to_neither(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    base = f"/api/v1/keywords/{storm}"
    shares = f"/api/v1/overview/shares?with={storm}&with={flood}&"
    for address in (f"{base}/statistics?", f"{base}/chart.csv?", shares):
        for query in ("range=week&from=2d", "to=1h&range=week", "range=&range=week&from=2d&to=1d"):
            wrong = is_problem(client.get(f"{address}{query}"), 422, "bad_question")
            assert wrong["detail"].startswith("“range=week” and “"), wrong
        for query in ("range=week&from=&to=", "range=&from=2d&to=1d"):
            assert client.get(f"{address}{query}").status_code == 200, (address, query)
    page = client.get(f"/keywords/{storm}?range=week&from=2d&to=1d&lang=en")
    assert page.status_code == 200
    found = [unescape(one) for one in re.findall(r'href="(/api/v1/keywords/1/[^"]+)"', page.text)]
    found = [one for one in found if "statistics" in one or "chart.csv" in one]
    assert len(found) >= 2
    for address in found:
        assert "from=2d" in address
        assert client.get(address).status_code == 200, address


def test_a_value_of_a_panel_can_be_left_out(engine: Engine, client: FlaskClient) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since, (3, 0, 4))
    times = f"from={iso(since)}&to={iso(since + 3 * HOUR_US)}&bucket=3600"
    having = statistics(client, storm, f"{times}&tag=quay&with={flood}")["volume"]
    assert [one["posts"] for one in having["stacks"]] == [[1, 0, 1]]
    assert [one["posts"] for one in having["others"]] == [[1, 0, 1]]  # compared is the same
    without = statistics(client, storm, f"{times}&tag=!quay&compare=previous")["volume"]
    assert [one["posts"] for one in without["stacks"]] == [[2, 0, 3]]
    assert without["total"] == 5
    assert statistics(client, storm, f"{times}&tag=!quay&network=x")["volume"]["total"] == 0
    page = client.get(f"/keywords/{storm}?{times}").text
    assert "tag=!quay" in page.replace("%21", "!")
    page = client.get(f"/keywords/{storm}?{times}&tag=!quay").text
    assert "Posts over time: not tag" in page
    assert "tag=-quay" in page  # the search for these posts


def test_of_a_value_the_chart_says_that_it_is_of_networks(
    engine: Engine, client: FlaskClient
) -> None:
    storm = keywords.add(engine, "storm").id
    lease, since = follow(engine), (AT // HOUR_US + 1) * HOUR_US
    for n, network in enumerate(("x", "bluesky", "bluesky")):
        some = post(n, network=network, occurred_at=since + n, tags=("quay",), lang="en")
        store(engine, lease, some, post(9 + n, network=network, occurred_at=since + n))
    times = f"from={iso(since)}&to={iso(since + HOUR_US)}"
    both = [("bluesky", [2]), ("x", [1])]
    for value in ("quay", "!quay"):
        for by, stacks, drawn, lacks in (
            ("network", both, "network", ""),
            ("lang", both, "network", "lang"),
            ("kind", both, "network", "kind"),
            ("nothing", [("", [3])], "", ""),
        ):
            query = f"{times}&bucket=3600&tag={value}&by={by}"
            volume = statistics(client, storm, query)["volume"]
            assert [(one["name"], one["posts"]) for one in volume["stacks"]] == stacks, query
            assert (volume["by"], volume["not_by"]) == (drawn, lacks), query
            page = client.get(f"/keywords/{storm}?{query}").text
            said = re.findall("Stacked by network, not by (language|kind): ", page)
            assert said == ([{"lang": "language", "kind": "kind"}[lacks]] if lacks else []), query
    volume = statistics(client, storm, f"{times}&by=lang")["volume"]
    assert (volume["by"], volume["not_by"]) == ("lang", "")


def test_a_panel_says_which_filters_do_not_narrow_it(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since, (3, 0, 4))
    times = f"from={iso(since)}&to={iso(since + 3 * HOUR_US)}"
    address = f"/keywords/{storm}?{times}&tag=!quay&lang=en&off=kind:post"

    def notes() -> Counter[str]:
        page = client.get(address).text
        return Counter(re.findall(r'unnarrowed">Not narrowed by (.*?)\. <', page))

    # A panel counts in what it is narrowed to.
    for query, known in (("lang=en", 0), ("lang=!en", 7), ("network=!bluesky", 0), ("tag=quay", 2)):
        found = statistics(client, storm, f"{times}&{query}")
        assert {one["known"] for one in found["panels"]} == {known}, query
        assert found["narrowed"]
    assert notes() == {"lang: en": 2}  # the chart and the hours
    monkeypatch.setattr(narrowed, "MOST", 6)
    monkeypatch.setattr(behind, "LIMIT_S", 30.0)
    for query, known, loose in (
        ("lang=en", 0, []),
        ("tag=quay", 2, []),
        ("tag=quay&lang=en", 0, ["lang"]),
    ):
        found = statistics(client, storm, f"{times}&{query}")
        assert {one["known"] for one in found["panels"]} == {known}, query
        assert (found["narrowed"], found["loose"]) == (True, loose)
    assert notes() == {"lang: en": 2, "not tag: quay": 1}  # and languages follow kinds alone
    for name in ("LIMIT_S", "BEHIND_S"):  # nothing is found in time
        monkeypatch.setattr(behind, name, -1)
    KEEPER.forget()
    for query, known in (("lang=en", 7), ("network=!bluesky", 0), ("tag=quay", 7)):
        found = statistics(client, storm, f"{times}&{query}")
        assert {one["known"] for one in found["panels"]} == {known}, query
        assert not found["narrowed"]
    # Of the chart and the hours; of networks, languages and kinds; of six panels and words.
    assert notes() == {"lang: en": 2, "not tag: quay": 3, "lang: en · not tag: quay": 6 + 1}
    page = client.get(address).text
    assert "narrowed to not tag: quay" in page  # in the words to copy
    link = unescape(re.findall('<a href="([^"]*)">Search with all filters', page)[0])
    assert "tag=-quay" in link
    assert "lang=en" in link
    page = client.get(f"/keywords/{storm}?{times}&lang=!").text
    assert "lang=-und" in page
    assert "unnarrowed" not in client.get(f"/keywords/{storm}?{times}&off=tag:quay").text


def test_what_was_not_found_in_time_is_looked_for_behind(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowed, "MOST", 0)
    monkeypatch.setattr(behind, "LIMIT_S", -1)
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since, (3, 0, 4))
    query = f"from={iso(since)}&to={iso(since + 3 * HOUR_US)}&tag=quay"
    assert not statistics(client, storm, query)["narrowed"]
    until = time.monotonic() + 20  # it is looked for at once
    while not statistics(client, storm, query)["narrowed"]:
        assert time.monotonic() < until
        time.sleep(0.05)


FILTERS = ("tag=quay", "tag=!quay", "media=with", "domain=a.org", "author=did:plc:b", "mention=me")
ALSO = ("", "lang=en", "lang=!", "kind=reply", "network=bluesky", "network=!bluesky")


@pytest.mark.parametrize("most", [narrowed.MOST, 0], ids=["looked through", "searched for"])
def test_lists_are_of_the_posts_that_pass_all_filters(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(narrowed, "MOST", most)
    monkeypatch.setattr(behind, "LIMIT_S", 30.0)
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 2) * HOUR_US
    some = [
        post(
            n,
            ("storm", "storm for @me", "storm surge")[n % 3],
            occurred_at=since + (n - 40) * HOUR_US // 40,  # half of them in the time before
            tags=((), ("quay",), ("Quay", "pier"))[n // 2 % 3],
            links=(Link(url=f"https://www.a.org/{n % 5}"),) if n % 4 else (),
            traits=("media",) if n % 5 == 0 else (),
            lang=("en", "pt-BR", "")[n // 3 % 3],
            kind=("post", "reply")[n // 5 % 2],
            author_id=("did:plc:a", "did:plc:b")[n // 7 % 2],
        )
        for n in range(80)
    ]
    store(engine, follow(engine), *some, removal(41))
    times = f"from={iso(since)}&to={iso(since + HOUR_US)}&bucket=3600"
    with reading(engine) as connection:
        rows = connection.execute(post_table.select()).mappings().all()

    def passing(query: str, first: int) -> list[Any]:
        """As the documentation says it, post by post."""
        found = [row for row in rows if first <= row["occurred_at"] < first + HOUR_US]
        for name, value in (one.split("=") for one in query.split("&") if one):
            bare = value.removeprefix("!")
            counted = {
                row["id"]: {v for f, v in cells.facets(row) if f == name}
                or {getattr(cells.volume(row), name, "")}
                for row in found
            }
            has = {number for number, values in counted.items() if bare in values}
            found = [row for row in found if (row["id"] in has) != value.startswith("!")]
        return [row for row in found if cells.is_visible(row)]

    seen = set()
    for which in FILTERS:
        for also in ALSO:
            query = f"{which}&{also}"
            found = statistics(client, storm, f"{times}&{query}")
            now, before = (passing(query, at) for at in (since, since - HOUR_US))
            seen.add(len(now))
            assert found["narrowed"]
            for panel in found["panels"]:
                values, earlier = (
                    Counter(v for row in posts for f, v in cells.facets(row) if f == panel["facet"])
                    for posts in (now, before)
                )
                assert (panel["known"], panel["distinct"]) == (len(now), len(values)), query
                shown = [(one["value"], one["posts"], one["before"]) for one in panel["rows"]]
                assert shown == sorted(
                    ((v, n, earlier[v]) for v, n in values.items()),
                    key=lambda one: (-one[1], one[0]),
                )
            assert found["terms"]["looked_at"] == len(now)
            languages = Counter(cells.volume(row).lang for row in passing(which, since))
            if "lang" in also and most:  # not narrowed by its own
                assert found["shares"]["lang"] == languages
            elif not most:
                assert found["newest"]["are_all"]
                assert found["newest"]["posts"] == len(now)
                assert found["loose"] == [also.partition("=")[0]] * bool(also)
                assert sum(found["shares"]["kind"].values()) in (len(now), 40) or "kind" in also
    assert len(seen) > 8


def test_of_very_many_posts_lists_are_of_the_newest_that_pass(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowed, "MOST", 10)
    monkeypatch.setattr(narrowed, "NEWEST", 5)
    monkeypatch.setattr(behind, "LIMIT_S", 30.0)
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    some = [
        post(n, occurred_at=since + n * US, lang=("en", "de")[n % 2], tags=(f"t{n // 10}", "all"))
        for n in range(40)
    ]
    store(engine, follow(engine), *some)
    address = f"/keywords/{storm}?from={iso(since)}&to={iso(since + HOUR_US)}"
    found = statistics(client, storm, f"{address.partition('?')[2]}&tag=all&lang=de")
    newest = {"posts": 5, "since": f"{iso(since + 31 * US)[:-1]}.000000Z", "are_all": False}
    assert (found["newest"], found["narrowed"]) == (newest, True)
    tags = found["panels"][0]
    assert (tags["known"], tags["distinct"]) == (5, 2)
    assert [(one["value"], one["posts"], one["before"]) for one in tags["rows"]] == [
        ("all", 5, None),
        ("t3", 5, None),
    ]
    assert found["shares"]["network"] == {"bluesky": 5}
    assert found["shares"]["lang"] == {"en": 20, "de": 20}
    page = client.get(f"{address}&tag=all&lang=de").text
    # Of six panels, of words, of networks and kinds.
    assert page.count("Of the newest 5 posts with all filters, since ") == 6 + 1 + 2
    assert "> new<" not in page.replace("<small>", " ")
    # Of networks the sums know it: all posts, and words of the newest.
    found = statistics(client, storm, f"{address.partition('?')[2]}&network=bluesky")
    assert {(one["known"], one["of_newest"]) for one in found["panels"]} == {(40, False)}
    assert found["terms"]["looked_at"] == found["newest"]["posts"] == 5
    page = client.get(f"{address}&network=bluesky").text
    assert page.count("Of the newest 5 posts with all filters, since ") == 1


def test_every_filter_of_a_panel_leads_to_the_posts_that_it_counts(
    engine: Engine, client: FlaskClient
) -> None:
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    links = ("https://www.a.org/x,y/?utm_source=z", f"https://b.org/{'long' * 60}", "https://a.org")
    some = [
        post(
            n,
            f"storm with @person{n % 2}",
            occurred_at=since + n,
            links=tuple(Link(url=url) for url in links[: n % 4]),
            traits=("media",) if n % 3 == 0 else (),
            tags=("quay",) if n % 5 == 0 else (),
        )
        for n in range(30)
    ]
    store(engine, follow(engine), *some)
    times = f"from={iso(since)}&to={iso(since + HOUR_US)}"
    panels = statistics(client, storm, times)["panels"]
    assert {one["facet"] for one in panels if one["rows"]} == set(PANELS)
    for facet, value in [(p["facet"], row["value"]) for p in panels for row in p["rows"]]:
        for sign in ("", "!"):
            query = f"{times}&{urlencode({facet: sign + value})}"
            counted = statistics(client, storm, query)["volume"]["total"]
            page = client.get(f"/keywords/{storm}?{query}").text
            link = unescape(re.findall('<a href="([^"]*)">Search with all filters', page)[0])
            hits = client.get(f"/api/v1{link}").json["counts"]["counted"]
            assert hits == counted, (link, counted)
            assert len(listed(page)) == counted
            assert "Narrowed to " in page


def listed(page: str) -> list[str]:
    """The texts of the posts in a keyword's page, below its statistics."""
    section = page.partition('<section id="posts"')[2]
    return [unescape(re.sub("<.*?>", "", text)) for text in re.findall(TEXT, section)]


TEXT = '<div class="text"[^>]*>(.*?)</div>'


def test_the_posts_of_the_page_follow_its_filters_and_end_where_its_time_ends(
    engine: Engine, client: FlaskClient
) -> None:
    storm, since = keywords.add(engine, "storm").id, (AT // HOUR_US + 1) * HOUR_US
    some = [
        post(n, f"storm {n}", occurred_at=since + n * HOUR_US, lang=("en", "de")[n % 2])
        for n in range(120)
    ]
    store(engine, follow(engine), *some, removal(110))
    every = [f"storm {n}" for n in reversed(range(120))]
    ended = f"from={iso(since + 20 * HOUR_US)}&to={iso(since + 60 * HOUR_US)}"
    for query, wanted in (
        ("range=day", [n for n in every if n != "storm 110"]),
        ("lang=de&range=day", every[::2]),
        ("lang=!de&range=day", [n for n in every[1::2] if n != "storm 110"]),
        (ended, every[60:]),  # goes on before its beginning
        (f"{ended}&lang=de", every[60::2]),
        ("range=day&off=lang:de", [n for n in every if n != "storm 110"]),
    ):
        address, found, pages = f"/keywords/{storm}?{query}", list[str](), 0
        while address:
            page = client.get(address).text
            found, pages = found + listed(page), pages + 1
            older = re.findall('rel="next" href="([^"]+)"', page.partition('id="posts"')[2])
            address = unescape(older[0]) if older else ""
            assert all(one.partition("=")[0] in address for one in query.split("&")) or not older
            assert ("Up to " in page) == ("to=" in query)
        assert found == wanted, query
        assert pages == -(-(len(wanted) + ("storm 110" not in wanted and "to=" not in query)) // 50)
    page = client.get(f"/keywords/{storm}?lang=fr")
    assert "No post with these filters." in page.text
    page = client.get(f"/keywords/{storm}?from=2020-01-01&to=2020-01-02")
    assert "No post until then." in page.text


def test_a_list_that_takes_long_says_how_far_it_came(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = keywords.add(engine, "storm").id
    store(engine, follow(engine), *(post(n, f"storm {n}", occurred_at=AT + n) for n in range(9)))
    monkeypatch.setattr(posts_behind, "LIMIT_S", 0)
    page = client.get(f"/keywords/{storm}?lang=!de").text
    assert listed(page) == []
    assert "Looked through back to" in page
    assert "No post with" not in page
    monkeypatch.undo()
    further = re.findall('rel="next" href="([^"]+)">Look further back', page)[0]
    assert len(listed(client.get(unescape(further)).text)) == 9


def test_a_language_that_is_not_said_is_one_whether_x_calls_it_und_or_not(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = keywords.add(engine, "storm").id
    said = ("en", "", "und", "und-Latn", "und")
    lease = take(engine)
    store(engine, lease, *(post(n, lang=lang, tags=("quay",)) for n, lang in enumerate(said)))
    since = AT // HOUR_US * HOUR_US
    times = f"from={iso(since)}&to={iso(since + HOUR_US)}"
    for most in (narrowed.MOST, 0):
        monkeypatch.setattr(narrowed, "MOST", most)
        for query, posts in (
            ("lang=", 4),
            ("lang=und", 4),
            ("lang=!", 1),
            ("lang=!und", 1),
            ("lang=!en&lang=!", 0),
            ("by=lang", 5),
        ):
            found = statistics(client, storm, f"{times}&{query}")
            assert found["volume"]["total"] == posts, query
            assert found["shares"]["lang"] == {"": 4, "en": 1}, query
            page = client.get(f"/keywords/{storm}?{times}&{query}").text
            assert "known for 20 %" in page, query
    drawn = statistics(client, storm, f"{times}&by=lang")["volume"]["stacks"]
    assert [(one["name"], sum(one["posts"])) for one in drawn] == [("", 4), ("en", 1)]
    for query, posts in (("lang=", 4), ("lang=!", 1), ("lang=und&tag=quay", 4)):
        page = client.get(f"/keywords/{storm}?{times}&{query}").text
        (asked,) = set(re.findall('<a href="/search[?]([^"]*)">Search with all filters', page))
        counts = client.get(f"/api/v1/search?{unescape(asked)}").json["counts"]
        assert counts["counted"] == posts, query
    sums_are_a_recount(engine)
    store(engine, lease, removal(2))
    sums_are_a_recount(engine)
    KEEPER.forget()
    assert statistics(client, storm, times)["shares"]["lang"] == {"": 3, "en": 1}


def test_an_hour_of_the_week_leads_to_its_posts(engine: Engine, client: FlaskClient) -> None:
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since, (3, 0, 4))
    times = f"from={iso(since + HOUR_US // 2)}&to={iso(since + 3 * HOUR_US)}"
    for query, counted in ((times, {4}), (f"{times}&tag=!quay", {2, 3})):
        page = client.get(f"/keywords/{storm}?{query}").text
        week = page.partition('class="chart week"')[2].partition("</svg>")[0]
        links = [unescape(link) for link in re.findall('href="([^"]+)"', week)]
        hits = [client.get(f"/api/v1{link}").json["counts"]["counted"] for link in links]
        assert set(hits) == counted, links
        assert sum(map(sum, statistics(client, storm, query)["hours"]["posts"])) == sum(hits)
    assert "Hour: " in client.get(links[0]).text
    assert "Mo 9:00" in client.get("/search?hour=9").text


def test_what_is_not_known_is_drawn_as_no_zero(engine: Engine, client: FlaskClient) -> None:
    storm, later = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    since = (AT // HOUR_US + 1) * HOUR_US
    first = (since - AT) // US
    hourly(engine, since, (2, 0, 2, 0, 2, 2), gap_s=(first + 3_600, first + 7_200))
    with writing(engine) as connection:
        made = update(keyword_table).where(keyword_table.c.id == later)
        connection.execute(made.values(created_at=since + 5 * HOUR_US))
        connection.execute(delete(matches).where(matches.c.keyword_id == later))
        connection.execute(delete(totals).where(totals.c.keyword_id == later))
        for state, hour in (("paused", 3), ("active", 4)):
            keyword_ledger.turn(connection, storm, state, "by hand", since + hour * HOUR_US)
    times = f"from={iso(since)}&to={iso(since + 6 * HOUR_US)}&bucket=3600"
    found = statistics(client, storm, f"{times}&with={later}&scale=index")["volume"]
    assert found["stacks"][0]["unknown"] == [1, 3]
    assert found["others"][0]["unknown"] == [0, 1, 2, 3, 4]
    assert [one["since"][:19] for one in found["pauses"]] == [iso(since + 3 * HOUR_US)[:19]]
    assert found["indexes"][0]["mean"] == 2  # of the hours that are known
    page = client.get(f"/keywords/{storm}?{times}&with={later}").text
    assert "Not followed. by hand" in page
    line = page.partition('<path class="line s5" d="')[2].partition('"')[0]
    assert line == "M5.25 1000h.5"
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{times}&with={later}").text.splitlines()
    assert data[2] == f"{iso(since + HOUR_US)},,,wholly,"


def test_time_before_it_was_followed_is_no_zero_and_the_words_say_so(
    engine: Engine, client: FlaskClient
) -> None:
    storm = keywords.add(engine, "storm").id
    since = (AT // HOUR_US + 1) * HOUR_US
    hourly(engine, since, (2, 0, 2))
    before = since - 2 * HOUR_US  # AT, where the stream begins, lies in the next hour
    times = f"from={iso(before)}&to={iso(since + 3 * HOUR_US)}&bucket=3600"
    volume = statistics(client, storm, times)["volume"]
    assert volume["stacks"][0]["unknown"] == [0]
    (nobody,) = volume["unfollowed"]
    assert (nobody["since"][:19], nobody["until"][:19]) == (iso(before)[:19], iso(AT)[:19])
    data = client.get(f"/api/v1/keywords/{storm}/chart.csv?{times}").text.splitlines()
    assert [line.split(",")[1] for line in data[1:]] == ["", "0", "2", "0", "2"]
    page = client.get(f"/keywords/{storm}?{times}").text
    words = page.partition('class="methods">')[2].partition("</p>")[0]
    assert "No stretch of this time" not in words
    assert "was not followed" in words
    inside = f"from={iso(since)}&to={iso(since + 3 * HOUR_US)}"
    words = client.get(f"/keywords/{storm}?{inside}").text.partition('class="methods">')[2]
    assert "No stretch of this time is known to be missing." in words.partition("</p>")[0]


def test_the_last_hour_is_of_now_whatever_time_is_shown(
    engine: Engine, client: FlaskClient
) -> None:
    storm = keywords.add(engine, "storm").id
    lease, now = take(engine), now_us()
    hour = now // HOUR_US * HOUR_US - HOUR_US
    store(engine, lease, *(post(n, occurred_at=hour + n) for n in range(3)))
    for query in ("range=hour", "range=week", "from=2020-01-04&to=2021-06-03", "from=20d&to=10d"):
        rate = statistics(client, storm, query)["rate"]
        assert (rate["posts"], rate["learned_days"]) == (3, 0), query
    later = f"from={iso(now + HOUR_US)}&to={iso(now + 3 * HOUR_US)}"
    assert statistics(client, storm, later)["rate"]["posts"] == 3
    page = client.get(f"/keywords/{storm}?{later}").text
    assert "-100" not in page
    assert "is not over" in page


def test_an_hour_without_the_running_one_is_called_full_and_a_dash_is_explained(
    engine: Engine, client: FlaskClient
) -> None:
    """Posts of this hour beside "last hour 0" would contradict each other."""
    keywords.add(engine, "storm")
    store(engine, take(engine), post(1, "a storm now", occurred_at=now_us()))
    for address in ("/", "/add_keyword", "/keywords/1"):
        page = client.get(address).text
        assert re.search("[Ll]ast full hour", page), address
        assert not re.search("[Ll]ast hour", page), address
    assert "A dash: not followed everywhere for the whole time." in client.get("/").text


def test_the_form_keeps_the_range_and_nothing_leads_into_the_future(
    engine: Engine, client: FlaskClient
) -> None:
    storm = keywords.add(engine, "storm").id
    page = client.get(f"/keywords/{storm}?range=week").text
    assert '<input type="hidden" name="range" value="week">' in page
    assert 'id="later"' not in page
    page = client.get(f"/keywords/{storm}?from=3d&to=2d").text
    assert 'name="range"' not in page.partition("<form")[2].partition("</form>")[0]
    assert 'id="later"' in page
    assert client.get(f"/keywords/{storm}?with=99").status_code == 404


def test_words_of_spikes_stand_apart() -> None:
    span = spans.cut(0, 100 * 3_600, 3_600)
    spike = {"until": 0, "posts": 30, "total": 60, "usual": 3.0, "times": 10.0, "deviations": 9.0}
    found = [Spike(since=at, peak=at * 3_600, **spike) for at in (10, 50, 53, 80, 98)]
    marks = charts.spike_marks(span, found)
    assert [(mark.place, mark.room) for mark in marks] == [
        (10, 9),
        (50, 0),
        (53, 9),
        (80, 9),
        (98, -9),
    ]
    crowded = [msgspec.structs.replace(found[0], peak=at * 3_600) for at in (95, 98)]
    assert [mark.room for mark in charts.spike_marks(span, crowded)] == [0, 0]


def test_a_spike_shows_posts_that_have_what_is_different_in_it(
    engine: Engine, client: FlaskClient
) -> None:
    storm, since = keywords.add(engine, "storm").id, AT // HOUR_US * HOUR_US
    texts = ["a storm", *(f"a storm #sunk {n // 2}" for n in range(8))]
    some = [
        post(n, text, occurred_at=since + n, tags=("sunk",) if "#" in text else ())
        for n, text in enumerate(texts)
    ]
    lease = follow(engine)
    store(engine, lease, *some)
    hour = since // US
    spike = Spike(
        since=hour, until=hour + HOUR, peak=hour, posts=9, total=9, usual=0, times=9, deviations=9
    )
    with asked_of(engine) as statements:
        (card,) = spike_cards(engine, storm, Question(span=spans.cut(hour, hour + HOUR)), [spike])
    assert [one.text for one in card.examples] == [f"a storm #sunk {n}" for n in (3, 2, 1)]
    whole = [text for text, _ in statements if "FROM posts" in text and "LIMIT" not in text]
    assert whole
    assert all("posts.id IN" in text for text in whole), whole
    store(engine, lease, removal(7), removal(8))
    (card,) = spike_cards(engine, storm, Question(span=spans.cut(hour, hour + HOUR)), [spike])
    assert "a storm #sunk 3" not in [one.text for one in card.examples]


def test_a_time_to_come_leads_back(engine: Engine, client: FlaskClient) -> None:
    storm = keywords.add(engine, "storm").id
    answer = client.get(f"/keywords/{storm}?from=2099-01-02&to=2099-01-03")
    assert answer.status_code == 200
    assert "from=2099-01-01" in answer.text
    assert 'id="later"' not in answer.text


def test_spikes_are_of_the_posts_that_the_chart_shows(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours in English are as ever while German ones have a spike: the filters say so."""
    monkeypatch.setattr(behind, "LIMIT_S", 30.0)
    storm, since = keywords.add(engine, "storm").id, (AT // HOUR_US + 1) * HOUR_US
    days, peak = 16, since + 15 * 24 * HOUR_US
    with writing(engine) as connection:
        connection.execute(update(keyword_table).values(created_at=since))
    usual = [
        post(n, f"storm at @home {n}", occurred_at=since + n * HOUR_US // 4, lang="en")
        for n in range(4 * 24 * days)
    ]
    usual += [
        post(5_000 + n, f"Sturm {n} storm", occurred_at=since + (4 * n + 3) * HOUR_US, lang="de")
        for n in range(6 * days)
    ]
    sudden = [
        post(
            10_000 + n,
            f"storm for @me {n % 9}",
            occurred_at=peak + n,
            lang="de",
            tags=("sunk",),
            links=(Link(url="https://news.a.org/x"),),
            author_id=f"https://a.org/@user{n % 3}",
        )
        for n in range(60)
    ]
    store(engine, follow(engine), *usual, *sudden)
    times = f"from={iso(peak - 6 * HOUR_US)}&to={iso(peak + 6 * HOUR_US)}"
    for query, posts, looked_at in (
        ("", 64, 60),
        ("lang=de", 60, 60),
        ("lang=!en", 60, 60),
        ("tag=sunk&lang=en", 60, 60),  # of a value the chart knows the networks alone
        ("mention=me", 60, 60),
        ("author=https://a.org/@user0", 20, 20),
        ("author=!did:plc:a", 60, 60),  # (all usual ones are of that one)
        ("domain=news.a.org", 60, 60),
        ("domain=!a.org", 64, 64),  # a site below it is another
        ("lang=en", 0, 0),
        ("tag=!sunk", 0, 0),
        ("network=x", 0, 0),
    ):
        found = statistics(client, storm, f"{times}&{query}")
        assert found["volume"]["total"] >= posts
        assert [one["spike"]["posts"] for one in found["spikes"]] == [posts] * bool(posts), query
        for card in found["spikes"]:
            assert card["looked_at"] == looked_at or not query
            assert card["examples"]
            different = [label for _, label, _ in card["different"]]
            assert ("#sunk" in different) == (
                query in ("", "lang=de", "lang=!en", "domain=!a.org")
            ), query
        page = client.get(f"/keywords/{storm}?{times}&{query}").text
        pill = r'<a class="pill" href="(/search[^"]*)">These posts'
        links = [unescape(one) for one in re.findall(pill, page.partition('spikecard"')[2])]
        for link in links:
            counted = client.get(f"/api/v1{link}").json["counts"]["counted"]
            # The search takes a site for a part of the one above it, and knows no such author.
            assert counted == posts or "a.org" in query, (link, counted)
        assert bool(links) == bool(posts)
        note = "Not narrowed by lang: en"
        assert (note in page.partition('spikecard"')[2].partition("</section>")[0]) == (
            query == "tag=sunk&lang=en"
        )


def test_the_usual_is_the_same_whatever_range_is_shown(engine: Engine) -> None:
    """Hours without a post are known too: the usual is learned from them."""
    row = msgspec.structs.replace(keywords.add(engine, "storm"), created_at=AT)
    storm = row.id
    lease, now = follow(engine), AT // US + 70 * DAY + 1_234
    hours = range(now - now % HOUR - 35 * DAY, now, 5 * HOUR)
    at = [(hour * US + n, n) for hour in hours for n in range(3)]
    store(engine, lease, *(post(n, occurred_at=moment) for n, (moment, _) in enumerate(at)))
    found = []
    for since, until in (
        (now - HOUR, now),
        (now - DAY, now),
        (now - 7 * DAY, now),
        (now - 50 * DAY, now - 40 * DAY),
        (now + DAY, now + 2 * DAY),
    ):
        span = spans.cut(since, until)
        by_hour = sums.hours(engine, storm, 0, until)
        known = report.past(by_hour, span, report.seen(engine, row, span))
        assert not any(hour % HOUR for hour in known.hours)
        found.append(report.rate(engine, row, span, by_hour, known, now))
    assert {one.usual for one in found} == {0}
    assert found[0].learned_days >= 14


def test_keywords_that_differ_in_their_networks_are_told_apart_on_the_overview(
    engine: Engine, client: FlaskClient
) -> None:
    for networks in ((), ("x",), ("mastodon", "bluesky")):
        keywords.add(engine, "storm", keywords.Options(networks=networks))
    page = client.get("/?hours=table").text
    named = re.findall(r'storm</bdi>(?:</a>)? <span class="kind">([^<]*)</span>', page)
    assert sorted(named) == ["bluesky, mastodon only"] * 2 + ["x only"] * 2
    assert page.count("storm</bdi></a></th>") == 1


def test_the_overview_has_its_sparklines_as_a_table(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords.add(engine, "storm")
    monkeypatch.setattr(pages, "now_us", lambda: AT)
    start = AT // HOUR_US * HOUR_US
    hourly(engine, start - 2 * HOUR_US, (3, 0, 4))
    assert 'class="hours"' not in client.get("/").text
    table = client.get("/?hours=table").text.partition('class="hours"')[2].partition("</table>")[0]
    cells = re.findall(r'<td class="number[^>]*>(\d+)</td>', table)
    assert cells == ["0"] * 21 + ["3", "0", "4"]
