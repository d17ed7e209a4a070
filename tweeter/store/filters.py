"""A question about posts as the database is asked it: `tweeter.filters.Sieve`'s twin.

The database answers what it can; expressions, hashtags and links are looked at here, row by row.
"""

from collections.abc import Callable, Iterable, Set
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, RowMapping, false, func, literal, not_, or_, select

from tweeter import links
from tweeter.choices import NO_LANGUAGE, WEEK_HOURS, Choice, languages_of
from tweeter.filters import Question, choices, span
from tweeter.keywords import tree
from tweeter.keywords.features import OLD_LANGUAGES, Feature, features
from tweeter.keywords.haystack import of_parts, parts_of
from tweeter.keywords.index_words import Wanted, domain, hashtag, is_exact, wanted
from tweeter.keywords.nodes import And, Field, Node, Not, Or, holds
from tweeter.keywords.normalise import normalise
from tweeter.moments import HOUR_US, YEAR_1_US
from tweeter.records import Keyword, Link, Post
from tweeter.store.schema import matches, posts

_NAMES = "id network text also kind traits lang author_id author_handle links tags occurred_at"
LOOKED_AT = tuple(posts.c[name] for name in _NAMES.split())  # of a candidate that is checked
_OF_A_HIT = ("id", "network", "kind", "traits", "lang", "links", "tags", "occurred_at")
DESCRIBED_BY = tuple(posts.c[name] for name in _OF_A_HIT)  # of one that need not be checked

