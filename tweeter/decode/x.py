"""X: lines of the v2 stream, pages of v2 answers, compliance events; v1.1 goes to x_v1.

The specification of August 2026 renames `..tweet..` to `..post..` in schemas, while every
payload on record says `..tweet..`: both are read (docs.x.com, openapi.json v2.167).
"""

from typing import Any

from tweeter.decode import times, x_v1
from tweeter.decode.build import account_change, build, removal
from tweeter.decode.html import unescaped
from tweeter.decode.values import Object, each, inner, items, load_object, media, text, texts
from tweeter.errors import DecodeError
from tweeter.records import (
    Event,
    Ignored,
    Kind,
    Media,
    Post,
    RawEvent,
)

NETWORK = "x"

_REFERENCES = ("referenced_tweets", "referenced_posts")
KINDS: dict[str, Kind] = {"retweeted": "repost", "quoted": "quote", "replied_to": "reply"}
_USER_STATUS = {
    "user_delete": "deactivated",  # can be undone within 30 days: user_undelete
    "user_undelete": "active",
    "user_protect": "deactivated",
    "user_unprotect": "active",
    "user_suspend": "suspended",
    "user_unsuspend": "active",
}


def decode(raw: RawEvent) -> list[Event]:
    """One line. Raises DecodeError."""
    return from_object(load_object(raw.body), raw)


def from_object(value: Object, raw: RawEvent) -> list[Event]:
    """What a JSON object of X means."""
    if "data" not in value:
        return x_v1.from_object(value, raw)
    data = value["data"]
    if isinstance(data, dict) and "id" not in data:
        return [_compliance(data, raw)]
    found = data if isinstance(data, list) else [data]
    if not found:
        return [Ignored("empty page")]
    includes = _Includes(value)
    return each(found, lambda post: [_post(post, includes, raw)])


class _Includes:
    """What came beside the posts, by id."""

    def __init__(self, value: Object) -> None:
        includes = inner(value, "includes")
        self.users = {text(user, "id"): user for user in items(includes, "users")}
        found = (*items(includes, "tweets"), *items(includes, "posts"))
        self.posts = {text(post, "id"): post for post in found}
        self.media = {text(media, "media_key"): media for media in items(includes, "media")}


def _post(value: Any, includes: _Includes, raw: RawEvent) -> Post:
    if not isinstance(value, dict):
        raise DecodeError("unknown shape", "data is not an object")
    post_id = text(value, "id")
    if not (post_id.isascii() and post_id.isdigit()):
        raise DecodeError("no id", "X ids are digits")
    whole = _whole(value)
    if whole is None:
        raise DecodeError("no text", f"post {post_id}")
    references = {text(r, "type"): text(r, "id") for r in items(value, *_REFERENCES)}
    author = includes.users.get(text(value, "author_id"), {})
    handle = text(author, "username")
    created_at = times.iso(text(value, "created_at")) or times.snowflake(post_id)
    if created_at is None:
        created_at = raw.received_at
    history = texts(value, "edit_history_tweet_ids") or texts(value, "edit_history_post_ids")
    return build(
        network=NETWORK,
        key=post_id,
        post_id=post_id,
        url=f"https://x.com/{handle or 'i'}/status/{post_id}",
        text=whole,
        also=_also(value, references, includes),
        kind=_kind(references),
        traits=_traits(value, references),
        lang=text(value, "lang"),
        author_id=text(value, "author_id"),
        author_handle=handle,
        author_name=text(author, "name"),
        tags=[text(tag, "tag") for tag in items(inner(value, "entities"), "hashtags")],
        links=x_v1.links(_entities(value)),
        media=_media(value, includes),
        reply_to=references.get("replied_to", ""),
        created_at=created_at,
        occurred_at=min(created_at, raw.received_at),
        received_at=raw.received_at,
        sort_us=times.snowflake(post_id) or created_at,
        supersedes=[older for older in history if _is_older(older, post_id)],
        sensitive=value.get("possibly_sensitive") is True,
    )


