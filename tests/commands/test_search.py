"""`tweeter search` finds what the page and the API find, as text, JSON lines and CSV."""

import html
import json
import re
import shlex

import pytest

from tests.commands.conftest import Person, follow
from tests.store.posts import AT, post, store
from tests.views.test_search import fill
from tweeter import config
from tweeter.moments import iso
from tweeter.store import keywords, workers
from tweeter.store.leases import owner
from tweeter.web import create_app


def test_page_api_and_command_find_the_same(person: Person) -> None:
    fill(person.engine)
    client = create_app(config.load(), person.engine).test_client()
    address = "/search?q=-sale+storm&lang=-pt&tag=-sea&since=2026-11-18"
    page = client.get(address).get_data(as_text=True)
    shown = re.findall(r'<article class="post" id="p(\d+)"', page)
    api, command = map(html.unescape, re.findall(r"<pre>(.*?)</pre>", page))
    assert [one["id"] for one in client.get(api).json["posts"]] == shown
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "tweeter", "search"]
    printed = person.run("search", "--json", *words[4:]).stdout
    assert [json.loads(line)["id"] for line in printed.splitlines()] == shown
    assert len(shown) == 4

    told = person.run("search", "storm", "--limit", "2", "-o", "csv")
    assert (told.exit_code, told.stderr) == (0, "8 posts.\n")
    lines = told.stdout.splitlines()
    assert lines[0].startswith("id,network,occurred_at,")
    assert "\"'=SUM(1) storm" in told.stdout  # no spreadsheet computes it
    assert person.run("search", "volcano").stderr == "0 posts.\n"
    wrong = person.run("search", "storm OR (flood")
    assert (wrong.exit_code, wrong.stderr.splitlines()[1]) == (2, "  " + " " * 9 + "^")
    wrong = person.run("search", "storm", "--since=2d", "--until=3d")
    assert (wrong.exit_code, "ends before it begins" in wrong.stderr) == (2, True)
    wrong = person.run("search", "storm", "--keyword=999")
    assert (wrong.exit_code, "There is no keyword 999." in wrong.stderr) == (7, True)
    assert person.run("search", "--lang", "1").exit_code == 2


def test_the_command_says_what_was_covered(person: Person) -> None:
    keywords.add(person.engine, "storm")
    store(person.engine, follow(person.engine, gap_s=(600, 1200)), post(1))
    times = ("--since", iso(AT), "--until", iso(AT + 3_600_000_000))
    assert person.run("search", "storm", *times).stderr == "≥ 1 post, 83.3 % covered.\n"


def test_the_index_is_deleted_only_where_it_is_off(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(person.engine)
    wrong = person.run("db", "drop-index", "--yes")
    assert wrong.exit_code == 2
    assert "Set TWEETER_SEARCH_INDEX=false first" in wrong.stderr
    monkeypatch.setenv("TWEETER_SEARCH_INDEX", "false")
    assert person.run("db", "drop-index", given="n\n").exit_code == 1
    assert person.run("search", "storm").stderr == "8 posts.\n"
    assert person.run("db", "drop-index", "--yes").exit_code == 0
    found = person.run("search", "storm", "--limit", "2", "-o", "jsonl")
    assert found.stderr.startswith(
        "8 posts.\nPosts from 18 Nov 2026 11:06:40 UTC on are stored without"
    )
    assert len(found.stdout.splitlines()) == 2
    workers.beat(person.engine, owner(), "worker1@here")
    wrong = person.run("db", "drop-index", "--yes")
    assert (wrong.exit_code, "1 worker runs. Stop tweeter first." in wrong.stderr) == (2, True)
