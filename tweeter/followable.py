"""A search as a keyword: its expression and networks, as far as keywords can ask for the same."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tweeter.choices import FOLLOWED, KINDS, NETWORKS, NO_LANGUAGE, of_values
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.filters import Filter
from tweeter.keywords import parse, print_expression
from tweeter.keywords.nodes import And, Field, Node, Not, Or, Tag
from tweeter.texts import joined, say

# Names of filters that the language has no words for, and why.
_UNSAID: dict[str, str] = {
    "keyword": say("A keyword cannot ask for the posts of a keyword."),
    "state": say("A keyword cannot ask for what is edited or sensitive."),
    "link": say("A keyword cannot ask for one link, but for its domain: url:example.org."),
    "hour": say("A keyword cannot ask for an hour of the week."),
}


class NotFollowable(TweeterError):
    """A search that no keyword can be made of; the text says why."""


class Followable(NamedTuple):
    """A keyword's expression and networks, () for all; notes: what it finds otherwise."""

    expression: str
    networks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def as_keyword(chosen: Filter) -> Followable:
    """The keyword that finds what the search finds; raises NotFollowable."""
    for name, words in _UNSAID.items():
        if getattr(chosen, name):
            raise NotFollowable(words)
    if not {NO_LANGUAGE, f"-{NO_LANGUAGE}"}.isdisjoint(chosen.lang):
        raise NotFollowable(say("A keyword cannot ask whether a language is said."))
    networks, kinds = _left(chosen.network, NETWORKS), _left(chosen.kind, KINDS)
    if networks == ["demo"]:
        raise NotFollowable(say("The posts of the demo are invented: they cannot be followed."))
    if not (networks and kinds):
        raise NotFollowable(say("No post can pass these filters."))
    is_of_all = networks == list(NETWORKS)
    return Followable(
        _expression(chosen, kinds),
        () if is_of_all else tuple(name for name in networks if name in FOLLOWED),
        tuple(_notes(chosen, kinds, has_demo="demo" in networks and not is_of_all)),
    )


def _left(values: Iterable[str], every: Iterable[str]) -> list[str]:
    """What of all these passes."""
    choice = of_values(values)
    return [one for one in every if choice.has({one})]


def _expression(chosen: Filter, kinds: list[str]) -> str:
    try:
        parts = [parse(chosen.q)] if chosen.q else []
        parts += [Not(parse(chosen.without))] if chosen.without else []
        parts += _chosen(chosen.lang, lambda value: Field("lang", value))
        parts += _of_kinds(kinds)
        parts += _chosen(chosen.tag, Tag)
        parts += _chosen([chosen.only] if chosen.only else [], lambda value: Field("has", value))
        text = print_expression(And(tuple(parts)) if len(parts) > 1 else parts[0]) if parts else ""
        parse(text)
    except KeywordSyntaxError as error:
        raise NotFollowable(joined(error.message, error.hint)) from error
    return text


def _chosen(values: Iterable[str], make: Callable[[str], Node]) -> list[Node]:
    """Values of one name as nodes that must all hold."""
    wanted = [make(value) for value in values if not value.startswith("-")]
    return _one_of(wanted) + [Not(make(value[1:])) for value in values if value.startswith("-")]


def _one_of(nodes: list[Node]) -> list[Node]:
    return [Or(tuple(nodes))] if len(nodes) > 1 else nodes


def _of_kinds(kinds: list[str]) -> list[Node]:
    """The language has no word for a post that is nothing else: it is none of the others."""
    others = [kind for kind in KINDS if kind != "post"]
    if "post" in kinds:
        return [Not(Field("is", kind)) for kind in others if kind not in kinds]
    return _one_of([Field("is", kind) for kind in kinds])


def _notes(chosen: Filter, kinds: list[str], *, has_demo: bool) -> list[str]:
    found: list[str] = []
    if chosen.since or chosen.until:
        found.append(say("The times are left out: a keyword follows what comes."))
    if has_demo:
        found.append(say("The invented posts of the demo are left out."))
    if ("reply" in kinds) != ("quote" in kinds):
        found.append(say("A reply that quotes is both for a keyword, and one of them here."))
    if chosen.tag:
        found.append(say("A keyword finds a hashtag also where it only stands in the text."))
    return found
