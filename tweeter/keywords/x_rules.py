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
from tweeter.keywords.boundaries import is_word
from tweeter.keywords.nodes import (
    And,
    Atom,
    Field,
    Mention,
    Node,
    Not,
    Or,
    Prefix,
    Tag,
    Word,
    needs_something,
    pushed_down,
)
from tweeter.keywords.normalise import composed, normalise
from tweeter.keywords.printing import print_expression
from tweeter.keywords.x_limits import PLANS
from tweeter.texts import say

LIMIT = PLANS["pay-per-use"].characters  # of a rule
OR = " OR "  # joins the pieces of a rule

_PLAIN = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")  # X's own names; others cannot be written there
_RESERVED = ("and", "or", "not")
# Languages that X is sure to know (docs.x.com, "operators": lang); it refuses others.
_LANGUAGES = re.compile(
    "ar|da|de|el|en|es|fa|fi|fr|hi|hu|it|ja|ko|nl|no|pl|pt|ro|ru|sv|ta|te|th|tr|uk|ur|vi|zh"
)
_OPERATORS = {
    ("is", "reply"): "is:reply",
    ("is", "repost"): "is:retweet",
    ("is", "quote"): "is:quote",
    ("has", "link"): "has:links",
    ("has", "media"): "has:media",
}


class NotForX(TweeterError):
    """X has no rule that would deliver what this keyword matches; says why."""


class XRules(msgspec.Struct, frozen=True):
    """pieces: texts that, joined by OR in rules, deliver all that the keyword matches, maybe more;
    none if no post of X can match.

    dropped: clauses that X does not check, as expressions; they are applied here.
    """

    pieces: tuple[str, ...]
    dropped: tuple[str, ...]


def compile_for_x(node: Node, *, limit: int = LIMIT) -> XRules:
    """What to ask X for, each piece of at most `limit` characters. Raises NotForX."""
    dropped: list[str] = []
    tree = pushed_down(node)
    alternatives = [
        alternative
        for alternative in (tree.nodes if isinstance(tree, Or) else (tree,))
        if not _never(alternative)
    ]
    parts: list[str] = []
    for alternative in alternatives:
        parts.extend(_fitting(alternative, limit, dropped))
    return XRules(tuple(dict.fromkeys(parts)), tuple(dict.fromkeys(dropped)))


def pieces_of(rule: str) -> list[str]:
    """The pieces that a rule joins by OR; those in its parentheses and quotes are left alone."""
    return split_at(OR, rule)


def split_at(joint: str, rule: str) -> list[str]:
    """What stands between the joints of a rule that are outside its parentheses and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, character in enumerate(rule):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if depth == 0 and rule.startswith(joint, at):
                parts.append(rule[start:at])
                start = at + len(joint)
    return [*parts, rule[start:]]


def _never(node: Node) -> bool:
    """True if no post of X can match: it asks for an account that only another network has."""
    if isinstance(node, And):
        return any(_never(child) for child in node.nodes)
    if isinstance(node, Or):
        return all(_never(child) for child in node.nodes)
    return isinstance(node, Field) and node.name == "from" and not _is_account(node.value)


def _is_account(name: str) -> bool:
    return bool(_NAME.fullmatch(name))


def _fitting(node: Node, limit: int, dropped: list[str]) -> Iterator[str]:
    """An alternative as one or more texts that fit; wider than the alternative where needed."""
    while True:
        text = _text(node, dropped)
        if text is None:
            raise NotForX(
                say(
                    "X cannot search for %(expression)s; it is not asked for it.",
                    expression=print_expression(node),
                )
            )
        if len(text) <= limit:
            yield text
            return
        if isinstance(node, Or):
            for child in node.nodes:
                if not _never(child):
                    yield from _fitting(child, limit, dropped)
            return
        node = _shorter(node, limit, dropped)


def _shorter(node: Node, limit: int, dropped: list[str]) -> Node:
    """An expression with a shorter rule, or of several such; as wide, or wider."""
    if isinstance(node, And):
        return _fewer(node, limit, dropped)
    words = node.text.split() if isinstance(node, Word) else []
    if len(words) > 1:  # a phrase: its beginning alone
        dropped.append(print_expression(node))
        return Word(" ".join(words[: len(words) // 2]))
    raise NotForX(
        say("%(expression)s is too long for a rule of X.", expression=print_expression(node))
    )


def _fewer(node: And, limit: int, dropped: list[str]) -> Node:
    """Without what must be absent, or the longest part; of what X needs at least a piece stays."""
    negative = [child for child in node.nodes if isinstance(child, Not)]
    positive = [child for child in node.nodes if not isinstance(child, Not)]
    longest = max(positive, key=lambda child: len(_text(child, []) or ""))
    gone: list[Node] = [*negative] or [longest]
    kept = [child for child in node.nodes if child not in gone]
    if any(map(_is_something, kept)):
        dropped.extend(print_expression(child) for child in gone)
        return And(tuple(kept)) if len(kept) > 1 else kept[0]
    if not isinstance(longest, Or):  # what X needs: it stays, shorter
        return And((_shorter(longest, limit, dropped), *kept))
    half = len(longest.nodes) // 2
    return Or(
        tuple(
            And((Or(some) if len(some) > 1 else some[0], *kept))
            for some in (longest.nodes[:half], longest.nodes[half:])
        )
    )


def _is_something(node: Node) -> bool:
    """Whether X can be asked for it, and need not look at what nearly all posts are."""
    return needs_something(node) and _text(node, []) is not None


def _text(node: Node, dropped: list[str]) -> str | None:
    """A pushed-down tree as a rule's text that delivers at least as much; None if X has none."""
    if isinstance(node, Or):
        texts = [_text(child, dropped) for child in node.nodes if not _never(child)]
        if any(text is None for text in texts):
            return None
        return OR.join(text for text in texts if text is not None)
    if isinstance(node, And):
        return _all_of(node, dropped)
    return None if isinstance(node, Not) else _atom(node)


