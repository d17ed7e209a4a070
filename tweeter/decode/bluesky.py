"""Bluesky: events of Jetstream v1, of its first form (September 2024), and of v2.

Fields: github.com/bluesky-social/jetstream, lexicons app.bsky.feed.post. The network's clock
is `time_us`; `createdAt` is whatever a client wrote.
"""

import re
from collections.abc import Sequence

from tweeter.decode import times
from tweeter.decode.build import (
    LINKS,
    NAME_CHARACTERS,
    TAGS,
    account_change,
    build,
    identity_change,
    removal,
)
from tweeter.decode.values import Object, inner, items, load_object, media, number, text, texts
from tweeter.errors import DecodeError
from tweeter.moments import DAY_US, LAST_US
from tweeter.records import (
    NO_HANDLE,
    Event,
    Ignored,
    Kind,
    Link,
    Media,
    Post,
    RawEvent,
)

NETWORK = "bluesky"
POSTS = "app.bsky.feed.post"

_HIDING = ("deleted", "takendown", "suspended", "deactivated")
FACETS = 500  # that are looked at
HANDLE_CHARACTERS = 190  # as long as a key of the store; DNS allows 253
ADULT = frozenset({"porn", "sexual", "nudity", "graphic-media", "gore"})
# Labels that say how a post is shown (atproto.com/guides/labels); others are names of lists.
_LABELS = (*ADULT, "!hide", "!warn", "!no-unauthenticated")
MEDIA = ("images", "video", "gallery")
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{1,170}")
_HANDLE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_KINDS = {"com": "commit", "id": "identity", "acc": "account"}
_OPERATIONS = {"c": "create", "u": "update", "d": "delete"}


def decode(raw: RawEvent) -> list[Event]:
    """One event. Raises DecodeError."""
    return from_object(load_object(raw.body), raw)


def from_object(value: Object, raw: RawEvent) -> list[Event]:
    """What an event of any of the three forms means; always one."""
    if "$type" in value:
        return [_second_form(value, raw)]
    kind = text(value, "kind") or _KINDS.get(text(value, "type"), "")
    time_us = number(value, "time_us")
    time_us = time_us if 0 < time_us <= LAST_US else 0
    if not kind or "did" not in value:
        raise DecodeError("unknown shape", f"fields: {', '.join(sorted(value)[:8])}")
    if kind == "commit":
        return [_commit(value, inner(value, "commit"), time_us, raw)]
    if kind == "account":
        return [_account(text(value, "did"), inner(value, "account"), time_us, raw)]
    if kind == "identity":
        return [_identity(text(value, "did"), inner(value, "identity"), time_us, raw)]
    return [Ignored(kind[:32], cursor=time_us)]


def moment_of(witnessed_at: str, time: str) -> int:
    """The moment of a v2 event that a cursor means, unix microseconds; 0 if there is none.

    `time` is the same until an operator imports older ones; then only `witnessedAt` grows with
    the events. Servers before it send `time` alone.
    """
    return times.iso(witnessed_at) or times.iso(time) or 0


def _second_form(value: Object, raw: RawEvent) -> Event:
    """Jetstream v2, `subscribeEvents`. Its moment is the cursor: its seq holds on one host only."""
    payload = inner(value, "payload")
    kind = text(payload, "$type").rpartition("#")[2]
    cursor = moment_of(text(payload, "witnessedAt"), text(payload, "time"))
    if kind == "commit":
        found = _commit(payload, payload, cursor, raw)
    elif kind == "account":
        found = _account(text(payload, "did"), inner(payload, "account"), cursor, raw)
    elif kind == "identity":
        found = _identity(text(payload, "did"), inner(payload, "identity"), cursor, raw)
    elif kind or text(value, "$type") == "error":
        return Ignored(kind[:32] or "notice", cursor=cursor)
    else:
        raise DecodeError("unknown shape", "no payload")
    return found


def _commit(value: Object, commit: Object, time_us: int, raw: RawEvent) -> Event:
    collection = text(commit, "collection")
    if not collection:
        raise DecodeError("unknown shape", "a commit without its collection")
    if collection != POSTS:
        return Ignored("other collection", cursor=time_us)
    did, rkey = text(value, "did"), text(commit, "rkey")
    if not did or not rkey:
        raise DecodeError("no id", "a commit without did or rkey")
    key = f"at://{did}/{POSTS}/{rkey}"
    operation = text(commit, "operation")
    operation = operation or _OPERATIONS.get(text(commit, "type"), "")
    occurred_at = min(time_us or raw.received_at, raw.received_at)
    if operation == "delete":
        return removal(network=NETWORK, key=key, occurred_at=occurred_at, cursor=time_us)
    if operation not in ("create", "update"):
        raise DecodeError("bad field", f"operation {operation[:32]!r}")
    record = inner(commit, "record")
    if not isinstance(record.get("text"), str):
        raise DecodeError("no text", key)
    created_at = times.iso(text(record, "createdAt"))
    return _post(
        record,
        raw,
        key=key,
        did=did,
        rkey=rkey,
        operation=operation,
        version=text(commit, "rev"),
        created_at=occurred_at if created_at is None else created_at,
        occurred_at=occurred_at,
        cursor=time_us,
    )


