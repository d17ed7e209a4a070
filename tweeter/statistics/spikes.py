"""Hours in which much more was said than is usual for that hour of the week.

Usual is the median of the same hour of the week, and of the hours beside it, over the last eight
weeks; the spread is the median absolute deviation, scaled to a standard deviation (times 1.4826,
Rousseeuw and Croux 1993), and never below what chance alone gives (the square root of the
median, as of a Poisson process). Hours that were not covered teach nothing.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

HOUR = 3_600
WEEK_HOURS = 168
WEEKS = 8
LEARNED_DAYS = 14
DEVIATIONS = 4.0
ALONE = 8.0  # deviations at which one hour by itself is enough
LEAST = 20  # posts an hour


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """What an hour usually has. hours: how many it was learned from; 0: nothing is known."""

    median: float = 0.0
    spread: float = 1.0
    hours: int = 0

    def deviations(self, posts: int) -> float:
        """How many spreads above (or below) the usual."""
        return (posts - self.median) / self.spread

    def times(self, posts: int) -> float:
        """How many times the usual; where nothing is usual, as if it were one post."""
        return posts / max(self.median, 1.0)


class Spike(msgspec.Struct, frozen=True, kw_only=True):
    """Hours in a row that stand out; moments in seconds, until is outside."""

    since: int
    until: int
    peak: int  # the hour with most posts
    posts: int  # in that hour
    total: int
    usual: float  # at the peak
    times: float
    deviations: float


_BEFORE = [
    (week * WEEK_HOURS + beside) * HOUR for week in range(1, WEEKS + 1) for beside in (-1, 0, 1)
]


def hours_like(at: int) -> list[int]:
    """The hours that the usual of the hour at `at` is learned from, latest first."""
    return [at - before for before in _BEFORE]


def usual(hours: Mapping[int, int], at: int, skip: Collection[int] = ()) -> Usual:
    """The usual number of posts of the hour that begins at `at`.

    hours: posts by hour (seconds since 1970), without an entry for hours before the keyword was
    followed; skip: hours that do not count, as they were not covered or were spikes themselves.
    """
    found = [hours[hour] for hour in hours_like(at) if hour in hours and hour not in skip]
    if not found:
        return Usual()
    middle = _median(found)
    deviation = _median([abs(value - middle) for value in found])
    spread = max(1.4826 * deviation, middle**0.5, 1.0)
    return Usual(median=middle, spread=spread, hours=len(found))


def _is_usual(hours: Mapping[int, int], at: int, posts: int) -> bool:
    """Whether so few posts are surely no spike, without sorting: most hours have none.

    True if more than half of the hours it may be learned from have more than the median may be:
    that is so low that DEVIATIONS of its own square root do not reach `posts`.
    """
    half = DEVIATIONS / 2
    most = ((half**2 + posts) ** 0.5 - half) ** 2 + 1e-6
    left = len(_BEFORE) // 2
    for before in _BEFORE:
        if hours.get(at - before, -1) > most:  # (what is not known has no posts)
            if not left:
                return True
            left -= 1
    return False


def _median(values: Sequence[float]) -> float:
    """As statistics.median, which takes several times longer."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def learned_days(hours: Mapping[int, int], until: int) -> int:
    """Days of the past that are known at `until`."""
    return max(until - min(hours), 0) // (24 * HOUR) if hours else 0


def find(
    hours: Mapping[int, int], since: int, until: int, skip: Collection[int] = ()
) -> list[Spike]:
    """The spikes of a stretch, in order of time. [] while fewer than LEARNED_DAYS are known."""
    run: list[tuple[int, int, Usual]] = []  # hours in a row
    found: list[Spike] = []
    taught = {hour: posts for hour, posts in hours.items() if hour not in skip}
    known_from = min(hours, default=until) + LEARNED_DAYS * 24 * HOUR
    first = max(since - since % HOUR, known_from)
    for at in sorted(at for at, n in hours.items() if n >= LEAST and first <= at < until):
        if _is_usual(taught, at, hours[at]):
            continue
        normal = usual(taught, at)
        if normal.hours and normal.deviations(hours[at]) >= DEVIATIONS:
            if run and run[-1][0] != at - HOUR:
                found += _spike(run)
                run = []
            run.append((at, hours[at], normal))
            taught.pop(at, None)  # what happened once is not what is usual
    return found + _spike(run)


def _spike(run: list[tuple[int, int, Usual]]) -> list[Spike]:
    if not run:
        return []
    at, posts, normal = max(run, key=lambda hour: hour[1])
    if len(run) < 2 and normal.deviations(posts) < ALONE:
        return []
    spike = Spike(
        since=run[0][0],
        until=run[-1][0] + HOUR,
        peak=at,
        posts=posts,
        total=sum(hour[1] for hour in run),
        usual=normal.median,
        times=normal.times(posts),
        deviations=normal.deviations(posts),
    )
    return [spike]
