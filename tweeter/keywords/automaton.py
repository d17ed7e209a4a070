"""All words of all keywords in one look at a text: by ahocorasick_rs, or by Python.

With Python's a post takes four times as long; it is for machines that ahocorasick_rs has no wheel
for. Both find the same (tests/keywords/test_automaton.py).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

try:
    import ahocorasick_rs
except ImportError:
    ahocorasick_rs = None  # type: ignore[assignment]

Hit = tuple[int, int, int]  # the number of a pattern, and where it begins and ends
Find = Callable[[str], Iterable[Hit]]

BEGIN = 4  # characters by which Python looks up what may begin at a place


def finder(patterns: Sequence[str]) -> Find:
    """Finds each place of each pattern in a text, also those that overlap. No pattern is empty,
    and none stands there twice.
    """
    if ahocorasick_rs is None:
        return Beginnings(patterns)
    # A contiguous NFA: measured best in speed for its memory.
    automaton = ahocorasick_rs.AhoCorasick(
        list(patterns),
        implementation=ahocorasick_rs.Implementation.ContiguousNFA,
        matchkind=ahocorasick_rs.MatchKind.Standard,
    )
    return partial(automaton.find_matches_as_indexes, overlapping=True)


class Beginnings:
    """Looks up, at each place of a text, how long the patterns are that begin as it does there."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._numbers = {pattern: number for number, pattern in enumerate(patterns)}
        sizes: dict[str, set[int]] = {}
        short: set[int] = set()
        for pattern in patterns:
            if len(pattern) < BEGIN:
                short.add(len(pattern))
            else:
                sizes.setdefault(pattern[:BEGIN], set()).add(len(pattern))
        self._sizes = {beginning: tuple(sorted(some)) for beginning, some in sizes.items()}
        self._short = tuple(sorted(short))

    def __call__(self, text: str) -> list[Hit]:
        found: list[Hit] = []
        numbers, longer, short = self._numbers, self._sizes, self._short
        for start in range(len(text)):
            for size in (*short, *longer.get(text[start : start + BEGIN], ())):
                end = start + size
                number = numbers.get(text[start:end])
                if number is not None and end <= len(text):
                    found.append((number, start, end))
        return found
