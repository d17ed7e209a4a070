"""Mastodon: WebSocket frames, server-sent events, and bare status objects.

Fields: docs.joinmastodon.org, entities/Status and methods/streaming. A post is one on all
servers by its `uri`; its removal is announced by the announcing server's own id, which
together with that server's name is the post's alias.
"""

import re
from urllib.parse import urlsplit

from tweeter.decode import times
from tweeter.decode.build import build, removal
from tweeter.decode.html import to_text
from tweeter.decode.values import Object, inner, items, load_object, media, text
from tweeter.errors import DecodeError
from tweeter.records import Event, Ignored, Kind, Link, Media, RawEvent

NETWORK = "mastodon"
# Of server-sent events; str.splitlines knows more, which may stand in the text of a post.
_LINE_END = re.compile(r"\r\n?|\n")


def decode(raw: RawEvent) -> list[Event]:
    """A frame, an SSE block or a status. Raises DecodeError."""
    if is_sse(raw.body):
        return [_sse(raw)]
    return from_object(load_object(raw.body), raw)


def is_sse(body: bytes) -> bool:
    """True for a block of a text/event-stream."""
    return body.lstrip().startswith((b"event:", b"data:", b":", b"id:", b"retry:"))


def from_object(value: Object, raw: RawEvent) -> list[Event]:
    """A WebSocket frame or a status; always one event."""
    if "event" in value:
        payload = value.get("payload")
        return [_event(text(value, "event"), payload if isinstance(payload, str) else "", raw)]
    return [_post(value, raw, "create")]


def _sse(raw: RawEvent) -> Event:
    name, data = "", []
    for line in _LINE_END.split(raw.body.decode("utf-8", "replace")):
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data.append(value.removeprefix(" "))
    if not name and not data:
        return Ignored("heartbeat")
    return _event(name, "\n".join(data), raw)


def _event(name: str, payload: str, raw: RawEvent) -> Event:
    if name == "delete":
        if not payload.strip():
            raise DecodeError("no id", "a deletion without an id")
        alias = f"{raw.origin}:{payload.strip()}"
        return removal(network=NETWORK, alias=alias, occurred_at=raw.received_at)
    if name not in ("update", "status.update"):
        return Ignored(name[:32] or "notice")
    status = load_object(payload.encode("utf-8", "surrogatepass"))
    return _post(status, raw, "create" if name == "update" else "update")


def _post(value: Object, raw: RawEvent, operation: str) -> Event:
    if "content" not in value and "uri" not in value:
        raise DecodeError("unknown shape", f"fields: {', '.join(sorted(value)[:8])}")
    key, post_id = text(value, "uri") or text(value, "url"), text(value, "id")
    if not key or not post_id:
        raise DecodeError("no id", "a status without uri or id")
    if not isinstance(value.get("content"), str):
        raise DecodeError("no text", key[:200])
    if text(value, "visibility") not in ("public", "unlisted", ""):
        return Ignored("not public")
    boosted = inner(value, "reblog")
    shown = boosted or value
    whole, links = to_text(text(shown, "content"))
    account = inner(value, "account")
    created_at = times.iso(text(value, "created_at"))
    if created_at is None:
        created_at = raw.received_at
    edited_at = times.iso(text(value, "edited_at")) or 0
    return build(
        network=NETWORK,
        key=key,
        post_id=post_id,
        url=text(value, "url") or key,
        text=whole,
        also=_also(shown, links),
        warning=text(shown, "spoiler_text"),
        kind=_kind(value, boosted),
        traits=_traits(value, shown, boosted),
        lang=text(shown, "language"),
        author_id=text(account, "url", "uri", "acct"),
        author_handle=_handle(account),
        author_name=text(account, "display_name") or text(account, "username"),
        tags=[text(tag, "name") for tag in items(shown, "tags")],
        links=links,
        reply_to=text(value, "in_reply_to_id"),
        created_at=created_at,
        occurred_at=min(created_at, raw.received_at),
        received_at=raw.received_at,
        sort_us=created_at,
        # A page of statuses has the newest text of each: what is stored may be older.
        operation="update" if edited_at else operation,
        version=f"{edited_at:020d}" if edited_at else "",
        edited_at=edited_at,
        alias=f"{raw.origin}:{post_id}",
        media=[_medium(one) for one in items(shown, "media_attachments")],
        sensitive=shown.get("sensitive") is True,
        flags=["bot"] if account.get("bot") is True else [],
    )


def _medium(one: Object) -> Media:
    kind = text(one, "type")
    picture = text(one, "preview_url") or (text(one, "url") if kind == "image" else "")
    return media(kind, text(one, "description"), picture)


def _kind(value: Object, boosted: Object) -> Kind:
    if boosted:
        return "repost"
    if inner(value, "quote"):
        return "quote"
    return "reply" if text(value, "in_reply_to_id") else "post"


def _traits(value: Object, shown: Object, boosted: Object) -> list[str]:
    found = {
        "repost": bool(boosted),
        "quote": bool(inner(value, "quote")),
        "reply": bool(text(value, "in_reply_to_id")),
        "media": bool(items(shown, "media_attachments")),
    }
    return [name for name, holds in found.items() if holds]


def _handle(account: Object) -> str:
    """name@server, also for accounts of the server itself, which it writes without."""
    acct = text(account, "acct") or text(account, "username")
    if "@" in acct or not acct:
        return acct
    try:
        server = urlsplit(text(account, "url")).hostname
    except ValueError:
        server = None
    return f"{acct}@{server}" if server else acct


def _also(value: Object, links: list[Link]) -> list[str]:
    found = _own_parts(value, links)
    quote = inner(value, "quote")
    quoted = inner(quote, "quoted_status") or quote  # older servers put the status itself there
    if text(quoted, "content"):
        said, its_links = to_text(text(quoted, "content"))
        found += [said, *_own_parts(quoted, its_links)]
    return found


def _own_parts(value: Object, links: list[Link]) -> list[str]:
    """What one post says beside its text."""
    found = [text(value, "spoiler_text")]
    found += [f"#{text(tag, 'name')}" for tag in items(value, "tags")]
    found += [part for link in links for part in (link.display, link.url)]
    found += [text(one, "description") for one in items(value, "media_attachments")]
    found += [text(option, "title") for option in items(inner(value, "poll"), "options")]
    card = inner(value, "card")
    return found + [text(card, name) for name in ("title", "description", "url")]
