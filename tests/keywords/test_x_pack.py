"""Packing keeps every post, within X's limits, in as few rules as can be shown to be enough."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweeter.keywords.x_limits import PLANS
from tweeter.keywords.x_pack import TooManyRules, delivered, difference, lower_bound, pack
from tweeter.keywords.x_rules import pieces_of

terms = st.sampled_from(["a", "b", "c", "-a", "-b", '"a b"', "(a OR c)", "lang:en"])
pieces = st.lists(terms, min_size=1, max_size=3, unique=True).map(" ".join)
pieces = pieces.filter(lambda piece: not piece.startswith("-"))
FACTS = ["a", "b", "c", '"a b"', "lang:en"]


def delivers(piece: str, facts: set[str]) -> bool:
    """A piece of the terms above against a post that is a set of facts; the obvious way."""
    text = piece.replace("(a OR c)", "PAREN").replace('"a b"', "PHRASE")
    for term in text.split(" "):
        wanted = not term.startswith("-")
        name = {"PAREN": "(", "PHRASE": '"a b"'}.get(term, term.removeprefix("-"))
        found = ("a" in facts or "c" in facts) if name == "(" else name in facts
        if found != wanted:
            return False
    return True


@given(st.lists(pieces, max_size=12), st.lists(pieces, max_size=6), st.integers(25, 60))
def test_the_rules_deliver_exactly_what_the_pieces_do(
    wanted: list[str], before: list[str], limit: int
) -> None:
    present = pack(before, limit=limit).rules
    packed = pack(wanted, limit=limit, present=present)
    assert all(len(rule) <= limit for rule in packed.rules)
    assert len(packed.rules) >= packed.lower_bound
    inside = [piece for rule in packed.rules for piece in pieces_of(rule)]
    assert len(inside) == len(set(inside))
    assert set(inside) <= set(wanted)
    for mask in range(1 << len(FACTS)):
        facts = {fact for n, fact in enumerate(FACTS) if mask >> n & 1}
        assert any(delivers(p, facts) for p in inside) == any(delivers(p, facts) for p in wanted)
    assert packed == pack(wanted[::-1], limit=limit, present=present[::-1])


@given(st.lists(st.integers(1, 100), max_size=9))
def test_the_lower_bound_is_one(sizes: list[int]) -> None:
    assert lower_bound(sizes, 100) <= fewest(sorted(sizes, reverse=True), [])


def fewest(sizes: list[int], bins: list[int]) -> int:
    """The true optimum, by trying everything."""
    if not sizes:
        return len(bins)
    first, *rest = sizes
    need = first + 4
    best = fewest(rest, [*bins, need])
    for n, used in enumerate(bins):
        if used + need <= 104 and used not in bins[:n]:
            best = min(best, fewest(rest, [*bins[:n], used + need, *bins[n + 1 :]]))
    return best


def invented(count: int) -> list[str]:
    """Pieces as people's keywords give: words, phrases, some long, seeded."""
    dice = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"

    def word() -> str:
        return "".join(dice.choices(letters, k=dice.randint(4, 11)))

    found = []
    for n in range(count):
        kind = dice.random()
        if kind < 0.6:
            found.append(f"{word()}{n}")
        elif kind < 0.8:
            found.append(f'"{word()} {word()}{n}"')
        else:
            found.append(" ".join([f"{word()}{n}", *(word() for _ in range(dice.randint(1, 12)))]))
    return found


def test_ten_thousand_keywords_need_as_few_rules_as_any_packing() -> None:
    wanted = invented(10_000)
    began_s = time.process_time()
    packed = pack(wanted, limit=1024, max_rules=1000)
    assert len(packed.rules) == packed.lower_bound
    assert time.process_time() - began_s < 10  # hangs are faults; the speed is measured in bench


def test_a_new_keyword_changes_one_rule_and_a_removed_one_too() -> None:
    wanted = invented(2_000)
    before = pack(wanted, limit=1024).rules
    present = {rule: str(n) for n, rule in enumerate(before)}
    after = pack([*wanted, "somethingnew"], limit=1024, present=before).rules
    add, delete = difference(present, after)
    assert (len(add), len(delete)) in ((1, 1), (1, 0))
    after = pack(wanted[1:], limit=1024, present=before).rules
    add, delete = difference(present, after)
    assert len(add) <= 1
    assert len(delete) == 1


def test_rules_that_grew_sparse_are_packed_anew() -> None:
    wanted = invented(2_000)
    before = pack(wanted, limit=1024).rules
    fresh = pack(wanted[::7], limit=1024).rules
    after = pack(wanted[::7], limit=1024, present=before).rules
    assert len(after) <= len(fresh) + max(1, len(fresh) // 10)


def test_a_small_plan_says_what_is_needed() -> None:
    plan = PLANS["small"]
    wanted = invented(2_000)
    with pytest.raises(TooManyRules) as caught:
        pack(wanted, limit=plan.characters, max_rules=plan.rules)
    assert caught.value.needed > plan.rules
    assert len(pack(wanted[:300], limit=plan.characters, max_rules=plan.rules).rules) <= 25


def test_groups_and_quotes_are_not_torn() -> None:
    rule = 'a (b OR c) OR "x OR y" OR d'
    assert pieces_of(rule) == ["a (b OR c)", '"x OR y"', "d"]


def test_a_piece_is_delivered_by_itself_or_by_a_wider_one_that_is_there() -> None:
    pieces = ["cat", "cat -dog", 'cat "new york"', "dog", "storm -sale"]
    assert delivered(pieces, ["cat"]) == {"cat", "cat -dog", 'cat "new york"'}
    assert delivered(pieces, ["cat -dog", "storm"]) == {"cat -dog", "storm -sale"}
    assert delivered(pieces, []) == set()
