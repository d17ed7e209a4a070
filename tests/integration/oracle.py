"""The obvious matcher: what is in a recorded line, and whether a word is in it.

It reads the files by itself, shares no code with tweeter, and is slow.
"""

import html
import re
import unicodedata
from typing import Any


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def has_word(texts: list[str], word: str) -> bool:
    """Whole word, unless it is Chinese or Japanese."""
    if any(ord(character) > 0x2E80 for character in word):
        return any(folded(word) in folded(text) for text in texts)
    pattern = re.compile(rf"(?<!\w){re.escape(folded(word))}(?![\w])")
    return any(
        pattern.search(re.sub(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]", " ", folded(text)))
        for text in texts
    )


def x_texts(line: dict[str, Any]) -> list[str]:
    """Everything an X post says: itself and the post it repeats or quotes."""
    includes = line.get("includes") or {}
    others = {other["id"]: other for other in includes.get("tweets") or []}
    media = {one["media_key"]: one for one in includes.get("media") or []}
    posts = [line["data"]]
    for step in (line["data"], None):
        for reference in (step or posts[-1]).get("referenced_tweets") or []:
            wanted = ("retweeted", "quoted") if step else ("quoted",)
            other = others.get(reference["id"])
            if reference["type"] in wanted and other and other not in posts:
                posts.append(other)
    found: list[str] = []
    for post in posts:
        found += [post.get("text", ""), (post.get("note_tweet") or {}).get("text", "")]
        entities = post.get("entities") or {}
        for link in entities.get("urls") or []:
            names = ("display_url", "expanded_url", "unwound_url", "title", "description")
            found += [str(link.get(name, "")) for name in names]
        found += [f"#{tag['tag']}" for tag in entities.get("hashtags") or []]
        for key in (post.get("attachments") or {}).get("media_keys") or []:
            found.append(str(media.get(key, {}).get("alt_text", "")))
    return [html.unescape(text) for text in found]


def bluesky_texts(event: dict[str, Any]) -> list[str]:
    """Everything a Bluesky post says; [] for other events."""
    commit = event.get("commit") or {}
    if commit.get("collection") != "app.bsky.feed.post" or commit.get("operation") != "create":
        return []
    record = commit["record"]
    found = [record["text"], *(f"#{tag}" for tag in record.get("tags") or [])]
    encoded = record["text"].encode()
    for facet in record.get("facets") or []:
        for feature in facet["features"]:
            if feature.get("tag"):
                found.append(f"#{feature['tag']}")
            if feature.get("uri"):
                index = facet["index"]
                shown = encoded[index["byteStart"] : index["byteEnd"]].decode("utf-8", "replace")
                found += [feature["uri"], shown]
    embed = record.get("embed") or {}
    for part in (embed, embed.get("media") or {}):
        external = part.get("external") or {}
        found += [str(external.get(name, "")) for name in ("uri", "title", "description")]
        found += [str(image.get("alt", "")) for image in part.get("images") or []]
        found.append(str(part.get("alt", "")))
    return found