def _is_older(one: str, other: str) -> bool:
    """Whether an id is a smaller number than another, which is one; both may be of any length."""
    return one.isascii() and one.isdigit() and (len(one), one) < (len(other), other)


def _kind(references: dict[str, str]) -> Kind:
    for name, kind in KINDS.items():
        if name in references:
            return kind
    return "post"


def _traits(value: Object, references: dict[str, str]) -> list[str]:
    found = [kind for name, kind in KINDS.items() if name in references]
    media = texts(inner(value, "attachments"), "media_keys")
    return [*found, "media"] if media else list(found)


def _whole(value: Object) -> str | None:
    """The whole text: the long form where there is one; None if there is no text at all."""
    note = text(inner(value, "note_tweet", "note_post"), "text")
    if note or isinstance(value.get("text"), str):
        return unescaped(note or value["text"])
    return None


def _also(value: Object, references: dict[str, str], includes: _Includes) -> list[str]:
    found = _own_parts(value, includes)
    for name in ("retweeted", "quoted"):
        other = includes.posts.get(references.get(name, ""))
        if other is not None:
            found += [_whole(other) or "", *_own_parts(other, includes)]
            deeper = {text(r, "type"): text(r, "id") for r in items(other, *_REFERENCES)}
            quoted = includes.posts.get(deeper.get("quoted", "")) if name == "retweeted" else None
            if quoted is not None:
                found += [_whole(quoted) or "", *_own_parts(quoted, includes)]
    return found


def _entities(value: Object) -> list[Object]:
    """Those of the text, and those of the long form."""
    note = inner(value, "note_tweet", "note_post")
    return [inner(value, "entities"), inner(note, "entities")]


def _own_parts(value: Object, includes: _Includes) -> list[str]:
    """What one post says beside its text: tags, links as shown, picture descriptions."""
    found = []
    for entities in _entities(value):
        found += [f"#{text(tag, 'tag')}" for tag in items(entities, "hashtags")]
        found += [f"${text(tag, 'tag')}" for tag in items(entities, "cashtags")]
        for link in items(entities, "urls"):
            found.append(text(link, "display_url"))
            if not found[-1].startswith(x_v1.PICTURES):
                found += [text(link, name) for name in ("expanded_url", "unwound_url")]
            found += [unescaped(text(link, name)) for name in ("title", "description")]
    for key in texts(inner(value, "attachments"), "media_keys"):
        found.append(text(includes.media.get(key, {}), "alt_text"))
    return found


def _media(value: Object, includes: _Includes) -> list[Media]:
    found = [
        includes.media.get(key, {}) for key in texts(inner(value, "attachments"), "media_keys")
    ]
    return [media(text(one, "type"), text(one, "alt_text"), _picture(one)) for one in found]


def _picture(one: Object) -> str:
    """Where a picture of it is: of a film its first one, for `url` might be the film."""
    return text(one, "preview_image_url") or (
        text(one, "url") if text(one, "type") == "photo" else ""
    )


def _compliance(data: Object, raw: RawEvent) -> Event:
    """Events of the compliance streams: {"delete": {"tweet": {"id", "author_id"}}, …}."""
    for name in ("delete", "withheld", "drop"):
        gone = text(inner(inner(data, name), "tweet", "post"), "id")
        if gone and name != "withheld":
            return removal(network=NETWORK, key=gone, occurred_at=raw.received_at)
    for name, status in _USER_STATUS.items():
        user = text(inner(inner(data, name), "user"), "id")
        if user:
            return account_change(
                network=NETWORK, author_id=user, status=status, occurred_at=raw.received_at
            )
    if not data:
        raise DecodeError("unknown shape", "data is empty")
    if any(isinstance(value, dict) for value in data.values()):
        return Ignored("compliance notice")
    raise DecodeError("no id", "data has neither an id nor an event")
