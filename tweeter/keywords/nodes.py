"""The tree of a keyword expression, and what can be said of it without a text."""

from collections.abc import Iterable, Iterator, Set
from itertools import islice, product

import msgspec

from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.features import Feature, domains, languages
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


class Prefix(msgspec.Struct, frozen=True):
    """The beginning of a word, without "*"."""

    text: str


class Field(msgspec.Struct, frozen=True):
    """Something a post is or has, such as lang:en; name and value as in `features`."""

    name: str  # from, lang, is, has, url
    value: str


class Not(msgspec.Struct, frozen=True):
    """Matches where `node` does not."""

    node: "Node"


class And(msgspec.Struct, frozen=True):
    """Matches where all do; at least two."""

    nodes: "tuple[Node, ...]"


class Or(msgspec.Struct, frozen=True):
    """Matches where one does; at least two."""

    nodes: "tuple[Node, ...]"


Text = Word | Tag | Mention | Prefix  # looked for in the text
Atom = Text | Field
Node = Atom | Not | And | Or

KINDS = {Word: "word", Tag: "tag", Mention: "mention", Prefix: "prefix"}
_SIGNS = {Word: "", Tag: "#", Mention: "@", Prefix: ""}
NARROWING = ("lang", "is", "has")  # true of so many posts that they cannot stand alone


def pattern(atom: Text) -> tuple[str, str]:
    """What to look for in a haystack, and how it must stand: (text, kind)."""
    return _SIGNS[type(atom)] + normalise(atom.text), KINDS[type(atom)]


def opened(kind: type[And] | type[Or], nodes: Iterable[Node]) -> list[Node]:
    """The nodes, and in place of groups of this kind what is in them."""
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.nodes if isinstance(node, kind) else (node,))
    return flat


def pushed_down(node: Node, negate: bool = False) -> Node:
    """The same meaning with NOT only before atoms (De Morgan), and groups of a kind joined."""
    if isinstance(node, Not):
        return pushed_down(node.node, not negate)
    if not isinstance(node, And | Or):
        return Not(node) if negate else node
    kind = Or if isinstance(node, And) == negate else And
    return kind(tuple(opened(kind, (pushed_down(child, negate) for child in node.nodes))))


def needs_something(node: Node) -> bool:
    """True if every way to match needs a text, author or link; False for `NOT cat`, `lang:en`."""
    node = pushed_down(node)
    if isinstance(node, And):
        return any(needs_something(child) for child in node.nodes)
    if isinstance(node, Or):
        return all(needs_something(child) for child in node.nodes)
    if isinstance(node, Field):
        return node.name not in NARROWING
    return not isinstance(node, Not)


def holds(node: Node, haystack: str, features: Set[Feature] = frozenset()) -> bool:
    """Whether an expression matches a post: slow and obvious; the matcher is the fast one."""
    if isinstance(node, Not):
        return not holds(node.node, haystack, features)
    if isinstance(node, And):
        return all(holds(child, haystack, features) for child in node.nodes)
    if isinstance(node, Or):
        return any(holds(child, haystack, features) for child in node.nodes)
    if isinstance(node, Field):
        return (node.name, node.value) in features
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
        tried += 1
        features = together([atom for atom in needed if isinstance(atom, Field)])
        text = EDGE.join(pattern(atom)[0] for atom in needed if not isinstance(atom, Field))
        if features is not None and holds(node, f"{EDGE}{text}{EDGE}", features):
            return True
    return tried >= ALTERNATIVES


def together(fields: Iterable[Field]) -> Set[Feature] | None:
    """The features of a post that has all these; None if no post can."""
    features: set[Feature] = set()
    for field in fields:
        if field.name == "url":
            features |= {("url", domain) for domain in domains(field.value)} | {("has", "link")}
        elif field.name == "lang":
            features |= {("lang", lang) for lang in languages(field.value)}
        else:
            features.add((field.name, field.value))
    langs = {value for name, value in features if name == "lang"}
    authors = [value for name, value in features if name == "from"]
    if len(authors) > 1 or not langs <= set(languages(max(langs, key=len, default=""))):
        return None
    return features


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