_WEEK_US = WEEK_HOURS * HOUR_US
# So many whole weeks before 1970 the first moment is: added before %, which databases take of less
# than 0 otherwise than Python.
_WEEKS_US = -(YEAR_1_US // _WEEK_US) * _WEEK_US


@lru_cache(maxsize=4096)
def language(tag: str) -> str:
    """The language that a post is listed under: "pt" for "pt-BR", NO_LANGUAGE for none."""
    return languages_of(tag)[0] or NO_LANGUAGE


class Query:
    """A question made ready. removed: also of posts that are removed, as far as they say it.

    node: all expressions in one; None: there is none. since, until: microseconds, 0: open.
    keyword_id: a keyword that all of them must have; None: there is no single one. Raises
    KeywordSyntaxError and BadMoment.
    """

    def __init__(self, question: Question, now: int, *, removed: bool = False) -> None:
        self.question = question
        self._filters = question.filters
        self.removed = removed
        self.since, self.until = span(question.filters, now)
        self._choices = choices(question.filters)
        self._listed = [
            (_LISTED[name], choice) for name, choice in self._choices if name in _LISTED
        ]
        single = [c.wanted for name, c in self._choices if name == "keyword" and len(c.wanted) == 1]
        self.keyword_id = int(next(iter(single[0]))) if single else None
        self.node = _node(question)
        self._has_fields = self.node is not None and _has_fields(self.node)

    def wanted(self) -> Wanted:
        """What the full-text index can say of it."""
        found = Wanted() if self.node is None else wanted(self.node)
        clauses = [
            tuple(sorted({kind.word(value) for value in choice.wanted}))
            for kind, choice in self._listed
            if choice.wanted
        ]
        known = [clause for clause in clauses if "" not in clause]
        return Wanted((*known, *found.clauses), found.never) if known else found

    @property
    def is_exact(self) -> bool:
        """Whether index and conditions say it all, but for posts of too many words."""
        return not self._listed and (self.node is None or is_exact(self.node))

    def finds_row(self, row: RowMapping) -> bool:
        """Whether expressions, tags and links hold for a row with the columns LOOKED_AT."""
        for kind, choice in self._listed:
            if not choice.has(kind.values(row)):
                return False
        if self.node is None:
            return True
        hay = of_parts(parts_of(row["text"], row["also"]))
        return holds(self.node, hay, _features(row) if self._has_fields else frozenset())

    def conditions(self, at: ColumnElement[int] = posts.c.occurred_at) -> list[ColumnElement[bool]]:
        """The same for the database, but for `finds_row`; and that the post can be seen.

        at: its moment, where no database should go along the index of that.
        """
        found = [posts.c.hidden == ""]
        found += [] if self.removed else [posts.c.removed_at.is_(None)]
        found += self.times(at)
        for name, choice in self._choices:
            if name in _CONDITIONS:
                found += _either(choice, _CONDITIONS[name])
        return found + [_has(one.only) for one in self._filters if one.only]

    def times(self, at: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """What is asked of its moment, of a column that has it."""
        found = [at >= self.since] if self.since else []
        found += [at < self.until] if self.until else []
        for name, choice in self._choices:
            if name == "hour":
                found += _either(choice, _hour_starts(at).in_, lambda hour: int(hour) * HOUR_US)
        return found


def _either(
    choice: Choice,
    condition: Callable[[list[Any]], ColumnElement[bool]],
    stored: Callable[[str], Any] = str,
) -> list[ColumnElement[bool]]:
    """That one of the wanted values is true, and none of the refused. stored: a value as it is."""
    wanted, refused = ([stored(value) for value in sorted(values)] for values in choice)
    found = [condition(wanted)] if wanted else []
    return found + ([not_(condition(refused))] if refused else [])


def _hour_starts(at: ColumnElement[int]) -> ColumnElement[int]:
    """When its hour begins, since Monday; without dividing, as each database divides otherwise."""
    at = at + _WEEKS_US
    return (at + 3 * 24 * HOUR_US) % _WEEK_US - at % HOUR_US


def _node(question: Question) -> Node | None:
    nodes: list[Node] = []
    for one in question.filters:
        for expression, is_not in ((one.q, False), (one.without, True)):
            if expression:
                keyword = Keyword(id=0, expression=expression, accounts=question.accounts)
                node = tree(keyword)
                # Their parts beside each other: the index is told of what must not be, too.
                parts = node.nodes if isinstance(node, And) else (node,)
                nodes += [Not(node)] if is_not else parts
    return And(tuple(nodes)) if len(nodes) > 1 else next(iter(nodes), None)


def _has_fields(node: Node) -> bool:
    if isinstance(node, And | Or):
        return any(_has_fields(child) for child in node.nodes)
    return _has_fields(node.node) if isinstance(node, Not) else isinstance(node, Field)


def _tags(row: RowMapping) -> set[str]:
    return {normalise(tag) for tag in msgspec.json.decode(row["tags"], type=list[str])}


def links_of(row: RowMapping) -> set[str]:
    """The links of a row, as they are compared."""
    found = row["links"]
    return links.of_post(msgspec.json.decode(found, type=list[Link])) if found != "[]" else set()


def _word_of_link(link: str) -> str:
    host = links.host(link)
    return domain(host) if host else ""


class _Listed(NamedTuple):
    """Values that a row has in a list. word: that of the index, of a value; "": it has none."""

    values: Callable[[RowMapping], set[str]]
    word: Callable[[str], str]


_LISTED = {"tag": _Listed(_tags, hashtag), "link": _Listed(links_of, _word_of_link)}


def _features(row: RowMapping) -> Set[Feature]:
    """What fields can ask for, of a row."""
    at = row["occurred_at"]
    return features(
        Post(
            network=row["network"],
            key="",
            post_id="",
            url="",
            text="",
            kind=row["kind"],
            lang=row["lang"],
            author_id=row["author_id"],
            author_handle=row["author_handle"],
            links=msgspec.json.decode(row["links"], type=tuple[Link, ...]),
            traits=tuple(row["traits"].split()),
            created_at=at,
            occurred_at=at,
            received_at=at,
            sort_us=0,
        )
    )


def _in_language(values: Iterable[str]) -> ColumnElement[bool]:
    tag = func.replace(func.lower(posts.c.lang), "_", "-")
    spelled = []
    for value in sorted(values):
        first, sign, rest = value.partition("-")
        firsts = [old for old, new in OLD_LANGUAGES.items() if new == first]
        firsts += [first] if first not in OLD_LANGUAGES else []
        spelled += [f"{one}{sign}{rest}" for one in firsts]
        spelled += [""] if value == NO_LANGUAGE else []
    if not spelled:
        return false()
    return or_(tag.in_(spelled), *(tag.startswith(f"{one}-", autoescape=True) for one in spelled))


def _in_state(values: Iterable[str]) -> ColumnElement[bool]:
    columns = {"edited": posts.c.edited_at != 0, "sensitive": posts.c.sensitive.is_(True)}
    return or_(*(columns[value] for value in values))


def _of_keywords(values: Iterable[str]) -> ColumnElement[bool]:
    theirs = matches.alias()  # the search may read along matches itself
    one = select(theirs.c.post_id).where(
        theirs.c.post_id == posts.c.id, theirs.c.keyword_id.in_([int(value) for value in values])
    )
    return one.correlate(posts).exists()


_CONDITIONS = {
    "network": posts.c.network.in_,
    "lang": _in_language,
    "kind": posts.c.kind.in_,
    "keyword": _of_keywords,
    "state": _in_state,
}
_traits = literal(" ") + posts.c.traits + " "
_HAS = {"media": _traits.contains(" media "), "link": posts.c.links != "[]"}


def _has(only: str) -> ColumnElement[bool]:
    bare = only.removeprefix("-")
    return _HAS[bare] if bare == only else not_(_HAS[bare])
