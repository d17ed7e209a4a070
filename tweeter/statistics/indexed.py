"""Series of different size made comparable: each in percent of its own mean.

The mean is over the buckets that lie wholly in the stretch and in which nothing was missed: a
running hour and a gap would else lift all the rest. Not the first bucket: one odd bucket would set
the scale of the whole line, and often it has no post at all.
"""

from collections.abc import Collection, Sequence

import msgspec

from tweeter.statistics.spans import Span

HUNDRED = 100.0


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """A series against its own mean (posts a bucket). values: one a bucket, 100 is the mean; []
    where there is no post to compare with.
    """

    name: str
    mean: float
    values: list[float]


def judged(span: Span, missed: Sequence[tuple[int, int]]) -> list[int]:
    """The buckets a mean is taken of: whole ones that no stretch of `missed` (seconds) touches.

    If there is none, the whole ones; if there is none of these either, all.
    """
    begin, end = span.asked
    whole = [
        bucket
        for bucket, start in enumerate(span.starts())
        if start >= begin and start + span.size <= end
    ]
    covered = [
        bucket
        for bucket in whole
        if not any(
            since < span.since + (bucket + 1) * span.size
            and until > span.since + bucket * span.size
            for since, until in missed
        )
    ]
    return covered or whole or list(range(span.count))


def against_mean(name: str, posts: Sequence[int], buckets: Collection[int]) -> Indexed:
    """A series in percent of its mean over these buckets."""
    mean = sum(posts[bucket] for bucket in buckets) / len(buckets)
    values = [round(HUNDRED * value / mean, 2) for value in posts] if mean else []
    return Indexed(name=name, mean=round(mean, 3), values=values)
