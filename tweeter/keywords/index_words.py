"""Posts and expressions as words that every database's full-text index takes alike.

A post becomes a set of words of the letters a-z and the digits, none shorter than three, none a
stop word, none longer than MariaDB takes: so SQLite, PostgreSQL and MariaDB, each with its own
rules for texts, index and find the same. An expression becomes what must be among a post's
words (`Wanted`). That may let too many posts through, never too few: each one found is matched
again by `nodes.holds`, which alone decides.

The words of a post, by what they begin with:

    zz  a word of a script with spaces between its words
    zu  two neighbours of a script without (Han, Kana, Thai, Hangul …); the last one alone
    zs  a sign: an emoji, +, $, …; punctuation is left out
    zf  its author's id or handle    zl  a domain of its links    zh  one of its hashtags
    zd  the day of its moment, since 1970  zall  it has too many words: it may hold any
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product
from operator import add

import msgspec

from tweeter.keywords.boundaries import SPACED, WORD
from tweeter.keywords.features import host_domains
from tweeter.keywords.haystack import EDGE, of_parts
from tweeter.keywords.nodes import And, Field, Node, Not, Or, Prefix, Text, pattern, pushed_down
from tweeter.keywords.normalise import normalise
from tweeter.moments import DAY_US

RULES = 2  # raised when a text's words become others: those of stored posts are made anew
TOO_MANY = "zall"
MOST_WORDS = 20_000  # of a post: about 200 kB; PostgreSQL takes 1 MB
LONGEST = 64  # letters of a word; MariaDB takes 84
CLAUSES = 64  # of a query
REMEMBERED = 20  # characters of a word whose spelling is kept in memory
MOST_REMEMBERED = 50_000

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SIGNS = ("Sc", "Sk", "Sm", "So")


class _Numbers(dict[str, str]):
    """Each character as its number. Remembers its answers."""

    def __missing__(self, character: str) -> str:
        spelled, rest = "", ord(character)
        while rest:
            rest, digit = divmod(rest, 36)
            spelled = _DIGITS[digit] + spelled
        self[character] = spelled
        return spelled


class _Unspaced(dict[str, str]):
    """The word of a character of a script without spaces. Remembers its answers."""

    def __missing__(self, character: str) -> str:
        found = self[character] = f"zu{_NUMBERS[character]}"
        return found


class _Spelled(dict[int, str]):
    """For str.translate: a letter or digit of ASCII is itself, another is "0" and its number.

    So a word of plain letters is nobody else's.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        is_plain = character.isascii() and character.isalnum()
        found = self[code] = character if is_plain else f"0{_NUMBERS[character]}"
        return found


class _Class(dict[str, str]):
    """What a character is to the index: s(paced), u(nspaced), ! sign, space."""

    def __missing__(self, character: str) -> str:
        if SPACED[character]:
            found = "s"
        elif WORD[character]:
            found = "u"
        else:
            found = "!" if _is_sign(character) else " "
        self[character] = found
        return found


def _is_sign(character: str) -> bool:
    return unicodedata.category(character) in _SIGNS


_NUMBERS, _UNSPACED = _Numbers(), _Unspaced()
_SPELLED, _CLASS = _Spelled(), _Class()
_RUNS = re.compile(r"s+|u+|!")
_PLAIN_SIGNS = "".join(chr(code) for code in range(128) if _CLASS[chr(code)] == "!")
_PLAIN_RUNS = re.compile(rf"\w+|[{re.escape(_PLAIN_SIGNS)}]", re.ASCII)  # the same in ASCII


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """A normalised text's runs of characters of one class: ("s", "storm"), ("!", "🌊")."""
    for run in _RUNS.finditer("".join(map(_CLASS.__getitem__, text))):
        yield run[0][0], text[run.start() : run.end()]


def _spelled(text: str) -> str:
    return text.translate(_SPELLED)[:LONGEST]


def words(
    parts: Iterable[str],
    authors: Iterable[str],
    links: Iterable[str],
    tags: Iterable[str],
    occurred_at: int,
) -> str:
    """The search text of a post: its words, each once, joined by spaces.

    parts: the texts that keywords are matched against. authors: id and handle. links: addresses.
    """
    # No word goes over a space: what stands between two is looked up, most of it in memory.
    chunks = of_parts(parts).replace(EDGE, " ").split()
    found = dict.fromkeys(chain.from_iterable(map(_CHUNKS.__getitem__, chunks)))
    found.update((_hashed("zf", name.casefold()), None) for name in authors if name)
    found.update((domain(name), None) for link in links for name in host_domains(link))
    found.update((hashtag(tag), None) for tag in tags)
    if len(found) > MOST_WORDS:
        found = dict.fromkeys([*islice(found, MOST_WORDS), TOO_MANY])
    return " ".join((*found, day(occurred_at)))


