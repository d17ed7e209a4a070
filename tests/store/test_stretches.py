"""What is counted of a stretch that begins and ends anywhere is what a recount finds in it."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine, RowMapping, select

from tests.store.posts import AT, post, store, take
from tweeter.records import Link
from tweeter.statistics import edges, narrowed, panels, report, spans
from tweeter.statistics.keeping import KEEPER
from tweeter.statistics.panels import Panel
from tweeter.statistics.volume import Question
from tweeter.store import cells, keywords
from tweeter.store.cells import DAY, HOUR, MINUTE, US
from tweeter.store.engine import reading
from tweeter.store.keywords import KeywordRow
from tweeter.store.schema import posts as post_table
from tweeter.store.sums import Narrow

BEGIN = AT // US // DAY * DAY
POSTS = 700  # over three days


@pytest.fixture
def storm(engine: Engine) -> Iterator[KeywordRow]:
    KEEPER.forget()
    dice = random.Random(7)
    row = keywords.add(engine, "storm")
    store(
        engine,
        take(engine),
        *(
            post(
                n,
                occurred_at=BEGIN * US + dice.randrange(3 * DAY * US),
                network=dice.choice(("bluesky", "x")),
                lang=dice.choice(("en", "de", "")),
                tags=tuple({f"t{dice.randrange(40)}", f"t{dice.randrange(4)}"}),
                links=(Link(url=f"https://a.example/{dice.randrange(30)}"),),
                author_id=f"did:plc:{dice.randrange(25)}",
            )
            for n in range(POSTS)
        ),
    )
    yield keywords.get(engine, row.id)
    KEEPER.forget()


Rows = Sequence[RowMapping]


def stored(engine: Engine, networks: Sequence[str] = ()) -> Rows:
    with reading(engine) as connection:
        rows = connection.execute(select(post_table)).mappings().all()
    return [row for row in rows if not networks or row["network"] in networks]


def between(rows: Rows, times: tuple[int, int]) -> Rows:
    return [row for row in rows if times[0] * US <= row["occurred_at"] < times[1] * US]


def values_of(rows: Rows, facet: str) -> Counter[str]:
    return Counter(value for row in rows for name, value in cells.facets(row) if name == facet)


def is_a_recount(rows: Rows, panel: Panel, before: tuple[int, int]) -> None:
    now = between(rows, (panel.since, panel.until))
    earlier = values_of(between(rows, before), panel.facet)
    counted = values_of(now, panel.facet)
    most = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[: narrowed.TOP]
    assert [(one.value, one.posts) for one in panel.rows] == most
    assert [one.before for one in panel.rows] == [earlier[one.value] for one in panel.rows]
    assert (panel.distinct, panel.known) == (len(counted), len(now))
    assert all(0 < one.share <= 1 for one in panel.rows)


STRETCHES = [
    (0, 3 * DAY, 0),
    (5 * HOUR + 30 * MINUTE, 29 * HOUR + 41 * MINUTE, 0),
    (7_777, 2 * DAY + 4_321, HOUR),
    (DAY + 22 * HOUR + 330, 2 * DAY + 99, 6 * HOUR),
    (DAY - 3_000, DAY + 2_000, 0),
    (DAY + 23 * HOUR + 58 * MINUTE, DAY + 24 * HOUR - MINUTE, 0),
    (DAY + 5 * MINUTE, DAY + 45 * MINUTE, DAY),
    (DAY + 61, 3 * DAY - 61, 7 * DAY),
]


@pytest.mark.parametrize(("since", "until", "size"), STRETCHES)
def test_every_number_is_of_the_stretch_that_it_names(
    engine: Engine, storm: KeywordRow, since: int, until: int, size: int
) -> None:
    span = spans.cut(BEGIN + since, BEGIN + until, size)
    before = span.before().asked
    for narrow in (Narrow(), Narrow(network=("x",))):
        question = Question(span=span, narrow=narrow, compare="previous")
        found = report.of_keyword(engine, storm, question)
        every = stored(engine, narrow.network)
        rows = between(every, span.asked)
        volume = found.volume
        assert volume.total == len(rows)
        (line,) = volume.others
        assert volume.before == line.total == len(between(every, before))
        assert sum(map(sum, found.hours.posts)) == len(rows)
        assert sum(found.shares["lang"].values()) == len(rows)
        for bucket in range(span.count):
            inside = between(rows, span.inside(bucket))
            assert sum(one.posts[bucket] for one in volume.stacks) == len(inside)
        for panel in found.panels:
            assert (panel.since, panel.until) == span.asked
            is_a_recount(every, panel, before)


@pytest.mark.parametrize(
    ("since", "until", "counted", "before"),
    [
        (HOUR // 2 + DAY, DAY + 5 * HOUR + 60, (1, 5), (-4, 0)),
        (DAY + 1_800, DAY + 4_000, (0, 2), (-2, 0)),
    ],
)
def test_of_many_posts_whole_hours_stand_for_a_stretch_and_are_compared_with_others(
    engine: Engine,
    storm: KeywordRow,
    monkeypatch: pytest.MonkeyPatch,
    since: int,
    until: int,
    counted: tuple[int, int],
    before: tuple[int, int],
) -> None:
    monkeypatch.setattr(edges, "MOST", 2)
    span = spans.cut(BEGIN + since, BEGIN + until)
    found = panels.panels(engine, storm.id, Question(span=span), 0)
    hours, earlier = (
        (BEGIN + DAY + first * HOUR, BEGIN + DAY + last * HOUR) for first, last in (counted, before)
    )
    for panel in found.values():
        assert (panel.since, panel.until) == hours
        is_a_recount(stored(engine), panel, earlier)


def test_a_filter_of_a_value_is_of_whole_hours_and_says_so(
    engine: Engine, storm: KeywordRow
) -> None:
    span = spans.cut(BEGIN + 4_000, BEGIN + DAY + 4_000, HOUR, whole=HOUR)
    assert span.asked == (BEGIN + HOUR, BEGIN + DAY + 2 * HOUR)
    found = report.of_keyword(engine, storm, Question(span=span, which=("tag", "t1")))
    assert found.volume.total == values_of(between(stored(engine), span.asked), "tag")["t1"]
