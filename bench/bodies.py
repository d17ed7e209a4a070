"""An invented post as each network sends it, made by the simulators' functions.

What stands in an event beside its text, and how often, is as in recorded ones (of X with the
fields that tweeter asks for): most of X's are reposts, which repeat the text in `includes`, few
links have a title, few posts of Bluesky a card. Sizes are X 1.95 kB, Jetstream 931 bytes. A test
compares with recorded posts how much text there is to match and to index.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench import data
from bench.data import Text
from tests.simulators import jetstream, mastodon, x

EPOCH_MS = 1_288_834_974_657  # of X's ids
RKEY, TIME_US = "zzzzzzzzzzzzz", 7_777_777_777_777_777
X_ID = 7_777_777_777_777_777_777
STATUS = 7_777_777_777
AUTHORS = 20_000
CID = "bafyreib2rxk3rybk3aobmv5cjuql3bm2twh4jo5uxgf5kpqcsgz7soitae"

Texts = list[data.Plain]


def _marked(value: Any, *marks: str) -> list[bytes]:
    """A value as JSON, cut where the marks stand (a mark may stand several times)."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for mark in marks:
        body = body.replace(mark, "\x00")
    return [part.encode() for part in body.split("\x00")]


def _some(texts: Texts, dice: random.Random, most: int) -> str:
    """The first words of one of the texts."""
    return " ".join(dice.choice(texts)[0][:most])


# Jetstream.


def _did(number: int) -> str:
    return f"did:plc:{number:08d}{'k7q2m5x3w4z6b2n7'}"


def _jetstream(text: Text, texts: Texts, dice: random.Random) -> list[bytes]:
    record: dict[str, Any] = {"text": text.text, "langs": [text.lang]}
    if dice.random() < 0.5:
        parent = f"at://{_did(dice.randrange(AUTHORS))}/app.bsky.feed.post/3lb2k5x7q2c2a"
        record["reply"] = {key: {"cid": CID, "uri": parent} for key in ("parent", "root")}
    link = f"https://news{dice.randrange(400)}.example.org/2026/{dice.randrange(10**6)}"
    facets = [_facet(text.text, f"#{tag}", {"tag": tag}, "tag") for tag in text.tags]
    if dice.random() < 0.24:
        facets.append(_facet(text.text, text.text[-28:], {"uri": link}, "link"))
    if facets:
        record["facets"] = facets
    kind = dice.random()
    if kind < 0.13:
        external = {"uri": link, "title": _some(texts, dice, 9), "thumb": _blob(dice)}
        external["description"] = _some(texts, dice, 20)
        record["embed"] = {"$type": "app.bsky.embed.external", "external": external}
    elif kind < 0.37:
        images = [_image(texts, dice) for _ in range(dice.choice((1, 1, 1, 2)))]
        record["embed"] = {"$type": "app.bsky.embed.images", "images": images}
    event = jetstream.post_event(
        text.text,
        time_us=TIME_US,
        record=record,
        commit={"rkey": RKEY, "rev": RKEY, "cid": CID},
        did=_did(int(dice.paretovariate(0.7)) % AUTHORS),
    )
    return _marked(event, RKEY, str(TIME_US))


def _facet(text: str, words: str, feature: dict[str, str], kind: str) -> dict[str, Any]:
    start = len(text[: text.find(words)].encode())
    index = {"byteStart": start, "byteEnd": start + len(words.encode())}
    return {"index": index, "features": [{"$type": f"app.bsky.richtext.facet#{kind}", **feature}]}


def _blob(dice: random.Random) -> dict[str, Any]:
    size = dice.randrange(50_000, 2_000_000)
    return {"$type": "blob", "ref": {"$link": CID}, "mimeType": "image/jpeg", "size": size}


def _image(texts: Texts, dice: random.Random) -> dict[str, Any]:
    described = _some(texts, dice, 12) if dice.random() < 0.15 else ""
    ratio = {"height": dice.randrange(600, 4000), "width": dice.randrange(600, 4000)}
    return {"alt": described, "aspectRatio": ratio, "image": _blob(dice)}


def _join_jetstream(parts: list[bytes], number: int, moment_us: int) -> bytes:
    # In the order of the event: time_us, rev, rkey; RKEY stands for both of the latter.
    rkey = jetstream.tid(moment_us, number).encode()
    first, second, third, fourth = parts
    return b"".join((first, str(moment_us).encode(), second, rkey, third, rkey, fourth))


# X v2.


