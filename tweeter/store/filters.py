"""What is looked for among stored posts: an expression, and filters beside it, as in an address.

`Filter` is what a person chose, one value of each kind a name; `Sieve` is the same made ready:
conditions for the database, and the same question asked of one post. Both give one answer.

Each name may come several times: one of the values must be true, and none of those with "-"
before them. q is an expression of the keyword language; tags are the hashtags that the post's
network lists for it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, false, func, not_, or_, select

from tweeter import moments
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.keywords import PART, haystack, print_expression, tree
from tweeter.keywords.features import OLD_LANGUAGES, Feature, features, languages
from tweeter.keywords.haystack import of_parts
from tweeter.keywords.index_words import Wanted, hashtag, is_exact, wanted
from tweeter.keywords.nodes import And, Field, Node, Not, Or, Tag, holds
from tweeter.keywords.normalise import normalise
from tweeter.keywords.parse import parse
from tweeter.records import Keyword, Link, Post
from tweeter.store.schema import matches, posts

NETWORKS = ("x", "bluesky", "mastodon", "demo")
KINDS = ("post", "reply", "repost", "quote")
STATES = ("edited", "sensitive")
NO_LANGUAGE = "und"  # of posts whose network names none
MANY = ("network", "lang", "kind", "keyword", "state", "tag")  # names that may come several times
VALUES = 50  # of one name
_NAMES = "id network text also kind traits lang author_id author_handle links tags occurred_at"
LOOKED_AT = tuple(posts.c[name] for name in _NAMES.split())  # of each candidate of a search

_LANGUAGE = re.compile(r"[a-z]{2,8}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class BadFilter(TweeterError):
    """A filter that cannot be understood; says what is expected."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. A value with "-" before it must not hold. Times as people write them."""

    q: str = ""
    network: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    @classmethod
    def from_args(cls, args: Mapping[str, Sequence[str]]) -> "Filter":
        """Of the query of an address; other names are left alone. Raises BadFilter."""
        found: dict[str, Any] = {}
        for name in MANY:
            given = dict.fromkeys(v.strip() for v in args.get(name, ()) if v.strip())
            if len(given) > VALUES:
                raise BadFilter(f"“{name}” has more than {VALUES} values.")
            found[name] = tuple(_checked(name, value) for value in given)
        for name in ("q", "since", "until"):
            found[name] = next(iter(args.get(name, ())), "").strip()
        return cls(**found)

    def to_args(self) -> list[tuple[str, str]]:
        """The query of an address, the same for the same filter; from_args reads it again."""
        args = [("q", self.q)] if self.q else []
        args += [(name, value) for name in MANY for value in getattr(self, name)]
        return args + [(n, getattr(self, n)) for n in ("since", "until") if getattr(self, n)]

    def having(self, name: str, value: str) -> "Filter":
        """With one value more; its opposite goes, and of the values before only the excluded stay.

        For "since", "until" and "q": with this value.
        """
        if name not in MANY:
            return msgspec.structs.replace(self, **{name: value})
        opposite = value[1:] if value.startswith("-") else f"-{value}"
        kept = [one for one in getattr(self, name) if one not in (value, opposite)]
        return msgspec.structs.replace(self, **{name: (*kept, value)})

    def without(self, name: str, value: str = "") -> "Filter":
        """With one value less."""
        if name not in MANY:
            return msgspec.structs.replace(self, **{name: ""})
        kept = tuple(one for one in getattr(self, name) if one != value)
        return msgspec.structs.replace(self, **{name: kept})

    def matches(self, post: Post, keyword_ids: Collection[int] = ()) -> bool:
        """Whether the post is one; keyword_ids: of the keywords that match it.

        For many posts make a Sieve once. Raises KeywordSyntaxError and BadMoment.
        """
        return Sieve(self, post.received_at).matches(post, keyword_ids)

    def as_keyword(self) -> tuple[str, tuple[str, ...]]:
        """The same as an expression to follow, and its networks; "" if it needs a word.

        Only times, keywords and states are left out: what is followed has none.
        """
        try:
            parts = [parse(self.q)] if self.q else []
        except KeywordSyntaxError:
            return "", ()
        parts += _chosen(self.lang, lambda value: Field("lang", value))
        kinds = tuple(kind for kind in self.kind if kind.removeprefix("-") != "post")
        parts += _chosen(kinds, lambda value: Field("is", value))
        parts += _chosen(self.tag, Tag)
        networks = tuple(v for v in NETWORKS[:3] if _holds(self.network, {v}) and self.network)
        try:
            text = print_expression(And(tuple(parts)) if len(parts) > 1 else parts[0])
            parse(text)
        except (IndexError, KeywordSyntaxError):
            return "", ()
        return text, networks


