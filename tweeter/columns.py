"""The columns of the live deck: which posts each of them shows.

A filter is evaluated in one place, the Sieve, for what a page begins with, for a gap that is
loaded later and for the live stream: a column that is reloaded shows what was streamed.

In an address a column is `c1=keyword:3&c1.lang=en&c1.without=sale`; a form has the same names
without `c1.`, and `of` for the first.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import msgspec

from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.keywords import Matcher, accounts, network_of, parse
from tweeter.keywords.features import languages
from tweeter.records import Keyword, Post

COLUMNS = 12  # in a deck
TOGETHER = 48  # in one stream: a browser's tabs share a line
TITLE_CHARACTERS = 60
EXPRESSION_CHARACTERS = 300  # twelve columns must fit into one address
NETWORKS = ("x", "bluesky", "mastodon", "demo")
KINDS = ("post", "reply", "repost", "quote")
ONLY = ("", "media", "link")
WIDTHS = ("s", "m", "l")
NO_LANGUAGE = "und"  # of posts whose network claims none

Args = Mapping[str, Sequence[str]]  # a query or a form, as parse_qs gives it

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_LISTS = {"networks": "network", "languages": "lang", "kinds": "kind"}
_TEXTS = {"contains": "with", "excludes": "without", "only": "only"}


class BadColumn(TweeterError):
    """A column is not one; field is the name of what is wrong, as forms and addresses have it."""

    def __init__(self, field: str, words: str) -> None:
        self.field = field
        super().__init__(words)


class Filter(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """Which posts. Empty lists and texts ask for nothing; what is asked for must all hold."""

    of: str = "all"  # "all", "keyword:ID" or "network:NAME"
    networks: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # "pt" is also "pt-br"; "und": none is claimed
    kinds: tuple[str, ...] = ()
    contains: str = ""  # an expression of the keyword language
    excludes: str = ""
    only: str = ""  # "media" or "link": only posts that have it

    @property
    def keyword_id(self) -> int | None:
        """The keyword whose posts these are; None for other columns."""
        kind, _, value = self.of.partition(":")
        return int(value) if kind == "keyword" else None

    @property
    def network(self) -> str:
        """The network whose posts these are; "" for other columns."""
        kind, _, value = self.of.partition(":")
        return value if kind == "network" else ""

    def matches(self, post: Post, keyword_ids: Collection[int]) -> bool:
        """Whether a post, which these keywords match, is one of the column's."""
        return self in _alone(self).passing(post, keyword_ids)

    @classmethod
    def from_args(cls, args: Args, prefix: str = "") -> Self:
        """Read and check; prefix is "c1", or "" for a form. Raises BadColumn."""
        return cls(**_values(args, prefix)).checked()

    def to_args(self, prefix: str = "") -> list[tuple[str, str]]:
        """The same as names and values, without what is as by default."""
        dot = f"{prefix}." if prefix else ""
        found = [(prefix or "of", self.of)]
        found += [(dot + name, ",".join(getattr(self, field))) for field, name in _LISTS.items()]
        found += [(dot + name, getattr(self, field)) for field, name in _TEXTS.items()]
        return [(name, value) for name, value in found if value]

    def checked(self) -> Self:
        """Itself; raises BadColumn."""
        _check_of(self.of)
        for name, values, known in (
            ("network", self.networks, NETWORKS),
            ("kind", self.kinds, KINDS),
            ("only", (self.only,), ONLY),
        ):
            for value in values:
                if value not in known:
                    words = ", ".join(word for word in known if word)
                    raise BadColumn(name, f"“{value[:40]}” is none of {words}.")
        for value in self.languages:
            if not _LANGUAGE.fullmatch(value):
                raise BadColumn("lang", f"“{value[:40]}” is no language: write en, de or pt-br.")
        for name, expression in (("with", self.contains), ("without", self.excludes)):
            if expression:
                _check_expression(name, expression)
        return self


class Column(Filter, frozen=True, kw_only=True, cache_hash=True):
    """A column as a deck keeps it. title "": named after what it shows."""

    title: str = ""
    width: str = "m"  # "s", "m" or "l"

    @property
    def filter(self) -> Filter:
        """What it shows, without how it looks."""
        return Filter(**{name: getattr(self, name) for name in Filter.__struct_fields__})

    @classmethod
    def from_args(cls, args: Args, prefix: str = "") -> Self:
        """As `Filter.from_args`, with title and width."""
        title = " ".join(_first(args, prefix, "title").split())
        width = _first(args, prefix, "width") or "m"
        return cls(**_values(args, prefix), title=title, width=width).checked()

    def to_args(self, prefix: str = "") -> list[tuple[str, str]]:
        """As `Filter.to_args`, with title and width."""
        dot = f"{prefix}." if prefix else ""
        more = [(f"{dot}title", self.title), (f"{dot}width", self.width)]
        return self.filter.to_args(prefix) + [(n, v) for n, v in more if v not in ("", "m")]

    def checked(self) -> Self:
        """Itself; raises BadColumn."""
        if self.width not in WIDTHS:
            raise BadColumn("width", f"“{self.width[:40]}” is none of s, m, l.")
        if len(self.title) > TITLE_CHARACTERS:
            raise BadColumn("title", f"A title has at most {TITLE_CHARACTERS} characters.")
        super().checked()
        return self


def _first(args: Args, prefix: str, name: str) -> str:
    found = args.get(f"{prefix}.{name}" if prefix else name, ())
    return found[0].strip() if found else ""


