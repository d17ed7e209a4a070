"""Keywords of the full language, and texts that hit some of them: invented, varied, seeded.

The same seed gives the same keywords on every machine. Every keyword parses, and none comes twice.
"""

import random
from collections.abc import Callable, Sequence

from tweeter.errors import KeywordSyntaxError
from tweeter.keywords import parse

# Syllables; as lists they would be forty lines (SIM905).
_ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t tr v w z".split()  # noqa: SIM905
_VOWELS = "a e i o u ai ea ou".split()  # noqa: SIM905
_CODAS = "b ck d ft l lm m n nd p r rn s st t x".split()  # noqa: SIM905

# What makes boundaries hard: other scripts, accents, punctuation, digits, emoji.
HARD = (  # noqa: SIM905
    "café über naïve Straße кот шторм σίσυφος قهوة मौसम 東京 猫 地震 แมว 한국 iPhone C++ C# .NET"
    " AT&T don't rock'n'roll co-op 2024 3:0 12:30 5G a_b 🔥 👍 ❤ ﬁn ｓｔｏｒｍ"
).split()

LANGUAGES = ("en", "de", "pt-BR", "es", "ja", "id", "eo")
DOMAINS = ("example.org", "news.example.com", "bbc.co.uk", "youtube.com", "t.co")
AUTHORS = ("ann", "Bob_7", "ann.bsky.social", "bob@mastodon.example", "did:plc:abc123", "42")


def vocabulary(count: int = 4_000) -> list[str]:
    """Pronounceable words, the same each time."""
    dice = random.Random(f"vocabulary {count}")
    found: dict[str, None] = {}
    while len(found) < count:
        pick = dice.choice
        word = "".join(pick(_ONSETS) + pick(_VOWELS) for _ in range(dice.randint(1, 3)))
        found[word + pick(_CODAS)] = None
    return list(found)


def keywords(
    seed: int,
    count: int,
    words: Sequence[str] = (),
    *,
    authors: Sequence[str] = AUTHORS,
    domains: Sequence[str] = DOMAINS,
) -> list[str]:
    """Expressions made of `words`: most are short, as people write them; some have everything."""
    dice = random.Random(f"keywords {seed}")
    inventor = _Inventor(dice, words or [*vocabulary(), *HARD], authors, domains)
    found: dict[str, None] = {}
    tries = 0
    while len(found) < count:
        tries += 1
        if tries > 50 * count + 1000:
            raise ValueError(f"{len(words)} words are too few for {count} keywords")
        expression = inventor.expression()
        try:
            parse(expression)
        except KeywordSyntaxError:
            continue
        found[expression] = None
    return list(found)


def texts(seed: int, count: int, words: Sequence[str] = ()) -> list[str]:
    """Texts of posts made of the same words, with tags, names, links and capitals."""
    dice = random.Random(f"texts {seed}")
    known = words or [*vocabulary(), *HARD]
    found = []
    for _ in range(count):
        parts = []
        for word in dice.choices(known, k=dice.randint(1, 30)):
            sign = dice.choices(("", "#", "@", "https://"), (85, 8, 5, 2))[0]
            word = f"{dice.choice(DOMAINS)}/{word}" if sign == "https://" else word
            shown = dice.choice((word, word, word.upper(), word.capitalize()))
            parts.append(
                sign + shown + dice.choices(("", ".", ",", "!", "'s", "\n"), (80,) + (4,) * 5)[0]
            )
        found.append(" ".join(parts))
    return found


class _Inventor:
    def __init__(
        self,
        dice: random.Random,
        words: Sequence[str],
        authors: Sequence[str],
        domains: Sequence[str],
    ) -> None:
        self._dice = dice
        self._words, self._authors, self._domains = words, authors, domains
        self._kinds: list[tuple[Callable[[], str], int]] = [
            (self._word, 30),
            (self._phrase, 15),
            (self._together, 15),
            (self._either, 12),
            (self._without, 8),
            (self._grouped, 6),
            (self._tag, 5),
            (self._prefixed, 3),
            (self._field, 4),
            (self._long, 2),
        ]

    def expression(self) -> str:
        kinds, weights = zip(*self._kinds, strict=True)
        made: str = self._dice.choices(kinds, weights)[0]()
        return made

    def _word(self) -> str:
        return self._dice.choice(self._words)

    def _phrase(self) -> str:
        words = " ".join(self._dice.choices(self._words, k=self._dice.randint(2, 4)))
        return '"' + words.replace('"', "") + '"'

    def _tag(self) -> str:
        return self._dice.choice("##@") + self._word()

    def _prefixed(self) -> str:
        stem = self._word()[:5]
        return self._dice.choice(
            (f"{stem}*", f"{stem}* {self._term()}", f"{stem}* OR {self._term()}")
        )

    def _term(self) -> str:
        kinds = (self._word, self._phrase, self._tag)
        return self._dice.choices(kinds, (7, 2, 1))[0]()

    def _together(self) -> str:
        joint = self._dice.choice((" ", " ", " AND "))
        return joint.join(self._term() for _ in range(self._dice.randint(2, 4)))

    def _either(self) -> str:
        return " OR ".join(self._term() for _ in range(self._dice.randint(2, 5)))

    def _without(self) -> str:
        minus = self._dice.choice(("-", "NOT "))
        return f"{self._term()} {minus}{self._term()}"

    def _grouped(self) -> str:
        last = self._dice.choice(
            (self._term(), f"NOT ({self._either()})", f"-({self._together()})")
        )
        return f"({self._either()}) {last}"

    def _narrow(self) -> str:
        pick = self._dice.choice
        narrow = (f"lang:{pick(LANGUAGES)}", f"is:{pick(('reply', 'repost', 'quote'))}")
        narrow += ("has:link", "has:media")
        return pick(("", "", "-")) + pick(narrow)

    def _field(self) -> str:
        pick = self._dice.choice
        alone = (f"from:{pick(self._authors)}", f"url:{pick(self._domains)}", self._term())
        parts = [pick(alone), *(self._narrow() for _ in range(self._dice.randint(0, 2)))]
        parts += [self._term()] * self._dice.randint(0, 1)
        return " ".join(parts)

    def _long(self) -> str:
        return " OR ".join(self._together() for _ in range(self._dice.randint(4, 12)))
