"""A stretch of time cut into buckets of a length that people count in; seconds since 1970, UTC."""

import time

import msgspec

from tweeter.store.cells import DAY, HOUR, MINUTE, SIZES
from tweeter.store.sums import Grid
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

    asked: the stretch that was asked for, which begins and ends inside the first and last bucket.
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
    def base(self) -> int:
        """The longest sums that these buckets can be put together from."""
        return max(size for size in SIZES if self.size % size == 0)

    @property
    def grid(self) -> Grid:
        """As the store counts it."""
        offset = offset_of(self.size)
        return Grid(
            since=self.since, until=self.until, base=self.base, width=self.size, offset=offset
        )

    @property
    def stretch(self) -> tuple[int, int]:
        """Equal for what is the same question a bar later: "the last month" runs on."""
        runs = self.until - self.size <= time.time() < self.until
        return self.until - self.since, 0 if runs else self.until

    def ages_s(self, new_s: float, old_s: float) -> tuple[float, float]:
        """How long an answer that is kept is as good as new, and may be shown: at most."""
        return min(self.size / 20, new_s), min((self.until - self.since) / 10, old_s)

    def starts(self) -> range:
        """Where each bucket begins."""
        return range(self.since, self.until, self.size)

    def before(self, seconds: int = 0) -> "Span":
        """The same so many seconds earlier (0: the stretch just before), in buckets as many."""
        by = seconds or self.until - self.since
        asked = self.asked[0] - by, self.asked[1] - by
        return Span(since=self.since - by, until=self.until - by, size=self.size, asked=asked)


def offset_of(size: int) -> int:
    """The border from which buckets of a size are counted."""
    return MONDAY if size % WEEK == 0 else 0


def cut(since: int, until: int, size: int = 0) -> Span:
    """The stretch from since to until in buckets of `size` (0: as fits a page).

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
    offset = offset_of(chosen)
    first = since - (since - offset) % chosen
    last = until + -(until - offset) % chosen
    if (last - first) // chosen > MOST:
        raise ValueError(
            say("These are more than %(most)s buckets: choose longer ones.", most=format(MOST, ","))
        )
    return Span(since=first, until=last, size=chosen, asked=(since, until))
