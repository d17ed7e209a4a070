"""The engine: all keywords against a post at once.

Where there are many, a change does not compile all of them again: what differs from the layer
that was built at once is laid over it as a second, small one, and what it says of these keywords
no longer counts. When a share of them has changed, all are built at once again.
"""

from collections import ChainMap
from collections.abc import Iterable, Sequence, Set

from tweeter.keywords.haystack import of_parts
from tweeter.keywords.layer import Compiled, Layer, changed
from tweeter.records import Keyword, Match, Post

KEPT = 200  # answers for posts with the same words
LEAST = 5_000  # keywords; fewer are compiled in 0.05 s, and one layer is faster than two
SHARE = 20  # at most one in so many differs from the first layer

Seen = Sequence[Set[int]]  # by layer: the numbers of its atoms


class Matcher:
    """Matches posts against keywords. Immutable; safe for several threads.

    broken holds, by keyword id, why a stored expression no longer parses; such are skipped.
    before: the one for the keywords of a moment ago; what it has made is not made again.
    """

    def __init__(self, keywords: Iterable[Keyword], *, before: "Matcher | None" = None) -> None:
        wanted = tuple(keywords)
        old: list[Layer] = [] if before is None else before._layers
        known = ChainMap(*(layer.trees for layer in old))
        over = _laid_over(old[0], wanted) if old else None
        self._layers: list[Layer] = [Layer(wanted, known)] if over is None else old[:1]
        self._covered: frozenset[int] = frozenset()  # ids of which the first no longer counts
        if over is not None:
            laid, self._covered = over
            self._layers += [Layer(laid, known)] if laid else []
        self._is_anchored = any(layer.is_anchored for layer in self._layers)
        first, *others = self._layers
        self.broken = {n: words for n, words in first.broken.items() if n not in self._covered}
        for layer in others:
            self.broken |= layer.broken
        self._kept: dict[tuple[tuple[frozenset[int], ...], str], frozenset[int]] = {}

    def seen(self, texts: Iterable[str]) -> Seen:
        """What of the keywords is in these texts."""
        return self.seen_in_each([texts])[0]

    def seen_in_each(self, posts: Sequence[Iterable[str]]) -> Sequence[Seen]:
        """The same for the texts of many posts: all are folded, then all are looked through."""
        # Without words to look for (filters of readers, as a rule) texts need not be folded.
        has_texts = any(layer.has_texts for layer in self._layers)
        hays = [of_parts(texts) for texts in posts] if has_texts else [""] * len(posts)
        by_layer = [[layer.in_texts(hay) for hay in hays] for layer in self._layers]
        return list(zip(*by_layer, strict=True))

    def may_match(self, seen: Seen, authors: Iterable[str], links: Iterable[str]) -> bool:
        """False if no keyword can match a post that says no more than this, whatever it is."""
        if not self._is_anchored:
            return any(seen)
        for layer, its in zip(self._layers, seen, strict=True):
            if layer.may_match(its, authors, links):
                return True
        return False

    def match(self, post: Post, seen: Seen | None = None) -> tuple[Match, ...]:
        """The keywords found in a post, by ascending keyword id. seen: in its texts, if known."""
        matches = [user.match for user in self._found(post, self._hits(post, seen))]
        if len(matches) > 1:
            matches.sort(key=lambda match: match.keyword_id)
        return tuple(matches)

    def ids(self, post: Post) -> frozenset[int]:
        """The ids of the keywords found in a post; kept for the next with the same words."""
        hits = self._hits(post)
        key = tuple(map(frozenset, hits)), post.network
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = frozenset(user.keyword_id for user in self._found(post, hits))
            self._kept[key] = found
        return found

    def _hits(self, post: Post, seen: Seen | None = None) -> Sequence[Set[int]]:
        if seen is None:
            seen = self.seen((post.text, *post.also))
        return [layer.hits(its, post) for layer, its in zip(self._layers, seen, strict=True)]

    def _found(self, post: Post, hits: Sequence[Set[int]]) -> list[Compiled]:
        found = self._layers[0].found(hits[0], post.network)
        if self._covered:
            found = [user for user in found if user.keyword_id not in self._covered]
        for layer, its in zip(self._layers[1:], hits[1:], strict=True):
            found += layer.found(its, post.network)
        return found


def _laid_over(
    first: Layer, wanted: tuple[Keyword, ...]
) -> tuple[list[Keyword], frozenset[int]] | None:
    """The keywords to lay over a first layer, and the ids of which it no longer counts.

    None: they are to be built at once.
    """
    had = first.keywords
    if len(had) < LEAST:
        return None
    now = {keyword.id: keyword for keyword in wanted}
    over = changed(had, now)
    covered = (had.keys() - now.keys()) | {one.id for one in over if one.id in had}
    if len(now) != len(wanted) or SHARE * max(len(over), len(covered)) > len(had):
        return None
    return over, frozenset(covered)