def _checked(name: str, value: str) -> str:
    """The value, if it is one of this name; raises BadFilter."""
    bare = value.removeprefix("-")
    sign = value[: len(value) - len(bare)]
    choices = {"network": NETWORKS, "kind": KINDS, "state": STATES}.get(name)
    if choices and bare not in choices:
        raise BadFilter(f"“{name}” is {value[:50]!r}: expected one of {', '.join(choices)}.")
    if name == "lang" and not _LANGUAGE.fullmatch(bare):
        raise BadFilter(f"“lang” is {value[:50]!r}: expected two letters, such as en.")
    if name == "keyword" and not (bare.isascii() and bare.isdigit() and len(bare) < 19):
        raise BadFilter(f"“keyword” is {value[:50]!r}: expected a keyword's number.")
    return f"{sign}{_tag(bare)}" if name == "tag" else value


def _tag(text: str) -> str:
    bare = text.removeprefix("#")
    try:
        found = parse(f"#{bare}")
    except KeywordSyntaxError as error:
        raise BadFilter(f"“tag” is {text[:50]!r}: {error.message}") from error
    if not isinstance(found, Tag):
        raise BadFilter(f"“tag” is {text[:50]!r}: expected one hashtag.")
    return normalise(bare)


def _chosen(values: Iterable[str], make: Any) -> list[Node]:
    """Values of one name as nodes that must all hold."""
    wanted = [make(value) for value in values if not value.startswith("-")]
    nodes: list[Node] = [Or(tuple(wanted)) if len(wanted) > 1 else wanted[0]] if wanted else []
    return nodes + [Not(make(value[1:])) for value in values if value.startswith("-")]


def language(tag: str) -> str:
    """The language that a post is listed under: "pt" for "pt-BR", NO_LANGUAGE for none."""
    return next(languages(tag), "") or NO_LANGUAGE


def _moment(text: str, now: int, name: str) -> int:
    if _DATE.fullmatch(text):
        text = f"{text}T00:00:00Z"
    return moments.read(text, now, name) if text else 0


