"""What a stream claims of its line after it slept, turns that wait for the database, and what the
ledger was told of keywords.
"""

import pytest

from tweeter import line
from tweeter.line import Line, Told, Unsaid
from tweeter.records import Keyword
from tweeter.store.ledger import Missing, Turn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that nobody sets; clock[0] is now."""
    now = [1_000.0]
    monkeypatch.setattr(line, "awake_s", lambda: now[0])
    return now


def test_a_line_that_is_heard_is_sure_up_to_its_last_byte(clock: list[float]) -> None:
    one = Line()
    for at in range(10, 100, 10):
        clock[0] += 10
        one.heard(at)
        assert one.sure_until(at + 10) == at + 10


def test_after_a_sleep_the_line_is_in_doubt_until_it_has_stayed_open(clock: list[float]) -> None:
    one = Line()
    clock[0] += 3_600  # the lid was closed; then what lay in buffers is read
    one.heard(500)
    clock[0] += 1
    one.heard(4_100)
    assert one.sure_until(4_101) == 500, "the network may have hung up an hour ago"
    clock[0] += line.PROVEN_S
    one.heard(4_102)
    assert one.sure_until(4_103) == 4_103


def test_two_sleeps_in_a_row_are_doubted_from_the_first(clock: list[float]) -> None:
    one = Line()
    clock[0] += 100
    one.heard(500)
    clock[0] += 10
    one.doubt(9_000)
    assert one.sure_until(9_500) == 500


def test_after_a_pause_the_line_is_soon_sure_again(clock: list[float]) -> None:
    one = Line()
    clock[0] += 5
    one.doubt(100, 2)
    assert one.sure_until(5_100) == 100, "what came meanwhile is not read yet"
    clock[0] += 1
    one.doubt(6_000, 2)
    assert one.sure_until(6_100) == 100, "it hardly ran in between"
    clock[0] += 2
    assert one.sure_until(9_000) == 9_000


def turn(state: str, at: int) -> Turn:
    return Turn(state=state, cause="", at=at)


def test_turns_are_entered_in_order_and_kept_while_the_database_is_away() -> None:
    waiting, entered, away = Unsaid(), [], [True]

    def write(one: Turn) -> None:
        if away[0]:
            raise ConnectionError
        entered.append(one.at)

    for at in range(3):
        waiting.add(turn("down", at))
        with pytest.raises(ConnectionError):
            waiting.enter(write)
    away[0] = False
    waiting.enter(write)
    assert entered == [0, 1, 2]
    assert not waiting


def test_too_many_turns_join_gaps_and_never_drop_one() -> None:
    waiting, entered = Unsaid(), []
    for at in range(10_000):
        waiting.add(turn("down" if at % 2 == 0 else "live", at))
    assert len(waiting) <= line.UNSAID + 1
    waiting.enter(entered.append)
    gaps, since = [], None
    for one in entered:
        if one.state == "down" and since is None:
            since = one.at
        elif one.state == "live" and since is not None:
            gaps.append((since, one.at))
            since = None
    for began in range(0, 10_000, 2):
        assert any(a <= began and began + 1 <= b for a, b in gaps), began


def test_what_a_network_no_longer_had_stays_between_its_turns() -> None:
    waiting, entered = Unsaid(), []
    for at in range(0, 2 * line.UNSAID, 2):
        waiting.add(turn("down", at))
        waiting.add(turn("live", at + 1))
    lost = Missing(since=7, until=8, read_until=7, words="gone")
    last = [turn("live", 2_001), lost, turn("down", 2_002)]
    for one in last:
        waiting.add(one)
    waiting.enter(entered.append)
    assert entered[-3:] == last


def test_of_keywords_only_news_is_told_and_after_a_change_all_is_news() -> None:
    told, active = Told(), ("active", "")
    storm, cat = Keyword(id=1, expression="storm"), Keyword(id=2, expression="cat")
    told.keywords_changed([storm, cat])
    assert told.news({1: active, 2: active}) == {1: active, 2: active}
    assert told.news({1: active, 2: active}) == {}
    told.keywords_changed([Keyword(id=1, expression="storm", changed_at=7), cat])
    assert told.news({1: active, 2: active}) == {1: active}
    told.keywords_changed([cat])
    told.keywords_changed([storm, cat])
    assert told.news({1: active, 2: active}) == {1: active}


def test_what_the_ledger_did_not_take_is_news_again() -> None:
    told, pending, active = Told(), ("pending", "X waits."), ("active", "")
    told.keywords_changed([Keyword(id=1, expression="storm")])
    first = told.news({1: pending})
    assert told.news({1: active})
    told.forget(first)  # late: meanwhile the next was told
    assert told.news({1: active}) == {}
    told.forget({1: active})
    assert told.news({1: active}) == {1: active}
