"""Parsing a keyword expression; `printing` is the way back.

    expression = together, { "OR", together } ;
    together   = part, { [ "AND" ], part } ;                  (side by side means AND)
    part       = { "NOT" | "-" },
                 ( "(", expression, ")" | phrase | tag | name | field | prefix | word ) ;
    phrase     = '"', text, '"' ;   tag = "#", letters ;   name = "@", letters ;
    field      = ( "from" | "lang" | "is" | "has" | "url" | "domain" ), ":", value ;
    prefix     = word, "*" ;

AND, OR and NOT only in capitals; "-" directly before what it negates. Every error is a
KeywordSyntaxError that points at a character of the expression as it was typed.
docs/keywords.md says the same for people.
"""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords.boundaries import SPACED, is_word
from tweeter.keywords.fields import LOOKS_LIKE, field
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
    can_match,
    needs_something,
    opened,
    pattern,
)
from tweeter.texts import mark, say

A = TypeVar("A", Word, Tag, Mention, Prefix)

CHARACTERS = 1024  # as long as X's rules
DEPTH = 50

_UNOPENED = say("This parenthesis was never opened.")
_QUOTE_IT = say('To search for the sign itself put it in quotes: ":)".')
_WRONG = {
    "hashtag": mark("“%(character)s” cannot be part of a hashtag."),
    "name": mark("“%(character)s” cannot be part of a name."),
}
_QUOTES = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb"}
END = "()" + "".join(_QUOTES)  # what ends a word, beside white space
PREFIX_CHARACTERS = 2  # "a*" would be every fifth word


class _Token(NamedTuple):
    kind: str  # "(", ")", "AND", "OR", "NOT", "-", "atom", "end"
    at: int
    atom: Atom | None = None


def parse(expression: str) -> Node:
    """Parse; raises KeywordSyntaxError with the position of the wrong character."""
    if len(expression) > CHARACTERS:
        raise KeywordSyntaxError(
            say(
                "The keyword is longer than %(characters)s characters.",
                characters=format(CHARACTERS, ","),
            ),
            CHARACTERS,
            say("Split it into several keywords."),
        )
    tokens = _tokens(expression)
    if tokens[0].kind == "end":
        raise KeywordSyntaxError(say("The keyword is empty."), 0, say("Write a word."))
    parser = _Parser(tokens)
    node = parser.expression(0)
    if parser.token.kind == ")":
        raise KeywordSyntaxError(_UNOPENED, parser.token.at, _QUOTE_IT)
    first = tokens[0].at
    if not needs_something(node):
        raise _too_wide(node, first)
    if not can_match(node):
        raise KeywordSyntaxError(
            say("No post can match: what is asked for is also forbidden."),
            next((t.at for t in tokens if t.kind in ("NOT", "-")), first),
            say("Remove one of the two."),
        )
    return node


def _too_wide(node: Node, at: int) -> KeywordSyntaxError:
    if isinstance(node, Field):
        return KeywordSyntaxError(
            say(
                "“%(name)s:%(value)s” cannot stand alone: it is true of too many posts.",
                name=node.name,
                value=node.value,
            ),
            at,
            say("Add a word that must be there."),
        )
    return KeywordSyntaxError(
        say(
            "This would match nearly every post: it only says what must be absent, or what many"
            " posts are."
        ),
        at,
        say("Add a word that must be there."),
    )


# From characters to tokens.