class Sieve:
    """A filter made ready. accounts: the ids that stand for names of `from:`, where known.

    node: the expression; None: there is none. since, until: microseconds, 0: open.
    Raises KeywordSyntaxError and BadMoment.
    """

    def __init__(
        self, chosen: Filter, now: int, accounts: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.chosen = chosen
        self.since = _moment(chosen.since, now, "“since”")
        self.until = _moment(chosen.until, now, "“until”")
        self.node: Node | None = None
        if chosen.q:
            self.node = tree(Keyword(id=0, expression=chosen.q, accounts=accounts))
        self._has_fields = self.node is not None and _has_fields(self.node)

    def wanted(self) -> Wanted:
        """What the full-text index can say of it."""
        found = Wanted() if self.node is None else wanted(self.node)
        tags = tuple(hashtag(tag) for tag in self.chosen.tag if not tag.startswith("-"))
        return Wanted((tags, *found.clauses), found.never) if tags else found

    @property
    def is_exact(self) -> bool:
        """Whether index and conditions say it all, but for posts of too many words."""
        return not self.chosen.tag and (self.node is None or is_exact(self.node))

    def finds_row(self, row: RowMapping) -> bool:
        """Whether expression and tags hold for a row with the columns LOOKED_AT."""
        if self.chosen.tag and not _holds(self.chosen.tag, _tags(row)):
            return False
        if self.node is None:
            return True
        hay = of_parts((row["text"], *row["also"].split(PART)) if row["also"] else (row["text"],))
        return holds(self.node, hay, _features(row) if self._has_fields else frozenset())

    def matches(self, post: Post, keyword_ids: Collection[int] = ()) -> bool:
        """Whether the post is one that is looked for."""
        chosen = self.chosen
        states = {"edited": bool(post.edited_at), "sensitive": post.sensitive}
        return (
            post.occurred_at >= self.since
            and not (self.until and post.occurred_at >= self.until)
            and _holds(chosen.network, {post.network})
            and _holds(chosen.lang, {language(post.lang)})
            and _holds(chosen.kind, {post.kind})
            and _holds(chosen.state, {name for name, is_so in states.items() if is_so})
            and _holds(chosen.keyword, {str(number) for number in keyword_ids})
            and _holds(chosen.tag, {normalise(tag) for tag in post.tags})
            and (self.node is None or holds(self.node, haystack(post), features(post)))
        )

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for the database, but for `finds_row`; and that the post can be seen."""
        chosen = self.chosen
        found = [posts.c.hidden == "", posts.c.removed_at.is_(None)]
        found += [posts.c.occurred_at >= self.since] if self.since else []
        found += [posts.c.occurred_at < self.until] if self.until else []
        found += _either(chosen.network, lambda values: posts.c.network.in_(values))
        found += _either(chosen.kind, lambda values: posts.c.kind.in_(values))
        found += _either(chosen.lang, _in_language)
        found += _either(chosen.state, _in_state)
        found += _either(chosen.keyword, _of_keywords)
        return found


def _has_fields(node: Node) -> bool:
    if isinstance(node, And | Or):
        return any(_has_fields(child) for child in node.nodes)
    return _has_fields(node.node) if isinstance(node, Not) else isinstance(node, Field)


def _tags(row: RowMapping) -> set[str]:
    return {normalise(tag) for tag in msgspec.json.decode(row["tags"], type=list[str])}


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


def _holds(values: Sequence[str], true: Collection[str]) -> bool:
    wanted = [value for value in values if not value.startswith("-")]
    if wanted and not any(value in true for value in wanted):
        return False
    return not any(value[1:] in true for value in values if value.startswith("-"))


def _either(values: Sequence[str], condition: Any) -> list[ColumnElement[bool]]:
    wanted = [value for value in values if not value.startswith("-")]
    refused = [value[1:] for value in values if value.startswith("-")]
    found = [condition(wanted)] if wanted else []
    return found + ([not_(condition(refused))] if refused else [])


def _in_language(values: Sequence[str]) -> ColumnElement[bool]:
    tag = func.lower(posts.c.lang)
    old = [before for before, now in OLD_LANGUAGES.items() if now in values]
    firsts = [v for v in values if v not in OLD_LANGUAGES] + old
    firsts += [""] if NO_LANGUAGE in values else []
    if not firsts:
        return false()
    return or_(
        tag.in_(firsts),
        *(tag.startswith(f"{first}{sign}", autoescape=True) for first in firsts for sign in "-_"),
    )


def _in_state(values: Sequence[str]) -> ColumnElement[bool]:
    columns = {"edited": posts.c.edited_at != 0, "sensitive": posts.c.sensitive.is_(True)}
    return or_(*(columns[value] for value in values))


def _of_keywords(values: Sequence[str]) -> ColumnElement[bool]:
    theirs = matches.alias()  # the search may read along matches itself
    one = select(theirs.c.post_id).where(
        theirs.c.post_id == posts.c.id, theirs.c.keyword_id.in_([int(value) for value in values])
    )
    return one.correlate(posts).exists()
