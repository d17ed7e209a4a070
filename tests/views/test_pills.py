"""Filters as pills: whatever is switched and pinned, nothing is lost and the address says it."""

import random
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from tweeter.errors import BadQuestion
from tweeter.statistics.panels import PANELS
from tweeter.store import keywords
from tweeter.views import asked, pills
from tweeter.views.pills import NAMES, Pill

VALUES = st.sampled_from(["a", "!a", "b:c", "", "ünï <x>"])
KEYS = st.builds("{}:{}".format, st.sampled_from(NAMES), VALUES).filter(
    lambda key: key[-1] != ":" or key[:-1] not in PANELS
)
STATES = st.fixed_dictionaries(
    {},
    optional={name: st.lists(VALUES, unique=True, max_size=2) for name in NAMES}
    | {name: st.lists(KEYS, unique=True, max_size=3) for name in ("off", "pin")},
)


def keys(state: pills.State) -> set[str]:
    return {pill.key for pill in pills.of(state)}


def one(state: pills.State, like: Pill) -> Pill | None:
    return next((pill for pill in pills.of(state) if pill.key == like.key), None)


@given(state=STATES, data=st.data())
def test_switching_loses_no_filter_and_twice_is_once(
    state: pills.State, data: st.DataObject
) -> None:
    found = pills.of(state)
    if not found:
        return
    pill = data.draw(st.sampled_from(found))
    after = pills.switched(state, pill)
    assert keys(after) == keys(state)
    changed = one(after, pill)
    assert changed is not None
    assert (changed.is_on, changed.is_pinned) == (not pill.is_on, pill.is_pinned)
    assert one(pills.switched(after, changed), pill) == pill
    order = [each.key for each in found]
    assert [each.key for each in pills.of(after)] == order
    others = [each for each in pills.of(after) if each.key != pill.key]
    before = [each for each in found if each.key != pill.key]
    if pill.is_on or pill.name not in PANELS:
        assert others == before
    assert sum(each.is_on for each in pills.of(after) if each.name in PANELS) <= 1


@given(state=STATES, data=st.data())
def test_what_is_pinned_goes_along_as_it_is_and_nothing_else(
    state: pills.State, data: st.DataObject
) -> None:
    assert pills.of(pills.carried(state)) == [pill for pill in pills.of(state) if pill.is_pinned]
    if pills.of(state):
        pill = data.draw(st.sampled_from(pills.of(state)))
        turned = one(pills.pinned(state, pill), pill)
        assert turned is not None
        assert (turned.is_on, turned.is_pinned) == (pill.is_on, not pill.is_pinned)
        assert one(pills.dropped(state, pill), pill) is None


def test_a_value_of_a_panel_takes_the_place_of_anothers() -> None:
    first = pills.chosen({"lang": ["en"]}, "tag", "wind")
    second = pills.chosen(first, "domain", "a.example")
    assert [(pill.key, pill.is_on) for pill in pills.of(second)] == [
        ("lang:en", True),
        ("tag:wind", False),
        ("domain:a.example", True),
    ]
    third = pills.chosen(second, "domain", "a.example")
    assert [pill.key for pill in pills.of(third)] == ["lang:en", "tag:wind"]


@pytest.mark.parametrize("wrong", ["network", "colour:red", ":x", "", "tag:"])
def test_what_is_no_filter_is_refused(wrong: str) -> None:
    for name in ("off", "pin"):
        with pytest.raises(BadQuestion, match="expected a filter"):
            pills.of({name: [wrong]})
    with pytest.raises(BadQuestion, match="at most 50"):
        pills.of({"off": ["network:x"] * 51})


def test_a_filter_that_is_off_filters_nothing_and_stays_on_the_page(
    engine: Engine, client: FlaskClient
) -> None:
    storm, flood = keywords.add(engine, "storm").id, keywords.add(engine, "flood").id
    page = client.get(f"/keywords/{storm}?off=network:x&pin=network:x&lang=!en&with={flood}").text
    assert 'class="filterpill off pinned"' in page
    assert '<input type="hidden" name="off" value="network:x">' in page
    assert '<input type="hidden" name="network"' not in page
    link = page.partition('aria-label="Other keywords, with')[2].partition('href="')[2]
    address = urlsplit(link.partition('"')[0].replace("&amp;", "&"))
    assert address.path == f"/keywords/{flood}"
    assert parse_qs(address.query) == {"off": ["network:x"], "pin": ["network:x"]}
    assert client.get(f"/keywords/{storm}?off=colour:red").status_code == 422
    hostile = client.get(f"/keywords/{storm}?off=tag:<script>&pin=tag:<script>").text
    assert "&lt;script&gt;" in hostile
    assert "<script>" not in hostile


def test_addresses_of_many_values_are_those_of_each(app: Flask) -> None:
    dice = random.Random(4)
    values = ["a", "!a", "b:c", "ünï <x>", "a b+c&d=e", "100 %", "https://a.org/?q=1", "\ue000"]
    for _ in range(200):
        names = dice.sample(["network", *PANELS], 2)
        state = {name: dice.sample(values, dice.randrange(3)) for name in names}
        state["off"] = [f"{dice.choice(PANELS)}:{value}" for value in dice.sample(values, 2)]
        state["range"] = ["month"]
        with app.test_request_context("/keywords/3", query_string=state):
            for name in PANELS:
                address = asked.only_of(3, name)
                for value in values:
                    assert address(value) == asked.only(3, name, value)
