"""Every page in every state that a form or an address brings it to: for what must hold of all."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from tests.pictures import scene
from tests.pictures.strangers import strangers
from tests.pictures.table import MORE, PAGES
from tweeter.columns import Column
from tweeter.filters import Filter
from tweeter.store import decks, keywords, searches
from tweeter.store.engine import writing
from tweeter.store.keywords import Options
from tweeter.store.schema import keywords as keyword_table

LINES = "harbour\nharbour\nstorm\n(oops\nfrom:\n"
GIVEN = {
    "of": "all",
    "network": "x",
    "kind": "-reply",
    "with": "flood",
    "lang": "en",
    "state": "edited",
    "since": "2d",
}


class Visit(NamedTuple):
    """An address, and the fields of a form where it is sent one."""

    address: str
    form: dict[str, Any] | None = None


def furnish(engine: Engine) -> None:
    """The invented world of the pictures, strangers' posts, and what a person left behind."""
    scene.fill(engine)
    strangers(scene.World("", engine, None))  # type: ignore[arg-type]
    keywords.add(engine, "some_one", Options(networks=("x", "mastodon"), keep_days=1))
    keywords.add(engine, "from:@quaywatch_demo")
    keywords.set_state(engine, keywords.add(engine, "quay").id, "paused")
    keywords.set_state(engine, keywords.add(engine, "kept").id, "removed")
    keywords.set_state(engine, keywords.add(engine, "gone").id, "removed", purge=True)
    with writing(engine) as connection:  # it was edited, and its posts are not matched yet
        mine = keyword_table.c.id == 2
        connection.execute(update(keyword_table).where(mine).values(version=2, complete_at=None))
    searches.save(engine, "Harbours", Filter(q="harbour"))
    searches.save(engine, "Sales", Filter(q="sale", since="2026-11-01"))
    decks.add(engine, "My harbour", (Column(), Column(of="search:1", title="Mine")))


VISITS = [
    *[Visit(shown.address) for shown in (*PAGES, *MORE)],
    Visit("/?sort=usual&with=1&with=4"),
    Visit("/add_keyword?older=2"),
    Visit("/add_keyword?older=1"),
    Visit("/add_keyword?older=soon"),
    Visit("/add_keyword?find=har&state=active&sort=name"),
    Visit("/add_keyword?find=zzz"),
    Visit("/add_keyword?sort=posts&page=9"),
    Visit("/add_keyword", {"expression": "(harbour", "act": "save"}),
    Visit("/add_keyword", {"expression": "", "act": "save"}),
    Visit("/add_keyword", {"expression": "quay", "act": "save"}),
    Visit("/add_keyword", {"expression": "some_one OR harbour", "act": "save", "keep_days": "-1"}),
    Visit("/add_keyword", {"expression": "a", "day_budget": "many", "act": "save"}),
    Visit("/add_keyword", {"expression": "harbour NOT sale", "act": "preview"}),
    Visit("/keywords/preview", {"expression": "harbour OR from:nobody is:reply"}),
    Visit("/keywords/preview", {"expression": "harbour NOT"}),
    Visit("/keywords/import", {"lines": LINES, "act": "check"}),
    Visit("/keywords/import", {"lines": "(oops", "act": "add"}),
    Visit("/keywords/import", {"lines": " ", "act": "check"}),
    *[Visit(f"/keywords/{number}") for number in (2, 4, 5, 6, 7, 8, 9)],
    Visit("/keywords/1?range=year&by=kind&network=!x&off=lang:en&tag=harbour&pin=tag:harbour"),
    Visit("/keywords/5?range=month&scale=index&compare=week"),
    Visit("/keywords/1?range=month&tag=!harbour&lang=en"),
    Visit("/keywords/1?from=2020-01-01T00:00Z&to=2020-01-02T00:00Z&lang=en"),
    Visit("/keywords/1?range=century"),
    Visit("/keywords/1?older=1"),
    Visit("/keywords/99"),
    Visit("/keywords/1/annotations", {"text": "", "since": "1h"}),
    Visit("/keywords/1/annotations", {"text": "A walk", "since": "soon"}),
    Visit("/keywords/1/edit", {"expression": "rain", "act": "preview"}),
    Visit("/keywords/1/edit", {"expression": '"rain', "act": "save"}),
    Visit(
        "/live?c1=all&c2=network:x&c2.lang=en&c2.without=sale&c3=keyword:99&c4=search:9&c5=tag:a"
    ),
    Visit("/live?c1=keyword:3&c1.state=edited,-sensitive&c1.with=zzz&c1.only=-media&edit=1"),
    Visit("/live?edit=new"),
    Visit("/live?deck=1&wall=1"),
    Visit("/live?c1=nothing:1"),
    Visit("/live?deck=99"),
    Visit("/live/change", {"columns": "c1=all", "act": "put:1", **GIVEN, "width": "xl"}),
    Visit("/live/change", {"columns": "c1=all", "act": "put:1", **GIVEN, "with": "(oops"}),
    Visit("/search?q=harbour&network=-x&lang=en&kind=-reply&state=edited&keyword=1&tag=-sale"),
    Visit("/search?q=harbour&since=2d&until=1h&link=https://quay.example/a&only=-media"),
    Visit("/search?q=zzzzzz"),
    Visit("/search?lang=en&q=zzzzzz"),
    Visit("/search?q=(oops"),
    Visit("/search?since=yesterday"),
    Visit("/search?kind=novel"),
    Visit("/search?q=harbour&older=no"),
    Visit("/sources/x"),
    Visit("/sources/mastodon/quay.example"),
    Visit("/sources/demo"),
    Visit("/sources/nothing"),
]
BARE = [Visit(shown.address) for shown in PAGES if shown.empty] + [Visit("/searches")]


def pages(client: FlaskClient, visits: list[Visit]) -> Iterator[tuple[str, str]]:
    """The name and the text of each page, as the server writes it."""
    token = ""
    for number, (address, form) in enumerate(visits):
        if form is None:
            answer = client.get(address)
        else:
            if not token:
                page = client.get("/add_keyword").text
                found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
                token = found[1] if found else ""
            answer = client.post(address, data={"csrf_token": token} | form)
        assert answer.status_code not in (500, 303), (address, answer.location)
        yield f"{number} {address}", answer.text
