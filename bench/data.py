"""Invented posts and keywords, the same for the same seed, with exact shares of matches.

Words follow Zipf's law: a language's most frequent ones in front (stopwordsiso), then invented
ones of its letters. Half of the posts are English, a fifth Japanese. Keywords are 55 % words,
15 % #tags, 15 % phrases of two words and 15 % four Chinese characters; one that any text holds
by chance, whatever is beside it, is left out. So a post matches only where a keyword was put in,
and then that one only.
"""

import itertools
import random
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import ahocorasick_rs
import stopwordsiso

SEED = 2016
SHARES = {"en": 50, "ja": 20, "es": 8, "pt": 7, "de": 5, "fr": 4, "ko": 3, "zh": 3}
INVENTED_WORDS = 8_000  # a language
CHARACTERS = (40, 170)  # of a text, evenly: about 100 on average
VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
KANA = "".join(chr(n) for n in range(0x3042, 0x3090))
HAN = "".join(chr(n) for n in range(0x4E10, 0x5A00))
HANGUL = "".join(chr(n) for n in range(0xAC00, 0xB000))
SPACELESS = ("ja", "zh")
EMOJI = "😀🎉🔥💙🌊🚀"


Plain = tuple[list[str], str, tuple[str, ...]]  # words, language, tags


class Text(NamedTuple):
    """A post's text. keyword: the number of the only keyword in it; -1: none is."""

    text: str
    lang: str
    keyword: int
    tags: tuple[str, ...]


def _word(dice: random.Random, lang: str, syllables: int) -> str:
    if lang == "ja":
        letters = KANA if dice.random() < 0.6 else HAN
        return "".join(dice.choices(letters, k=dice.randint(1, 4)))
    if lang in ("zh", "ko"):
        return "".join(dice.choices(HAN if lang == "zh" else HANGUL, k=dice.randint(1, 3)))
    parts = (dice.choice(CONSONANTS) + dice.choice(VOWELS) for _ in range(syllables))
    return "".join(parts) + dice.choice(("", "n", "r", "s", "t"))


def _vocabularies(dice: random.Random) -> dict[str, tuple[list[str], list[float]]]:
    found = {}
    for lang in SHARES:
        words = sorted(w for w in stopwordsiso.stopwords(lang) if w.isalpha())
        dice.shuffle(words)
        words += [_word(dice, lang, dice.randint(1, 5)) for _ in range(INVENTED_WORDS)]
        weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
        found[lang] = words, weights
    return found


def plain_texts(count: int, seed: int = SEED) -> list[Plain]:
    """Texts without any keyword, as (words, language, tags); tags are the last words."""
    dice = random.Random(seed)
    vocabularies = _vocabularies(dice)
    langs = dice.choices(list(SHARES), weights=list(SHARES.values()), k=count)
    found = []
    for lang in langs:
        words, weights = vocabularies[lang]
        length, long = 0, dice.randint(*CHARACTERS)
        chosen = []
        for word in dice.choices(words, cum_weights=weights, k=90):
            chosen.append(word)
            length += len(word) + (lang not in SPACELESS)
            if length >= long:
                break
        if lang in SPACELESS:
            half = len(chosen) // 2
            chosen = ["".join(chosen[:half]), "".join(chosen[half:])]
        if dice.random() < 0.1:
            chosen.append(dice.choice(EMOJI))
        tags = (dice.choice(words[-INVENTED_WORDS:]),) if dice.random() < 0.3 else ()
        found.append((chosen + [f"#{tag}" for tag in tags], lang, tags))
    return found


def _candidates(seed: int) -> Iterator[str]:
    """Keywords without end, each of words that no other has."""
    dice = random.Random(seed + 1)
    used: set[str] = set()

    def fresh() -> str:
        while True:
            word = _word(dice, "en", dice.randint(3, 5))
            if word not in used:
                used.add(word)
                return word

    while True:
        kind = dice.random()
        if kind < 0.55:
            yield fresh()
        elif kind < 0.70:
            yield f"#{fresh()}"
        elif kind < 0.85:
            yield f'"{fresh()} {fresh()}"'
        else:
            word = "".join(dice.choices(HAN, k=4))
            if word not in used:
                used.add(word)
                yield word


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def keywords(count: int, texts: list[Plain]) -> list[str]:
    """So many keywords that none of the texts holds."""
    candidates = _candidates(SEED)
    found: list[str] = []
    joined = [_normal(" ".join(words)) for words, _, _ in texts]
    while len(found) < count:
        some = list(itertools.islice(candidates, count - len(found) + count // 10))
        parts = [_normal(keyword.strip('"#')) for keyword in some]
        automaton = ahocorasick_rs.AhoCorasick(
            parts, implementation=ahocorasick_rs.Implementation.ContiguousNFA
        )
        by_chance: set[int] = set()
        for text in joined:
            by_chance.update(
                hit[0] for hit in automaton.find_matches_as_indexes(text, overlapping=False)
            )
        found += [keyword for n, keyword in enumerate(some) if n not in by_chance]
    return found[:count]


def with_keywords(
    texts: list[Plain],
    chosen: list[str],
    share: float,
    seed: int = SEED,
) -> list[Text]:
    """The texts, of which exactly round(share * number) hold one of the keywords."""
    dice = random.Random(seed + 2)
    hits = set(dice.sample(range(len(texts)), round(share * len(texts))))
    found = []
    for number, (words, lang, tags) in enumerate(texts):
        if number not in hits:
            found.append(Text(" ".join(words), lang, -1, tags))
            continue
        which = dice.randrange(len(chosen))
        keyword = chosen[which].strip('"')
        at = dice.randint(0, len(words) - len(tags))
        both = (*tags, keyword[1:]) if keyword.startswith("#") else tags
        text = " ".join([*words[:at], keyword, *words[at:]])
        found.append(Text(text, lang, which, both))
    return found