def _post(
    record: Object, raw: RawEvent, *, key: str, did: str, rkey: str, **fields: object
) -> Post:
    embed = inner(record, "embed")
    shown = inner(embed, "media") or embed
    external = inner(shown, "external")
    links, tags = _facets(record)
    tags += texts(record, "tags")
    if text(external, "uri"):
        links.append(Link(text(external, "uri"), text(external, "title")))
    also = [f"#{tag}" for tag in tags]
    also += [part for link in links for part in (link.display, link.url)]
    also += [text(external, "title"), text(external, "description")]
    also += [text(image, "alt") for image in items(shown, "images", "items")]
    also.append(text(shown, "alt"))  # of a video
    langs = texts(record, "langs")
    said = labels([text(label, "val") for label in items(inner(record, "labels"), "values")])
    a_day_on = raw.received_at + DAY_US
    return build(
        network=NETWORK,
        key=key,
        post_id=key,
        url=f"https://bsky.app/profile/{did}/post/{rkey}",
        text=text(record, "text"),
        also=also,
        kind=_kind(record, embed),
        traits=_traits(record, embed, shown),
        lang=langs[0] if langs else "",
        author_id=did,
        tags=tags,
        links=links,
        reply_to=text(inner(inner(record, "reply"), "parent"), "uri"),
        received_at=raw.received_at,
        sort_us=times.tid(rkey, a_day_on) or fields["occurred_at"],
        media=_media(shown, did),
        warning=", ".join(said),
        sensitive=not ADULT.isdisjoint(said),
        **fields,
    )


def labels(found: Sequence[str]) -> list[str]:
    """Of the author's own labels, each once, those that say how the post is shown."""
    return [label for label in dict.fromkeys(found) if label in _LABELS]


def _media(shown: Object, did: str) -> list[Media]:
    found = [
        media("image", text(image, "alt"), thumbnail(did, _cid(inner(image, "image"))))
        for image in items(shown, "images", "items")
    ]
    if text(shown, "$type").endswith("video"):
        found.append(media("video", text(shown, "alt")))
    return found


def _cid(blob: Object) -> str:
    """The name of a blob; old events say it otherwise."""
    return text(inner(blob, "ref"), "$link") or text(blob, "cid")


def thumbnail(did: str, cid: str) -> str:
    """Where Bluesky's own app loads a small picture from; "" if the blob cannot be named.

    An event says a blob's name only. The address is from memory and from what other programs do: no
    specification has it, and other apps may have no copy there.
    """
    if not (_DID.fullmatch(did) and cid.isascii() and cid.isalnum()):
        return ""
    return f"https://cdn.bsky.app/img/feed_thumbnail/plain/{did}/{cid}@jpeg"


def _kind(record: Object, embed: Object) -> Kind:
    if inner(record, "reply"):
        return "reply"
    return "quote" if _is_quote(embed) else "post"


def _traits(record: Object, embed: Object, shown: Object) -> list[str]:
    found = {"reply": bool(inner(record, "reply")), "quote": _is_quote(embed)}
    found["media"] = text(shown, "$type").endswith(MEDIA)
    return [name for name, holds in found.items() if holds]


def _is_quote(embed: Object) -> bool:
    """Whether a post is embedded; feeds, lists and starter packs are embedded likewise."""
    record = inner(embed, "record")
    uri = text(inner(record, "record") or record, "uri")  # the first is of one with media
    return is_post(uri)


def is_post(uri: str) -> bool:
    """Whether an at-uri names a post."""
    return uri.split("/")[3:4] == [POSTS]


def _facets(record: Object) -> tuple[list[Link], list[str]]:
    """Links and hashtags that clients marked; positions count UTF-8 bytes."""
    encoded = text(record, "text").encode("utf-8", "surrogatepass")
    links, tags = [], []
    for facet in items(record, "facets")[:FACETS]:
        index = inner(facet, "index")
        shown = marked(encoded, number(index, "byteStart"), number(index, "byteEnd"))
        for feature in items(facet, "features"):
            if text(feature, "tag"):
                tags.append(text(feature, "tag"))
            elif text(feature, "uri"):
                links.append(Link(text(feature, "uri"), shown))
        if len(links) >= LINKS and len(tags) >= TAGS:
            break
    return links[:LINKS], tags[:TAGS]


def marked(encoded: bytes, start: int, end: int) -> str:
    """What a facet stands on: bytes [start, end) of the text, at most NAME_CHARACTERS."""
    start = max(start, 0)
    some = encoded[start : min(max(end, 0), start + 4 * NAME_CHARACTERS)]
    return some.decode("utf-8", "replace")[:NAME_CHARACTERS]


def _account(did: str, account: Object, time_us: int, raw: RawEvent) -> Event:
    """Whether an account's posts may be shown; other states are the network's own affairs."""
    active, status = account.get("active"), text(account, "status")
    if not did or not isinstance(active, bool):
        raise DecodeError("bad field", "an account event without did or active")
    # The reason is optional (lexicon com.atproto.sync.subscribeRepos): not active is hidden.
    status = "active" if active else status or "deactivated"
    if status != "active" and status not in _HIDING:
        return Ignored("account", cursor=time_us)
    occurred_at = min(time_us or raw.received_at, raw.received_at)
    return account_change(
        network=NETWORK, author_id=did, status=status, occurred_at=occurred_at, cursor=time_us
    )


def _identity(did: str, identity: Object, time_us: int, raw: RawEvent) -> Event:
    """What an account is called now; the handle may be absent, or "handle.invalid"
    (atproto.com/specs/event-stream, "#identity").
    """
    did = did or text(identity, "did")
    if not _DID.fullmatch(did):
        raise DecodeError("bad field", f"an identity event with the did {did[:80]!r}")
    handle = text(identity, "handle").lower()
    if not _HANDLE.fullmatch(handle) or len(handle) > HANDLE_CHARACTERS:
        handle = ""
    return identity_change(
        network=NETWORK,
        author_id=did,
        handle=NO_HANDLE if handle == "handle.invalid" else handle,
        occurred_at=min(time_us or raw.received_at, raw.received_at),
        cursor=time_us,
    )
