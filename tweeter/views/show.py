"""How values look on a page. Posts are hostile until shown harmless: Jinja escapes the markup,
this file tames what is left: control characters, and marks stacked hundreds high."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

MARKS = 6  # combining marks shown on one character; real scripts need at most 4

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """The text with control characters made visible and stacked marks cut to MARKS.

    Direction overrides stay, for they belong to the text; the page isolates each post.
    """
    text = _CONTROL.sub("\ufffd", text)
    if text.isascii():
        return text
    shown, run = [], 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if run <= MARKS:
            shown.append(character)
    return "".join(shown)


def iso(moment: int) -> str:
    """Microseconds as ISO 8601, UTC, to the second; "" for 0."""
    if not moment:
        return ""
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(moment: int | None) -> str | None:
    """Microseconds as ISO 8601, UTC, with nothing lost; None for 0 and None."""
    if not moment:
        return None
    seconds, us = divmod(moment, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{us:06d}Z"


def readable(value: Any) -> Any:
    """Plain values for programs: moments as ISO 8601; posts.id, which is over 2^53, as text."""
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        if name.endswith(("_at", "_us")) or name in ("since", "until"):
            found[name.removesuffix("_us")] = exact(item) if isinstance(item, int) else item
        elif name == "id" and isinstance(item, int) and item > 1 << 53:
            found[name] = str(item)
        else:
            found[name] = readable(item)
    return found


def clock(moment: int) -> str:
    """Microseconds for people: "24 Nov 2026 05:04:12 UTC"; "" for 0."""
    if not moment:
        return ""
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%-d %b %Y %H:%M:%S UTC")


def host(url: str) -> str:
    """Host of an http(s) address, "" for anything else: only such are made links."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def number(value: int) -> str:
    """With thousands set apart."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """A length of time for people: "15 s", "12 min", "7.5 h"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
