"""How values look on a page."""

from functools import cache
from typing import Any

from tweeter import moments
from tweeter.store.search import Counts
from tweeter.texts import counted, of_posts, say


def exact(moment: int | None) -> str | None:
    """Microseconds as ISO 8601, UTC, with nothing lost; None for 0 and None."""
    if not moment:
        return None
    return f"{moments.utc(moment).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def readable(value: Any) -> Any:
    """Plain values for programs: moments as ISO 8601; posts.id, which is over 2^53, as text."""
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        is_moment = name.endswith(("_at", "_us")) and name != "looked_at"  # how many posts were
        if is_moment or name in ("since", "until"):
            found[name.removesuffix("_us")] = exact(item) if isinstance(item, int) else item
        elif name == "id" and isinstance(item, int) and item > 1 << 53:
            found[name] = str(item)
        else:
            found[name] = readable(item)
    return found


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def clock(moment: int) -> str:
    """Microseconds for people: "24 Nov 2026 05:04:12 UTC"; "" for 0."""
    if not moment:
        return ""
    at = moments.utc(moment)
    time = f"{at.hour:02}:{at.minute:02}:{at.second:02}"  # strftime takes twice as long
    return f"{at.day} {MONTHS[at.month - 1]} {at.year} {time} UTC"


DAYS = (say("Mo"), say("Tu"), say("We"), say("Th"), say("Fr"), say("Sa"), say("Su"))


@cache
def hour(of_week: int) -> str:
    """An hour of the week, from 0 on, for people: "Mo 9:00 to 10:00 UTC"."""
    day, first = divmod(of_week, 24)
    return say(
        "%(day)s %(first)s:00 to %(last)s:00 %(zone)s",
        day=DAYS[day],
        first=first,
        last=first + 1,
        zone="UTC",
    )


def number(value: int) -> str:
    """With thousands set apart."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """A length of time for people: "15 s", "12 min", "7.5 h", "7 d"."""
    for unit_s, unit in ((86_400, "d"), (3_600, "h")):
        if seconds >= unit_s and not seconds % unit_s:
            return f"{seconds // unit_s:.0f} {unit}"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} d"


def gap_length(seconds: float) -> str:
    """As `duration`, of a gap, which is never nothing: "<1 s"."""
    return duration(seconds) if seconds >= 0.5 else "<1 s"


def pace(an_hour: float) -> str:
    """How often posts come, in a unit that makes a number of it: "12 an hour", "8 a year"."""
    if an_hour >= 1 or not an_hour:
        return say("%(posts)s an hour", posts=_about(an_hour))
    if an_hour * 24 >= 1:
        return say("%(posts)s a day", posts=_about(an_hour * 24))
    return say("%(posts)s a year", posts=f"{an_hour * 24 * 365.25:.0f}")


def _about(value: float) -> str:
    """With a decimal where that says something: "0", "1.5", "5,070"."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def total_of(counts: Counts) -> str:
    """How many hits a search has, as far as it is known: "About 48,000 posts"."""
    if counts.partial and counts.counted:
        return counted(
            "At least %(count)s post, counted back to %(moment)s: the time was over",
            "At least %(count)s posts, counted back to %(moment)s: the time was over",
            counts.counted,
            moment=clock(counts.back_to_us),
        )
    if counts.partial:
        return say("At least 0 posts: the time was over")
    if counts.about:
        figures = 10 ** max(len(str(counts.about)) - 2, 0)
        about = max(counts.about // figures * figures, counts.counted)
        return counted(
            "About %(about)s post", "About %(about)s posts", counts.counted, about=f"{about:,}"
        )
    return of_posts(counts.counted)