def _x(text: Text, texts: Texts, dice: random.Random) -> list[bytes]:
    author, other = (str(10**17 + int(dice.paretovariate(0.7)) % AUTHORS) for _ in range(2))
    entities = _x_entities(text, texts, dice)
    said, includes = text.text, {"users": [_x_user(author)]}
    fields: dict[str, Any] = {"author_id": author, "lang": text.lang, "entities": entities}
    fields |= {"conversation_id": str(X_ID), "possibly_sensitive": False}
    kind = _x_kind(dice)
    if kind:
        other_id = str(1_880_000_000_000_000_000 + dice.randrange(10**15))
        fields["referenced_tweets"] = [{"type": kind, "id": other_id}]
        includes["users"].append(_x_user(other))
        its = Text(" ".join(dice.choice(texts)[0]), text.lang, -1, ())
        if kind == "retweeted":
            its, said = text, f"RT @user_{other}: {text.text}"
            entities.setdefault("mentions", []).append(_x_mention(other))
        elif kind == "replied_to":
            fields["in_reply_to_user_id"] = other
        its_fields = {"author_id": other, "lang": its.lang, "conversation_id": other_id}
        its_fields |= {"possibly_sensitive": False, "entities": _x_entities(its, texts, dice)}
        includes["tweets"] = [x.post(int(other_id), its.text, **its_fields)["data"]]
    if dice.random() < 0.25:
        key = f"3_{dice.randrange(10**18)}"
        fields["attachments"] = {"media_keys": [key]}
        url = f"https://pbs.twimg.com/media/{key}.jpg"
        includes["media"] = [{"media_key": key, "type": "photo", "url": url}]
    value = x.post(X_ID, said, **fields)
    value["data"]["created_at"] = "@created@"
    value["includes"] = includes
    rule = {"id": "1700000000000000123", "tag": f"keyword {text.keyword}"}
    return _marked(value | {"matching_rules": [rule]}, str(X_ID), "@created@")


def _x_kind(dice: random.Random) -> str:
    by_chance = dice.random()
    for kind, until in (("retweeted", 0.57), ("replied_to", 0.74), ("quoted", 0.78)):
        if by_chance < until:
            return kind
    return ""


def _x_entities(text: Text, texts: Texts, dice: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if text.tags:
        found["hashtags"] = [{"start": 0, "end": len(t) + 1, "tag": t} for t in text.tags]
    if mentions := dice.choice((0, 1, 1, 3)):
        found["mentions"] = [_x_mention(str(10**17 + dice.randrange(AUTHORS)))] * mentions
    if dice.random() < 0.45:
        found["urls"] = [_x_link(texts, dice)]
    if annotations := dice.choice((0, 1, 1, 2)):
        words = text.text.split()
        found["annotations"] = [_x_annotation(dice.choice(words)) for _ in range(annotations)]
    return found


def _x_user(user_id: str) -> dict[str, str]:
    return {"id": user_id, "username": f"user_{user_id}", "name": f"User {user_id}"}


def _x_mention(user_id: str) -> dict[str, Any]:
    return {"start": 3, "end": 27, "username": f"user_{user_id}", "id": user_id}


def _x_annotation(word: str) -> dict[str, Any]:
    kind = {"probability": 0.8421, "type": "Organization", "normalized_text": word}
    return {"start": 0, "end": len(word) - 1, **kind}


def _x_link(texts: Texts, dice: random.Random) -> dict[str, Any]:
    host = f"news{dice.randrange(400)}.example.org"
    path = f"{host}/2026/11/{dice.randrange(10**9)}"
    link = {
        "start": 80,
        "end": 103,
        "url": "https://t.co/aB3dE5fG7h",
        "expanded_url": f"https://{path}?from=social",
        "display_url": path[:28],
    }
    if dice.random() < 0.3:
        link |= {"status": 200, "title": _some(texts, dice, 8), "unwound_url": f"https://{path}"}
        link["description"] = _some(texts, dice, 20)
    return link


def _join_x(parts: list[bytes], number: int, moment_us: int) -> bytes:
    ms = moment_us // 1000
    post_id = str((ms - EPOCH_MS) << 22 | number % 4096).encode()
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    created = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".encode()
    # x.post writes id, text, author, created_at, edit history, then our conversation_id.
    first, second, third, fourth, fifth = parts
    return b"".join((first, post_id, second, created, third, post_id, fourth, post_id, fifth))


# Mastodon.


def _mastodon(text: Text, texts: Texts, dice: random.Random) -> list[bytes]:
    value = mastodon.status(STATUS, text.text, language=text.lang, at_s=1.0)
    value["id"] = str(X_ID)
    value["tags"] = [{"name": tag, "url": f"https://sim.example/tags/{tag}"} for tag in text.tags]
    return _marked(value, str(X_ID), str(STATUS), "1970-01-01T00:00:01.000Z")


def _join_mastodon(parts: list[bytes], number: int, moment_us: int) -> bytes:
    ms = moment_us // 1000
    moment = mastodon.iso(ms / 1000).encode()
    own = str(10**9 + number).encode()
    first, second, third, fourth, fifth = parts
    post_id = str((ms << 16) + number % 65_536).encode()
    return b"".join((first, post_id, second, moment, third, own, fourth, own, fifth))


Form = tuple[
    Callable[[Text, Texts, random.Random], list[bytes]],
    Callable[[list[bytes], int, int], bytes],  # number, moment
]
FORMS: dict[str, Form] = {
    "bluesky": (_jetstream, _join_jetstream),
    "x": (_x, _join_x),
    "mastodon": (_mastodon, _join_mastodon),
}
