"""Many keywords in few rules: pieces joined by OR, as many as fit into a rule.

A piece is an alternative of a keyword. One that another piece implies is left out: every post
that `cat -dog "new york"` delivers is delivered by `cat` too. What is left is bin packing,
with " OR " as part of each piece: the better of best fit decreasing and of filling one rule
after the other to the brim, which with many small pieces meets the lower bound that is
reported beside it.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tweeter.errors import TweeterError
from tweeter.keywords.x_rules import OR, pieces_of, split_at

SPARE = 0.1  # a stable packing may have so many rules more than a fresh one


class TooManyRules(TweeterError):
    """The keywords need more rules than the plan allows."""

    def __init__(self, needed: int, allowed: int) -> None:
        self.needed, self.allowed = needed, allowed
        super().__init__(f"The keywords need {needed:,} rules at X, and {allowed:,} are allowed.")


class Packed(msgspec.Struct, frozen=True):
    """rules: what X is asked. lower_bound: no packing of these pieces has fewer rules."""

    rules: tuple[str, ...]
    lower_bound: int


def pack(
    pieces: Iterable[str], *, limit: int, present: Sequence[str] = (), max_rules: int = 0
) -> Packed:
    """Pack the pieces into rules of at most `limit` characters.

    present: the rules there now; those that are still wanted whole stay as they are, so that a
    new keyword changes few rules. Raises TooManyRules (max_rules 0: no limit). Deterministic.
    """
    wanted = without_implied(pieces)
    bound = lower_bound([len(piece) for piece in wanted], limit)
    stable = _stable(wanted, limit, present) if present else ()
    fresh_is_due = not present or len(stable) > bound + max(1, int(bound * SPARE))
    if fresh_is_due or (max_rules and len(stable) > max_rules):
        fresh = (_filled([], wanted, limit), _filled_to_the_brim(wanted, limit))
        stable = min([*([stable] if present else []), *map(tuple, fresh)], key=len)
    if max_rules and len(stable) > max_rules:
        raise TooManyRules(len(stable), max_rules)
    return Packed(stable, bound)


def difference(present: Mapping[str, str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """(rules to add, ids to delete) that turn the present rules (value -> id) into the wanted."""
    keep = set(wanted)
    return (
        [value for value in dict.fromkeys(wanted) if value not in present],
        [rule_id for value, rule_id in present.items() if value not in keep],
    )


def without_implied(pieces: Iterable[str]) -> list[str]:
    """The pieces once each, longest first, without those that another one implies.

    Sound, not complete: P is implied by Q if Q's terms are positive and all among P's. X joins
    terms by AND, so each post that has all of P's has all of Q's.
    """
    unique = sorted(set(pieces), key=lambda piece: (-len(piece), piece))
    terms = {piece: _terms(piece) for piece in unique}
    by_term = _by_term(terms.values())
    return [piece for piece in unique if not _implied(terms[piece], by_term)]


def delivered(pieces: Iterable[str], by: Iterable[str]) -> set[str]:
    """Those of the pieces whose posts these others deliver: among them, or implied by one."""
    there = set(by)
    by_term = _by_term(_terms(piece) for piece in there)
    return {p for p in pieces if p in there or _implied(_terms(p), by_term)}


def _by_term(pieces: Iterable[frozenset[str]]) -> dict[str, list[frozenset[str]]]:
    """The all-positive ones, each under its first term."""
    found: dict[str, list[frozenset[str]]] = {}
    for terms in pieces:
        if not any(term.startswith("-") for term in terms):
            found.setdefault(min(terms), []).append(terms)
    return found


def _implied(terms: frozenset[str], by_term: Mapping[str, list[frozenset[str]]]) -> bool:
    return any(other < terms for term in terms for other in by_term.get(term, ()))


def _terms(piece: str) -> frozenset[str]:
    """The terms that a piece joins by AND: words, phrases, operators, groups in parentheses."""
    return frozenset(map(str.casefold, split_at(" ", piece)))


def lower_bound(sizes: Sequence[int], limit: int) -> int:
    """The fewest rules that can hold pieces of these sizes: Martello and Toth's L2.

    Each piece takes its size and " OR ", each rule offers limit and one " OR ". For a
    threshold k: pieces over half of a rule need one each; those from k to a half fill what
    these leave, the rest need more.
    """
    room = limit + len(OR)
    taken = sorted(size + len(OR) for size in sizes)
    best = -(-sum(taken) // room)
    half = [size for size in taken if size > room / 2]
    for least in sorted({size for size in taken if size <= room / 2}):
        large = [size for size in half if size > room - least]
        medium = [size for size in half if size <= room - least]
        small = sum(size for size in taken if least <= size <= room / 2)
        left = sum(room - size for size in medium)
        best = max(best, len(large) + len(medium) + max(0, -(-(small - left) // room)))
    return max(best, len(half))


def _stable(wanted: Sequence[str], limit: int, present: Sequence[str]) -> tuple[str, ...]:
    """Keep the rules that are wanted whole; put what they lack into the others, and new ones."""
    left = dict.fromkeys(wanted)
    kept, torn = [], []
    for rule in sorted(present):
        pieces = pieces_of(rule)
        mine = [piece for piece in pieces if piece in left]
        for piece in mine:
            del left[piece]
        if len(mine) == len(pieces) and len(rule) <= limit:
            kept.append(rule)
        elif mine:
            torn.append(mine)
    # New pieces go into torn rules, which change anyhow, then into the emptiest one.
    open_rules = [OR.join(mine) for mine in torn if len(OR.join(mine)) <= limit]
    if not open_rules and left and kept:
        emptiest = min(kept, key=lambda rule: (len(rule), rule))
        kept.remove(emptiest)
        open_rules.append(emptiest)
    return (*kept, *_filled(open_rules, list(left), limit))


def _filled(rules: Sequence[str], pieces: Sequence[str], limit: int) -> list[str]:
    """Best fit: each piece, longest first, into the fullest rule that has room for it."""
    filled = [[rule] for rule in rules]
    # (room left, rule number), ascending; " OR " is counted with each piece.
    room = sorted((limit - len(rule), number) for number, rule in enumerate(rules))
    for piece in sorted(pieces, key=lambda piece: (-len(piece), piece)):
        needs = len(piece) + len(OR)
        at = bisect.bisect_left(room, (needs, -1))
        if at < len(room):
            left, number = room.pop(at)
            filled[number].append(piece)
        else:
            left, number = limit + len(OR), len(filled)
            filled.append([piece])
        bisect.insort(room, (left - needs, number))
    return [OR.join(mine) for mine in filled]


def _filled_to_the_brim(pieces: Sequence[str], limit: int) -> list[str]:
    """Rule by rule: the longest piece, then of the commonest size, the last ones to fit exactly.

    Taking the commonest keeps all sizes at hand to the end, so an exact fit is there to find.
    """
    by_size: dict[int, list[str]] = {}
    for piece in sorted(pieces, reverse=True):
        by_size.setdefault(len(piece) + len(OR), []).append(piece)
    filled = []
    while by_size:
        room, mine = limit + len(OR), list[str]()
        while sizes := _next_ones(by_size, room, first=not mine):
            for size in sizes:
                mine.append(by_size[size].pop())
                room -= size
                if not by_size[size]:
                    del by_size[size]
        filled.append(OR.join(mine))
    return filled


def _next_ones(by_size: Mapping[int, list[str]], room: int, *, first: bool) -> tuple[int, ...]:
    """Sizes to take next: one or two that fill the room exactly, else one that fits, else none."""
    if first:
        return (max(by_size),) if by_size else ()
    if room in by_size:
        return (room,)
    for size in by_size:
        other = room - size
        if other in by_size and (other != size or len(by_size[size]) > 1):
            return (size, other)
    fitting = [size for size in by_size if size <= room]
    return (max(fitting, key=lambda size: (len(by_size[size]), size)),) if fitting else ()
