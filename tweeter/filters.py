"""Which posts: the one filter of the search, the saved searches and the columns of the live deck.

`Filter` is what a person chose, as it stands in an address; a `Question` is one or two of them
that must all pass, with the accounts that names stand for. `Sieve` asks many questions of one
post; `store.filters.Query` asks the database one. Both give one answer, kept by
tests/store/test_filters.py.

A name in MANY may have several values: one of them must be true, and none of those with "-"
before them. q and without are expressions of the keyword language; tags are the hashtags that
the post's network lists for it; links are compared as the statistics count them.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import msgspec

from tweeter import links, moments
from tweeter.choices import (
    HAS,
    ONLY,
    STATES,
    BadFilter,
    Choice,
    checked,
    expected,
    hour_of_week,
    languages_of,
    of_values,
    one_of,
)
from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import Matcher, parse
from tweeter.keywords.normalise import normalise
from tweeter.records import Keyword, Post, now_us
from tweeter.texts import say

# Names that may come several times.
MANY = ("network", "lang", "kind", "keyword", "state", "tag", "link", "hour")
ONE = ("q", "without", "only", "since", "until")
VALUES = 50  # of one name
KEPT = 200  # answers for posts with the same expressions

Args = Mapping[str, Sequence[str]]  # a query or a form, as parse_qs gives it

# As programs read and write the filter of a column.
_IN_JSON = {
    "q": "contains",
    "without": "excludes",
    "network": "networks",
    "lang": "languages",
    "kind": "kinds",
    "keyword": "keywords",
    "state": "states",
    "tag": "tags",
    "link": "links",
    "hour": "hours",
}


class Filter(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True, rename=_IN_JSON):
    """What must all hold; what is empty asks for nothing. Times as people write them."""

    q: str = ""
    without: str = ""
    network: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()  # "pt" is also "pt-br"
    kind: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    hour: tuple[str, ...] = ()  # of the week, see hour_of_week
    only: str = ""  # "media" or "link": only posts that have it; "-media": that have none
    since: str = ""
    until: str = ""

    @classmethod
    def from_args(cls, args: Args) -> Self:
        """Of the query of an address; other names are left alone. Raises BadFilter."""
        return cls(**values_of(args)).checked()

    def to_args(self) -> list[tuple[str, str]]:
        """The query of an address, the same for the same filter; from_args reads it again."""
        args = [(n, getattr(self, n)) for n in ("q", "without") if getattr(self, n)]
        args += [(name, value) for name in MANY for value in getattr(self, name)]
        return args + [
            (n, getattr(self, n)) for n in ("only", "since", "until") if getattr(self, n)
        ]

    def checked(self) -> Self:
        """The same with its values as they are compared; raises BadFilter.

        Expressions and times are not read: `read` does.
        """
        found = {}
        for name in MANY:
            values = dict.fromkeys(checked(name, value) for value in getattr(self, name))
            if len(values) > VALUES:
                raise BadFilter(
                    name, say("“%(name)s” has more than %(most)s values.", name=name, most=VALUES)
                )
            found[name] = tuple(values)
        if self.only and self.only not in ONLY:
            raise BadFilter("only", expected("only", self.only, one_of(ONLY)))
        return msgspec.structs.replace(self, **found)

    def read(self) -> None:
        """Raises KeywordSyntaxError and BadMoment, if it cannot be asked."""
        for name in ("q", "without"):
            if expression := getattr(self, name):
                try:
                    parse(expression)
                except KeywordSyntaxError as error:
                    error.at(name)
                    raise
        moments.refuse_turned(*span((self,), now_us()))

    def having(self, name: str, value: str) -> Self:
        """With one value more; its opposite goes, and of the values before only the excluded stay.

        For names that have one value: with this one.
        """
        if name not in MANY:
            return msgspec.structs.replace(self, **{name: value})
        opposite = value[1:] if value.startswith("-") else f"-{value}"
        kept = [one for one in getattr(self, name) if one not in (value, opposite)]
        return msgspec.structs.replace(self, **{name: (*kept, value)})

    def lacking(self, name: str, value: str = "") -> Self:
        """With one value less."""
        if name not in MANY:
            return msgspec.structs.replace(self, **{name: ""})
        kept = tuple(one for one in getattr(self, name) if one != value)
        return msgspec.structs.replace(self, **{name: kept})

    def matches(self, post: Post, keyword_ids: Collection[int] = ()) -> bool:
        """Whether the post is one; keyword_ids: of the keywords that match it.

        Raises BadMoment; an expression that cannot be read finds nothing.
        """
        return Question((self,)).passes(post, keyword_ids)


# Two words are no hashtag, and a link may have commas in it. A run of separators is tried once,
# from its beginning: from each of its characters it would take the square of its length.
_BETWEEN = {"tag": r",", "link": r"(?<![,\s])[,\s]+(?=-?https?://)"}


def values_of(args: Args) -> dict[str, Any]:
    """A filter's fields out of a query, unchecked; several values of a name stand in commas too."""
    found: dict[str, Any] = {n: next(iter(args.get(n, ())), "").strip() for n in ONE}
    for name in MANY:
        between = _BETWEEN.get(name, r"[,\s]+")
        words = (word for given in args.get(name, ()) for word in re.split(between, given))
        found[name] = tuple(word.strip() for word in words if word.strip())
    return found


