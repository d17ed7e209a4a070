"""X's rule language, read anew for the simulator: it shares nothing with tweeter's own.

A space is AND and binds tighter than OR; "-" negates one operator; groups cannot be negated; a
rule of only negations, or of only what many posts are (lang:, is:, has:), is refused. Words
match whole tokens, without regard to case. Source: docs.x.com, "build a rule" and "operators".
"""

import re
import unicodedata
from collections.abc import Callable
from html import unescape
from typing import Any, NamedTuple

_TOKEN = re.compile(r'\s*(-?(?:url:)?"[^"]*"|\(|\)|-?[^\s()"]+)')
_FIELD = re.compile(r"-?(from|url|lang|is|has):(.+)", re.DOTALL)
_NARROW = ("lang", "is", "has")  # not alone in a rule
SEPARATOR, GAP = "\x1f", "\x00"


class Seen(NamedTuple):
    """What rules look at in a post."""

    words: str  # tokens, each between two SEPARATORs; parts of the post between two GAPs
    tags: set[str]
    names: set[str]
    authors: set[str]  # name and id, lower case
    lang: str
    kinds: set[str]  # retweet, reply, quote
    has: set[str]  # links, media
    links: str  # tokens, as words


Rule = Callable[[Seen], bool]


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


def compile_rule(value: str) -> Rule:
    """A predicate over what `seen_by_rules` found. Raises BadRule."""
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

    def either(self) -> tuple[Rule, bool]:
        rules = [self.all_of()]
        while self.rest() and self.rest()[0] == "OR":
            self._at += 1
            rules.append(self.all_of())
        parts = [rule for rule, _ in rules]
        return (lambda p: any(part(p) for part in parts)), all(ok for _, ok in rules)

    def all_of(self) -> tuple[Rule, bool]:
        rules = []
        while self.rest() and self.rest()[0] not in ("OR", ")"):
            rules.append(self.one())
        if not rules:
            raise BadRule("an operator is missing")
        parts = [rule for rule, _ in rules]
        return (lambda p: all(part(p) for part in parts)), any(ok for _, ok in rules)

    def one(self) -> tuple[Rule, bool]:
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
        field = _FIELD.fullmatch(token)
        return _operator(token), not (field and field[1] in _NARROW)


def _operator(token: str) -> Rule:
    field = _FIELD.fullmatch(token)
    if field:
        return _field(field[1], field[2].strip('"').lower())
    if token.startswith("#"):
        return lambda p: token[1:].lower() in p.tags
    if token.startswith("@"):
        return lambda p: token[1:].lower() in p.names
    wanted = _joined(tokens(token))
    if len(wanted) < 2:
        raise BadRule("an operator without letters")
    return lambda p: wanted in p.words


def _field(name: str, value: str) -> Rule:
    if name == "url":
        wanted = _joined(tokens(value))
        return lambda p: wanted in p.links
    if name == "from":
        return lambda p: value in p.authors
    if name == "lang":
        return lambda p: p.lang == value
    if (name, value) not in (
        *(("is", kind) for kind in ("retweet", "reply", "quote")),
        *(("has", thing) for thing in ("links", "media")),
    ):
        raise BadRule(f"Reference to invalid operator '{name}:{value}'")
    return (lambda p: value in p.kinds) if name == "is" else (lambda p: value in p.has)


def _joined(found: list[str]) -> str:
    return "".join(f"{SEPARATOR}{token}" for token in found) + SEPARATOR


def seen_by_rules(post: dict[str, Any]) -> Seen:
    """What X's rules look at: text, long text, links, and the same of posts referred to."""
    data, includes = post["data"], post.get("includes") or {}
    references = data.get("referenced_tweets") or []
    ids = {reference.get("id") for reference in references}
    kinds = {reference.get("type") for reference in references}
    found = [data]
    if kinds & {"retweeted", "quoted"}:
        others = includes.get("tweets") or []
        found += [other for other in others if other.get("id") in ids or len(others) < 9]
    media = {m.get("media_key"): m for m in includes.get("media") or []}
    words: list[str] = []
    tags: set[str] = set()
    names: set[str] = set()
    for one in found:
        for part in (*_texts(one), *_pictures(one, media)):
            words += [*tokens(part), GAP]
        tags |= {str(tag.get("tag", "")).lower() for tag in _entities(one, "hashtags")}
        names |= {str(name.get("username", "")).lower() for name in _entities(one, "mentions")}
    for tag in sorted(tags):
        words += [*tokens(tag), GAP]
    users = {user.get("id"): user for user in includes.get("users") or []}
    author = str(data.get("author_id", ""))
    shown = {"retweeted": "retweet", "replied_to": "reply", "quoted": "quote"}
    links = [token for link in _entities(data, "urls") for token in [*_link(link), GAP]]
    return Seen(
        words=_joined(words),
        tags=tags,
        names=names,
        authors={author.lower(), str(users.get(author, {}).get("username", author)).lower()},
        lang=str(data.get("lang", "")),
        kinds={shown[kind] for kind in kinds if kind in shown},
        has={name for name, is_so in (("links", links), ("media", _keys(data))) if is_so},
        links=_joined(links),
    )


def _entities(one: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Those of the text, and those of the long text."""
    found = []
    for holder in (one, one.get("note_tweet") or {}):
        entities = holder.get("entities")
        found += (entities.get(name) or []) if isinstance(entities, dict) else []
    return [entity for entity in found if isinstance(entity, dict)]


def _texts(one: dict[str, Any]) -> list[str]:
    parts = [one.get("text", ""), (one.get("note_tweet") or {}).get("text", "")]
    for link in _entities(one, "urls"):
        parts += [link.get(n, "") for n in ("display_url", "expanded_url", "unwound_url")]
        parts += [link.get(n, "") for n in ("title", "description")]
    return [unescape(str(part)) for part in parts]


def _link(link: dict[str, Any]) -> list[str]:
    parts = [str(link.get(n, "")) for n in ("url", "display_url", "expanded_url", "unwound_url")]
    return [token for part in parts for token in [*tokens(part), GAP]]


def _keys(one: dict[str, Any]) -> list[str]:
    attached = one.get("attachments")
    found = attached.get("media_keys") if isinstance(attached, dict) else None
    return found if isinstance(found, list) else []


def _pictures(one: dict[str, Any], media: dict[str, Any]) -> list[str]:
    return [str(media.get(key, {}).get("alt_text") or "") for key in _keys(one)]