def _tokens(expression: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(expression):
        character = expression[at]
        if character.isspace():
            at += 1
        elif unicodedata.category(character) in ("Cc", "Cs"):
            raise KeywordSyntaxError(say("A control character cannot be searched for."), at)
        elif character in "()":
            tokens.append(_Token(character, at))
            at += 1
        elif character in _QUOTES:
            atom, end = _phrase(expression, at)
            tokens.append(_Token("atom", at, atom))
            at = end
        elif character == "-":
            tokens.append(_minus(expression, at))
            at += 1
        else:
            end = _word_end(expression, at)
            tokens.append(_bare(expression[at:end], at))
            at = end
    tokens.append(_Token("end", len(expression)))
    return tokens


def fields_of(expression: str) -> Iterator[tuple[Field, int]]:
    """The fields of an expression with the places where they begin; raises KeywordSyntaxError."""
    for token in _tokens(expression):
        if isinstance(token.atom, Field):
            yield token.atom, token.at


def _phrase(expression: str, at: int) -> tuple[Word, int]:
    """The phrase that opens at `at`, and the position after its closing quote."""
    closing = _QUOTES[expression[at]]
    ends = [end for mark in closing if (end := expression.find(mark, at + 1)) >= 0]
    if not ends:
        raise KeywordSyntaxError(
            say("This quote is never closed."), at, say("Add “%(sign)s”.", sign=closing[-1])
        )
    end = min(ends)
    text = " ".join(expression[at + 1 : end].split())
    for offset, character in enumerate(expression[at + 1 : end]):
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            raise KeywordSyntaxError(
                say("A control character cannot be searched for."), at + 1 + offset
            )
    return _visible(Word(text), at), end + 1


def _visible(atom: A, at: int) -> A:
    """The atom, if something of it is left to look for."""
    if not pattern(atom)[0].strip("#@" if isinstance(atom, Tag | Mention) else ""):
        raise KeywordSyntaxError(
            say("There is nothing here to search for."), at, say("Write a word.")
        )
    return atom


def _minus(expression: str, at: int) -> _Token:
    after = expression[at + 1 : at + 2]
    if not after or after.isspace() or after in ")-":
        raise KeywordSyntaxError(
            say("“-” excludes what directly follows it, and nothing does."),
            at,
            say('To search for the sign itself write "-".'),
        )
    return _Token("-", at)


def _word_end(expression: str, at: int) -> int:
    end = at
    while end < len(expression) and not expression[end].isspace() and expression[end] not in END:
        if unicodedata.category(expression[end]) in ("Cc", "Cs"):
            raise KeywordSyntaxError(say("A control character cannot be searched for."), end)
        end += 1
    return end


def _bare(text: str, at: int) -> _Token:
    """A word, operator, tag or name without quotes."""
    if text in ("AND", "OR", "NOT"):
        return _Token(text, at)
    if text[0] in "#\uff03" and len(text) > 1:
        return _Token("atom", at, _visible(Tag(_checked(text, at, "hashtag", "")), at))
    if text[0] in "@\uff20" and len(text) > 1:
        return _Token("atom", at, _visible(Mention(_checked(text, at, "name", ".-@")), at))
    if LOOKS_LIKE.match(text):
        return _Token("atom", at, field(text, at))
    if len(text) > 1 and text.endswith("*"):
        return _Token("atom", at, _prefix(text, at))
    return _Token("atom", at, _visible(Word(text), at))


def _prefix(text: str, at: int) -> Prefix:
    prefix = _visible(Prefix(text[:-1]), at)
    wanted = pattern(prefix)[0]
    if len(wanted) < PREFIX_CHARACTERS and SPACED[wanted[-1]]:
        raise KeywordSyntaxError(
            say("One letter is the beginning of too many words."),
            at,
            say("Write at least two before *."),
        )
    return prefix


def _checked(text: str, at: int, name: str, extra: str) -> str:
    """A tag or name without its sign; its letters checked."""
    for offset, character in enumerate(text[1:], 1):
        last = offset == len(text) - 1
        joins = unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"
        if not (is_word(character) or joins or (character in extra and not last)):
            raise KeywordSyntaxError(
                say(_WRONG[name], character=character),
                at + offset,
                say('For the text itself write "%(given)s".', given=text),
            )
    return text[1:]


# From tokens to a tree.


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self.token
        self._next += 1
        return token

    def expression(self, depth: int) -> Node:
        """together, { OR, together }."""
        nodes = [self._together(depth)]
        while self.token.kind == "OR":
            self._operand(self._take())
            nodes.append(self._together(depth))
        return _joined(Or, nodes)

    def _together(self, depth: int) -> Node:
        nodes = [self._part(depth)]
        while self.token.kind not in ("OR", ")", "end"):
            if self.token.kind == "AND":
                self._operand(self._take())
            nodes.append(self._part(depth))
        return _joined(And, nodes)

    def _operand(self, operator: _Token) -> None:
        """Refuse an operator that has nothing on its right."""
        if self.token.kind in ("AND", "OR", ")", "end"):
            raise KeywordSyntaxError(
                say("Something must follow %(kind)s.", kind=operator.kind),
                operator.at,
                say('For the word itself write "%(word)s".', word=operator.kind.lower()),
            )

    def _part(self, depth: int) -> Node:
        token = self._take()
        if token.kind in ("NOT", "-"):
            self._operand(token)
            self._deep(token, depth)
            inner = self._part(depth + 1)
            return inner.node if isinstance(inner, Not) else Not(inner)
        if token.kind == "(":
            self._deep(token, depth)
            return self._group(token, depth)
        if token.atom is not None:
            return token.atom
        if token.kind == ")":
            raise KeywordSyntaxError(_UNOPENED, token.at, _QUOTE_IT)
        raise KeywordSyntaxError(
            say("Something must stand before %(kind)s.", kind=token.kind),
            token.at,
            say('For the word itself write "%(word)s".', word=token.kind.lower()),
        )

    def _group(self, opening: _Token, depth: int) -> Node:
        if self.token.kind == ")":
            raise KeywordSyntaxError(
                say("There is nothing between these parentheses."), self.token.at
            )
        if self.token.kind == "end":
            raise KeywordSyntaxError(
                say("This parenthesis is never closed."), opening.at, say("Add “)”.")
            )
        node = self.expression(depth + 1)
        if self.token.kind != ")":
            raise KeywordSyntaxError(
                say("This parenthesis is never closed."), opening.at, say("Add “)”.")
            )
        self._take()
        return node

    def _deep(self, token: _Token, depth: int) -> None:
        if depth >= DEPTH:
            raise KeywordSyntaxError(
                say("Nested more than %(depth)s deep.", depth=DEPTH),
                token.at,
                say("Split it into several keywords."),
            )


def _joined(kind: type[And] | type[Or], nodes: list[Node]) -> Node:
    """One group of the nodes; groups of the same kind inside are opened."""
    flat = opened(kind, nodes)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
