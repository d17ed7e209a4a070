"""Where a word ends: scripts that put spaces between words, and those that do not."""

import unicodedata

# Scripts without spaces between words (or, Hangul, with endings glued to them): there a
# keyword is looked for inside. First and last code point of each block.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # Han iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x3035),  # Kana repeat marks
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3130, 0x318F),  # Hangul compatibility Jamo
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA960, 0xA97F),  # Hangul Jamo extended A
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xAC00, 0xD7FF),  # Hangul syllables
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFF),  # Han extensions
)


_KEYCAP = "\u20e3"  # makes an emoji of a digit; a mark to Unicode


def is_word(character: str) -> bool:
    """A letter, digit, mark or underscore, of any script."""
    if character in ("_", _KEYCAP):
        return character == "_"
    return character.isalnum() or unicodedata.category(character).startswith("M")


class _Spaced(dict[str, bool]):
    """Word characters of scripts with spaces; remembers its answers."""

    def __missing__(self, character: str) -> bool:
        code = ord(character)
        unspaced = any(first <= code <= last for first, last in UNSPACED)
        found = self[character] = is_word(character) and not unspaced
        return found


class _Word(dict[str, bool]):
    """Word characters; remembers its answers."""

    def __missing__(self, character: str) -> bool:
        found = self[character] = is_word(character)
        return found


SPACED = _Spaced()
WORD = _Word()
_NO_TAG = "/=&"  # before "#": part of an address; what a network lists has nothing there


def stands_alone(haystack: str, start: int, end: int, kind: str) -> bool:
    """True if haystack[start:end] is a whole word, "tag", "mention" or "prefix".

    The haystack must have a character before and after. A word whose edge is punctuation, or
    of a script without spaces, needs no boundary there. A tag or name must begin and end where it
    does in the text, whatever the script: #cat is not found in #cats, nor #猫 in #猫好き.
    """
    before, after = haystack[start - 1], haystack[end]
    if kind == "prefix":
        return not (SPACED[before] and SPACED[haystack[start]])
    if kind == "word":
        return not (SPACED[before] and SPACED[haystack[start]]) and not (
            SPACED[after] and SPACED[haystack[end - 1]]
        )
    if WORD[before] or WORD[after]:
        return False
    if kind == "tag":
        return before not in _NO_TAG
    # me@name.org is an address, and @name.example.org another person's handle.
    longer = after in ".-" and end + 1 < len(haystack) and WORD[haystack[end + 1]]
    return not longer
