"""The columns of the live deck: what each of them is of, its filter, and how it looks.

In an address a column is `c1=keyword:3&c1.lang=en&c1.without=sale`; a form has the same names
without `c1.`, and `of` for the first. The filter's names are those of a search, but that its
expression is called `with`.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlencode

import msgspec

from tweeter.choices import NETWORKS, BadFilter, hashtag
from tweeter.errors import KeywordSyntaxError
from tweeter.filters import MANY, ONE, Args, Filter, span, values_of
from tweeter.moments import BadMoment, refuse_turned
from tweeter.records import now_us
from tweeter.texts import say

COLUMNS = 12  # in a deck
TOGETHER = 48  # in one stream: a browser's tabs share a line
TITLE_CHARACTERS = 60
EXPRESSION_CHARACTERS = 300  # twelve columns must fit into one address
WIDTHS = ("s", "m", "l")

_NAMES = {"q": "with"}  # where a column's address has another name than a search


class BadColumn(BadFilter):
    """A column is not one; field is the name of what is wrong, as forms and addresses have it."""


class Column(Filter, frozen=True, kw_only=True, cache_hash=True):
    """A column as a deck keeps it. title "": named after what it shows."""

    of: str = "all"  # "all", "keyword:ID", "network:NAME", "tag:NAME" or "search:ID"
    title: str = ""
    width: str = "m"  # "s", "m" or "l"

    @property
    def filter(self) -> Filter:
        """What is narrowed down, without what it is of and how it looks."""
        return Filter(**{name: getattr(self, name) for name in Filter.__struct_fields__})

    @property
    def shown(self) -> "Column":
        """The same without how it looks: equal ones show the same posts."""
        return msgspec.structs.replace(self, title="", width="m")

    @property
    def keyword_id(self) -> int | None:
        """The keyword whose posts these are; None for other columns."""
        return self._id("keyword")

    @property
    def search_id(self) -> int | None:
        """The saved search whose posts these are; None for other columns."""
        return self._id("search")

    def _id(self, wanted: str) -> int | None:
        kind, _, value = self.of.partition(":")
        return int(value) if kind == wanted else None

    @property
    def subject(self) -> Filter:
        """What it is of, as a filter; of a saved search: all, for only the store knows it."""
        kind, _, value = self.of.partition(":")
        return Filter().having(kind, value) if kind in MANY else Filter()

    @classmethod
    def of_search(cls, chosen: Filter) -> Self:
        """A column of what a search finds; raises BadColumn."""
        return cls(**msgspec.structs.asdict(chosen)).checked()

    @classmethod
    def from_args(cls, args: Args, prefix: str = "") -> Self:
        """Read and check; prefix is "c1", or "" for a form. Raises BadColumn."""
        dot = f"{prefix}." if prefix else ""
        mine = {n.removeprefix(dot): values for n, values in args.items() if n.startswith(dot)}
        mine |= {name: mine[theirs] for name, theirs in _NAMES.items() if theirs in mine}
        mine["of"] = args.get(prefix or "of", ())

        def first(name: str, default: str = "") -> str:
            return next(iter(mine.get(name, ())), "").strip() or default

        title, width = " ".join(first("title").split()), first("width", "m")
        found = cls(**values_of(mine), of=first("of", "all"), title=title, width=width)
        return found.checked()

    def refuse_turned(self) -> None:
        """Raise BadColumn for a range that ends before it begins, at present: it shows nothing.

        Not in `checked`: a column with "2d" in it may come to that with time, and stays a column.
        """
        try:
            refuse_turned(*span((self,), now_us()))
        except BadMoment as error:
            raise BadColumn(error.field, error.args[0]) from error

    def to_args(self, prefix: str = "") -> list[tuple[str, str]]:
        """The same as names and values, without what is as by default."""
        dot = f"{prefix}." if prefix else ""
        values: dict[str, list[str]] = {}
        for name, value in self.filter.to_args():
            values.setdefault(_NAMES.get(name, name), []).append(value)
        found = [(prefix or "of", self.of)]
        found += [
            (dot + name, (" " if name == "link" else ",").join(some))  # a link may have commas
            for name, some in values.items()
        ]
        found += [(f"{dot}title", self.title)] if self.title else []
        return found + ([(f"{dot}width", self.width)] if self.width != "m" else [])

    def checked(self) -> Self:
        """The same with its values as they are compared, in order; raises BadColumn."""
        if self.width not in WIDTHS:
            raise BadColumn("width", say("“%(width)s” is none of s, m, l.", width=self.width[:40]))
        if len(self.title) > TITLE_CHARACTERS:
            raise BadColumn(
                "title", say("A title has at most %(most)s characters.", most=TITLE_CHARACTERS)
            )
        try:
            found = super().checked()
            of = _checked_of(self.of)
        except BadFilter as error:
            raise BadColumn(error.field, error.args[0]) from error
        for name in ("q", "without", "since", "until"):
            _check_readable(name, getattr(self, name))
        values = {name: tuple(sorted(getattr(found, name))) for name in MANY}
        return msgspec.structs.replace(found, of=of, **values)


def _checked_of(of: str) -> str:
    kind, _, value = of.partition(":")
    is_id = value.isascii() and value.isdigit() and len(value) < 19
    if of == "all" or (kind == "network" and value in NETWORKS):
        return of
    if kind in ("keyword", "search") and is_id:
        return f"{kind}:{int(value)}"
    if kind == "tag":
        return f"tag:{hashtag(value)}"
    raise BadColumn(
        "of",
        say(
            "“%(of)s” is no column: write all, keyword:3, network:bluesky, tag:storm or search:2.",
            of=of[:40],
        ),
    )


def _check_readable(name: str, value: str) -> None:
    field = _NAMES.get(name, name)
    if len(value) > EXPRESSION_CHARACTERS:
        words = say(
            "At most %(most)s characters; a longer search can be saved first.",
            most=EXPRESSION_CHARACTERS,
        )
        raise BadColumn(field, words)
    try:
        Filter().having(name, value).read()
    except (KeywordSyntaxError, BadMoment) as error:
        raise BadColumn(field, error.args[0]) from error


def from_query(args: Args, most: int = COLUMNS) -> tuple[Column, ...]:
    """The columns of an address, by their numbers; raises BadColumn, which names the column."""
    numbers = _numbers(args)
    if len(numbers) > most:
        raise BadColumn("of", say("At most %(most)s columns.", most=most))
    found = []
    for number in numbers:
        try:
            found.append(Column.from_args(args, f"c{number}"))
        except BadColumn as error:
            raise BadColumn(
                error.field, say("Column %(number)s: %(error)s", number=number, error=error.args[0])
            ) from error
    return tuple(found)


def _numbers(args: Args) -> list[int]:
    return sorted(int(name[1:]) for name in args if re.fullmatch(r"c[1-9][0-9]{0,2}", name))


def names_of(args: Args) -> list[str]:
    """All that an address can say of the columns in it: ["c1", "c1.with", …]."""
    mine = (*(_NAMES.get(name, name) for name in (*ONE, *MANY)), "title", "width")
    return [name for n in _numbers(args) for name in (f"c{n}", *(f"c{n}.{one}" for one in mine))]


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
