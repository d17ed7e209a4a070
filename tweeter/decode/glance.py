"""A first look at an event: the strings of a new post that keywords may be found in, and no record.

Of a hundred posts of a whole network one matches. A glance costs a tenth of decoding, and shows
everything that decoding would, or more: a post in whose glance no keyword is found matches none
(tests/decode/test_glance.py). That an event is of another collection, a like, is also seen. What is
not plainly one of the two is left to the decoder: an edit, a removal, a field of a wrong type,
anything broken.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import msgspec

from tweeter.decode import bluesky as its
from tweeter.decode import x_line
from tweeter.decode.build import TEXT_CHARACTERS
from tweeter.decode.values import has_nul, typed
from tweeter.moments import LAST_US
from tweeter.records import Post, RawEvent

Moment = Annotated[int, msgspec.Meta(ge=0, le=LAST_US)]


class Glance(msgspec.Struct, frozen=True, gc=False):
    """What a new post says: its texts, ids and names of its author, its links, its cursor.

    is_post=False: no post, and nothing that changes the store. whole: makes the post, whose texts
    are these and no others, for who finds a keyword in them; None: decode it.
    """

    texts: list[str]
    authors: tuple[str, ...]
    links: list[str]
    cursor: int = 0
    is_post: bool = True
    whole: Callable[[RawEvent], Post] | None = None


class _Part(msgspec.Struct, gc=False):
    """A feature of a facet, a picture, or what else has these texts."""

    tag: str = ""
    uri: str = ""
    alt: str = ""
    title: str = ""
    description: str = ""


class _Index(msgspec.Struct, gc=False):
    start: int = msgspec.field(default=0, name="byteStart")
    end: int = msgspec.field(default=0, name="byteEnd")


class _Facet(msgspec.Struct, gc=False):
    index: _Index | None = None
    features: list[_Part] | None = None


class _Embed(msgspec.Struct, gc=False):
    media: "_Embed | None" = None
    external: _Part | None = None
    images: list[_Part] | None = None
    items: list[_Part] | None = None
    alt: str = ""


class _Record(msgspec.Struct, gc=False):
    text: str | None = None
    facets: list[_Facet] | None = None
    tags: list[str] | None = None
    embed: _Embed | None = None


class _Commit(msgspec.Struct, gc=False):
    """did, witnessed and time are there on v2's wire, where the commit is the whole event."""

    collection: str = ""
    operation: str = ""
    rkey: str = ""
    record: _Record | None = None
    kind: str = msgspec.field(default="", name="$type")
    did: str = ""
    witnessed: str = msgspec.field(default="", name="witnessedAt")
    time: str = ""


class _Event(msgspec.Struct, gc=False):
    form: str = msgspec.field(default="", name="$type")
    kind: str = ""
    did: str = ""
    time_us: Moment = 0
    commit: _Commit | None = None
    payload: _Commit | None = None


_event = msgspec.json.Decoder(_Event)


def bluesky(body: bytes) -> Glance | None:
    """A new post of Jetstream, v1 or v2, or an event of another collection; None: decode it."""
    event = typed(_event, body)
    if event is None:
        return None
    if event.form:
        commit = event.payload
        is_commit = commit is not None and commit.kind.endswith("#commit")
        did = commit.did if commit is not None else ""
    else:
        commit, is_commit, did = event.commit, event.kind == "commit", event.did
    if not is_commit or commit is None or not commit.rkey or not did:
        return None
    cursor = event.time_us
    if event.form:
        cursor = its.moment_of(commit.witnessed, commit.time)
    if commit.collection and commit.collection != its.POSTS:
        return Glance([], (), [], cursor, is_post=False)
    record = commit.record
    if not commit.collection or commit.operation != "create" or record is None:
        return None
    return _of_post(record, did, cursor, body)


def _of_post(record: _Record, did: str, cursor: int, body: bytes) -> Glance | None:
    if record.text is None or len(record.facets or ()) > its.FACETS:
        return None
    if not record.facets and not record.tags and record.embed is None:
        return _bounded(Glance([record.text], (did,), [], cursor), body)
    texts, links = [record.text], list[str]()
    _add_marked(record, texts, links)
    embed = record.embed
    while embed is not None:
        _add_shown(embed, texts, links)
        embed = embed.media
    return _bounded(Glance(texts, (did,), links, cursor), body)


def _add_marked(record: _Record, texts: list[str], links: list[str]) -> None:
    """Hashtags, and links with the text that they stand on."""
    texts += [f"#{tag}" for tag in record.tags or ()]
    encoded = b""
    for facet in record.facets or ():
        is_link = False
        for feature in facet.features or ():
            if feature.tag:
                texts.append(f"#{feature.tag}")
            elif feature.uri:
                links.append(feature.uri)
                texts.append(feature.uri)
                is_link = True
        if is_link:
            index = facet.index or _Index()
            encoded = encoded or (record.text or "").encode()
            texts.append(its.marked(encoded, index.start, index.end))


def _add_shown(embed: _Embed, texts: list[str], links: list[str]) -> None:
    """What stands beside the text: descriptions of pictures, the card of a link."""
    texts.append(embed.alt)
    for images in (embed.images, embed.items):
        if images:
            texts += [image.alt for image in images]
    card = embed.external
    if card is not None:
        links.append(card.uri)
        texts += (card.uri, card.title, card.description)


def _bounded(glance: Glance, body: bytes) -> Glance | None:
    """None for what the decoder would mend, cut or refuse."""
    if len(body) > TEXT_CHARACTERS and sum(map(len, glance.texts)) > TEXT_CHARACTERS:
        return None
    return None if has_nul(body) else glance


def x(body: bytes) -> Glance | None:
    """A new post of the v2 stream; None: decode it."""
    said = x_line.read(body)
    if said is None:
        return None
    texts = [said.text, *said.others]
    authors, links = x_line.authors(said), x_line.targets(said)
    return Glance(texts, authors, links, whole=partial(x_line.post, said))


def of_a_file(body: bytes) -> Glance | None:
    """A line as these two networks write it."""
    if body.startswith(b'{"did":'):
        return bluesky(body)
    return x(body) if body.startswith(b'{"data":{') else None


GLANCES: dict[str, Callable[[bytes], Glance | None]] = {
    "bluesky": bluesky,
    "x": x,
    "any": of_a_file,
}