class _Chunks(dict[str, list[str]]):
    """The words of what stands between two spaces. Remembers the short ones."""

    def __missing__(self, chunk: str) -> list[str]:
        found = _of_chunk(chunk)
        if len(chunk) <= REMEMBERED:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[chunk] = found
        return found


_CHUNKS = _Chunks()


def _of_chunk(chunk: str) -> list[str]:
    found: list[str] = []
    if chunk.isascii():  # most are addresses
        for run in _PLAIN_RUNS.findall(chunk):
            if run.isalnum():
                found.append(f"zz{run[:LONGEST]}")
            else:
                found.append(_sign(run) if run in _PLAIN_SIGNS else f"zz{_spelled(run)}")
        return found
    for kind, run in _runs(chunk):
        if kind == "s":
            found.append(f"zz{_spelled(run)}")
        elif kind == "!":
            found.append(_sign(run))
        else:
            found += _pairs(run)
            found.append(_UNSPACED[run[-1]])
    return found


def _sign(sign: str) -> str:
    return f"zs{_NUMBERS[sign]}"


def _pairs(run: str) -> Iterator[str]:
    return map(add, map(_UNSPACED.__getitem__, run), map(_NUMBERS.__getitem__, run[1:]))


def _hashed(kind: str, value: str) -> str:
    return f"{kind}{zlib.crc32(value.encode()):08x}"


def hashtag(tag: str) -> str:
    """The word of a hashtag that the network lists."""
    return _hashed("zh", normalise(tag))


def domain(name: str) -> str:
    """The word of a domain that a link is under."""
    return _hashed("zl", name)


def day(occurred_at: int) -> str:
    """The word of a moment's day."""
    return f"zd{occurred_at // DAY_US}"


# Expressions.


class Wanted(msgspec.Struct, frozen=True):
    """Each clause has a word, or the beginning of one (with * at its end), that the post has.

    never: words that it has not. No clause: the index can say nothing.
    """

    clauses: tuple[tuple[str, ...], ...] = ()
    never: tuple[str, ...] = ()


def wanted(node: Node) -> Wanted:
    """What the index can say of an expression: true of all posts that match, maybe of more."""
    tree = pushed_down(node)
    clauses = sorted(set(_clauses(tree)), key=lambda clause: (len(clause), clause))[:CLAUSES]
    parts = tree.nodes if isinstance(tree, And) else ()
    never = {word for part in parts if isinstance(part, Not) for word in _surely(part.node)}
    return Wanted(tuple(clauses), tuple(sorted(never)) if clauses else ())


def _clauses(node: Node) -> list[tuple[str, ...]]:
    if isinstance(node, And):
        return [clause for child in node.nodes for clause in _clauses(child)]
    if isinstance(node, Or):
        return _either([_clauses(child) for child in node.nodes])
    if isinstance(node, Not):
        return []
    if isinstance(node, Field):
        kind = {"from": "zf", "url": "zl"}.get(node.name)
        return [(_hashed(kind, node.value),)] if kind else []
    return [(word,) for word in _needed(node)]


def _either(ways: list[list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Clauses that hold whichever of the ways is taken: one of each, joined."""
    count = 1
    for clauses in ways:
        count *= len(clauses)
    if count > CLAUSES:  # all are true; the longest word is the rarest, most likely
        ways = [[max(clauses, key=lambda c: min(map(len, c)))] for clauses in ways]
    return [
        tuple(sorted({word for clause in chosen for word in clause})) for chosen in product(*ways)
    ]


def _needed(atom: Text) -> list[str]:
    """Words that a post has in which the atom stands as it must."""
    text, kind = pattern(atom)
    runs = list(_runs(text))
    found = []
    for number, (what, run) in enumerate(runs):
        is_last = number == len(runs) - 1 and text.endswith(run)
        if what == "!":
            found.append(_sign(run))
        elif what == "s":
            spelled = _spelled(run)
            is_open = is_last and kind == "prefix" and len(spelled) < LONGEST
            found.append(f"zz{spelled}{'*' if is_open else ''}")
        elif len(run) > 1:
            found.extend(_pairs(run))
        else:
            found.append(f"{_UNSPACED[run]}*")
    return found


def is_exact(node: Node) -> bool:
    """Whether `wanted` says exactly which posts match, but for those of too many words."""
    tree = pushed_down(node)
    parts = tree.nodes if isinstance(tree, And) else (tree,)
    asked = [part.node if isinstance(part, Not) else part for part in parts]
    is_something = not all(isinstance(part, Not) for part in parts)
    return is_something and len(parts) <= CLAUSES and all(_surely(part) for part in asked)


def _surely(node: Node) -> list[str]:
    """The word that says that the atom is there; none if no word says so for sure."""
    if isinstance(node, Field | And | Or | Not | Prefix):
        return []
    text, kind = pattern(node)
    # A sign that is spelled takes "0" and at least two more: see _Spelled.
    is_plain = text.isascii() and text.isalnum() and "0" not in text[:-2] and len(text) < LONGEST
    return [f"zz{text}"] if kind == "word" and is_plain else []