def _all_of(node: And, dropped: list[str]) -> str | None:
    positive, negative, is_something = [], [], False
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
            is_something = is_something or needs_something(child)
    if not is_something:
        return None  # X refuses a rule without a word, name or link, or it finds nearly all
    return " ".join(positive + negative)


def _excluded(node: Not) -> str | None:
    """What to exclude at X: only where X surely finds no more than we do, else None.

    X matches without punctuation: excluding C++ there would exclude every C, "night train" also
    "at night. Train delayed", and @ann also @ann-marie.
    """
    atom = node.node
    if isinstance(atom, Word):
        text = composed(atom.text)
        return _atom(Word(text)) if _PLAIN.fullmatch(text) and text.isascii() else None
    if isinstance(atom, Field):
        # X has:links counts pictures too, url: finds the name anywhere in an address, and
        # lang:pt is more than pt-BR.
        whole = atom.name in ("from", "is") or (atom.name == "lang" and "-" not in atom.value)
        return _atom(atom) if whole and not _never(atom) else None
    return _atom(atom) if isinstance(atom, Tag) else None


def _atom(atom: Atom) -> str | None:
    if isinstance(atom, Prefix):
        return None
    if isinstance(atom, Field):
        return _operator(atom)
    text = composed(atom.text)
    if isinstance(atom, Tag):
        return f"#{''.join(filter(is_word, text))}"
    if isinstance(atom, Mention):
        return f"@{text}" if _NAME.fullmatch(text) else _phrase(text)
    found = list(dict.fromkeys(_written(form) for form in _forms(atom.text)))
    texts = [text for text in found if text is not None]
    if len(texts) < len(found):
        return None
    return f"({OR.join(texts)})" if len(texts) > 1 else texts[0]


def _forms(text: str) -> Iterator[str]:
    """How X is asked for a word or phrase: with the letters that texts are compared in."""
    plain, folded = composed(text), normalise(text)
    yield plain
    if folded != plain.lower():  # X lowers letters and folds none: our "daß" is in "dass" too
        yield folded
    if any(unicodedata.category(c).startswith("S") for c in text):
        yield text  # whether X takes a sign apart, or what joins emoji, is not known


def _written(text: str) -> str | None:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return _phrase(text)


def _operator(atom: Field) -> str | None:
    if atom.name == "from":
        return f"from:{atom.value}"
    if atom.name == "url":
        return f'url:"{atom.value}"'
    if atom.name == "lang":
        code = atom.value.partition("-")[0]
        return f"lang:{code}" if _LANGUAGES.fullmatch(code) else None
    return _OPERATORS[atom.name, atom.value]


def _phrase(text: str) -> str | None:
    """In quotes; X has no way to write a quote inside (from memory), and ignores it anyhow."""
    inner = " ".join(text.replace('"', " ").replace("\\", " ").split())
    if not any(c.isalnum() or unicodedata.category(c) == "So" for c in inner):
        return None  # X splits texts at punctuation and keeps none of it (from memory)
    return f'"{inner}"'