def span(filters: Iterable[Filter], now: int) -> tuple[int, int]:
    """Since and until, microseconds, where all of the filters pass; 0: open. Raises BadMoment."""
    since = [_moment(one.since, now, "since") for one in filters]
    until = [_moment(one.until, now, "until") for one in filters if one.until]
    return max(since, default=0), min(until, default=0)


def _moment(text: str, now: int, name: str) -> int:
    return moments.read(text, now, f"“{name}”", name) if text else 0


class Question(msgspec.Struct, frozen=True, cache_hash=True):
    """Filters that must all pass. accounts: ids for the names of `from:`, where known."""

    filters: tuple[Filter, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()

    def passes(self, post: Post, keyword_ids: Collection[int]) -> bool:
        """Whether a post, which these keywords match, is one that is asked for."""
        return self in _alone(self).passing(post, keyword_ids)


def choices(filters: Iterable[Filter]) -> list[tuple[str, Choice]]:
    """What is chosen of the names in MANY."""
    pairs = [(name, getattr(one, name)) for one in filters for name in MANY]
    return [(name, of_values(values)) for name, values in pairs if values]


class _Test(NamedTuple):
    """A question, ready to be asked; needs and never are numbers of expressions."""

    question: Question
    needs: frozenset[int]
    never: frozenset[int]
    choices: list[tuple[str, Choice]]
    only: frozenset[str]
    is_timed: bool

    @property
    def needs_one(self) -> bool:
        """Whether an expression is all that it asks for."""
        return len(self.needs) == 1 and self._is_else_open

    @property
    def is_open(self) -> bool:
        """Whether every post passes."""
        return not self.needs and self._is_else_open

    @property
    def _is_else_open(self) -> bool:
        return not (self.never or self.choices or self.only or self.is_timed)


class Sieve:
    """Many questions to one post at once; immutable.

    All their expressions are matched in one pass, and only questions whose expression is in the
    post are looked at, so that a thousand readers with filters of their own cost a post little
    more than one. before: the one of a moment ago; what it has parsed is not parsed again.
    """

    def __init__(self, questions: Iterable[Question], *, before: "Sieve | None" = None) -> None:
        self.questions = frozenset(questions)
        numbers: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        tests = [_test(one, numbers) for one in self.questions]
        self._open = frozenset(test.question for test in tests if test.is_open)
        self._free = [test for test in tests if not (test.needs or test.is_open)]
        self._has_links = any(name == "link" for test in tests for name, _ in test.choices)
        self._kept: dict[frozenset[int], tuple[frozenset[Question], list[_Test]]] = {}
        self._simple: dict[int, list[Question]] = {}  # by the one expression that they need
        self._needy: dict[int, list[_Test]] = {}  # by one of the expressions that they need
        for test in tests:
            if test.needs_one:
                self._simple.setdefault(min(test.needs), []).append(test.question)
            elif test.needs:
                self._needy.setdefault(min(test.needs), []).append(test)
        expressions = (
            Keyword(id=number, expression=text, accounts=accounts)
            for (text, accounts), number in numbers.items()
        )
        parsed = before._matcher if before is not None else None
        self._matcher: Matcher = Matcher(expressions, before=parsed)

    def passing(self, post: Post, keyword_ids: Collection[int]) -> frozenset[Question]:
        """The questions that a post, which these keywords match, is an answer to.

        Times so long ago are counted from when the post came. Raises BadMoment.
        """
        found = self._matcher.ids(post)
        if found not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[found] = self._touched(found)
        passed, tests = self._kept[found]
        if not tests:
            return passed
        true, has = _truths(post, keyword_ids), _contents(post)
        if self._has_links:
            true["link"] = links.of_post(post.links)
        more = [test.question for test in tests if _passes(test, found, true, has, post)]
        return passed.union(more) if more else passed

    def _touched(self, found: frozenset[int]) -> tuple[frozenset[Question], list[_Test]]:
        """Where these expressions hold: the questions that pass, and the tests that may."""
        passed = [one for n in self._simple.keys() & found for one in self._simple[n]]
        tests = [test for n in self._needy.keys() & found for test in self._needy[n]]
        return self._open.union(passed), self._free + tests


def _truths(post: Post, keyword_ids: Collection[int]) -> dict[str, Collection[str]]:
    """What is true of a post, by the names in MANY but "link"."""
    return {
        "network": (post.network,),
        "lang": languages_of(post.lang),
        "kind": (post.kind,),
        "keyword": [str(number) for number in keyword_ids],
        "state": [n for n, so in zip(STATES, (post.edited_at, post.sensitive), strict=True) if so],
        "tag": [normalise(tag) for tag in post.tags],
        "hour": (str(hour_of_week(post.occurred_at)),),
    }


def _contents(post: Post) -> set[str]:
    """What it has of HAS, and what it has not, as `only` asks for it."""
    is_there = zip(HAS, ("media" in post.traits, post.links), strict=True)
    return {name if so else f"-{name}" for name, so in is_there}


def _passes(
    test: _Test,
    found: frozenset[int],
    true: Mapping[str, Collection[str]],
    has: set[str],
    post: Post,
) -> bool:
    if not test.needs <= found or not test.never.isdisjoint(found):
        return False
    for name, choice in test.choices:
        if not choice.has(true[name]):
            return False
    return test.only <= has and (not test.is_timed or _in_time(test.question, post))


def _test(one: Question, numbers: dict[Any, int]) -> _Test:
    def numbered(expressions: Iterable[str]) -> frozenset[int]:
        keys = [(text, one.accounts) for text in expressions if text]
        return frozenset(numbers.setdefault(key, len(numbers)) for key in keys)

    return _Test(
        one,
        numbered(chosen.q for chosen in one.filters),
        numbered(chosen.without for chosen in one.filters),
        choices(one.filters),
        frozenset(chosen.only for chosen in one.filters if chosen.only),
        any(chosen.since or chosen.until for chosen in one.filters),
    )


def _in_time(question: Question, post: Post) -> bool:
    since, until = span(question.filters, post.received_at)
    return since <= post.occurred_at and not (until and post.occurred_at >= until)


@lru_cache(maxsize=256)
def _alone(one: Question) -> Sieve:
    return Sieve((one,))
