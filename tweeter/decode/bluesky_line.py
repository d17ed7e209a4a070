"""A new post of Jetstream as nearly all are: read at once into types, and from these made a post.

`bluesky` takes any type for any field, mends each text and bounds it, which costs twice as much.
Here a field has the type and the length that the lexicons promise: what has not is left to
`bluesky`. Of all others both make the same post (tests/decode/test_bluesky_line.py).
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tweeter.decode import bluesky as its
from tweeter.decode import times
from tweeter.decode.build import (
    LANG_CHARACTERS,
    MEDIA,
    NAME_CHARACTERS,
    TEXT_CHARACTERS,
    parts,
    stable_key,
)
from tweeter.decode.values import has_nul, typed
from tweeter.decode.values import media as medium
from tweeter.moments import DAY_US, LAST_US
from tweeter.records import Event, Kind, Link, Media, Post, RawEvent

FACETS_EACH, FEATURES_EACH, TAGS_BESIDE = 40, 2, 20  # fewer tags and links than a post may have
BODY_BYTES = TEXT_CHARACTERS // 2  # so no text is cut, whatever its facets repeat of it

Name = Annotated[str, Meta(max_length=NAME_CHARACTERS)]
Address = Annotated[str, Meta(max_length=4 * NAME_CHARACTERS)]
Id = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS)]
Place = Annotated[int, Meta(ge=0, le=TEXT_CHARACTERS)]


class _Feature(msgspec.Struct, frozen=True, gc=False):
    tag: Name = ""
    uri: Address = ""


class _Index(msgspec.Struct, frozen=True, gc=False):
    start: Place = msgspec.field(default=0, name="byteStart")
    end: Place = msgspec.field(default=0, name="byteEnd")


class _Facet(msgspec.Struct, frozen=True, gc=False):
    index: _Index = _Index()
    features: Annotated[tuple[_Feature, ...], Meta(max_length=FEATURES_EACH)] = ()


class _Ref(msgspec.Struct, frozen=True, gc=False):
    link: str = msgspec.field(default="", name="$link")


class _Blob(msgspec.Struct, frozen=True, gc=False):
    ref: _Ref = _Ref()
    cid: Name = ""


class _Image(msgspec.Struct, frozen=True, gc=False):
    alt: Address = ""
    image: _Blob = _Blob()


class _Card(msgspec.Struct, frozen=True, gc=False):
    uri: Address = ""
    title: Name = ""
    description: str = ""


class _Uri(msgspec.Struct, frozen=True, gc=False):
    """A post that is named; of a quote with media it stands one level deeper."""

    uri: Annotated[str, Meta(max_length=8 * NAME_CHARACTERS)] = ""
    record: "_Uri | UnsetType" = UNSET


class _Reply(msgspec.Struct, frozen=True, gc=False):
    parent: _Uri


class _Shown(msgspec.Struct, frozen=True, gc=False):
    """What stands below a text: an embed, or the media of one with a quote."""

    kind: str = msgspec.field(default="", name="$type")
    external: _Card = _Card()
    images: Annotated[tuple[_Image, ...], Meta(max_length=MEDIA)] | UnsetType = UNSET
    items: Annotated[tuple[_Image, ...], Meta(max_length=MEDIA)] = ()
    alt: Address = ""


class _Embed(_Shown, frozen=True, gc=False):
    media: _Shown | UnsetType = UNSET
    record: _Uri | UnsetType = UNSET


class _Label(msgspec.Struct, frozen=True, gc=False):
    val: str = ""


class _Labels(msgspec.Struct, frozen=True, gc=False):
    values: tuple[_Label, ...] = ()


class _Record(msgspec.Struct, frozen=True, gc=False):
    text: str
    created_at: str = msgspec.field(default="", name="createdAt")
    facets: Annotated[tuple[_Facet, ...], Meta(max_length=FACETS_EACH)] = ()
    tags: Annotated[tuple[Name, ...], Meta(max_length=TAGS_BESIDE)] = ()
    langs: tuple[Annotated[str, Meta(max_length=LANG_CHARACTERS)], ...] = ()
    embed: _Embed = _Embed()
    reply: _Reply | UnsetType = UNSET
    labels: _Labels = _Labels()


class _Commit(msgspec.Struct, frozen=True, gc=False):
    collection: str
    operation: str
    rkey: Id
    record: _Record
    rev: Name = ""


class _Event(msgspec.Struct, frozen=True, gc=False):
    """Of Jetstream v1; `$type` is of v2."""

    kind: str
    did: Id
    commit: _Commit
    time_us: Annotated[int, Meta(ge=0, le=LAST_US)] = 0
    form: UnsetType = msgspec.field(default=UNSET, name="$type")


_NOTHING = _Uri()
_event = msgspec.json.Decoder(_Event)


def decode(raw: RawEvent) -> list[Event]:
    """One event, whatever it is. Raises DecodeError."""
    found = post(raw)
    return its.decode(raw) if found is None else [found]


def post(raw: RawEvent) -> Post | None:
    """The new post that an event is; None: leave it to the decoder."""
    body = raw.body
    if len(body) > BODY_BYTES or has_nul(body):
        return None  # to be cut, maybe, or mended
    event = typed(_event, body)
    if event is None or event.kind != "commit" or not _is_usual(event.commit):
        return None
    return _post(event, event.commit, event.commit.record, raw)


def _is_usual(commit: _Commit) -> bool:
    """Whether it is a new post, and all that is there says something.

    What is empty counts as absent to the decoder, and types cannot tell it from what has nothing
    that they know.
    """
    if commit.collection != its.POSTS or commit.operation != "create":
        return False
    record = commit.record
    if record.reply and not record.reply.parent.uri:
        return False
    embed = record.embed
    if embed.media and not embed.media.kind:
        return False
    quoted = embed.record
    return not (quoted and quoted.record and not quoted.record.uri)


def _post(event: _Event, commit: _Commit, record: _Record, raw: RawEvent) -> Post:
    did, key = event.did, stable_key(f"at://{event.did}/{its.POSTS}/{commit.rkey}")
    occurred_at = min(event.time_us or raw.received_at, raw.received_at)
    created_at = times.iso(record.created_at)
    shown = record.embed.media or record.embed
    links, tags = _marked(record)
    if shown.external.uri:
        links.append(Link(shown.external.uri, shown.external.title))
    kinds = _kinds(record)
    media = _media(shown, did)
    labels = its.labels([label.val for label in record.labels.values])
    return Post(
        network=its.NETWORK,
        key=key,
        post_id=key,
        url=f"https://bsky.app/profile/{did}/post/{commit.rkey}",
        text=record.text,
        also=parts(record.text, _also(shown, links, tags))[0],
        kind=kinds[0] if kinds else "post",
        traits=(*kinds, "media") if shown.kind.endswith(its.MEDIA) else kinds,
        lang=record.langs[0] if record.langs else "",
        author_id=stable_key(did),
        tags=tuple(dict.fromkeys(tags)),
        links=tuple(links),
        reply_to=record.reply.parent.uri if record.reply else "",
        created_at=occurred_at if created_at is None else created_at,
        occurred_at=occurred_at,
        received_at=raw.received_at,
        sort_us=times.tid(commit.rkey, raw.received_at + DAY_US) or occurred_at,
        media=media,
        warning=", ".join(labels),
        sensitive=not its.ADULT.isdisjoint(labels),
        version=commit.rev,
        cursor=event.time_us,
    )


def _kinds(record: _Record) -> tuple[Kind, ...]:
    """What it is beside a post, the first of which it is called by."""
    quoted = record.embed.record or _NOTHING
    is_quote = its.is_post((quoted.record or quoted).uri)
    if record.reply:
        return ("reply", "quote") if is_quote else ("reply",)
    return ("quote",) if is_quote else ()


def _marked(record: _Record) -> tuple[list[Link], list[str]]:
    """Links and hashtags, those that stand beside the text behind those in it."""
    links, tags = list[Link](), list[str]()
    if record.facets:
        encoded = record.text.encode()
        for facet in record.facets:
            for feature in facet.features:
                if feature.tag:
                    tags.append(feature.tag)
                elif feature.uri:
                    shown = its.marked(encoded, facet.index.start, facet.index.end)
                    links.append(Link(feature.uri, shown))
    tags += record.tags
    return links, tags


def _also(shown: _Shown, links: list[Link], tags: list[str]) -> list[str]:
    found = [f"#{tag}" for tag in tags]
    for link in links:
        found += (link.display, link.url)
    found += (shown.external.title, shown.external.description)
    found += [image.alt for image in _images(shown)]
    found.append(shown.alt)  # of a video
    return found


def _images(shown: _Shown) -> tuple[_Image, ...]:
    return shown.items if shown.images is UNSET else shown.images


def _media(shown: _Shown, did: str) -> tuple[Media, ...]:
    found = [
        medium("image", one.alt, its.thumbnail(did, one.image.ref.link or one.image.cid))
        for one in _images(shown)
    ]
    if shown.kind.endswith("video"):
        found.append(medium("video", shown.alt))
    return tuple(found)
