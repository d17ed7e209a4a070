"""`tweeter stats`: what it prints, and how it fails."""

import re
from collections import Counter

from tests.commands.conftest import Person, follow
from tests.store.posts import post, store, take
from tweeter import config
from tweeter.cli_statistics import line
from tweeter.keywords import Matcher
from tweeter.records import now_us
from tweeter.store import batches, keywords
from tweeter.store.batches import Batch
from tweeter.store.engine import reading
from tweeter.views.show import exact
from tweeter.web import create_app


def test_the_numbers_of_a_keyword(person: Person) -> None:
    keywords.add(person.engine, "storm")
    hour = 3_600_000_000
    now = now_us()
    posts = [post(n, occurred_at=now - n * hour, tags=("wind",)) for n in range(1, 6)]
    store(person.engine, take(person.engine), *posts)
    shown = person.run("stats", "1", "--range", "day").stdout
    assert "5 posts" in shown
    assert "#wind" in shown
    (found,) = person.json("stats", "1", "--since", "3h", "--bucket", "3600", "--by", "nothing")
    (series,) = found["volume"]["stacks"]
    assert sum(series["posts"]) in (3, 4)  # whole hours: the oldest may be inside the first one
    span = found["volume"]["span"]
    assert span["since"] <= (exact(now - 3 * hour) or "") < span["until"]


def test_keywords_are_compared_by_an_index_and_by_their_shares(person: Person) -> None:
    for expression in ("storm", "flood"):
        keywords.add(person.engine, expression)
    hour = 3_600_000_000
    now = now_us() // hour * hour
    with reading(person.engine) as connection:
        revision = keywords.revision(connection)
    matcher = Matcher(keywords.active(person.engine)[1])
    some = [post(n, "storm", occurred_at=now - n * hour) for n in range(1, 7)]
    some += [post(10 + n, "flood storm", occurred_at=now - n * hour) for n in range(1, 4)]
    items = [(one, tuple(matcher.match(one))) for one in some]
    counts: Counter[str] = Counter()
    batch = Batch(items=items, counts=counts, rejected=[], revision=revision)
    batches.commit(person.engine, follow(person.engine), batch)
    times = ("--since", exact(now - 6 * hour) or "", "--until", exact(now) or "")
    compared = ("1", "--with", "2", *times, "--bucket", "3600")
    (found,) = person.json("stats", *compared, "--index")
    assert [one["mean"] for one in found["volume"]["indexes"]] == [1.5, 0.5]
    assert found["volume"]["indexes"][1]["values"] == [0, 0, 0, 200, 200, 200]
    shown = person.run("stats", *compared, "--index").stdout
    assert re.search("storm +9  100 = 1.5 a 60 min", shown) or "100 = 1.5 a 1 h" in shown
    assert re.search("flood +3  100 = 0.5 a", shown)
    assert "   ███" in shown

    (voice,) = person.json("stats", *compared, "--shares")
    client = create_app(config.load(), person.engine).test_client()
    query = f"with=1&with=2&from={times[1]}&to={times[3]}&bucket=3600"
    assert voice == client.get(f"/api/v1/overview/shares?{query}").json["voice"]
    assert voice["totals"] == [9, 3]
    shown = person.run("stats", *compared, "--shares").stdout
    assert re.search(r"storm +9 +75.0 %", shown)
    assert re.search(r"flood +3 +25.0 %", shown)
    assert person.run("stats", *compared, "--shares", "--index").exit_code == 2
    alone = person.run("stats", "1", "--shares")
    assert (alone.exit_code, "at least 2 keywords" in alone.stderr) == (2, True)


def test_what_cannot_be_asked_is_said(person: Person) -> None:
    assert person.run("stats", "9").exit_code == 7
    keywords.add(person.engine, "storm")
    wrong = person.run("stats", "1", "--since", "1h", "--until", "2h")
    assert (wrong.exit_code, "ends before it begins" in wrong.stderr) == (2, True)


def test_bars_of_a_terminal() -> None:
    assert line([]) == line([0, 0]) == ""
    assert line([0, 1, 7]) == " ▂█"
    assert len(line(list(range(300)))) <= 80