def _values(args: Args, prefix: str) -> dict[str, Any]:
    dot = f"{prefix}." if prefix else ""
    values: dict[str, Any] = {"of": ((args.get(prefix or "of") or ("",))[0]).strip() or "all"}
    for field, name in _LISTS.items():
        words = re.split(r"[,\s]+", ",".join(args.get(dot + name, ())).lower())
        values[field] = tuple(sorted({word for word in words if word}))
    values.update((field, _first(args, prefix, name)) for field, name in _TEXTS.items())
    return values


def _check_of(of: str) -> None:
    kind, _, value = of.partition(":")
    is_id = value.isascii() and value.isdigit() and len(value) < 19
    if of == "all" or (kind == "keyword" and is_id) or (kind == "network" and value in NETWORKS):
        return
    words = f"“{of[:40]}” is no column: write all, keyword:3 or network:bluesky."
    raise BadColumn("of", words)


def _check_expression(field: str, expression: str) -> None:
    if len(expression) > EXPRESSION_CHARACTERS:
        raise BadColumn(field, f"At most {EXPRESSION_CHARACTERS} characters.")
    try:
        parse(expression)
        names = accounts(expression)
    except KeywordSyntaxError as error:
        raise BadColumn(field, str(error)) from error
    for name in names:
        # Its posts carry no names: whether it matched would depend on when it was looked up.
        if network_of(name) == "bluesky":
            words = f"Write the account's id (from:did:…), or follow from:{name} by a keyword."
            raise BadColumn(field, words)


def from_query(args: Args, most: int = COLUMNS) -> tuple[Column, ...]:
    """The columns of an address, by their numbers; raises BadColumn, which names the column."""
    numbers = sorted(int(name[1:]) for name in args if re.fullmatch(r"c[1-9][0-9]{0,2}", name))
    if len(numbers) > most:
        raise BadColumn("of", f"At most {most} columns.")
    found = []
    for number in numbers:
        try:
            found.append(Column.from_args(args, f"c{number}"))
        except BadColumn as error:
            raise BadColumn(error.field, f"Column {number}: {error}") from error
    return tuple(found)


def to_query(columns: Iterable[Column]) -> str:
    """The columns as an address has them, numbered from 1."""
    pairs = (pair for n, one in enumerate(columns, 1) for pair in one.to_args(f"c{n}"))
    return urlencode(list(pairs), safe=":,")


def fold(network: str, text: str) -> str:
    """The same for texts of a network that differ in white space at most; "" for no text."""
    words = " ".join(text.split())
    if not words:
        return ""
    return hashlib.blake2s(f"{network} {words}".encode(), digest_size=8).hexdigest()


class _Test(NamedTuple):
    """A filter, ready to be asked; contains and excludes are numbers of expressions, or -1."""

    filter: Filter
    keyword_id: int | None
    networks: frozenset[str]
    languages: frozenset[str]
    kinds: frozenset[str]
    only: str
    contains: int
    excludes: int


class _Traits(NamedTuple):
    """What tests ask of a post."""

    keyword_ids: Collection[int]
    network: str
    languages: frozenset[str]
    kinds: frozenset[str]
    has: frozenset[str]
    found: frozenset[int]  # numbers of the expressions that match


class Sieve:
    """Many filters against one post at once; immutable.

    All their expressions are matched in one pass, so that a thousand readers with filters of
    their own cost a post little more than one.
    """

    def __init__(self, filters: Iterable[Filter]) -> None:
        self.filters = frozenset(filters)
        asked = (text for one in self.filters for text in (one.contains, one.excludes) if text)
        numbers = {text: number for number, text in enumerate(dict.fromkeys(asked))}
        self._matcher = Matcher(Keyword(id=n, expression=text) for text, n in numbers.items())
        self._tests = [_test(one, numbers) for one in self.filters]

    def passing(self, post: Post, keyword_ids: Collection[int]) -> frozenset[Filter]:
        """The filters that a post, which these keywords match, passes."""
        traits = _Traits(
            keyword_ids,
            post.network,
            frozenset(languages(post.lang)) or frozenset((NO_LANGUAGE,)),
            frozenset((post.kind, *post.traits)),
            frozenset(_has(post)),
            frozenset(match.keyword_id for match in self._matcher.match(post)),
        )
        return frozenset(test.filter for test in self._tests if _passes(test, traits))


def _has(post: Post) -> Iterator[str]:
    if "media" in post.traits:
        yield "media"
    if post.links:
        yield "link"


def _test(one: Filter, numbers: Mapping[str, int]) -> _Test:
    networks = frozenset(one.networks)
    if one.network:
        networks = networks & {one.network} if networks else frozenset((one.network,))
        networks = networks or frozenset(("",))  # asks for two at once: nothing passes
    return _Test(
        one,
        one.keyword_id,
        networks,
        frozenset(one.languages),
        frozenset(one.kinds),
        one.only,
        numbers.get(one.contains, -1),
        numbers.get(one.excludes, -1),
    )


def _passes(test: _Test, traits: _Traits) -> bool:
    if test.keyword_id is not None and test.keyword_id not in traits.keyword_ids:
        return False
    if test.networks and traits.network not in test.networks:
        return False
    if test.contains >= 0 and test.contains not in traits.found:
        return False
    if test.excludes in traits.found:
        return False
    if test.languages and not test.languages & traits.languages:
        return False
    if test.kinds and not test.kinds & traits.kinds:
        return False
    return not test.only or test.only in traits.has


@lru_cache(maxsize=256)
def _alone(one: Filter) -> Sieve:
    return Sieve((one,))
