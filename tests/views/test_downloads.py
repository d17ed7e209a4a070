"""What a search finds, as a file."""

import csv
import io
import json
import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.store.posts import post, removal, store, take
from tweeter.store import keywords


def furnish(engine: Engine) -> None:
    keywords.add(engine, "storm")
    some = [post(n, f"=storm {n}", lang=("en", "de")[n % 2], tags=("a", "b")) for n in range(30)]
    store(engine, take(engine), *some)
    store(engine, take(engine, "other"), removal(4))


def files(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'<a class="pill" href="([^"]+)" download', page)]


def test_a_search_leads_to_files_of_all_that_it_finds(engine: Engine, client: FlaskClient) -> None:
    furnish(engine)
    page = client.get("/search?q=storm&lang=en&keyword=1").text
    assert "<b>14 posts" in page
    table, lines = (client.get(address) for address in files(page))
    assert table.mimetype == "text/csv"
    assert table.headers["Content-Disposition"] == "attachment; filename=search-all-14.csv"
    assert table.data.startswith("\ufeffid,".encode())  # by which Excel knows that it is UTF-8
    rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff"))))
    found = [json.loads(line) for line in lines.text.splitlines()]
    given = client.get("/api/v1/search?q=storm&lang=en&keyword=1&limit=50").json["posts"]
    assert found == given
    assert [row["id"] for row in rows] == [one["id"] for one in given]
    assert rows[0]["text"] == "'=storm 28"  # no formula
    assert rows[0]["tags"] == "a b"


def test_a_file_that_has_not_all_says_so_by_its_name(
    engine: Engine, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(engine)
    monkeypatch.setattr("tweeter.views.downloads.MOST", 12)
    monkeypatch.setattr("tweeter.views.downloads.PAGE", 5)
    answer = client.get("/api/v1/search.jsonl?q=storm")
    assert answer.headers["Content-Disposition"] == "attachment; filename=search-newest-12.jsonl"
    assert len(answer.text.splitlines()) == 12
    monkeypatch.setattr("tweeter.views.downloads.LIMIT_S", 0.0)
    answer = client.get("/api/v1/search.csv?q=storm")
    assert "search-newest-0.csv" in answer.headers["Content-Disposition"]
    assert answer.text.startswith("id,")
    for query in ("bom=2", "q=(storm", "limit=3", "since=2026-11-24&until=2026-11-23"):
        answer = client.get(f"/api/v1/search.csv?{query}")
        assert answer.status_code in (400, 422), query
    assert not files(client.get("/search?q=zzzz").text)
