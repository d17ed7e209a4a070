"""What is said to people: in English here, and so that a page can say it in another language.

`say` makes a sentence of a text and its values. It is an ordinary string, in English: logs,
commands and the API write it as it is. Pages know the text it was made of, and look that up in
the reader's language (`tweeter.views.words`). `make words` collects the texts.

In a text a per cent sign is written twice.
"""

from typing import Any, Self


class Said(str):
    """A sentence in English. text, values: what it was made of; many, number: of its plural."""

    __slots__ = ("many", "number", "text", "values")

    text: str
    values: dict[str, Any]
    many: str
    number: int | None

    @classmethod
    def of(
        cls, text: str, values: dict[str, Any], many: str = "", number: int | None = None
    ) -> Self:
        """The sentence with its values in place."""
        made = cls((text if number is None or number == 1 else many) % values)
        made.text, made.values, made.many, made.number = text, values, many, number
        return made


def mark(text: str) -> str:
    """A text that is looked up where it is shown: here only found by `make words`."""
    return text


def say(text: str, /, **values: Any) -> Said:
    """A sentence: "%(name)s" in the text stands for a value, which may be a sentence too."""
    return Said.of(text, values)


def counted(one: str, many: str, count: int, /, **values: Any) -> Said:
    """The same in the singular or the plural; "%(count)s" is the number with its thousands."""
    return Said.of(one, {"count": f"{count:,}"} | values, many, count)


def of_posts(number: int) -> Said:
    """So many posts: "1 post", "12,480 posts"."""
    return counted("%(count)s post", "%(count)s posts", number)


def joined(*parts: str, between: str = " ") -> Said:
    """Sentences behind each other; those that are "" are left out."""
    named = {f"part{number}": part for number, part in enumerate(filter(None, parts))}
    return Said.of(between.join(f"%({name})s" for name in named), named)


def plain(value: object) -> str:
    """For msgspec, which writes strings but not what is derived of them: its `enc_hook`."""
    if isinstance(value, Said):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be written.")
