"""X's rule language, read anew for the simulator: it shares nothing with tweeter's own.

A space is AND and binds tighter than OR; "-" negates one operator; groups cannot be negated; a
rule of only negations is refused. Words match whole tokens, without regard to case.
"""

import re
import unicodedata
from typing import Any

_TOKEN = re.compile(r'\s*(-?"[^"]*"|\(|\)|-?[^\s()"]+)')


class BadRule(Exception):
    """What X says of a rule it does not take."""


def tokens(text: str) -> list[str]:
    """A text in X's tokens: letters and digits, each CJK character and emoji by itself."""
    found: list[str] = []
    word = ""
    for character in unicodedata.normalize("NFKC", text).lower():
        wide = ord(character) >= 0x2E80 and character.isalnum()
        if (character.isalnum() or character in "_") and not wide:
            word += character
            continue
        if unicodedata.category(character).startswith("M") and word:
            word += character
            continue
        if word:
            found.append(word)
            word = ""
        if wide or unicodedata.category(character) == "So":
            found.append(character)
    return [*found, word] if word else found


def compile_rule(value: str) -> Any:
    """A predicate over (tokens of the text, tags, names). Raises BadRule."""
    found = [match[1] for match in _TOKEN.finditer(value)]
    if not found or "".join(found).replace(" ", "") != re.sub(r"\s+", "", value).replace(" ", ""):
        raise BadRule("missing or unmatched quote")
    parser = _Parser(found)
    rule, positive = parser.either()
    if parser.rest():
        raise BadRule(f"no viable alternative at '{parser.rest()[0]}'")
    if not positive:
        raise BadRule("rules must contain at least one positive operator")
    return rule


class _Parser:
    def __init__(self, found: list[str]) -> None:
        self._found = found
        self._at = 0

    def rest(self) -> list[str]:
        return self._found[self._at :]

    def either(self) -> tuple[Any, bool]:
        rules = [self.all_of()]
        while self.rest() and self.rest()[0] == "OR":
            self._at += 1
            rules.append(self.all_of())
        parts = [rule for rule, _ in rules]
        return (lambda p: any(part(p) for part in parts)), all(ok for _, ok in rules)

    def all_of(self) -> tuple[Any, bool]:
        rules = []
        while self.rest() and self.rest()[0] not in ("OR", ")"):
            rules.append(self.one())
        if not rules:
            raise BadRule("an operator is missing")
        parts = [rule for rule, _ in rules]
        return (lambda p: all(part(p) for part in parts)), any(ok for _, ok in rules)

    def one(self) -> tuple[Any, bool]:
        token = self._found[self._at]
        self._at += 1
        if token == "(":
            rule = self.either()
            if self.rest()[:1] != [")"]:
                raise BadRule("missing ')'")
            self._at += 1
            return rule
        if token == "-":
            raise BadRule("groups cannot be negated")
        if token in ("AND", "NOT"):
            raise BadRule(f"ambiguous use of {token.lower()}")
        if token.startswith("-"):
            inner = _operator(token[1:])
            return (lambda p: not inner(p)), False
        return _operator(token), True


def _operator(token: str) -> Any:
    if token.startswith("#"):
        return lambda p: token[1:].lower() in p[1]
    if token.startswith("@"):
        return lambda p: token[1:].lower() in p[2]
    wanted = tokens(token)
    if not wanted:
        raise BadRule("an operator without letters")
    size = len(wanted)
    return lambda p: any(p[0][at : at + size] == wanted for at in range(len(p[0]) - size + 1))


def seen_by_rules(post: dict[str, Any]) -> tuple[list[str], set[str], set[str]]:
    """What X's rules look at: text, long text, links, and the same of posts referred to."""
    references = {r.get("id") for r in post["data"].get("referenced_tweets") or []}
    kinds = {r.get("type") for r in post["data"].get("referenced_tweets") or []}
    found = [post["data"]]
    if kinds & {"retweeted", "quoted"}:
        others = (post.get("includes") or {}).get("tweets") or []
        found += [other for other in others if other.get("id") in references or len(others) < 9]
    words: list[str] = []
    tags: set[str] = set()
    names: set[str] = set()
    media = {m.get("media_key"): m for m in (post.get("includes") or {}).get("media") or []}
    for one in found:
        parts = [one.get("text", ""), (one.get("note_tweet") or {}).get("text", "")]
        entities = one.get("entities") if isinstance(one.get("entities"), dict) else {}
        for link in (entities or {}).get("urls") or []:
            parts += [str(link.get(n, "")) for n in ("display_url", "expanded_url", "unwound_url")]
            parts += [str(link.get(n, "")) for n in ("title", "description")]
        attached = one.get("attachments")
        for key in (attached if isinstance(attached, dict) else {}).get("media_keys") or []:
            parts.append(str(media.get(key, {}).get("alt_text", "")))
        for part in parts:
            words += [*tokens(part), "\x00"]
        for tag in (entities or {}).get("hashtags") or []:
            tags.add(str(tag.get("tag", "")).lower())
            words += [*tokens(str(tag.get("tag", ""))), "\x00"]
        for name in (entities or {}).get("mentions") or []:
            names.add(str(name.get("username", "")).lower())
    return words, tags, names
