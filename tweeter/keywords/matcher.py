"""The engine: all keywords against a post at once.

All words of all keywords go into one Aho-Corasick automaton (contiguous NFA: measured best in
speed for its memory). Its hits are checked for boundaries; only keywords that a hit of a text,
author or link touches are looked at, which is enough because each needs one
(`needs_something`). Languages, kinds and the like are asked for only then.
"""

from collections.abc import Iterable

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords.accounts import tree
from tweeter.keywords.boundaries import stands_alone
from tweeter.keywords.features import Feature, features, host_domains
from tweeter.keywords.haystack import haystack, of_parts
from tweeter.keywords.nodes import NARROWING, And, Atom, Field, Node, Not, Or, pattern
from tweeter.records import Keyword, Match, Post

KEPT = 200  # answers for posts with the same words

_Meaning = tuple[str, tuple[tuple[str, str], ...]]  # expression, accounts


class _Compiled:
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

    def holds(self, hits: set[int]) -> bool:
        """Whether it is true when these atoms are in the post."""
        if self.kind == "not":
            return not _holds(self.children[0], hits)
        if self.kind == "and":
            return all(_holds(child, hits) for child in self.children)
        return any(_holds(child, hits) for child in self.children)


def _holds(node: "_Tree | int", hits: set[int]) -> bool:
    return node in hits if isinstance(node, int) else node.holds(hits)


def _any_is_enough(node: "_Tree | int", used: set[int]) -> bool:
    """Whether it holds as soon as one of the used atoms does."""
    if isinstance(node, int):
        return node in used
    return node.kind == "or" and all(_any_is_enough(child, used) for child in node.children)


class Matcher:
    """Matches posts against keywords. Immutable; safe for several threads.

    broken holds, by keyword id, why a stored expression no longer parses; such are skipped.
    before: the one for the keywords of a moment ago; what it has parsed is not parsed again.
    """

    def __init__(self, keywords: Iterable[Keyword], *, before: "Matcher | None" = None) -> None:
        self.broken: dict[int, str] = {}
        self._trees: dict[_Meaning, Node] = {}
        self._texts: dict[tuple[str, str], int] = {}  # (pattern, kind) -> atom number
        self._fields: dict[Feature, int] = {}
        self._users: list[list[_Compiled]] = []  # by atom number
        self._kept: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        for keyword in keywords:
            meaning = keyword.expression, keyword.accounts
            parsed = before._trees.get(meaning) if before is not None else None
            try:
                node = self._trees[meaning] = parsed or tree(keyword)
                self._add(keyword, node)
            except KeywordSyntaxError as error:
                self.broken[keyword.id] = str(error)
        self._anchored = any(name not in NARROWING for name, _ in self._fields)
        patterns: dict[str, list[tuple[str, int]]] = {}
        for (text, kind), number in self._texts.items():
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
        numbered = self._numbered(node, used)
        compiled = _Compiled(keyword, None if _any_is_enough(numbered, used) else numbered)
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

    def may_match(self, texts: Iterable[str], authors: Iterable[str], links: Iterable[str]) -> bool:
        """False if no keyword can match a post that says no more than this, whatever it is."""
        if self._text_hits(of_parts(texts)):
            return True
        if not self._anchored:
            return False
        return any(("from", name.casefold()) in self._fields for name in authors) or any(
            ("url", domain) in self._fields for link in links for domain in host_domains(link)
        )

    def match(self, post: Post) -> tuple[Match, ...]:
        """The keywords found in a post, by ascending keyword id."""
        matches = [user.match for user in self._found(post, self._hits(post))]
        matches.sort(key=lambda match: match.keyword_id)
        return tuple(matches)

    def ids(self, post: Post) -> frozenset[int]:
        """The ids of the keywords found in a post; kept for the next with the same words."""
        hits = self._hits(post)
        key = frozenset(hits), post.network
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = frozenset(user.keyword_id for user in self._found(post, hits))
            self._kept[key] = found
        return found

    def _hits(self, post: Post) -> set[int]:
        hits = self._text_hits(haystack(post))
        if self._fields and (hits or self._anchored):
            hits |= self._field_hits(post)
        return hits

    def _found(self, post: Post, hits: set[int]) -> list[_Compiled]:
        touched = {user for number in hits for user in self._users[number]}
        return [
            user
            for user in touched
            if (user.tree is None or _holds(user.tree, hits))
            and (not user.networks or post.network in user.networks)
        ]

    def _text_hits(self, hay: str) -> set[int]:
        hits: set[int] = set()
        if self._automaton is None:
            return hits
        for index, start, end in self._automaton.find_matches_as_indexes(hay, overlapping=True):
            for kind, number in self._atoms[index]:
                if number not in hits and stands_alone(hay, start, end, kind):
                    hits.add(number)
        return hits

    def _field_hits(self, post: Post) -> set[int]:
        known = self._fields
        return {known[found] for found in features(post) if found in known}
