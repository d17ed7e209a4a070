"""The invented posts of the demo: {"op", "id", "author", "name", "text", "lang", …, "at"}."""

from tweeter.decode.build import build, removal
from tweeter.decode.values import load_object, number, text, texts
from tweeter.errors import DecodeError
from tweeter.records import Event, Link, RawEvent

NETWORK = "demo"


def decode(raw: RawEvent) -> list[Event]:
    """One event of the generator. Raises DecodeError."""
    value = load_object(raw.body)
    key, at = text(value, "id"), number(value, "at") or raw.received_at
    if not key:
        raise DecodeError("no id")
    if text(value, "op") == "delete":
        return [removal(network=NETWORK, key=key, occurred_at=at)]
    if not isinstance(value.get("text"), str):
        raise DecodeError("no text", key)
    edited = text(value, "op") == "edit"
    tags, links = texts(value, "tags"), texts(value, "links")
    post = build(
        network=NETWORK,
        key=key,
        post_id=key,
        url="",
        text=text(value, "text"),
        also=[*(f"#{tag}" for tag in tags), *links],
        lang=text(value, "lang"),
        author_id=text(value, "author"),
        author_handle=text(value, "author"),
        author_name=text(value, "name"),
        tags=tags,
        links=[Link(url, url) for url in links],
        created_at=at,
        occurred_at=min(at, raw.received_at),
        received_at=raw.received_at,
        sort_us=at,
        operation="update" if edited else "create",
        edited_at=at if edited else 0,
        version=f"{at:020d}",
    )
    return [post]
