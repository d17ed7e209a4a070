"""Whatever filters go together, every number is what a recount finds in the posts themselves."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select

from tests.store.posts import AT, post, take
from tests.store.test_rollups import commit
from tweeter.moments import iso
from tweeter.records import AccountChange, Removal
from tweeter.statistics.keeping import KEEPER
from tweeter.store import keywords
from tweeter.store.engine import reading
from tweeter.store.schema import matches
from tweeter.store.schema import posts as post_table

US, MINUTE, HOUR, DAY = 1_000_000, 60, 3_600, 86_400
BEGIN = AT // US // DAY * DAY
POSTS, DAYS = 400, 4
Row = Mapping[str, Any]
SERIES: dict[str, Callable[[Row], str]] = {
    "network": lambda row: str(row["network"]),
    "kind": lambda row: str(row["kind"]),
    "lang": lambda row: {"en-GB": "en", "iw": "he", "und": ""}.get(row["lang"], row["lang"]),
}
VALUES: dict[str, Callable[[Row], set[str]]] = {
    "tag": lambda row: {tag.lower() for tag in json.loads(row["tags"])},
    "author": lambda row: {row["author_id"]},
    "media": lambda row: {"with" if row["traits"] == "media" else "without"},
}
NAMES = {
    "network": ("x", "bluesky", "mastodon"),
    "kind": ("post", "reply", "repost", "quote"),
    "lang": ("en", "en-GB", "iw", "und", ""),
}
LANGS = {"en-GB": "en", "iw": "he", "": "und"}  # as a filter names them


class Asked(NamedTuple):
    """Filters by series, each with "!" before what is left out, and a value or ("", "")."""

    narrow: dict[str, str]
    which: tuple[str, str]

    def has(self, row: Row, *, but: str = "") -> bool:
        """Whether a post passes. but: a series whose filter does not count."""
        facet, value = self.which
        if facet and (value.removeprefix("!") in VALUES[facet](row)) == value.startswith("!"):
            return False
        for name, given in self.narrow.items():
            wanted = given.removeprefix("!").replace("und", "")
            if name != but and (SERIES[name](row) == wanted) == given.startswith("!"):
                return False
        return True


@pytest.fixture
def rows(engine: Engine) -> list[Row]:
    """The visible posts of keyword 1; some were edited, removed, or are of a hidden account."""
    KEEPER.forget()
    dice, lease = random.Random(3), take(engine)
    keywords.add(engine, "storm")
    keywords.add(engine, "flood")

    def said(n: int, **more: Any) -> Any:
        at = BEGIN * US + dice.randrange(DAYS * DAY * US)
        at = dice.choice((at, at, at // HOUR // US * HOUR * US - dice.randrange(2)))
        values: dict[str, Any] = {name: dice.choice(some) for name, some in NAMES.items()}
        values |= {"occurred_at": at, "author_id": f"did:plc:{dice.randrange(5)}"}
        values["tags"] = tuple(dice.sample(["a", "B", "b", "c"], dice.randrange(3)))
        values["traits"] = dice.choice([(), ("media",)])
        text = dice.choice(("storm", "flood", "storm flood"))
        return post(n, text, key=f"k{n}", **(values | more))

    some = [said(n) for n in range(POSTS)]
    commit(engine, lease, *some)
    gone = [Removal(network=one.network, key=one.key, occurred_at=AT) for one in some[::9]]
    edits = [
        said(n, network=some[n].network, operation="update", version="1")
        for n in range(0, POSTS, 7)
    ]
    hidden = AccountChange(network="x", author_id="did:plc:1", status="suspended", occurred_at=AT)
    commit(engine, lease, *edits, *gone, hidden)
    with reading(engine) as connection:
        mine = select(post_table).join(matches, matches.c.post_id == post_table.c.id)
        found = connection.execute(mine.where(matches.c.keyword_id == 1)).mappings().all()
    return [row for row in found if row["removed_at"] is None and not row["hidden"]]


def some_filters(dice: random.Random) -> Asked:
    narrow = {
        name: dice.choice(("", "!")) + LANGS.get(value, value)
        for name, values in NAMES.items()
        for value in [dice.choice(values)]
        if dice.random() < 0.5
    }
    given = {"tag": "b", "author": "did:plc:2", "media": "with"}
    which = dice.choice([("", ""), *given.items()])
    sign = dice.choice(("", "!")) if which[0] else ""
    return Asked(narrow, (which[0], sign + which[1]))


def as_search(asked: Asked, since: int, until: int) -> dict[str, str]:
    """The same filters as the search names them; an author's is another, see `behind.LOOSE`."""
    found = {"keyword": "1", "since": iso(since * US), "until": iso(until * US)}
    facet, value = asked.which
    if facet == "media":
        found["only"] = value.replace("!", "-").replace("with", "media")
    elif facet:
        found[facet] = value.replace("!", "-")
    return found | {name: value.replace("!", "-") for name, value in asked.narrow.items()}


def test_filters_together_are_a_recount(
    engine: Engine, client: FlaskClient, rows: list[Row]
) -> None:
    dice = random.Random(11)
    for _ in range(12):
        asked = some_filters(dice)
        whole = HOUR if asked.which[0] else MINUTE
        since = BEGIN + dice.randrange(2 * DAY) // whole * whole
        until = since + dice.choice((3 * HOUR, DAY, 2 * DAY))
        query = asked.narrow | {"from": iso(since * US), "to": iso(until * US), "bucket": "10800"}
        query |= {asked.which[0]: asked.which[1]} if asked.which[0] else {}
        answer = client.get("/api/v1/keywords/1/statistics", query_string=query)
        found = answer.json["statistics"]
        inside = [row for row in rows if since * US <= row["occurred_at"] < until * US]
        passing = [row for row in inside if asked.has(row)]
        of_chart = asked
        if asked.which[0]:  # of a value the chart follows networks alone
            networks = {n: v for n, v in asked.narrow.items() if n == "network"}
            of_chart = Asked(networks, asked.which)
        drawn = [row for row in inside if of_chart.has(row)]
        first = since - since % 10_800
        bars = Counter((row["occurred_at"] // US - first) // 10_800 for row in drawn)
        stacks = [one["posts"] for one in found["volume"]["stacks"]]
        assert Counter({n: sum(bar) for n, bar in enumerate(zip(*stacks, strict=True))}) == bars
        table = client.get("/api/v1/keywords/1/chart.csv", query_string=query).text
        lines = list(csv.reader(io.StringIO(table)))[1:]
        assert sum(int(n) for line in lines for n in line[1:-2] if n) == len(drawn)
        for name, series in SERIES.items():
            counted = Counter(series(row) for row in inside if asked.has(row, but=name))
            assert found["shares"][name] == counted, query
        panels = {one["facet"]: one for one in found["panels"]}
        for facet, values in VALUES.items():
            counted = Counter(value for row in passing for value in values(row))
            most = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:10]
            assert [(one["value"], one["posts"]) for one in panels[facet]["rows"]] == most, query
            assert panels[facet]["known"] == len(passing)
        if asked.which[0] != "author":
            search = as_search(asked, since, until)
            hits = client.get("/api/v1/search", query_string=search | {"limit": "500"}).json
            order = sorted(passing, key=lambda row: (-row["occurred_at"], -row["id"]))
            assert [one["id"] for one in hits["posts"]] == [str(row["id"]) for row in order]
            assert hits["counts"]["counted"] == len(passing)
