"""What keywords are looked for in: all the text of a post, in one normalised string."""

from collections.abc import Iterable

from tweeter.keywords.normalise import normalise
from tweeter.records import Post

PART = "\u241e"  # joins the parts of `also` where they are stored
EDGE = "\x00"  # between parts, and at both ends: in no keyword, so no phrase spans two parts


def haystack(post: Post) -> str:
    """Everything of a post that keywords are matched against."""
    return of_parts((post.text, *post.also))


def of_parts(parts: Iterable[str]) -> str:
    """The same of the parts alone. Those of ASCII come first: they take a tenth of the time."""
    plain: list[str] = []
    others: list[str] = []
    for part in parts:
        (plain if part.isascii() else others).append(part)
    if not others:
        return f"{EDGE}{normalise(EDGE.join(plain))}{EDGE}"
    rest = normalise(EDGE.join(others))
    if not plain:
        return f"{EDGE}{rest}{EDGE}"
    return f"{EDGE}{normalise(EDGE.join(plain))}{EDGE}{rest}{EDGE}"
