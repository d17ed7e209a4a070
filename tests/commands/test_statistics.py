"""`tweeter stats`: what it prints, and how it fails."""

from tests.commands.conftest import Person
from tests.store.posts import post, store, take
from tweeter.cli_statistics import line
from tweeter.records import now_us
from tweeter.store import keywords
from tweeter.views.show import exact


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


def test_what_cannot_be_asked_is_said(person: Person) -> None:
    assert person.run("stats", "9").exit_code == 7
    keywords.add(person.engine, "storm")
    wrong = person.run("stats", "1", "--since", "1h", "--until", "2h")
    assert (wrong.exit_code, "ends before it begins" in wrong.stderr) == (2, True)


def test_bars_of_a_terminal() -> None:
    assert line([]) == line([0, 0]) == ""
    assert line([0, 1, 7]) == " ▂█"
    assert len(line(list(range(300)))) <= 80
