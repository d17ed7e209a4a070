"""Keywords compiled together: what `Matcher` is made of.

All words of all keywords are looked for at once (`automaton`). The hits are checked for
boundaries; only keywords that a hit of a text, author or link touches are looked at, which is
enough because each needs one (`needs_something`). Languages, kinds and the like are asked for only
then.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords.accounts import tree
from tweeter.keywords.automaton import Find, finder
from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.features import Feature, features, host_domains
from tweeter.keywords.nodes import NARROWING, And, Atom, Field, Node, Not, Or, pattern
from tweeter.records import Keyword, Match, Post

Meaning = tuple[str, tuple[tuple[str, str], ...]]  # expression, accounts


def changed(had: Mapping[int, Keyword], now: Mapping[int, Keyword]) -> list[Keyword]:
    """The keywords, by id, that are new or differ from before; most are the same object."""
    return [one for n, one in now.items() if (old := had.get(n)) is not one and old != one]


class Compiled:
    """A keyword's tree with numbers for its atoms; tree=None: a hit of any of them is enough."""

    __slots__ = ("keyword_id", "match", "networks", "tree")

    def __init__(self, keyword: Keyword, tree: "_Tree | int | None") -> None:
        self.keyword_id = keyword.id
        self.match = Match(keyword.id, keyword.version)
        self.networks = keyword.networks
        self.tree = tree


class _Tree:
    """An inner node over the numbers of atoms."""

    __slots__ = ("children", "kind")

    def __init__(self, kind: str, children: "tuple[_Tree | int, ...]") -> None:
        self.kind = kind
        self.children = children

    def holds(self, hits: Set[int]) -> bool:
        """Whether it is true when these atoms are in the post."""
        if self.kind == "not":
            return not _holds(self.children[0], hits)
        if self.kind == "and":
            return all(_holds(child, hits) for child in self.children)
        return any(_holds(child, hits) for child in self.children)


def _holds(node: "_Tree | int", hits: Set[int]) -> bool:
    return node in hits if isinstance(node, int) else node.holds(hits)


def _any_is_enough(node: "_Tree | int", used: set[int]) -> bool:
    """Whether it holds as soon as one of the used atoms does."""
    if isinstance(node, int):
        return node in used
    return node.kind == "or" and all(_any_is_enough(child, used) for child in node.children)


class Layer:
    """Keywords as one automaton. Immutable.

    broken holds, by keyword id, why an expression does not parse; such are skipped. trees: what
    was parsed; `known` is that of an earlier one, which is not parsed again. is_anchored: some
    keyword needs an author or a link, and nothing of a text.
    """

    def __init__(self, keywords: Sequence[Keyword], known: Mapping[Meaning, Node]) -> None:
        self.keywords = {keyword.id: keyword for keyword in keywords}
        self.broken: dict[int, str] = {}
        self.trees: dict[Meaning, Node] = {}
        self._texts: dict[tuple[str, str], int] = {}  # (pattern, kind) -> atom number
        self._fields: dict[Feature, int] = {}
        self._users: list[list[Compiled]] = []  # by atom number
        for keyword in keywords:
            meaning = keyword.expression, keyword.accounts
            try:
                node = self.trees[meaning] = known.get(meaning) or tree(keyword)
                self._add(keyword, node)
            except KeywordSyntaxError as error:
                self.broken[keyword.id] = str(error)
        self.is_anchored = any(name not in NARROWING for name, _ in self._fields)
        patterns: dict[str, list[tuple[str, int]]] = {}
        for (text, kind), number in self._texts.items():
            patterns.setdefault(text, []).append((kind, number))
        self._atoms = list(patterns.values())  # by pattern number: (kind, atom number)
        self._find: Find | None = finder(list(patterns)) if patterns else None

    def _add(self, keyword: Keyword, node: Node) -> None:
        used: set[int] = set()
        numbered = self._numbered(node, used)
        compiled = Compiled(keyword, None if _any_is_enough(numbered, used) else numbered)
        for number in used:
            self._users[number].append(compiled)

    def _numbered(self, node: Node, used: set[int]) -> _Tree | int:
        if isinstance(node, Not):
            return _Tree("not", (self._numbered(node.node, used),))
        if isinstance(node, And | Or):
            kind = "and" if isinstance(node, And) else "or"
            return _Tree(kind, tuple(self._numbered(child, used) for child in node.nodes))
        number = self._number(node)
        if not (isinstance(node, Field) and node.name in NARROWING):
            used.add(number)
        return number

    def _number(self, atom: Atom) -> int:
        if isinstance(atom, Field):
            number = self._fields.setdefault((atom.name, atom.value), len(self._users))
        else:
            number = self._texts.setdefault(pattern(atom), len(self._users))
        if number == len(self._users):
            self._users.append([])
        return number

    @property
    def has_texts(self) -> bool:
        """Whether there is anything to look for in texts."""
        return self._find is not None

    def in_texts(self, hay: str) -> set[int]:
        """Numbers of the atoms that are in a haystack."""
        hits: set[int] = set()
        if self._find is None:
            return hits
        for index, start, end in self._find(hay):
            for kind, number in self._atoms[index]:
                if number not in hits and stands_alone(hay, start, end, kind):
                    hits.add(number)
        return hits

    def may_match(self, seen: Set[int], authors: Iterable[str], links: Iterable[str]) -> bool:
        """False if no keyword can match a post that says no more than this, whatever it is.

        seen: what `in_texts` found in its texts.
        """
        if seen:
            return True
        if not self.is_anchored:
            return False
        return any(("from", name.casefold()) in self._fields for name in authors) or any(
            ("url", domain) in self._fields for link in links for domain in host_domains(link)
        )

    def hits(self, seen: Set[int], post: Post) -> Set[int]:
        """Numbers of the atoms that are in a post, those in its texts and those that it is."""
        if self._fields and (seen or self.is_anchored):
            return seen | self._field_hits(post)
        return seen

    def found(self, hits: Set[int], network: str) -> list[Compiled]:
        """The keywords that match a post of this network with these atoms."""
        if not hits:
            return []
        touched = {user for number in hits for user in self._users[number]}
        return [
            user
            for user in touched
            if (user.tree is None or _holds(user.tree, hits))
            and (not user.networks or network in user.networks)
        ]

    def _field_hits(self, post: Post) -> set[int]:
        known = self._fields
        return {known[found] for found in features(post) if found in known}
