"""A stored post as readers see it: what its network's display rules ask for, in words and links.

Worked out here, once, for the macro that writes cards into pages and for the script that makes
them from the live feed: both only draw what a `Card` says. Nothing is loaded from a network: a
picture has a page of its own, which a reader may open (`views/media_pages.py`).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote, urlsplit

import msgspec

from tweeter.choices import FOLLOWED
from tweeter.harmless import harmless, picture_host
from tweeter.store.posts import StoredPost
from tweeter.texts import Said, joined, mark, say

LONG = 700  # characters: a longer text shows BEGINNING of them and folds the rest away
BEGINNING = 500
MARKED = 200  # links, tags and names in a text that become links
HUES = 8

HIDING = {
    "!hide": say("Hidden: its label asks that it is not shown."),
    "!no-unauthenticated": say("Hidden: its author shows it only to people logged in at Bluesky."),
}
LABELS = {
    "!warn": say("General warning"),
    "porn": say("Adult content"),
    "sexual": say("Sexually suggestive"),
    "nudity": say("Nudity"),
    "graphic-media": say("Graphic media"),
    "gore": say("Graphic media"),
}
# What a picture or a film shows; and what is said where nobody described it.
_DESCRIBED = {
    "picture": mark("Picture: %(words)s"),
    "video": mark("Video: %(words)s"),
    "animation": mark("Animation: %(words)s"),
    "audio": mark("Audio: %(words)s"),
    "": mark("Media: %(words)s"),
}
_UNDESCRIBED = {
    "picture": say("Picture without a description"),
    "video": say("Video without a description"),
    "animation": say("Animation without a description"),
    "audio": say("Audio without a description"),
    "": say("Media without a description"),
}

_SENSITIVE = say("Sensitive content")
_VIEW = mark("View on %(place)s")
_GONE = {
    "deleted": say("Removed: deleted"),
    "not found": say("Removed: not found"),
    "suspended": say("Removed: suspended"),
    "protected": say("Removed: protected"),
    "account deleted": say("Removed: account deleted"),
    "edited": say("Removed: edited"),
}
_GONE_FOR = mark("Removed: %(reason)s")

_TAG = re.compile(r"(?<![\w/&])[#＃](\w{1,139})")
_NAMES = {
    "x": re.compile(r"(?<![\w@/])@([A-Za-z0-9_]{1,15})(?![\w@])"),
    "bluesky": re.compile(r"(?<![\w@/])@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+)"),
    "mastodon": re.compile(
        r"(?<![\w@/])@([A-Za-z0-9_]{1,30}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+)"
    ),
}
_HANDLE_OF_X = re.compile(r"[A-Za-z0-9_]{1,20}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of a text; url is "" where it is no link. hit: a search found it.

    apart: a tag or a name that leads nowhere, written in its own direction as links are.
    """

    text: str
    url: str = ""
    hit: bool = False
    apart: bool = False


class Medium(msgspec.Struct, frozen=True, array_like=True):
    """A picture or film in words; host: from where a picture of it can be shown, "" if nowhere.

    Its address is not on the card: it stands only on the picture's own page.
    """

    words: str
    host: str = ""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """All that is drawn. A text that is "" and a list that is empty draw nothing.

    id, keywords   of the post; keywords are drawn outside the card, they are ours
    network        in words; who, handle, profile (an address) of the author
    initial, hue   what stands in the place of the author's picture, 1 to 8
    at             microseconds; url, view: the original and the words for it
    marks          "reply", "bot", "edited" …
    gone, hidden   a sentence instead of the content
    cover          what the content is folded under
    text, rest     the text; rest is the whole of it where text is its beginning, length says
                   how long it is
    links          those that the text does not show: (host, address)
    media          pictures and films, in the order of the post's
    """

    id: str  # over 2^53
    network: str
    who: str
    handle: str
    profile: str
    initial: str
    hue: int
    at: int
    removed_at: int
    url: str
    view: str
    marks: list[str]
    gone: str
    hidden: str
    cover: str
    lang: str
    text: list[Part]
    rest: list[Part]
    length: int
    links: list[Part]
    media: list[Medium]
    keywords: list[int]


