"""This machine's clock against a server's: a wrong one explains refusals and false waits."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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


def clock_words(headers: Mapping[str, str]) -> str:
    """A sentence about a wrong clock, "" if it is right."""
    off_s = skew_s(headers)
    if off_s is None or abs(off_s) <= SKEW_S:
        return ""
    minutes, seconds = divmod(int(abs(off_s)), 60)
    way = "ahead" if off_s > 0 else "slow"
    return f" This machine's clock is {minutes} min {seconds} s {way}: set it first."
