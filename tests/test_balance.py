"""Slots share the streams: nobody takes all, nothing stays free, and no stream wanders for ever."""

from collections.abc import Iterable

from tweeter.balance import Balance
from tweeter.store.shares import Shares


class Hall:
    """Slots and streams, a tick a second, without a database. fixed streams cannot move."""

    def __init__(self, streams: int, *, fixed: Iterable[int] = ()) -> None:
        self.holder: dict[int, str] = dict.fromkeys(range(streams), "")
        self.fixed = set(fixed)
        self.slots: dict[str, Balance] = {}
        self.can: dict[str, set[int]] = {}
        self.now_s = 0.0
        self.moves = 0

    def add(self, name: str, can: Iterable[int] | None = None) -> None:
        self.slots[name] = Balance(name)
        self.can[name] = set(self.holder if can is None else can)

    def end(self, name: str) -> None:
        del self.slots[name]
        self.holder = {n: "" if held == name else held for n, held in self.holder.items()}

    def loads(self) -> list[int]:
        return sorted(list(self.holder.values()).count(name) for name in self.slots)

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now_s += 1
            for name, balance in self.slots.items():
                shares = self.shares(name)
                for stream in balance.take(shares, self.now_s):
                    assert self.holder[stream] == ""
                    self.holder[stream] = name
                    self.moves += 1
                movable = [
                    n for n, held in self.holder.items() if held == name and n not in self.fixed
                ]
                gone = balance.give(self.shares(name), movable, self.now_s)
                if gone is not None:
                    self.holder[gone] = ""

    def shares(self, name: str) -> Shares:
        held = list(self.holder.values())
        return Shares(
            free=[n for n, who in self.holder.items() if not who and n in self.can[name]],
            total=len(self.can[name]),
            held={slot: held.count(slot) for slot in self.slots},
        )


def test_slots_that_begin_together_take_equal_shares_at_once() -> None:
    hall = Hall(6)
    hall.add("a")
    hall.add("b")
    hall.tick()
    assert hall.loads() == [3, 3]


def test_a_slot_that_comes_later_is_given_its_share_slowly_and_then_nothing_moves() -> None:
    hall = Hall(6)
    hall.add("a")
    hall.tick(2)
    hall.add("b")
    hall.tick(8)
    assert hall.loads() == [0, 6], "a worker that starts again is no reason to move streams"
    hall.tick(40)
    assert hall.loads() == [3, 3]
    moves = hall.moves
    hall.tick(600)
    assert hall.moves == moves


def test_the_streams_of_a_dead_slot_are_taken_in_the_next_tick() -> None:
    hall = Hall(7)
    for name in "abc":
        hall.add(name)
    hall.tick()
    hall.end("b")
    hall.tick()
    assert "" not in hall.holder.values()
    assert hall.loads() == [3, 4]


def test_what_was_handed_over_comes_back_at_once_when_the_other_dies() -> None:
    hall = Hall(6)
    hall.add("a")
    hall.tick(2)
    hall.add("b")
    while hall.loads() != [3, 3]:
        hall.tick()
    hall.end("b")
    hall.tick()
    assert hall.loads() == [6]


def test_streams_that_cannot_replay_stay_where_they_are() -> None:
    hall = Hall(4, fixed=range(3))
    hall.add("a")
    hall.tick(2)
    hall.add("b")
    hall.tick(60)
    assert [hall.holder[n] for n in range(4)] == ["a", "a", "a", "b"]


def test_what_only_one_can_follow_is_above_its_share_and_stays() -> None:
    hall = Hall(4)
    hall.add("a")
    hall.add("b", can=())  # it lacks the tokens
    hall.tick(4)
    assert hall.loads() == [0, 4]
    hall.tick(300)
    moves = hall.moves
    assert moves <= 4 + 4, "each was offered once"
    hall.tick(100)
    assert hall.moves == moves
    assert "" not in hall.holder.values()
