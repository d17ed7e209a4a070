"""Addresses that people wrote or cut themselves: each is answered with words of what is wrong."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.store.posts import post, store, take
from tweeter import moments
from tweeter.store import keywords
from tweeter.views.show import exact

HUGE = "9" * 23


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        (f"/keywords/{HUGE}", 404, "Not Found"),
        (f"/keywords/1?older={HUGE}.1", 400, "“older” is not a position"),
        (f"/keywords/1?older=1.{HUGE}", 400, "“older” is not a position"),
        (f"/search?older={HUGE}.1", 400, "“older” is not a position"),
        (f"/add_keyword?older={HUGE}", 404, "“older” is"),
        (f"/live?deck={HUGE}", 404, "“deck” is"),
        ("/live?deck=mine", 404, "“deck” is"),
        (f"/live?keyword={HUGE}", 404, "“keyword” is"),
        (f"/api/v1/keywords/{HUGE}", 404, "not_found"),
        (f"/api/v1/decks/{HUGE}", 404, "not_found"),
        (f"/api/v1/annotations/{HUGE}", 404, "not_found"),
        (f"/api/v1/posts?older={HUGE}.1", 422, "“older” is not a position"),
        (f"/api/v1/search?older={HUGE}.1", 422, "“older” is not a position"),
        (f"/api/v1/decks/posts?c1=all&older={HUGE}.1", 422, "“older” is not a position"),
    ],
)
def test_numbers_that_no_row_can_have_are_no_fault_of_the_server(
    client: FlaskClient, engine: Engine, address: str, status: int, words: str
) -> None:
    keywords.add(engine, "storm")
    found = client.get(address)
    assert (found.status_code, words in found.text) == (status, True), found.text


def test_a_day_is_understood_as_its_beginning_in_utc(client: FlaskClient, engine: Engine) -> None:
    assert moments.read("2026-11-24", 0) == moments.read("2026-11-24T00:00Z", 0)
    keyword = keywords.add(engine, "storm")
    store(engine, take(engine), post(1))
    page = client.get(f"/keywords/{keyword.id}?from=2026-11-18&to=2026-11-19")
    assert page.status_code == 200
    assert 'data-since="1794960000" data-until="1795046400"' in page.text


@given(st.integers(1, moments.LAST_US))
@example(1_795_496_400_123_457)
def test_a_moment_is_read_as_it_was_told(moment: int) -> None:
    assert moments.read(str(exact(moment)), 0) == moment


def test_a_time_without_a_zone_is_in_utc_and_the_forms_say_so(
    client: FlaskClient, engine: Engine
) -> None:
    meant = moments.read("2026-11-18T10:00Z", 0)
    for text in ("2026-11-18 10:00", "2026-11-18T10:00", " 2026-11-18 10:00:00 "):
        assert moments.read(text, 0) == meant
    assert moments.read("2026-11-18 10:00+02:00", 0) == meant - 7_200_000_000
    for text in ("10:00", "2026-11-18 25:00", "18.11.2026 10:00"):
        with pytest.raises(moments.BadMoment, match="or 2026-11-24 05:00"):
            moments.read(text, 0)
    keyword, other = (keywords.add(engine, text).id for text in ("storm", "flood"))
    at = datetime(2026, 11, 18, 10, 30, tzinfo=UTC)
    store(engine, take(engine), post(1, occurred_at=int(at.timestamp() * 1e6)))
    times = "from=2026-11-18+10:00&to=2026-11-18+11:00"
    said = "Times without a zone are UTC."
    page = client.get(f"/keywords/{keyword}?{times}")
    assert page.status_code == 200
    assert 'data-from="1794996000" data-to="1794999600"' in page.text
    assert page.text.count(said) == 2  # of the range, and of a note
    page = client.get(f"/?{times}&with={keyword}&with={other}")
    assert (page.status_code, said in page.text) == (200, True)
    page = client.get("/search?since=2026-11-18+10:00&until=2026-11-18+11:00")
    assert (page.status_code, said in page.text) == (200, True)
    assert page.text.count('<article class="post"') == 1
    assert said in client.get("/live?edit=new").text
    query = "since=2026-11-18+10:45&until=2026-11-18+11:00"
    assert client.get(f"/api/v1/search?{query}").json["posts"] == []


def test_a_view_that_cannot_be_shown_has_a_way_back(client: FlaskClient, engine: Engine) -> None:
    keyword = keywords.add(engine, "storm")
    page = client.get(f"/keywords/{keyword.id}?from=yesterday")
    assert (page.status_code, "“from” is &#39;yesterday&#39;" in page.text) == (422, True)
    assert 'value="yesterday"' in page.text
    assert f'href="/keywords/{keyword.id}?range=week#statistics"' in page.text
