"""From what a network sent to records: texts mended, sizes bounded, parts once each.

Every record with a key is made here (but a line of X that needs no mending: `x_line`), so that a
post and its removal have one name, whatever the network wrote.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from tweeter.harmless import mend, picture_host
from tweeter.records import AccountChange, IdentityChange, Link, Media, Post, Removal

TEXT_CHARACTERS = 100_000
NAME_CHARACTERS = 1_000
LANG_CHARACTERS = 35
KEY_BYTES = 190
LINKS = 100
MEDIA = 20
TAGS = 100

_LONG = ("key", "post_id", "author_id", "alias")


def stable_key(text: str) -> str:
    """The text, or its SHA-256 where it is longer than an index takes."""
    if len(text) <= KEY_BYTES // 4 or len(text.encode()) <= KEY_BYTES:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def name_of(text: str) -> str:
    """A key, an alias, or the id of an author, as it is stored."""
    return stable_key(mend(text))


def removal(*, key: str = "", alias: str = "", **fields: Any) -> Removal:
    """A Removal by the name under which the post is stored; takes its fields."""
    return Removal(key=name_of(key), alias=name_of(alias), **fields)


def account_change(*, author_id: str, **fields: Any) -> AccountChange:
    """An AccountChange of the author as posts name it; takes its fields."""
    return AccountChange(author_id=name_of(author_id), **fields)


def identity_change(*, author_id: str, **fields: Any) -> IdentityChange:
    """An IdentityChange of the author as posts name it; takes its fields."""
    return IdentityChange(author_id=name_of(author_id), **fields)


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
    fields["supersedes"] = tuple(name_of(k) for k in fields.get("supersedes", ()))[:20]
    return Post(text=cut, also=other_parts, flags=tuple(flags), **fields)
