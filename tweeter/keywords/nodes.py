"""The tree of a keyword expression, and what can be said of it without a text."""

from collections.abc import Iterator
from itertools import islice, product

import msgspec

from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.haystack import EDGE
from tweeter.keywords.normalise import normalise

ALTERNATIVES = 256  # ways to match that are tried, to find that there is none


class Word(msgspec.Struct, frozen=True):
    """A word or phrase, as written."""

    text: str


class Tag(msgspec.Struct, frozen=True):
    """A hashtag, without "#"."""

    text: str


class Mention(msgspec.Struct, frozen=True):
    """A name, without "@"."""

    text: str


class Not(msgspec.Struct, frozen=True):
    """Matches where `node` does not."""

    node: "Node"


class And(msgspec.Struct, frozen=True):
    """Matches where all do; at least two."""

    nodes: "tuple[Node, ...]"


class Or(msgspec.Struct, frozen=True):
    """Matches where one does; at least two."""

    nodes: "tuple[Node, ...]"


Atom = Word | Tag | Mention
Node = Word | Tag | Mention | Not | And | Or

KINDS = {Word: "word", Tag: "tag", Mention: "mention"}
_SIGNS = {Word: "", Tag: "#", Mention: "@"}


def pattern(atom: Atom) -> tuple[str, str]:
    """What to look for in a haystack, and how it must stand: (text, kind)."""
    return _SIGNS[type(atom)] + normalise(atom.text), KINDS[type(atom)]


def pushed_down(node: Node, negate: bool = False) -> Node:
    """The same meaning with NOT only before atoms (De Morgan), and groups of a kind joined."""
    if isinstance(node, Not):
        return pushed_down(node.node, not negate)
    if not isinstance(node, And | Or):
        return Not(node) if negate else node
    kind = Or if isinstance(node, And) == negate else And
    inner: list[Node] = []
    for child in node.nodes:
        done = pushed_down(child, negate)
        inner.extend(done.nodes if isinstance(done, kind) else (done,))
    return kind(tuple(inner))


def needs_something(node: Node) -> bool:
    """True if every way to match needs something to be there; False for `NOT cat`."""
    node = pushed_down(node)
    if isinstance(node, And):
        return any(needs_something(child) for child in node.nodes)
    if isinstance(node, Or):
        return all(needs_something(child) for child in node.nodes)
    return not isinstance(node, Not)


def holds(node: Node, haystack: str) -> bool:
    """Whether an expression matches a haystack: slow and obvious; the matcher is the fast one."""
    if isinstance(node, Not):
        return not holds(node.node, haystack)
    if isinstance(node, And):
        return all(holds(child, haystack) for child in node.nodes)
    if isinstance(node, Or):
        return any(holds(child, haystack) for child in node.nodes)
    wanted, kind = pattern(node)
    start = haystack.find(wanted)
    while start >= 0:
        if stands_alone(haystack, start, start + len(wanted), kind):
            return True
        start = haystack.find(wanted, start + 1)
    return False


def can_match(node: Node) -> bool:
    """False if no text can match, as with `cat NOT cat` or `"new york" NOT new`.

    Tries the first ALTERNATIVES ways to match, each with a text of just what it needs.
    """
    tried = 0
    for needed in _ways(pushed_down(node)):
        text = EDGE.join("".join(pattern(atom)[:1]) for atom in needed)
        if holds(node, f"{EDGE}{text}{EDGE}"):
            return True
        tried += 1
    return tried >= ALTERNATIVES


def _ways(node: Node) -> Iterator[tuple[Atom, ...]]:
    """The sets of atoms that must be there, one for each way to match; of a pushed-down tree."""
    if isinstance(node, Or):
        found = (way for child in node.nodes for way in _ways(child))
        yield from islice(found, ALTERNATIVES)
    elif isinstance(node, And):
        inner = [list(_ways(child)) for child in node.nodes]
        for ways in islice(product(*inner), ALTERNATIVES):
            yield tuple(atom for way in ways for atom in way)
    elif isinstance(node, Not):
        yield ()
    else:
        yield (node,)
