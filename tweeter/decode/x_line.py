"""A line of X's v2 stream as nearly all are: read at once into types, and from these a post.

`x.decode` takes any type for any field, mends each text and bounds it, which costs three times as
much. Here a field has the type and the length that X promises: what has not, and an edit, is left
to `x.decode`. Of all others both make the same post (tests/decode/test_x_line.py), but for one that
holds a number of thousands of digits, which is no JSON there.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tweeter.decode import times
from tweeter.decode.build import (
    KEY_BYTES,
    LANG_CHARACTERS,
    MEDIA,
    NAME_CHARACTERS,
    TAGS,
    TEXT_CHARACTERS,
)
from tweeter.decode.html import unescaped
from tweeter.decode.values import has_nul, typed
from tweeter.decode.values import media as medium
from tweeter.decode.x import KINDS, NETWORK
from tweeter.decode.x_v1 import PICTURES
from tweeter.harmless import picture_host
from tweeter.records import Link, Media, Post, RawEvent

LINKS_EACH = 50  # of the text and of the long form: together as many as a post has

Id = Annotated[str, Meta(min_length=1, max_length=KEY_BYTES // 4)]
Name = Annotated[str, Meta(max_length=NAME_CHARACTERS)]


class _Tag(msgspec.Struct, frozen=True, gc=False):
    """A hashtag or cashtag."""

    tag: Name = ""


class _Link(msgspec.Struct, frozen=True, gc=False):
    url: Name = ""
    display_url: Name | None = None
    expanded_url: Name | None = None
    unwound_url: str = ""
    title: str = ""
    description: str = ""


class _Entities(msgspec.Struct, frozen=True, gc=False):
    hashtags: Annotated[tuple[_Tag, ...], Meta(max_length=TAGS)] = ()
    cashtags: tuple[_Tag, ...] = ()
    urls: Annotated[tuple[_Link, ...], Meta(max_length=LINKS_EACH)] = ()


class _Note(msgspec.Struct, frozen=True, gc=False):
    """The long form of a text."""

    text: str = ""
    entities: _Entities | None = None


class _Reference(msgspec.Struct, frozen=True, gc=False):
    type: str
    id: Id


class _Attachments(msgspec.Struct, frozen=True, gc=False):
    media_keys: Annotated[tuple[str, ...], Meta(max_length=MEDIA)] = ()


class _Tweet(msgspec.Struct, frozen=True, gc=False):
    """Those of type UnsetType must not be there, not even as null: see x.py."""

    id: Id
    text: str | None = None
    author_id: Annotated[str, Meta(max_length=KEY_BYTES // 4)] = ""
    created_at: str = ""
    lang: Annotated[str, Meta(max_length=LANG_CHARACTERS)] = ""
    entities: _Entities | None = None
    note_tweet: _Note | None = None
    attachments: _Attachments | None = None
    referenced_tweets: tuple[_Reference, ...] = ()
    edit_history_tweet_ids: tuple[str, ...] = ()
    possibly_sensitive: bool = False
    note_post: UnsetType = UNSET
    referenced_posts: UnsetType = UNSET
    edit_history_post_ids: UnsetType = UNSET


class _User(msgspec.Struct, frozen=True, gc=False):
    id: Id
    username: Name = ""
    name: Name = ""


class _Medium(msgspec.Struct, frozen=True, gc=False):
    media_key: Id
    type: str = ""
    alt_text: Annotated[str, Meta(max_length=4 * NAME_CHARACTERS)] = ""
    url: str = ""
    preview_image_url: str = ""


class _Includes(msgspec.Struct, frozen=True, gc=False):
    users: tuple[_User, ...] = ()
    tweets: tuple[_Tweet, ...] = ()
    media: tuple[_Medium, ...] = ()
    posts: UnsetType = UNSET


class Line(msgspec.Struct, frozen=True, gc=False):
    """Fields of type UnsetType are those by which other networks' events are known in a file."""

    data: _Tweet
    includes: _Includes = _Includes()
    form: UnsetType = msgspec.field(default=UNSET, name="$type")
    did: UnsetType = UNSET
    event: UnsetType = UNSET
    account: UnsetType = UNSET


_NOBODY, _NOTHING = _User(id="-"), _Medium(media_key="-")
_line = msgspec.json.Decoder(Line)


class Said(msgspec.Struct, frozen=True, gc=False):
    """A line with a new post, and what keywords are looked for in."""

    line: Line
    text: str
    others: list[str]  # that may repeat each other


def read(body: bytes) -> Said | None:
    """A new post; None: decode the line."""
    if len(body) > TEXT_CHARACTERS or has_nul(body):
        return None  # to be cut, maybe, or mended
    line = typed(_line, body)
    if line is None:
        return None
    tweet = line.data
    text = _whole(tweet)
    if text is None or not (tweet.id.isascii() and tweet.id.isdigit()):
        return None
    if tweet.edit_history_tweet_ids not in ((), (tweet.id,)):
        return None
    others: list[str] = []
    _say(tweet, line.includes, others)
    if tweet.referenced_tweets and line.includes.tweets:
        _say_of_others(tweet, line.includes, others)
    return Said(line, text, others)


