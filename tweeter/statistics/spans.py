"""A stretch of time cut into buckets of a length that people count in; seconds since 1970, UTC."""

import time

import msgspec

from tweeter.store.cells import DAY, HOUR, MINUTE
from tweeter.store.sums import Grid, Times
from tweeter.texts import say

WEEK = 7 * DAY
NICE = (
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    WEEK,
    4 * WEEK,
)
BUCKETS = 300  # at most, where the program chooses: about one in three pixels of a wide page
MOST = 1_500  # where a person chooses
MONDAY = 4 * DAY  # 1970-01-05 was one: weeks begin there
PRESETS = {"hour": HOUR, "day": DAY, "week": WEEK, "month": 30 * DAY, "year": 365 * DAY}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """since and until are borders of buckets of `size` seconds; until itself is outside.

    asked: what is counted, whole minutes: it begins and ends inside the first and last bucket,
    which hold nothing else.
    """

    since: int
    until: int
    size: int
    asked: tuple[int, int]

    @property
    def count(self) -> int:
        """Number of buckets."""
        return (self.until - self.since) // self.size

    @property
    def grid(self) -> Grid:
        """As the store counts it."""
        since, until = self.asked
        return Grid(since=since, until=until, width=self.size, offset=self.since % self.size)

    @property
    def is_cut(self) -> bool:
        """Whether the first or last bucket holds less than its whole time."""
        return self.asked != (self.since, self.until)

    @property
    def length(self) -> int:
        """Seconds of what is counted."""
        return self.asked[1] - self.asked[0]

    @property
    def hours(self) -> Times:
        """The whole hours that what is counted touches."""
        return self.asked[0] - self.asked[0] % HOUR, self.asked[1] + -self.asked[1] % HOUR

    @property
    def stretch(self) -> tuple[int, int, int]:
        """Equal for what is the same question a minute later: "the last month" runs on."""
        since, until = self.asked
        runs = until - MINUTE <= time.time() <= until
        if runs and self.length in PRESETS.values():
            since = self.length
        return since, 0 if runs else until, self.size

    def ages_s(self, new_s: float, old_s: float) -> tuple[float, float]:
        """How long an answer that is kept is as good as new, and may be shown: at most."""
        return min(self.size / 20, new_s), min((self.until - self.since) / 10, old_s)

    def starts(self) -> range:
        """Where each bucket begins."""
        return range(self.since, self.until, self.size)

    def inside(self, bucket: int) -> tuple[int, int]:
        """What is counted of a bucket, from and until."""
        start = self.since + bucket * self.size
        return max(start, self.asked[0]), min(start + self.size, self.asked[1])

    def before(self, seconds: int = 0) -> "Span":
        """The same so many seconds earlier, in buckets as many.

        0: as few whole buckets earlier as leave no moment in both.
        """
        by = seconds or -(-self.length // self.size) * self.size
        asked = self.asked[0] - by, self.asked[1] - by
        return Span(since=self.since - by, until=self.until - by, size=self.size, asked=asked)


def offset_of(size: int) -> int:
    """The border from which buckets of a size are counted."""
    return MONDAY if size % WEEK == 0 else 0


def cut(since: int, until: int, size: int = 0, *, whole: int = MINUTE) -> Span:
    """The stretch from since to until in buckets of `size` (0: as fits a page).

    It is widened to whole minutes, or to what else is `whole` (seconds), as sums know it.
    Raises ValueError, in words for people, for a stretch that ends before it begins, for a size
    that is none of NICE, and for more than MOST buckets.
    """
    if until <= since:
        raise ValueError(say("The range ends before it begins."))
    if size and size not in NICE:
        raise ValueError(
            say(
                "Buckets of %(size)s seconds do not exist: %(sizes)s.",
                size=size,
                sizes=", ".join(map(str, NICE)),
            )
        )
    chosen = size or next((nice for nice in NICE if until - since <= nice * BUCKETS), NICE[-1])
    since, until = since - since % whole, until + -until % whole
    offset = offset_of(chosen)
    first = since - (since - offset) % chosen
    last = until + -(until - offset) % chosen
    if (last - first) // chosen > MOST:
        raise ValueError(
            say("These are more than %(most)s buckets: choose longer ones.", most=format(MOST, ","))
        )
    return Span(since=first, until=last, size=chosen, asked=(since, until))
