"""Invented posts of each network in its own shape, with all that a card has to show."""

import json
from typing import Any

from tweeter.decode import any as any_network
from tweeter.records import Event, RawEvent

US = 1_000_000


def x_post(at: int, number: int = 1, **more: Any) -> bytes:
    """A line of X's stream (v2), with a link, a tag, a mention and a picture."""
    text = "The night train to Varnholm runs again https://t.co/aB3dE5 #harbour @quaywatch_demo"
    data = {
        "id": str(1_990_000_000_000_000_000 + number),
        "text": text,
        "lang": "en",
        "author_id": "7001",
        "created_at": _iso(at),
        "entities": {
            "urls": [
                {
                    "start": 39,
                    "end": 62,
                    "url": "https://t.co/aB3dE5",
                    "expanded_url": "https://varnholm.example/trains?from=harbour",
                    "display_url": "varnholm.example/trains",
                }
            ],
            "hashtags": [{"start": 63, "end": 71, "tag": "harbour"}],
            "mentions": [{"start": 72, "end": 87, "username": "quaywatch_demo", "id": "7002"}],
        },
        "attachments": {"media_keys": ["3_1"]},
    }
    users = [{"id": "7001", "name": "Mara Lind", "username": "mara_lind_demo"}]
    picture = {"type": "photo", "url": "https://pictures.varnholm.example/engine.jpg"}
    media = [{"media_key": "3_1", "alt_text": "A blue engine under snow"} | picture]
    return _json({"data": data | more, "includes": {"users": users, "media": media}})


def bluesky_post(at: int, number: int = 1, labels: tuple[str, ...] = (), **more: Any) -> bytes:
    """A commit of Jetstream with facets, a picture and the author's own labels."""
    text = "Fog over the harbour, the bell rings. #harbour quay.example"
    start = text.encode().index(b"quay.example")
    record = {
        "$type": "app.bsky.feed.post",
        "text": text,
        "createdAt": _iso(at),
        "langs": ["en"],
        "facets": [
            {
                "index": {"byteStart": start, "byteEnd": start + 12},
                "features": [
                    {"$type": "app.bsky.richtext.facet#link", "uri": "https://quay.example/fog"}
                ],
            },
            {
                "index": {"byteStart": 38, "byteEnd": 46},
                "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "harbour"}],
            },
        ],
        "embed": {
            "$type": "app.bsky.embed.images",
            "images": [{"alt": "A lamp in the fog", "image": {}}],
        },
    }
    if labels:
        record["labels"] = {"values": [{"val": value} for value in labels]}
    commit = {
        "rev": f"3l{number:011d}",
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": f"3ldemo{number:07d}",
        "record": record | more,
    }
    return _json(
        {"did": "did:plc:ottobrandtdemo", "time_us": at, "kind": "commit", "commit": commit}
    )


def mastodon_post(at: int, number: int = 1, **more: Any) -> bytes:
    """A status with a content warning, a picture and a bot for an author."""
    server = "https://quay.example"
    status = {
        "id": str(115_000_000_000_000_000 + number),
        "uri": f"{server}/users/lucia/statuses/{number}",
        "url": f"{server}/@lucia/{number}",
        "created_at": _iso(at),
        "edited_at": None,
        "language": "es",
        "visibility": "public",
        "sensitive": True,
        "spoiler_text": "Tormenta, ruido",
        "content": (
            f'<p>El puerto <a href="{server}/tags/harbour" class="mention hashtag" rel="tag">#'
            '<span>harbour</span></a> sin luz. <a href="https://faro.example/apagon?id=7">'
            '<span class="invisible">https://</span><span class="ellipsis">faro.example/apagon'
            '</span><span class="invisible">?id=7</span></a></p>'
        ),
        "in_reply_to_id": None,
        "tags": [{"name": "harbour", "url": f"{server}/tags/harbour"}],
        "media_attachments": [
            {
                "type": "image",
                "description": "Las luces se apagan",
                "url": "https://files.quay.example/original/1.jpg",
                "preview_url": "https://files.quay.example/small/1.jpg",
            }
        ],
        "account": {
            "id": "5",
            "acct": "lucia",
            "username": "lucia",
            "url": f"{server}/@lucia",
            "display_name": "Lucía Vega",
            "bot": True,
        },
    }
    return _json(status | more)


def decoded(body: bytes, at: int) -> Event:
    """The one event of a body."""
    raw = RawEvent(shape="any", body=body, received_at=at, origin="quay.example")
    (event,) = any_network.decode(raw)
    return event


def _iso(at: int) -> str:
    from tweeter.moments import iso

    return iso(at).replace("Z", ".000Z")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
