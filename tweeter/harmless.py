"""Texts of strangers, tamed: control characters, and marks stacked hundreds high.

Markup is no danger here: pages escape it, scripts write text, never markup.
"""

import re
import unicodedata

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


_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins so


def cell(text: str) -> str:
    """The text for a cell of CSV: never a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
