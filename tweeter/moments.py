"""Moments as people write them: "2d" ago, a day, or ISO 8601, in UTC where it names no zone."""

import re
from datetime import UTC, datetime, timedelta

from tweeter.errors import TweeterError
from tweeter.texts import say

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
_US = timedelta(microseconds=1)
# The first and the last moment that a datetime can say.
YEAR_1_US, YEAR_9999_US = -62_135_596_800_000_000, 253_402_300_799_999_999
# 1970 to the end of 9999. Not 0: that is no moment, and a range without an end.
_FIRST_US, LAST_US = 1, 253_402_300_799_000_000


def refuse_turned(since: int, until: int) -> None:
    """Raise BadMoment for a range that ends before it begins; 0: it is open there."""
    if until and until <= since:
        raise BadMoment(say("The range ends before it begins.")).at("until")


def utc(moment: int) -> datetime:
    """Microseconds as a datetime; one that a network invented is the nearest that there is."""
    return _EPOCH + timedelta(microseconds=min(max(moment, YEAR_1_US), YEAR_9999_US))


def clock(moment: int, form: str = "%H:%M:%S UTC") -> str:
    """A moment (us) for a person; one that a network invented is shown as the nearest possible."""
    return utc(max(moment, _FIRST_US)).strftime(form)


def iso(moment: int) -> str:
    """Microseconds as ISO 8601, UTC, to the second; "" for 0."""
    if not moment:
        return ""
    return f"{utc(moment).isoformat()[:19]}Z"


_TIME = say("The time")


class BadMoment(TweeterError):
    """A moment that cannot be understood; says what is expected."""


def read(text: str, now_us: int, name: str = _TIME, field: str = "") -> int:
    """Microseconds of "30m", "36h", "2d", "1w" (so long ago) or of ISO 8601; raises BadMoment.

    A day alone is its beginning; what names no zone is in UTC. Never 0, which is no moment: what is
    before 1970 is its first microsecond.
    field: as the error names it (TweeterError.field).
    """
    text = text.strip()
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if ago:
        return max(now_us - int(ago[1]) * _UNITS_S[ago[2]] * 1_000_000, _FIRST_US)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadMoment(
            say(
                "%(name)s is %(given)s: expected 2d, 36h or 30m (so long ago), 2026-11-24"
                " or 2026-11-24 05:00 (UTC), or ISO 8601 with a zone.",
                name=name,
                given=repr(text),
            )
        ).at(field) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - _EPOCH) // _US, _FIRST_US), LAST_US)
