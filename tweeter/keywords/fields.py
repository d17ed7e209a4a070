"""The fields of the language, `name:value`: which there are and what each may hold."""

import difflib
import re

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords.features import ascii_host, current
from tweeter.keywords.nodes import Field
from tweeter.texts import say

# Asked for elsewhere or by other tools: refused with what to write instead.
_ELSEWHERE = {
    "to": say("Write @name: it finds posts that name an account."),
    "site": say("Write url: and a domain, such as url:example.org."),
    "source": say("Choose the networks beside the keyword."),
    "network": say("Choose the networks beside the keyword."),
    "filter": say("Write has:link, has:media, is:reply, is:repost or is:quote."),
    "since": say("Choose the time when you look at the posts."),
    "until": say("Choose the time when you look at the posts."),
    "near": say("Places cannot be asked for."),
    "list": say("Lists cannot be asked for; join authors: from:a OR from:b."),
}
_NAMES = ("from", "lang", "is", "has", "url", "domain")
LOOKS_LIKE = re.compile(rf"({'|'.join((*_NAMES, *_ELSEWHERE))}):", re.IGNORECASE)

_WORDS = {
    "is": {"reply": "reply", "repost": "repost", "quote": "quote", "retweet": "repost"}
    | {"reblog": "repost", "boost": "repost"},
    "has": {"link": "link", "links": "link", "media": "media"},
}
_LANGUAGES = {
    "arabic": "ar",
    "chinese": "zh",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "thai": "th",
    "turkish": "tr",
}
_LANG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_AUTHOR = re.compile(r"did:[a-z]+:[a-z0-9._:%-]+|[\w.-]+(@[a-z0-9.-]+)?")
_DOMAIN = re.compile(r"([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*")


def field(text: str, at: int) -> Field:
    """Read `name:value` that begins at character `at`; raises KeywordSyntaxError."""
    name, _, value = text.partition(":")
    name = name.lower()
    begins = at + len(name) + 1
    if name in _ELSEWHERE:
        raise KeywordSyntaxError(
            say("“%(name)s:” is not understood here.", name=name), at, _ELSEWHERE[name]
        )
    if not value:
        raise KeywordSyntaxError(
            say("Something must follow “%(name)s:”.", name=name),
            begins,
            say('For the text itself write "%(given)s".', given=text),
        )
    if name == "from":
        return Field("from", _author(value, begins))
    if name == "lang":
        return Field("lang", _language(value, begins))
    if name in _WORDS:
        return Field(name, _one_of(name, value, begins))
    return Field("url", _domain(value, begins))


def _author(value: str, at: int) -> str:
    start = 1 if value[0] in "@\uff20" else 0
    name = value[start:].casefold()
    found = _AUTHOR.match(name)
    end = found.end() if found else 0
    if end < len(name) or not name:
        raise KeywordSyntaxError(
            say("This is no account's name."),
            min(at + start + end, at + len(value)),
            say(
                "Write from:name (X), from:name.bsky.social (Bluesky) or from:name@server"
                " (Mastodon)."
            ),
        )
    return name


def _language(value: str, at: int) -> str:
    tag = current(value)
    if _LANG.fullmatch(tag):
        return tag
    near = difflib.get_close_matches(tag, _LANGUAGES, n=1)
    hint = _meant("lang", _LANGUAGES[near[0]]) if near else say("Write two letters: lang:en.")
    raise KeywordSyntaxError(say("This is no language's code."), at, hint)


def _meant(name: str, value: str) -> str:
    field = f"{name}:{value}"
    return say("Did you mean %(field)s?", field=field)


def _one_of(name: str, value: str, at: int) -> str:
    words = _WORDS[name]
    found = words.get(value.lower())
    if found:
        return found
    near = difflib.get_close_matches(value.lower(), words, n=1)
    listed = ", ".join(f"{name}:{word}" for word in dict.fromkeys(words.values()))
    hint = _meant(name, words[near[0]]) if near else say("There are %(listed)s.", listed=listed)
    raise KeywordSyntaxError(
        say("“%(name)s:%(value)s” is not understood.", name=name, value=value), at, hint
    )


def _domain(value: str, at: int) -> str:
    start = re.match(r"(?:https?://)?", value, re.IGNORECASE).end()  # type: ignore[union-attr]
    host, _, path = value[start:].partition("/")
    if path:
        raise KeywordSyntaxError(
            say("Only a domain can be asked for, not an address on it."),
            at + start + len(host),
            say("Write url:%(host)s.", host=host),
        )
    try:
        name = ascii_host(host)
    except UnicodeError:
        name = ""
    if not _DOMAIN.fullmatch(name.lower()):
        raise KeywordSyntaxError(
            say("This is no domain."), at + start, say("Write it with its ending: url:example.org.")
        )
    return name.lower()