def authors(said: Said) -> tuple[str, str]:
    """The id and the name of who wrote it."""
    return said.line.data.author_id, _author(said.line).username


def targets(said: Said) -> list[str]:
    """Where its links go."""
    return [_target(link) for link in _urls(said.line.data)]


def post(said: Said, raw: RawEvent) -> Post:
    """The whole post, from the line of this event."""
    tweet, references = said.line.data, _references(said.line.data)
    also = dict.fromkeys(said.others)
    also.pop("", None)
    also.pop(said.text, None)
    author = _author(said.line)
    kinds = tuple([KINDS[name] for name in KINDS if name in references]) if references else ()
    media = _media(tweet, said.line.includes)
    tags = tweet.entities.hashtags if tweet.entities else ()
    from_id = times.snowflake(tweet.id)
    created_at = times.iso(tweet.created_at) or from_id
    if created_at is None:
        created_at = raw.received_at
    return Post(
        network=NETWORK,
        key=tweet.id,
        post_id=tweet.id,
        url=f"https://x.com/{author.username or 'i'}/status/{tweet.id}",
        text=said.text,
        also=tuple(also),
        kind=kinds[0] if kinds else "post",
        lang=tweet.lang,
        author_id=tweet.author_id,
        author_handle=author.username,
        author_name=author.name,
        tags=tuple(dict.fromkeys([tag.tag for tag in tags])) if tags else (),
        links=_links(tweet),
        media=media,
        traits=(*kinds, "media") if media else kinds,
        reply_to=references.get("replied_to", ""),
        created_at=created_at,
        occurred_at=min(created_at, raw.received_at),
        received_at=raw.received_at,
        sort_us=from_id or created_at,
        sensitive=tweet.possibly_sensitive,
    )


def _author(line: Line) -> _User:
    found = _NOBODY
    for user in line.includes.users:
        if user.id == line.data.author_id:
            found = user
    return found


def _whole(tweet: _Tweet) -> str | None:
    """The long form where there is one; None if there is no text at all."""
    note = tweet.note_tweet
    text = note.text if note and note.text else tweet.text
    return unescaped(text) if text else text


def _references(tweet: _Tweet) -> dict[str, str]:
    return {one.type: one.id for one in tweet.referenced_tweets}


def _say_of_others(tweet: _Tweet, includes: _Includes, found: list[str]) -> None:
    """Put to the others what the posts say that it repeats or quotes, and a repeated one quotes."""
    posts = {other.id: other for other in includes.tweets}
    references = _references(tweet)
    for name in ("retweeted", "quoted"):
        other = posts.get(references.get(name, ""))
        if other is None:
            continue
        found.append(_whole(other) or "")
        _say(other, includes, found)
        if name == "retweeted" and other.referenced_tweets:
            quoted = posts.get(_references(other).get("quoted", ""))
            if quoted is not None:
                found.append(_whole(quoted) or "")
                _say(quoted, includes, found)


def _say(tweet: _Tweet, includes: _Includes, found: list[str]) -> None:
    """Put to the others what one post says beside its text: tags, links, picture descriptions."""
    note = tweet.note_tweet
    for entities in (tweet.entities, note.entities) if note else (tweet.entities,):
        if entities is None:
            continue
        for one in entities.hashtags:
            found.append(f"#{one.tag}")
        for one in entities.cashtags:
            found.append(f"${one.tag}")
        for link in entities.urls:
            _say_link(link, found)
    if tweet.attachments:
        found += [one.alt_text for one in _attached(tweet.attachments, includes)]


def _say_link(link: _Link, found: list[str]) -> None:
    """As it is shown and as it leads, and its card."""
    shown = link.display_url
    if shown:
        found.append(shown)
    if not (shown and shown.startswith(PICTURES)):
        if link.expanded_url:
            found.append(link.expanded_url)
        if link.unwound_url:
            found.append(link.unwound_url)
    for text in (link.title, link.description):
        if text:
            found.append(unescaped(text))


def _urls(tweet: _Tweet) -> tuple[_Link, ...]:
    """The links of the text, and of the long form."""
    found = tweet.entities.urls if tweet.entities else ()
    if tweet.note_tweet and tweet.note_tweet.entities:
        found += tweet.note_tweet.entities.urls
    return found


def _target(link: _Link) -> str:
    return link.url if link.expanded_url is None else link.expanded_url


def _links(tweet: _Tweet) -> tuple[Link, ...]:
    links: dict[str, Link] = {}
    for link in _urls(tweet):
        url = _target(link)
        if url:
            links[url] = Link(
                url, link.url if link.display_url is None else link.display_url, link.url
            )
    return tuple(links.values())


def _attached(attachments: _Attachments, includes: _Includes) -> list[_Medium]:
    media = {one.media_key: one for one in includes.media}
    return [media.get(key, _NOTHING) for key in attachments.media_keys]


def _media(tweet: _Tweet, includes: _Includes) -> tuple[Media, ...]:
    if not tweet.attachments:
        return ()
    return tuple(
        [
            medium(one.type, one.alt_text, _picture(one))
            for one in _attached(tweet.attachments, includes)
        ]
    )


def _picture(one: _Medium) -> str:
    url = one.preview_image_url or (one.url if one.type == "photo" else "")
    return url if picture_host(url) else ""
