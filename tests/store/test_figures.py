"""Totals stand for what the ledger says: the quick sums equal the stretches, one by one."""

import random

import pytest
from sqlalchemy import Engine, update

from tests.store.posts import AT, take
from tweeter.store import (
    coverage,
    figures,
    keyword_ledger,
    keywords,
    ledger,
    look_backs,
    past,
    streams,
)
from tweeter.store.engine import writing
from tweeter.store.figures import Figure
from tweeter.store.keywords import Options
from tweeter.store.ledger import Turn
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import streams as stream_table

S = 1_000_000


@pytest.mark.parametrize("seed", range(2))
def test_the_share_of_a_list_equals_the_ledger_of_each_keyword(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    ids = [keywords.add(engine, word).id for word in ("storm", "flood")]
    ids.append(keywords.add(engine, "hail", Options(networks=("bluesky",))).id)
    taken = [take(engine, name) for name in ("one", "two")]
    with writing(engine) as connection:
        connection.execute(update(stream_table).values(covered_until=AT))
        for n, keyword_id in enumerate(ids):
            connection.execute(
                update(keyword_table)
                .where(keyword_table.c.id == keyword_id)
                .values(created_at=AT + n * 7 * S)
            )
    for lease in taken:
        at = AT
        for _ in range(20):
            state, outcome = chance.choice(
                [("live", ""), ("down", "lost"), ("down", "replayed"), ("limited", "repairing")]
            )
            turn = Turn(state=state, cause=str(at), at=at, outcome=outcome)
            ledger.enter(engine, lease, turn)
            at += chance.randrange(1, 9) * S
    with writing(engine) as connection:
        for keyword_id in ids:
            for at in sorted(chance.sample(range(90), 4)):
                state = chance.choice(["paused", "active", "over_budget"])
                network = chance.choice(["", "bluesky"])
                keyword_ledger.turn(
                    connection, keyword_id, state, "w", AT + at * S, network=network
                )
    look_backs.ask_for_new_keywords(engine, 24 * 3650)
    job = past.claim(engine, past.waiting(engine)[0], "host|boot|1|1")
    assert job is not None
    past.clamped(engine, job, AT + 50 * S)  # the network had the end of the range, on one stream
    past.finish(engine, job)
    for since, until in ((0, AT + 95 * S), (AT + 30 * S, AT + 60 * S), (AT + 59 * S, AT + 60 * S)):
        found = figures.of_keywords(engine, ids, since, until)
        for keyword_id in ids:
            lines = coverage.of_keyword(engine, keyword_id, since, until)
            covered = sum(line.covered_s for line in lines)
            whole = covered + sum(line.missed_s for line in lines)
            wanted = covered / whole if whole else None
            assert found[keyword_id].covered == (wanted and pytest.approx(wanted)), (since, until)
            longer = coverage.of_keyword(engine, keyword_id, AT - 5 * S, AT + 95 * S)
            assert not since or coverage.between(longer, since, until) == lines
    assert len(streams.list_all(engine)) == 2


def test_only_the_whole_is_a_hundred() -> None:
    assert Figure(covered=0.99999).words(2) == "≥ 2 posts, 99.9 % covered"
    assert Figure(covered=0.0).words(0) == "≥ 0 posts, 0.0 % covered"
    assert Figure(covered=1.0).words(1) == "1 post"
    assert Figure(covered=None).words(12_480) == "12,480 posts"
