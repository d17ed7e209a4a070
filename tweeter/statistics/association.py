"""What is said more in one set of posts than in another: words and values, by log-likelihood.

G2 = 2 (a ln(a / E1) + b ln(b / E2)), with a and b the posts that have the word in the two sets,
N1 and N2 their sizes, E1 = N1 (a + b) / (N1 + N2) and E2 likewise (Dunning 1993, as Rayson and
Garside 2000 use it to compare two corpora). Counted are posts, not words: somebody who repeats
a word in one post says it once.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

import msgspec
import stopwordsiso

from tweeter.keywords.normalise import normalise

LEAST = 3  # posts that have it
SURE = 10.83  # G2 above which chance alone is less likely than 1 in 1,000 (chi squared, 1 degree)

# Addresses, mentions, tags and numbers have panels of their own, or say nothing; so does the "RT"
# with which X begins the text of a repost ("RT @name: ").
_NO_WORD = re.compile(r"https?://\S+|www\.\S+|(?:\b[Rr][Tt]\s+)?@\S+|#\S+")
_WORD = re.compile(r"[^\W\d_][\w'-]*[^\W_]|[^\W\d_]")
_TOGETHER = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """A word or value: in how many posts of the set and of the other; lift is how many times
    more often, None where the other has none of it."""

    value: str
    posts: int
    other: int
    lift: float | None
    g2: float


def words(text: str, lang: str) -> set[str]:
    """The words of a post that can mean something, each once.

    Scripts that put no space between words give pairs of characters.
    """
    shown = normalise(_NO_WORD.sub(" ", text))
    dull = _stop_words(lang)
    found: set[str] = set()
    for run in _TOGETHER.findall(shown):
        found.update(run[n : n + 2] for n in range(len(run) - 1))
    for word in _WORD.findall(_TOGETHER.sub(" ", shown)):
        if len(word) > 1 and word not in dull:
            found.add(word)
    return found


@cache
def _stop_words(lang: str) -> frozenset[str]:
    known = lang if stopwordsiso.has_lang(lang) else "en"
    return frozenset(normalise(word) for word in stopwordsiso.stopwords(known))


def counted(posts: Iterable[tuple[str, str]]) -> tuple[int, Counter[str]]:
    """(number of posts, posts by word) of (text, language) pairs."""
    size, found = 0, Counter[str]()
    for text, lang in posts:
        size += 1
        found.update(words(text, lang))
    return size, found


def compare(
    mine: Mapping[str, int],
    size: int,
    others: Mapping[str, int],
    other_size: int,
    *,
    limit: int = 20,
) -> list[Term]:
    """What the first set has more of than the other, surest first."""
    found = []
    for value, a in mine.items():
        b = others.get(value, 0)
        if a < LEAST or not size or not other_size or a / size <= b / other_size:
            continue
        g2 = log_likelihood(a, size, b, other_size)
        if g2 >= SURE:
            lift = (a / size) / (b / other_size) if b else None
            found.append(Term(value=value, posts=a, other=b, lift=lift, g2=g2))
    found.sort(key=lambda term: (-term.g2, term.value))
    return found[:limit]


def log_likelihood(a: int, size: int, b: int, other_size: int) -> float:
    """G2 of a of `size` against b of `other_size`; sizes above 0."""
    whole = size + other_size
    expected, other = size * (a + b) / whole, other_size * (a + b) / whole
    g2 = (a * math.log(a / expected) if a else 0.0) + (b * math.log(b / other) if b else 0.0)
    return 2 * g2
