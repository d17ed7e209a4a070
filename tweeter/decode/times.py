"""Moments as the networks write them, to unix microseconds."""

import re
from datetime import UTC, datetime, timedelta

from tweeter.moments import YEAR_1_US, YEAR_9999_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_V1 = re.compile(r"\w{3} (\w{3}) (\d\d) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d) (\d{4})")

X_EPOCH_MS = 1_288_834_974_657  # of X's snowflakes: unix ms = (id >> 22) + this
X_FIRST_SNOWFLAKE = 1 << 34  # ids of before November 2010 counted up from 1 (about 2.9e10 then)


def iso(value: str) -> int | None:
    """ISO 8601 with or without zone (then UTC) and any number of decimals; None if it is not.

    Nor is what its zone puts before the year 1 or after 9999.
    """
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found = (moment - _EPOCH) // _US
    except (ValueError, OverflowError):
        return None
    return found if YEAR_1_US <= found <= YEAR_9999_US else None


def v1(value: str) -> int | None:
    """ "Wed Aug 27 13:08:45 +0000 2008", as X's API v1.1 writes it; None if it is not."""
    found = _V1.fullmatch(value.strip())
    if not found or found[1] not in _MONTHS:
        return None
    year, day, hour, minute, second = (int(found[n]) for n in (9, 2, 3, 4, 5))
    offset = timedelta(hours=int(found[7]), minutes=int(found[8]))
    try:
        moment = datetime(year, _MONTHS[found[1]], day, hour, minute, second, tzinfo=UTC)
        moment += offset if found[6] == "-" else -offset
        return (moment - _EPOCH) // _US
    except (ValueError, OverflowError):
        return None


def snowflake(post_id: str) -> int | None:
    """The moment in an id of X; None for ids that hold none."""
    if not post_id.isdigit() or len(post_id) > 19:
        return None
    number = int(post_id)
    if number < X_FIRST_SNOWFLAKE * 8:
        return None
    return ((number >> 22) + X_EPOCH_MS) * 1000


_TID = {letter: value for value, letter in enumerate("234567abcdefghijklmnopqrstuvwxyz")}
_FIRST_TID_US = 1_640_995_200_000_000  # 2022: before that there was no Bluesky


def tid(rkey: str, not_after: int) -> int | None:
    """The microseconds in a record key (atproto.com/specs/tid); None if it holds none."""
    if len(rkey) != 13:
        return None
    value = 0
    for letter in rkey:
        if letter not in _TID:
            return None
        value = value << 5 | _TID[letter]
    moment = value >> 10
    return moment if _FIRST_TID_US <= moment <= not_after else None
