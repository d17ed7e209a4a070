"""Share of voice: only where every keyword was covered, and said where not."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from tests.commands.conftest import follow
from tests.store.posts import AT, post, store
from tweeter.moments import iso
from tweeter.statistics import spans, voice
from tweeter.store import keyword_ledger, keywords
from tweeter.store.coverage import Coverage, Stretch
from tweeter.store.engine import writing
from tweeter.store.keywords import Options
from tweeter.store.schema import keywords as keyword_table

US = 1_000_000
HOUR = 3_600
START = (AT // US // HOUR + 1) * HOUR  # the first whole hour after all began


def line(*pieces: tuple[str, str, int, int]) -> Coverage:
    """A stream whose stretches are (verdict, state, from, to) in minutes after START."""
    stretches = [
        Stretch(
            verdict=verdict,
            state=state,
            outcome="",
            words="",
            since=(START + 60 * since) * US,
            until=(START + 60 * until) * US,
        )
        for verdict, state, since, until in pieces
    ]
    return Coverage(
        stream="s",
        network="bluesky",
        stretches=stretches,
        covered_s=0,
        missed_s=0,
        not_followed_s=0,
    )


LIVE, DOWN, NONE = ("covered", "live"), ("missed", "down"), ("not_followed", "none")
PAUSED = ("not_followed", "paused")


@pytest.mark.parametrize(
    "lines,expected",
    [
        ([line((*LIVE, 0, 240))], "yyyy"),
        ([line((*LIVE, 0, 90), (*DOWN, 90, 91), (*LIVE, 91, 240))], "ynyy"),
        ([line((*LIVE, 0, 120), (*PAUSED, 120, 240))], "yynn"),
        ([line((*NONE, 0, 60), (*LIVE, 60, 240))], "nyyy"),  # nobody looked
        ([line((*LIVE, 0, 240)), line((*NONE, 0, 90), (*LIVE, 90, 240))], "yyyy"),  # came later
        ([line((*LIVE, 0, 240)), line((*LIVE, 0, 60), (*DOWN, 60, 240))], "ynnn"),
        ([line((*LIVE, -60, 30), (*DOWN, 30, 60), (*LIVE, 60, 300))], "nyyy"),
        ([line((*LIVE, 0, 200))], "yyyn"),
    ],
)
def test_a_bucket_is_covered_as_a_whole_or_not(lines: list[Coverage], expected: str) -> None:
    span = spans.cut(START, START + 4 * HOUR, HOUR)
    found = voice.covers(lines, span, START + 10 * HOUR)
    assert "".join("y" if one else "n" for one in found) == expected


def test_the_running_bucket_counts_as_far_as_it_has_come() -> None:
    span = spans.cut(START, START + 2 * HOUR, HOUR)
    assert voice.covers([line((*LIVE, 0, 90))], span, START + 90 * 60) == [True, True]
    assert voice.covers([line((*LIVE, 0, 90))], span, START + 91 * 60) == [True, False]
    assert voice.covers([line((*LIVE, 0, 60))], span, START + HOUR) == [True, True]


@pytest.fixture
def three(engine: Engine) -> list[int]:
    """Keywords that get the same posts in six hours; the last one began two hours later."""
    ids = [keywords.add(engine, word).id for word in ("storm", "flood", "<b>hail")]
    lease = follow(engine, gap_s=(START - AT // US + 3 * HOUR, START - AT // US + 3 * HOUR + 60))
    with writing(engine) as connection:
        late = update(keyword_table).where(keyword_table.c.id == ids[2])
        connection.execute(late.values(created_at=(START + 2 * HOUR) * US))
    store(engine, lease, *(post(n, occurred_at=(START + n * 900) * US) for n in range(24)))
    return ids


def asked(ids: list[int], hours: int = 6) -> str:
    times = f"from={iso(START * US)}&to={iso((START + hours * HOUR) * US)}&bucket=3600"
    return f"{times}&{'&'.join(f'with={number}' for number in ids)}"


def test_shares_are_said_where_all_were_covered(
    engine: Engine, client: FlaskClient, three: list[int]
) -> None:
    found = client.get(f"/api/v1/overview/shares?{asked(three)}").json["voice"]
    assert found["counted"] == [False, False, True, False, True, True]
    assert found["lacking"] == [1, 1, 3]
    assert found["totals"] == [12, 12, 12]
    third = pytest.approx(1 / 3, abs=1e-4)
    assert found["shares"] == [[0, 0, third, 0, third, third]] * 3
    assert [one["posts"] for one in found["series"]] == [[4] * 6] * 3
    page = client.get(f"/?{asked(three)}").text
    assert "3 of 6 bars are left out" in page
    assert '“<bdi dir="auto">&lt;b&gt;hail</bdi>” in 3.' in page
    assert page.count("left out <small>(4)</small>") == 9
    assert page.count("33.3 % <small>(4)</small>") == 9
    assert "Of their 36 posts" in page
    assert page.count('class="gap" fill="url(#voicegap)"') == 2  # two hours, and one
    whole = client.get(f"/?{asked(three[:2], 3)}").text
    assert "left out, for" not in whole
    assert "50.0 % · 12" in whole


def test_a_pause_of_one_keyword_is_left_out(
    engine: Engine, client: FlaskClient, three: list[int]
) -> None:
    with writing(engine) as connection:
        for state, hour in (("paused", 4), ("active", 5)):
            at = (START + hour * HOUR) * US
            keyword_ledger.turn(connection, three[0], state, "by hand", at)
    found = client.get(f"/api/v1/overview/shares?{asked(three[:2])}").json["voice"]
    assert found["counted"] == [True, True, True, False, False, True]
    assert found["lacking"] == [2, 1]


def test_only_networks_that_all_follow_are_counted(
    engine: Engine, client: FlaskClient, three: list[int]
) -> None:
    x = keywords.add(engine, "ice", Options(networks=("x",))).id
    both = keywords.add(engine, "snow", Options(networks=("x", "bluesky"))).id
    blue = keywords.add(engine, "rain", Options(networks=("bluesky",))).id
    apart = client.get(f"/?{asked([x, blue])}").text
    assert "these keywords have no network in common" in apart
    found = client.get(f"/api/v1/overview/shares?{asked([blue, both])}").json["voice"]
    assert (found["networks"], found["apart"]) == (["bluesky"], False)
    assert "posts on bluesky" in client.get(f"/?{asked([blue, both])}").text


def test_without_any_stream_nothing_is_known_and_all_is_shown(
    engine: Engine, client: FlaskClient
) -> None:
    ids = [keywords.add(engine, word).id for word in ("storm", "flood")]
    found = client.get(f"/api/v1/overview/shares?{asked(ids)}").json["voice"]
    assert (found["known"], found["counted"]) == (False, [True] * 6)
    assert "Nothing is known of their coverage" in client.get(f"/?{asked(ids)}").text


def test_what_cannot_be_shared_is_said(client: FlaskClient, three: list[int]) -> None:
    for query, words in (
        (asked(three[:1]), "at least 2 keywords"),
        (asked([1] * 9), "At most 8 keywords"),
        ("with=x&with=1", "the number of a keyword"),
        ("with=1&with=2&range=decade", "expected one of hour, day"),
    ):
        assert words in client.get(f"/api/v1/overview/shares?{query}").json["detail"]
        page = client.get(f"/?{query}")
        assert (page.status_code, words in page.text) == (422, True), query
    assert client.get("/api/v1/overview/shares").json["code"] == "bad_question"
    assert client.get(f"/api/v1/overview/shares?{asked([1, 99])}").status_code == 404
    assert client.get(f"/?{asked([1, 99])}").status_code == 404
    assert "Choose two keywords or more" in client.get("/").text


def test_the_first_row_begins_where_the_time_shown_does(
    client: FlaskClient, three: list[int]
) -> None:
    since = iso((START + 20 * 60) * US)
    query = asked(three[:2]).replace(iso(START * US), since)
    table = client.get(f"/?{query}").text.partition('<section id="shares"')[2]
    first, second = re.findall(r'<th scope="row">[^<]*?(\d\d:\d\d:\d\d)</th>', table)[:2]
    assert (first, second) == (since[11:19], iso((START + HOUR) * US)[11:19])
