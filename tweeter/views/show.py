"""How values look on a page. Posts are hostile until shown harmless: Jinja escapes the markup,
this file tames what is left: control characters, and marks stacked hundreds high."""

import re
import unicodedata
from datetime import UTC, datetime
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
