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
    """The same of the parts alone."""
    return f"{EDGE}{normalise(EDGE.join(parts))}{EDGE}"
