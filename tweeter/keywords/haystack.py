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
    texts = [normalise(EDGE.join(some)) for some in (plain, others) if some]
    return f"{EDGE}{EDGE.join(texts)}{EDGE}"


def parts_of(text: str, also: str) -> tuple[str, ...]:
    """The parts of a post as they are stored: its text, and the others joined by PART."""
    return (text, *also.split(PART)) if also else (text,)
