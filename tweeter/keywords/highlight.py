"""Where in a text the words of a keyword stand, for people: in the text as it was written."""

import bisect
from collections.abc import Iterable, Iterator

from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.haystack import EDGE
from tweeter.keywords.nodes import And, Field, Node, Not, Or, Text, pattern
from tweeter.keywords.normalise import normalise

CHARACTERS = 2_000  # of a text that are looked at
WORK = (
    300_000  # characters that are normalised for one text: what is found after them is not marked
)


def texts_of(node: Node) -> list[Text]:
    """The words, tags and names of an expression that count for it (not those after NOT)."""
    if isinstance(node, And | Or):
        return [atom for child in node.nodes for atom in texts_of(child)]
    return [] if isinstance(node, Not | Field) else [node]


def marks(text: str, node: Node) -> list[tuple[int, int]]:
    """(start, end) of each word that was found, ascending, without overlaps."""
    text = text[:CHARACTERS]
    hay = f"{EDGE}{normalise(text)}{EDGE}"
    found = []
    for atom in texts_of(node):
        wanted, kind = pattern(atom)
        start = hay.find(wanted)
        while start >= 0:
            end = start + len(wanted)
            if stands_alone(hay, start, end, kind):
                found.append((start - 1, end - 1))  # the edge is no part of the text
            start = hay.find(wanted, start + 1)
    return _joined(_as_written(text, found)) if found else []


def _as_written(text: str, found: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Places in the normalised text as places in the text itself, as far as WORK allows.

    The normalised length of each beginning of the text only grows, so it can be searched.
    """
    lengths: dict[int, int] = {}
    places = range(len(text) + 1)

    def length(place: int) -> int:
        if place not in lengths:
            lengths[place] = len(normalise(text[:place]))
        return lengths[place]

    for start, end in sorted(found):
        yield (
            bisect.bisect_right(places, start, key=length) - 1,
            bisect.bisect_left(places, end, key=length),
        )
        if sum(lengths.values()) > WORK:
            return


def _joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
