"""X: statuses of API v1.1, as old collections hold them, and the notices of its stream."""

from collections.abc import Iterable

from tweeter.decode import times
from tweeter.decode.build import build, removal
from tweeter.decode.html import unescaped
from tweeter.decode.values import Object, inner, items, media, text
from tweeter.errors import DecodeError
from tweeter.records import Event, Ignored, Kind, Link, Media, Post, RawEvent

NETWORK = "x"
PICTURES = ("pic.twitter.com/", "pic.x.com/")  # so their links are shown; they lead to the post
NOTICES = (
    "errors",
    "meta",
    "limit",
    "warning",
    "disconnect",
    "scrub_geo",
    "status_withheld",
    "user_withheld",
    "friends",
    "control",
    "connection_issue",
    "disconnect_type",
)


def from_object(value: Object, raw: RawEvent) -> list[Event]:
    """A status, a deletion, or a notice. Raises DecodeError."""
    if "text" in value or "full_text" in value or "id_str" in value:
        return [_post(value, raw)]
    deleted = inner(inner(value, "delete"), "status")
    if deleted:
        key = text(deleted, "id_str", "id")
        if not (key.isascii() and key.isdigit()):
            raise DecodeError("no id", "a deletion without an id")
        return [removal(network=NETWORK, key=key, occurred_at=raw.received_at)]
    if any(name in value for name in NOTICES) or "/problems/" in text(value, "type"):
        return [Ignored("notice")]
    raise DecodeError("unknown shape", f"fields: {', '.join(sorted(value)[:8])}")


def _post(value: Object, raw: RawEvent) -> Post:
    post_id = text(value, "id_str") or text(value, "id")
    if not (post_id.isascii() and post_id.isdigit()):
        raise DecodeError("no id", "X ids are digits")
    whole = _whole(value)
    if whole is None:
        raise DecodeError("no text", f"post {post_id}")
    user = inner(value, "user")
    handle = text(user, "screen_name")
    created_at = times.v1(text(value, "created_at")) or times.snowflake(post_id)
    if created_at is None:
        created_at = raw.received_at
    return build(
        network=NETWORK,
        key=post_id,
        post_id=post_id,
        url=f"https://x.com/{handle or 'i'}/status/{post_id}",
        text=whole,
        also=_also(value),
        kind=_kind(value),
        traits=_traits(value),
        lang=text(value, "lang"),
        author_id=text(user, "id_str", "id"),
        author_handle=handle,
        author_name=text(user, "name"),
        tags=[text(t, "text") for e in _entities(value) for t in items(e, "hashtags")],
        links=links(_entities(value)),
        media=_media(value),
        reply_to=text(value, "in_reply_to_status_id_str", "in_reply_to_status_id"),
        created_at=created_at,
        occurred_at=min(created_at, raw.received_at),
        received_at=raw.received_at,
        sort_us=times.snowflake(post_id) or created_at,
        sensitive=value.get("possibly_sensitive") is True,
    )


def _whole(value: Object) -> str | None:
    """The whole text: extended where the outer one is cut."""
    extended = text(inner(value, "extended_tweet"), "full_text")
    for found in (extended or None, value.get("full_text"), value.get("text")):
        if isinstance(found, str):
            return unescaped(found)
    return None


def _kind(value: Object) -> Kind:
    if inner(value, "retweeted_status"):
        return "repost"
    if inner(value, "quoted_status") or value.get("is_quote_status") is True:
        return "quote"
    return "reply" if text(value, "in_reply_to_status_id_str", "in_reply_to_status_id") else "post"


def _traits(value: Object) -> list[str]:
    found = {
        "repost": bool(inner(value, "retweeted_status")),
        "quote": bool(inner(value, "quoted_status")) or value.get("is_quote_status") is True,
        "reply": bool(text(value, "in_reply_to_status_id_str", "in_reply_to_status_id")),
        "media": any(items(entities, "media") for entities in _entities(value)),
    }
    return [name for name, holds in found.items() if holds]


def _entities(value: Object) -> list[Object]:
    """Those of the whole text: the cut one ends with a link to the status itself."""
    extended = inner(value, "extended_tweet")
    of = extended if inner(extended, "entities") else value
    return [inner(of, "entities"), inner(of, "extended_entities")]


def _also(value: Object) -> list[str]:
    found = _own_parts(value)
    for name in ("retweeted_status", "quoted_status"):
        other = inner(value, name)
        if other:
            found += [_whole(other) or "", *_own_parts(other)]
            quoted = inner(other, "quoted_status")
            if quoted and name == "retweeted_status":
                found += [_whole(quoted) or "", *_own_parts(quoted)]
    return found


def _own_parts(value: Object) -> list[str]:
    """What one status says beside its text."""
    found = []
    for entities in _entities(value):
        found += [f"#{text(tag, 'text')}" for tag in items(entities, "hashtags")]
        found += [f"${text(tag, 'text')}" for tag in items(entities, "symbols")]
        for link in items(entities, "urls"):
            found.append(text(link, "display_url"))
            if not found[-1].startswith(PICTURES):
                found.append(text(link, "expanded_url"))
            card = inner(link, "unwound")
            found += [text(card, name) for name in ("url", "title", "description")]
        for one in items(entities, "media"):
            found += [text(one, name) for name in ("display_url", "ext_alt_text")]
    return found


def links(found: Iterable[Object]) -> list[Link]:
    """The links of entities, by where they lead; v2 writes them in the same way."""
    by_url = {text(one, "expanded_url", "url"): one for its in found for one in items(its, "urls")}
    return [
        Link(url, text(one, "display_url", "url"), text(one, "url"))
        for url, one in by_url.items()
        if url
    ]


def _media(value: Object) -> list[Media]:
    """Each once: `extended_entities` says again, and better, what `entities` says."""
    found = [one for entities in _entities(value) for one in items(entities, "media")]
    each = {text(one, "id_str", "id") or str(number): one for number, one in enumerate(found)}
    return [
        media(text(one, "type"), text(one, "ext_alt_text"), text(one, "media_url_https"))
        for one in each.values()
    ]
