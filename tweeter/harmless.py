"""Texts of strangers, tamed: control characters, marks stacked hundreds high, addresses.

Markup is no danger here: pages escape it, scripts write text, never markup.
"""

import re
import unicodedata

MARKS = 6  # combining marks shown on one character; real scripts need at most 4

_BROKEN = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAK = re.compile("[\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


def mend(text: str) -> str:
    """NUL and lone surrogates, which databases refuse, become U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _BROKEN.sub("\ufffd", text)


class _Marks(dict[str, bool]):
    """Combining marks; remembers its answers."""

    def __missing__(self, character: str) -> bool:
        found = self[character] = unicodedata.category(character) in ("Mn", "Me")
        return found


_MARKS = _Marks()


def harmless(text: str) -> str:
    """The text with control characters made visible and stacked marks cut to MARKS.

    Direction overrides stay, for they belong to the text; the page isolates each post.
    """
    text = _CONTROL.sub("\ufffd", text)
    if text.isascii() or not any(map(_MARKS.__getitem__, text)):
        return text
    shown, run = [], 0
    for character in text:
        run = run + 1 if _MARKS[character] else 0
        if run <= MARKS:
            shown.append(character)
    return "".join(shown)


def one_line(text: str) -> str:
    """The text as a line of a terminal: `harmless`, with spaces where lines would end.

    Overrides of direction are left out: nothing isolates them from the rest of the line.
    """
    return harmless(mend(_DIRECTION.sub("", _BREAK.sub(" ", text))))


def lines(text: str) -> str:
    """Each line of the text as `one_line` has it."""
    return "\n".join(map(one_line, text.split("\n")))


def typed(text: str) -> str:
    """What a person typed or pasted into a field, without overrides of direction around words.

    They change no meaning, and a keyword with one would be shown mirrored wherever it is named.
    """
    return _DIRECTION.sub("", text).strip()


def name(text: str) -> str:
    """What a person calls a thing: one line, with single spaces."""
    return harmless(mend(" ".join(text.split())))


PICTURE_CHARACTERS = 2_000
# A name with a dot that ends in letters is no number of a machine nearby. Only what stands in
# every address as it is; ASCII says that "ſ" is no "s".
_PICTURE = re.compile(
    r"https://(?P<host>(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62})"
    r"(?:[/?][a-z0-9/?#@:;,.!$&()*+=~%_\[\]-]*)?",
    re.IGNORECASE | re.ASCII,
)


def picture_host(url: str) -> str:
    """The host of an address from which a reader may be shown a picture, in small letters.

    "" for all but a plain https address of at most PICTURE_CHARACTERS: a name that has a dot, no
    credentials, no port, and no character that would end an attribute or a header.
    """
    found = _PICTURE.fullmatch(url) if len(url) <= PICTURE_CHARACTERS else None
    return found["host"].lower() if found else ""


_FORMULA = (*"=+-@\t\r\n", *"＝＋－＠")  # a spreadsheet would compute what begins so


def cell(text: str) -> str:
    """The text for a cell of CSV: never a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
