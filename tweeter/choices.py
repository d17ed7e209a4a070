"""Values that a filter names, and those that are true of a post."""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from tweeter import links
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.keywords import parse
from tweeter.keywords.features import languages
from tweeter.keywords.nodes import Tag
from tweeter.keywords.normalise import normalise
from tweeter.moments import HOUR_US
from tweeter.texts import Said, say

FOLLOWED = {"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon"}  # and what they are called
NETWORKS = (*FOLLOWED, "demo")  # with the invented one
KINDS = ("post", "reply", "repost", "quote")
STATES = ("edited", "sensitive")
HAS = ("media", "link")
ONLY = (*HAS, *(f"-{one}" for one in HAS))
NO_LANGUAGE = "und"  # of posts whose network names none
WEEK_HOURS = 168

_CHOICES = {"network": NETWORKS, "kind": KINDS, "state": STATES}
# RFC 5646 has longer first parts, too, but none was ever registered: "english" is a mistake.
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")


class BadFilter(TweeterError):
    """A filter that cannot be understood; field is its name, the text says what is expected."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.at(field)


class Choice(NamedTuple):
    """The values of one name: one of wanted must be true, and none of refused."""

    wanted: frozenset[str]
    refused: frozenset[str]

    def has(self, true: Collection[str]) -> bool:
        """Whether it holds of a post of which these values are true."""
        wanted, refused = self
        if wanted and wanted.isdisjoint(true):
            return False
        return not refused or refused.isdisjoint(true)


def of_values(values: Iterable[str]) -> Choice:
    """What values, some with "-" before them, come to."""
    wanted = frozenset(value for value in values if not value.startswith("-"))
    return Choice(wanted, frozenset(value[1:] for value in values if value.startswith("-")))


def hour_of_week(moment: int) -> int:
    """Of a moment in microseconds: 0 is Monday 0:00 to 1:00 UTC, 167 the last of Sunday."""
    return (moment // HOUR_US + 3 * 24) % WEEK_HOURS  # 1970 began on a Thursday


def languages_of(tag: str) -> list[str]:
    """What a post of this language tag is found under: "pt" and "pt-br"; NO_LANGUAGE for none."""
    found = list(languages(tag))
    return found if found and found[0] else [*found, NO_LANGUAGE]


LONGEST = 8_000  # characters of one value


def checked(name: str, value: str) -> str:
    """The value as it is compared, if it is one of this name; raises BadFilter."""
    if len(value) > LONGEST:
        words = say(
            "“%(name)s” has a value of more than %(most)s characters.", name=name, most=LONGEST
        )
        raise BadFilter(name, words)
    bare = value.removeprefix("-").lower()
    sign = "-" if value.startswith("-") else ""
    choices = _CHOICES.get(name)
    if choices and bare not in choices:
        raise BadFilter(name, expected(name, value, one_of(choices)))
    if name == "link":
        return sign + _link(value.removeprefix("-"))
    if name == "lang" and not _LANGUAGE.fullmatch(bare):
        raise BadFilter(name, expected(name, value, say("a language's code, such as en or pt-br")))
    if name in ("keyword", "hour"):
        is_number = bare.isascii() and bare.isdigit() and len(bare) < 19
        if name == "keyword" and not is_number:
            raise BadFilter(name, expected(name, value, say("a keyword's number")))
        if name == "hour" and not (is_number and int(bare) < WEEK_HOURS):
            words = say("an hour of the week, from 0 (Monday 0:00 UTC) to 167")
            raise BadFilter(name, expected(name, value, words))
        bare = str(int(bare))
    return f"{sign}{hashtag(bare)}" if name == "tag" else f"{sign}{bare}"


def is_value(name: str, value: str) -> bool:
    """Whether a filter can name it: networks may send what is no language's code."""
    try:
        checked(name, value)
    except BadFilter:
        return False
    return True


def _link(url: str) -> str:
    """A link as it is compared; raises BadFilter."""
    found = links.compared(url)
    if not found or (" " in url and "//" not in url):
        raise BadFilter("link", expected("link", url, say("a link, such as https://example.org/a")))
    return found


def expected(name: str, value: str, words: str) -> Said:
    given = repr(value[:50])
    return say("“%(name)s” is %(given)s: expected %(words)s.", name=name, given=given, words=words)


def one_of(choices: Iterable[str]) -> Said:
    return say("one of %(choices)s", choices=", ".join(choices))


def hashtag(text: str) -> str:
    """A hashtag as it is compared, without "#"; raises BadFilter."""
    bare = text.removeprefix("#")
    try:
        found = parse(f"#{bare}")
    except KeywordSyntaxError as error:
        raise BadFilter(
            "tag",
            say("“tag” is %(given)s: %(message)s", given=repr(text[:50]), message=error.message),
        ) from error
    if not isinstance(found, Tag):
        raise BadFilter("tag", expected("tag", text, say("one hashtag")))
    return normalise(bare)
