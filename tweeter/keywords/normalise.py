"""Texts and keywords are compared in one form: compatibility-composed and case-folded.

NFKC(casefold(NFKC(x))) as Unicode defines compatibility caseless matching (chapter 3.13), for
ASCII simply lower case. Invisible characters go, so that a zero width space hides nothing.
"""

import re
import unicodedata
from collections.abc import Iterable

from tweeter.keywords.boundaries import is_word

MARKS = 30  # combining marks kept on one character (Unicode's Stream-Safe Text Format, UAX 15)

# Visible signs that stand before numbers; all other format characters are invisible.
_VISIBLE_FORMAT = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
_FILLERS = "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters to Unicode, invisible to people
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"


# Assigned characters of the categories below all lie in planes 0, 1 and 14.
_FIRST_PLANE, _OTHERS = range(0x10000), (*range(0x10000, 0x20000), *range(0xE0000, 0xE1000))


def _ranges(codes: Iterable[int]) -> dict[str, list[list[int]]]:
    """By category, the first and last of the characters that follow each other."""
    found: dict[str, list[list[int]]] = {"Mn": [], "Me": [], "Cf": []}
    visible = re.compile(f"[{_VISIBLE_FORMAT}]")
    codes = list(codes)
    for code, category in zip(codes, map(unicodedata.category, map(chr, codes)), strict=True):
        if category not in found or (category == "Cf" and visible.match(chr(code))):
            continue
        ranges = found[category]
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return found


_BELOW, _ABOVE = _ranges(_FIRST_PLANE), _ranges(_OTHERS)  # once: every process begins with it


def _class(wanted: str, *planes: dict[str, list[list[int]]]) -> str:
    """A regular expression's class of all characters of a category, without brackets."""
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for plane in planes for a, b in plane[wanted])


_MARK_BELOW = _class("Mn", _BELOW) + _class("Me", _BELOW)
_MARK = _MARK_BELOW + _class("Mn", _ABOVE) + _class("Me", _ABOVE)
_INVISIBLE = re.compile(f"[{_class('Cf', _BELOW, _ABOVE)}{_FILLERS}{_SELECTORS}]")
_STACKED = re.compile(f"([{_MARK}]{{{MARKS}}})[{_MARK}]+")
# The same and some more, found in a tenth of the time: beyond U+FFFF re tries range after range.
_MAYBE_STACKED = re.compile(f"[{_MARK_BELOW}\U00010000-\U0010ffff]{{{MARKS}}}")
# Signs that NFKC takes apart into letters or marks, such as ™ and ´: they end a word as others do.
# Without circled and squared letters, and those of scripts without spaces.
_SIGNS = (
    "\xa8\xaf\xb4\xb8\u02d8-\u02dd\u0384\u0385\u1fbd\u1fbf-\u1fc1\u1fcd-\u1fcf\u1fdd-\u1fdf\u1fed"
    "\u1fee\u1ffd\u1ffe\u2017\u203e\u20a8\u2100\u2101\u2103\u2105\u2106\u2109\u2116\u2120-\u2122"
    "\u213b\u2adc\u3250\u32c0-\u32cf\u3358-\u337a\u3380-\u33ff\ufdfc\ufe49-\ufe4c\uffe3"
)
_SIGNS_ABOVE = (
    "\U0001d15e-\U0001d164\U0001d1bb-\U0001d1c0\U0001f12b-\U0001f12e\U0001f16a-\U0001f190"
)
_SIGN = re.compile(f"[{_SIGNS}{_SIGNS_ABOVE}]")
_MAYBE_SIGN = re.compile(f"[{_SIGNS}\U0001d15e-\U0001f190]")  # likewise
_APOSTROPHES = re.compile("[\u2018\u2019\u02bc]")
# White space that NFKC does not make a space of, without the line feed.
_RARE_SPACES = "\t\v\f\r\x1c-\x1f\x85\u1680\u2028\u2029"
# Nothing that these may find; nor, beyond U+FFFF, anything but the emoji. Most texts are so, and
# one look is a third of three. It asks for what may be there, not for what may not: re then needs
# no look at the ranges beyond U+FFFF, and takes a third of the time.
_ODD_BELOW = re.compile(
    f"[{_class('Cf', _BELOW)}{_FILLERS}{_MARK_BELOW}\u2018\u2019\u02bc\u0149{_RARE_SPACES}{_SIGNS}]"
)
_STRETCHES = filter(None, _ODD_BELOW.split("".join(map(chr, _FIRST_PLANE))))
_EVEN_BELOW = "".join(f"\\u{ord(s[0]):04x}-\\u{ord(s[-1]):04x}" for s in _STRETCHES)
_EVEN = re.compile(f"[{_EVEN_BELOW}\U0001f1e6-\U000dffff]*")


def _has_other_spaces(text: str) -> bool:
    """Whether an ASCII text has white space that is more than a space."""
    # Ten looks of 30 ns each; a regular expression takes 5 ns a character.
    return (
        "  " in text
        or "\n" in text
        or "\r" in text
        or "\t" in text
        or "\v" in text
        or "\f" in text
        or "\x1c" in text
        or "\x1d" in text
        or "\x1e" in text
        or "\x1f" in text
    )


def normalise(text: str) -> str:
    """The form in which texts and keywords are compared; runs of white space become a space."""
    if text.isascii():
        text = text.lower()
        return " ".join(text.split()) if _has_other_spaces(text) else text.strip(" ")
    if _EVEN.fullmatch(text):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        if "  " in text or "\n" in text:
            return " ".join(text.split())
        return text.strip(" ")
    text = unicodedata.normalize("NFKC", _composed(text).casefold())
    return " ".join(_APOSTROPHES.sub("'", text).split())


def _set_apart(found: re.Match[str]) -> str:
    """A sign, with a space where a letter or mark would be beside what was beside the sign."""
    sign = found[0]
    parts = unicodedata.normalize("NFKC", sign).strip()
    first, last = (is_word(part) for part in (parts[0], parts[-1]))
    return f"{' ' * first}{sign}{' ' * last}"


def composed(text: str) -> str:
    """The same form with the capitals as they are written: what a network is asked for."""
    if not text.isascii():
        text = _APOSTROPHES.sub("'", _composed(text))
    return " ".join(text.split())


def _composed(text: str) -> str:
    # First, for sorting a run of marks takes time that grows with its square.
    text = _INVISIBLE.sub("", text)
    if _MAYBE_STACKED.search(text):
        text = _STACKED.sub(r"\1", text)
    if _MAYBE_SIGN.search(text):
        text = _SIGN.sub(_set_apart, text)
    return unicodedata.normalize("NFKC", text)
