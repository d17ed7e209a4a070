"""Values that a filter names, and those that are true of a post."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from tweeter.keywords.features import languages

NO_LANGUAGE = "und"  # of posts whose network names none
HOUR_US = 3_600_000_000
WEEK_HOURS = 168


class Choice(NamedTuple):
    """The values of one name: one of wanted must be true, and none of refused."""

    wanted: frozenset[str]
    refused: frozenset[str]

    def has(self, true: Collection[str]) -> bool:
        """Whether it holds of a post of which these values are true."""
        wanted, refused = self
        if wanted and wanted.isdisjoint(true):
            return False
        return not refused or refused.isdisjoint(true)


def of_values(values: Iterable[str]) -> Choice:
    """What values, some with "-" before them, come to."""
    wanted = frozenset(value for value in values if not value.startswith("-"))
    return Choice(wanted, frozenset(value[1:] for value in values if value.startswith("-")))


def hour_of_week(moment: int) -> int:
    """Of a moment in microseconds: 0 is Monday 0:00 to 1:00 UTC, 167 the last of Sunday."""
    return (moment // HOUR_US + 3 * 24) % WEEK_HOURS  # 1970 began on a Thursday


def languages_of(tag: str) -> list[str]:
    """What a post of this language tag is found under: "pt" and "pt-br"; NO_LANGUAGE for none."""
    found = list(languages(tag))
    return found if found and found[0] else [*found, NO_LANGUAGE]
