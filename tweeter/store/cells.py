"""What a post adds to the statistics: its place in time, and the values of its facets.

Pure: a row of `posts` in, cells out. `rollups` adds them up; docs/statistics.md defines each.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from tweeter.choices import NO_LANGUAGE
from tweeter.keywords.features import languages
from tweeter.keywords.normalise import normalise
from tweeter.links import short, tidy
from tweeter.records import Link

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SIZES = (MINUTE, HOUR, DAY)  # seconds
TOTAL_SIZES = (300, HOUR, DAY)  # of the sums by network alone
FACETS = ("tag", "link", "domain", "author", "mention", "media")
US = 1_000_000

_MENTION = re.compile(r"(?<![\w@/.&=])@(\w[\w.-]*(?:@[\w-]+(?:\.[\w-]+)+)?)")
_links = msgspec.json.Decoder(list[Link])
_tags = msgspec.json.Decoder(list[str])


class Volume(NamedTuple):
    """The series that a post is counted in, and its minute (seconds since 1970)."""

    minute: int
    network: str
    kind: str
    lang: str

    @property
    def as_read(self) -> "Volume":
        """As readers see it."""
        return self._replace(lang=said(self.lang))


def said(series: str) -> str:
    """A series by its name for readers: some networks say NO_LANGUAGE where others say nothing."""
    return "" if series == NO_LANGUAGE else series


class Made(dict[str, Any]):
    """A row of `posts`, with what it adds, worked out once."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self.volume = volume(row)
        self.facets = facets(row)


def is_visible(row: Mapping[Any, Any]) -> bool:
    """Whether readers see the post: neither removed nor of a hidden account."""
    return row["removed_at"] is None and not row["hidden"]


def volume(row: Mapping[Any, Any]) -> Volume:
    """Where in time, and in which series, a post is counted."""
    minute = row["occurred_at"] // US // MINUTE * MINUTE
    return Volume(minute, row["network"], row["kind"], _language(row["lang"]))


@lru_cache(maxsize=4096)
def _language(tag: str) -> str:
    return next(languages(tag), "")[:LANG]


LANG = 8  # the first part of a language tag has at most 8 letters (RFC 5646, section 2.1)


def facets(row: Mapping[Any, Any]) -> set[tuple[str, str]]:
    """(facet, value) of everything that a visible post is counted under, each once."""
    found: set[tuple[str, str]] = set()
    if row["tags"] != "[]":
        found = {("tag", short(tag)) for tag in map(normalise, _tags.decode(row["tags"])) if tag}
    for link in _links.decode(row["links"]) if row["links"] != "[]" else ():
        clean, domain = tidy(link.url)
        if domain:
            found.add(("link", short(clean)))
            found.add(("domain", short(domain)))
    if row["author_id"]:
        found.add(("author", short(row["author_id"])))
    if "@" in row["text"]:
        names = (name.rstrip(".-").lower() for name in _MENTION.findall(row["text"]))
        found.update(("mention", short(name)) for name in names if name)
    found.add(("media", "with" if "media" in row["traits"].split() else "without"))
    return found
