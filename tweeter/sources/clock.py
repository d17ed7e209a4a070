"""This machine's clock against a server's: a wrong one explains refusals and false waits."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from tweeter.errors import LONGEST_WAIT_US
from tweeter.records import now_us

SKEW_S = 30  # a clock further off is named


def skew_s(headers: Mapping[str, str]) -> float | None:
    """Seconds by which this machine's clock is ahead of the server's; None if it gives none."""
    try:
        server = parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    if server.tzinfo is None:
        return None
    return now_us() / 1e6 - server.timestamp()


def pause_until(headers: Mapping[str, str], own_us: int = 0) -> int | None:
    """Our moment (us) before which a server wants no other request; None if it does not say.

    own_us: what a header of its own says, by its clock; 0: nothing. Else `Retry-After` says it:
    seconds, or a moment (RFC 9110). A wrong clock must not make us wait too short or too long.
    """
    now = now_us()
    after = headers.get("Retry-After", "").strip()
    asked = now
    if own_us:
        asked = own_us + int((skew_s(headers) or 0.0) * 1e6)
    elif after.isascii() and after.isdigit():
        asked += int(after[:9]) * 1_000_000
    else:
        try:
            moment = parsedate_to_datetime(after)
        except (TypeError, ValueError):
            return None
        asked = int((moment.timestamp() + (skew_s(headers) or 0.0)) * 1e6)
    return min(max(asked, now), now + LONGEST_WAIT_US)


def clock_words(headers: Mapping[str, str]) -> str:
    """A sentence about a wrong clock, "" if it is right."""
    off_s = skew_s(headers)
    if off_s is None or abs(off_s) <= SKEW_S:
        return ""
    minutes, seconds = divmod(int(abs(off_s)), 60)
    way = "ahead" if off_s > 0 else "slow"
    return f" This machine's clock is {minutes} min {seconds} s {way}: set it first."
