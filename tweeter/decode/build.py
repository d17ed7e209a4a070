"""From what a network sent to a Post: texts mended, sizes bounded, parts once each."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from tweeter.harmless import picture_host
from tweeter.records import Link, Media, Post

TEXT_CHARACTERS = 100_000
NAME_CHARACTERS = 1_000
LANG_CHARACTERS = 35
KEY_BYTES = 190
LINKS = 100
MEDIA = 20
TAGS = 100

_BROKEN = re.compile("[\x00\ud800-\udfff]")
_LONG = ("key", "post_id", "author_id", "alias")


def mend(text: str) -> str:
    """NUL and lone surrogates, which databases refuse, become U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _BROKEN.sub("\ufffd", text)


def stable_key(text: str) -> str:
    """The text, or its SHA-256 where it is longer than an index takes."""
    if len(text) <= KEY_BYTES // 4 or len(text.encode()) <= KEY_BYTES:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def parts(text: str, found: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Other texts to match, each once and not what `text` is; and whether some were cut off."""
    kept: dict[str, None] = {}
    room = TEXT_CHARACTERS
    for part in found:
        if not part or part == text or part in kept:
            continue
        if room <= 0:
            return tuple(kept), True
        kept[part[:room]] = None
        room -= len(part)
    return tuple(kept), room < 0


def build(*, text: str, also: Iterable[str], **fields: Any) -> Post:
    """A Post with every text mended and bounded; takes Post's fields."""
    flags = list(fields.pop("flags", ()))
    whole, others = mend(text), [mend(part) for part in also]
    if whole != text:
        flags.append("mended")
    cut = whole[:TEXT_CHARACTERS]
    other_parts, shortened = parts(cut, others)
    if len(cut) < len(whole) or shortened:
        flags.append("cut")
    for name, value in fields.items():
        if isinstance(value, str):
            value = mend(value)
            fields[name] = stable_key(value) if name in _LONG else value[: 8 * NAME_CHARACTERS]
    for name in ("author_name", "author_handle", "warning"):
        fields[name] = fields.get(name, "")[:NAME_CHARACTERS]
    fields["lang"] = fields.get("lang", "")[:LANG_CHARACTERS]
    fields["tags"] = tuple(
        dict.fromkeys(mend(tag)[:NAME_CHARACTERS] for tag in fields.get("tags", ()))
    )[:TAGS]
    fields["links"] = tuple(
        Link(
            mend(link.url)[: 4 * NAME_CHARACTERS],
            mend(link.display)[:NAME_CHARACTERS],
            mend(link.short)[:NAME_CHARACTERS],
        )
        for link in list(fields.get("links", ()))[:LINKS]
    )
    fields["media"] = tuple(
        Media(
            one.kind,
            mend(one.alt)[: 4 * NAME_CHARACTERS],
            one.url if picture_host(one.url) else "",
        )
        for one in list(fields.get("media", ()))[:MEDIA]
    )
    fields["traits"] = tuple(fields.get("traits", ()))
    fields["supersedes"] = tuple(stable_key(mend(k)) for k in fields.get("supersedes", ()))[:20]
    return Post(text=cut, also=other_parts, flags=tuple(flags), **fields)
