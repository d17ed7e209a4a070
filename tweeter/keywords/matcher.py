"""The engine: all keywords against a post at once.

All words of all keywords go into one Aho-Corasick automaton (contiguous NFA: measured best in
speed for its memory). Its hits are checked for boundaries; only keywords that a hit touches
are looked at, which is enough because each needs something to be there (`needs_something`).
"""

from collections.abc import Iterable

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.haystack import haystack, haystack_of
from tweeter.keywords.nodes import And, Atom, Node, Not, Or, pattern
from tweeter.keywords.parse import parse
from tweeter.records import Keyword, Match, Post


class _Compiled:
    """A keyword's tree with numbers for its atoms; needed=None: one atom, its hit is enough."""

    __slots__ = ("match", "tree")

    def __init__(self, match: Match, tree: "_Tree | None") -> None:
        self.match = match
        self.tree = tree


class _Tree:
    """An inner node over the numbers of atoms."""

    __slots__ = ("children", "kind")

    def __init__(self, kind: str, children: "tuple[_Tree | int, ...]") -> None:
        self.kind = kind
        self.children = children

    def holds(self, hits: set[int]) -> bool:
        """Whether it is true when these atoms are in the text."""
        if self.kind == "not":
            return not _holds(self.children[0], hits)
        if self.kind == "and":
            return all(_holds(child, hits) for child in self.children)
        return any(_holds(child, hits) for child in self.children)


def _holds(node: "_Tree | int", hits: set[int]) -> bool:
    return node in hits if isinstance(node, int) else node.holds(hits)


class Matcher:
    """Matches posts against keywords. Immutable; safe for several threads.

    broken holds, by keyword id, why a stored expression no longer parses; such are skipped.
    """

    def __init__(self, keywords: Iterable[Keyword]) -> None:
        self.broken: dict[int, str] = {}
        self._numbers: dict[tuple[str, str], int] = {}  # (pattern, kind) -> atom number
        self._users: list[list[_Compiled]] = []  # by atom number
        for keyword in keywords:
            try:
                self._add(keyword, parse(keyword.expression))
            except KeywordSyntaxError as error:
                self.broken[keyword.id] = str(error)
        patterns: dict[str, list[tuple[str, int]]] = {}
        for (text, kind), number in self._numbers.items():
            patterns.setdefault(text, []).append((kind, number))
        self._atoms = list(patterns.values())  # by pattern number: (kind, atom number)
        self._automaton = None
        if patterns:
            self._automaton = AhoCorasick(
                list(patterns),
                implementation=Implementation.ContiguousNFA,
                matchkind=MatchKind.Standard,
            )

    def _add(self, keyword: Keyword, node: Node) -> None:
        used: set[int] = set()
        tree = self._numbered(node, used)
        compiled = _Compiled(
            Match(keyword.id, keyword.version), tree if isinstance(tree, _Tree) else None
        )
        for number in used:
            self._users[number].append(compiled)

    def _numbered(self, node: Node, used: set[int]) -> _Tree | int:
        if isinstance(node, Not):
            return _Tree("not", (self._numbered(node.node, used),))
        if isinstance(node, And | Or):
            kind = "and" if isinstance(node, And) else "or"
            return _Tree(kind, tuple(self._numbered(child, used) for child in node.nodes))
        number = self._number(node)
        used.add(number)
        return number

    def _number(self, atom: Atom) -> int:
        key = pattern(atom)
        number = self._numbers.setdefault(key, len(self._users))
        if number == len(self._users):
            self._users.append([])
        return number

    def match(self, post: Post) -> tuple[Match, ...]:
        """The keywords found in a post, by ascending keyword id."""
        if self._automaton is None:
            return ()
        return self._found(haystack(post))

    def match_text(self, text: str, also: str) -> tuple[Match, ...]:
        """The same for a stored post; `also` are its parts joined by PART."""
        if self._automaton is None:
            return ()
        return self._found(haystack_of(text, also))

    def _found(self, hay: str) -> tuple[Match, ...]:
        assert self._automaton is not None  # noqa: S101 (both callers look)
        found = self._automaton.find_matches_as_indexes(hay, overlapping=True)
        if not found:
            return ()
        hits: set[int] = set()
        for index, start, end in found:
            for kind, number in self._atoms[index]:
                if number not in hits and stands_alone(hay, start, end, kind):
                    hits.add(number)
        touched = {user for number in hits for user in self._users[number]}
        matches = [u.match for u in touched if u.tree is None or u.tree.holds(hits)]
        matches.sort(key=lambda match: match.keyword_id)
        return tuple(matches)
