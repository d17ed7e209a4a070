"""Keywords as rules of X's filtered stream.

A rule must deliver at least what the keyword matches: each post is matched again here. So a
clause that X cannot express is left out where that widens the rule, never where it narrows.
Grammar of the rules: docs.x.com, "build a rule": a space is AND and binds tighter than OR,
"-" negates one operator, groups cannot be negated, a rule needs something positive.
"""

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from tweeter.errors import TweeterError
from tweeter.keywords.nodes import And, Atom, Mention, Node, Not, Or, Tag, Word, pushed_down
from tweeter.keywords.parse import print_expression

LIMIT = 1024  # characters of a rule, pay-per-use plan, August 2026

_PLAIN = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")  # X's own names; others cannot be written there
_RESERVED = ("and", "or", "not")


class NotForX(TweeterError):
    """X has no rule that would deliver what this keyword matches; says why."""


class XRules(msgspec.Struct, frozen=True):
    """values: rules that together deliver all that the keyword matches, and maybe more.

    dropped: clauses that X does not check, as expressions; they are applied here.
    """

    values: tuple[str, ...]
    dropped: tuple[str, ...]


def compile_for_x(node: Node, *, limit: int = LIMIT) -> XRules:
    """The rules for a keyword, each of at most `limit` characters. Raises NotForX."""
    dropped: list[str] = []
    tree = pushed_down(node)
    alternatives = tree.nodes if isinstance(tree, Or) else (tree,)
    parts: list[str] = []
    for alternative in alternatives:
        parts.extend(_fitting(alternative, limit, dropped))
    values: list[str] = []
    for part in dict.fromkeys(parts):
        if values and len(values[-1]) + len(" OR ") + len(part) <= limit:
            values[-1] += f" OR {part}"
        else:
            values.append(part)
    return XRules(tuple(values), tuple(dict.fromkeys(dropped)))


def _fitting(node: Node, limit: int, dropped: list[str]) -> Iterator[str]:
    """An alternative as one or more texts that fit; wider than the alternative where needed."""
    while True:
        text = _text(node, dropped)
        if text is None:
            raise NotForX(f"X cannot search for {print_expression(node)}; it is not asked for it.")
        if len(text) <= limit:
            yield text
            return
        if isinstance(node, Or):
            for child in node.nodes:
                yield from _fitting(child, limit, dropped)
            return
        node = _shorter(node, limit, dropped)


def _shorter(node: Node, limit: int, dropped: list[str]) -> Node:
    """A wider expression with a shorter rule."""
    if isinstance(node, And):
        negative = [child for child in node.nodes if isinstance(child, Not)]
        positive = [child for child in node.nodes if not isinstance(child, Not)]
        gone: list[Node] = [*negative] or [
            max(positive, key=lambda child: len(_text(child, []) or ""))
        ]
        dropped.extend(print_expression(child) for child in gone)
        kept = [child for child in node.nodes if child not in gone]
        return And(tuple(kept)) if len(kept) > 1 else kept[0]
    if isinstance(node, Word):  # a phrase: its beginning alone
        words = node.text.split()
        short = " ".join(words[: max(1, len(words) // 2)])[: limit - 2]
        dropped.append(print_expression(node))
        return Word(short)
    raise NotForX(f"{print_expression(node)} is too long for a rule of X.")


def _text(node: Node, dropped: list[str]) -> str | None:
    """A pushed-down tree as a rule's text that delivers at least as much; None if X has none."""
    if isinstance(node, Or):
        texts = [_text(child, dropped) for child in node.nodes]
        if any(text is None for text in texts):
            return None
        return " OR ".join(text for text in texts if text is not None)
    if isinstance(node, And):
        return _all_of(node, dropped)
    return None if isinstance(node, Not) else _atom(node)


def _all_of(node: And, dropped: list[str]) -> str | None:
    positive, negative = [], []
    for child in node.nodes:
        if isinstance(child, Not):
            excluded = _excluded(child)
            if excluded is None:
                dropped.append(print_expression(child))
            else:
                negative.append(f"-{excluded}")
            continue
        text = _text(child, dropped)
        if text is None:
            dropped.append(print_expression(child))
        else:
            positive.append(f"({text})" if isinstance(child, Or) else text)
    return " ".join(positive + negative) if positive else None


def _excluded(node: Not) -> str | None:
    """What to exclude at X: only where X surely finds no more than we do, else None.

    X matches without punctuation, so excluding C++ there would exclude every C.
    """
    atom = node.node
    if isinstance(atom, Word) and not all(
        _PLAIN.fullmatch(word) and word.isascii() for word in atom.text.split()
    ):
        return None
    return _atom(atom) if isinstance(atom, Word | Tag | Mention) else None


def _atom(atom: Atom) -> str | None:
    if isinstance(atom, Tag):
        return f"#{_clean(atom.text)}"
    if isinstance(atom, Mention):
        if _NAME.fullmatch(atom.text):
            return f"@{atom.text}"
        return _phrase(atom.text)
    if _PLAIN.fullmatch(atom.text) and atom.text.lower() not in _RESERVED:
        return atom.text
    return _phrase(atom.text)


def _clean(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c == "_" or c.isalnum())


def _phrase(text: str) -> str | None:
    """In quotes; X has no way to write a quote inside (from memory), and ignores it anyhow."""
    inner = " ".join(text.replace('"', " ").replace("\\", " ").split())
    if not any(c.isalnum() or unicodedata.category(c) == "So" for c in inner):
        return None  # X splits texts at punctuation and keeps none of it (from memory)
    return f'"{inner}"'