def texts() -> tuple[str, ...]:
    """The texts that cards are made of: for the script that draws them."""
    fixed = (*HIDING.values(), *LABELS.values(), *_UNDESCRIBED.values(), *_GONE.values())
    texts = [one.text for one in (*fixed, _SENSITIVE)]
    return (*texts, *_DESCRIBED.values(), _VIEW, _GONE_FOR)


@lru_cache(maxsize=100)  # a card asks several times for those of its post
def host(url: str) -> str:
    """Host of an http(s) address, "" for anything else: only such are made links."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def card(post: StoredPost) -> Card:
    """The card of a post."""
    gone = _gone(post.removed_reason) if post.removed_at else ""
    hidden = "" if gone else _hidden(post)
    is_shown = not gone and not hidden
    shown = harmless(post.text) if is_shown else ""
    parts = _parts(post, shown)
    in_text = {part.url for part in parts if part.url}
    url = post.url if not gone and host(post.url) else ""
    who = harmless(post.author_name or post.author_handle or post.author_id)
    is_long = len(shown) > LONG
    return Card(
        id=str(post.id),
        network=FOLLOWED.get(post.network, post.network),
        who=who,
        handle=f"@{harmless(post.author_handle)}"
        if post.author_handle and post.author_name
        else "",
        profile="" if gone else profile(post),
        initial=next((letter for letter in who if letter.isalnum()), ""),
        hue=sum(map(ord, post.author_id)) % HUES + 1,
        at=post.occurred_at,
        removed_at=post.removed_at or 0,
        url=url,
        view=_view(post, url),
        marks=_marks(post),
        gone=gone,
        hidden=hidden,
        cover=_cover(post) if is_shown else "",
        lang=_language(post.lang),
        text=list(_cut(parts, BEGINNING)) if is_long else parts,
        rest=parts if is_long else [],
        length=len(shown),
        links=_other_links(post, in_text) if is_shown else [],
        media=_media(post) if is_shown else [],
        keywords=post.keywords,
    )


def with_marks(card: Card, post: StoredPost, marks: Sequence[tuple[int, int]]) -> Card:
    """The card with what was found marked: (start, end) in the post's text, in order.

    Links stay as they are, and so does a text that is not shown character by character.
    """
    whole = card.rest or card.text
    if not marks or "".join(part.text for part in whole) != post.text:
        return card
    found = list(_marked(whole, marks))
    if card.rest:
        return msgspec.structs.replace(card, text=list(_cut(found, BEGINNING)), rest=found)
    return msgspec.structs.replace(card, text=found)


def _marked(parts: Sequence[Part], marks: Sequence[tuple[int, int]]) -> Iterator[Part]:
    at = 0
    for part in parts:
        end = at + len(part.text)
        if part.url:
            yield part
        elif part.apart:
            is_hit = any(start < end and at < stop for start, stop in marks)
            yield msgspec.structs.replace(part, hit=is_hit)
        else:
            edge = at
            for start, stop in marks:
                first, last = max(start, edge), min(stop, end)
                if first < last:
                    if first > edge:
                        yield Part(part.text[edge - at : first - at])
                    yield Part(part.text[first - at : last - at], hit=True)
                    edge = last
            if edge < end:
                yield Part(part.text[edge - at :])
        at = end


def profile(post: StoredPost) -> str:
    """Where the network shows the author; "" if it cannot be said."""
    if post.network == "x":
        if _HANDLE_OF_X.fullmatch(post.author_handle):
            return f"https://x.com/{post.author_handle}"
        is_id = post.author_id.isascii() and post.author_id.isdigit()
        return f"https://x.com/i/user/{post.author_id}" if is_id else ""
    if post.network == "bluesky" and post.author_id.startswith("did:"):
        return f"https://bsky.app/profile/{quote(post.author_id, safe=':')}"
    if post.network == "mastodon" and host(post.author_id):
        return post.author_id
    return ""


def _view(post: StoredPost, url: str) -> str:
    if not url:
        return ""
    place = host(url) if post.network == "mastodon" else FOLLOWED.get(post.network, host(url))
    return _view_on(place)


@lru_cache(maxsize=1000)
def _view_on(place: str) -> str:
    return say(_VIEW, place=place)


def _gone(reason: str) -> Said:
    return _GONE.get(reason) or say(_GONE_FOR, reason=reason)


def _labels(post: StoredPost) -> list[str]:
    return post.warning.split(", ") if post.network == "bluesky" and post.warning else []


def _hidden(post: StoredPost) -> str:
    return next((HIDING[label] for label in _labels(post) if label in HIDING), "")


def _cover(post: StoredPost) -> str:
    labels = [LABELS.get(label, label) for label in _labels(post)]
    if labels:
        return joined(*dict.fromkeys(labels), between=", ")
    return harmless(post.warning) or (_SENSITIVE if post.sensitive else "")


def _marks(post: StoredPost) -> list[str]:
    marks = [] if post.kind == "post" else [post.kind]
    if "bot" in post.flags:
        marks.append("bot")
    if post.edited_at and not post.removed_at:
        marks.append("edited")
    return marks


def _language(claimed: str) -> str:
    """A language that a browser understands: X also claims "qme", "und", "zxx"."""
    is_real = _LANGUAGE.fullmatch(claimed) and not re.match(
        r"q[a-z]{2}|und|zxx|mul|mis|art", claimed
    )
    return claimed if is_real else ""


def _media(post: StoredPost) -> list[Medium]:
    found = []
    for one in post.media:
        kind = one.kind if one.kind in _DESCRIBED else ""
        described = say(_DESCRIBED[kind], words=harmless(one.alt)) if one.alt else ""
        found.append(Medium(described or _UNDESCRIBED[kind], picture_host(one.url)))
    return found


def _other_links(post: StoredPost, in_text: set[str]) -> list[Part]:
    found = {}
    for link in post.links:
        if host(link.url) and link.url not in in_text and link.short not in in_text:
            found[link.url] = Part(host(link.url), link.url)
    return list(found.values())


class _Span(msgspec.Struct, frozen=True, order=True):
    start: int
    end: int
    shown: str
    url: str


def _parts(post: StoredPost, text: str) -> list[Part]:
    """The text, with its links as the network shows them, its tags and names linked."""
    parts, at = [], 0
    spans = sorted([*_link_spans(post, text), *_tag_spans(post, text), *_name_spans(post, text)])
    for span in spans[:MARKED]:
        if span.start < at:
            continue  # inside another one
        if span.start > at:
            parts.append(Part(text[at : span.start]))
        parts.append(Part(span.shown, span.url, apart=not span.url))
        at = span.end
    if at < len(text):
        parts.append(Part(text[at:]))
    return parts


def _link_spans(post: StoredPost, text: str) -> Iterator[_Span]:
    at = 0
    for link in post.links:
        needle = harmless(link.short or link.display)
        if not needle or not host(link.url):
            continue
        found = text.find(needle, at)
        if found < 0:
            found = text.find(needle)
        if found < 0:
            continue
        at = found + len(needle)
        # X wants the t.co address under the words of the link.
        url = link.short if host(link.short) else link.url
        yield _Span(found, at, harmless(link.display) or needle, url)


def _tag_spans(post: StoredPost, text: str) -> Iterator[_Span]:
    known = {tag.casefold() for tag in post.tags}
    if not known:
        return
    base = {
        "x": "https://x.com/hashtag/",
        "bluesky": "https://bsky.app/hashtag/",
        "mastodon": f"https://{host(post.url)}/tags/" if host(post.url) else "",
    }.get(post.network)
    for found in _TAG.finditer(text):
        if found[1].casefold() in known:
            url = base + quote(found[1], safe="") if base else ""
            yield _Span(found.start(), found.end(), found[0], url)


def _name_spans(post: StoredPost, text: str) -> Iterator[_Span]:
    pattern = _NAMES.get(post.network)
    if pattern is None:
        return
    for found in pattern.finditer(text):
        if post.network == "x":
            url = f"https://x.com/{found[1]}"
        elif post.network == "bluesky":
            url = f"https://bsky.app/profile/{found[1]}"
        else:
            name, _, server = found[1].partition("@")
            url = f"https://{server}/@{name}"
        yield _Span(found.start(), found.end(), found[0], url)


def _cut(parts: list[Part], room: int) -> Iterator[Part]:
    for part in parts:
        if len(part.text) > room:
            yield Part(f"{part.text[:room]}…", part.url, part.hit, part.apart)
            return
        yield part
        room -= len(part.text)
