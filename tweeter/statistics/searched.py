"""How much of the time that a search looks at was covered, and what of it was not."""

import msgspec
from sqlalchemy import Engine

from tweeter.filters import Filter, choices, span
from tweeter.statistics.unseen import Band, bands
from tweeter.store import coverage, figures
from tweeter.store.cells import US
from tweeter.store.figures import Figure
from tweeter.store.search import Histogram


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stretch of time, seconds; the bands are those not covered."""

    since: int
    until: int
    bands: list[Band]
    figure: Figure

    @property
    def missed_s(self) -> int:
        """All of the bands together."""
        return sum(band.until - band.since for band in self.bands)


def seen(engine: Engine, chosen: Filter, histogram: Histogram, now: int) -> Seen:
    """Of the time from `since` (else from the oldest bar of its hits) to `until` (else to now).

    Of the streams of its keyword, if it is of one alone; else of all streams, whatever the
    keywords. Both of the networks that it asks for. now: microseconds.
    """
    first = histogram.bars[0].since if histogram.bars else 0
    since, until = span((chosen,), now)
    since, until = since or first, min(until or now, now)
    chosen_of = dict(choices((chosen,)))
    networks, ids = chosen_of.get("network"), chosen_of.get("keyword")
    if not 0 < since < until:
        found = []
    elif ids is not None and len(ids.wanted) == 1:
        found = coverage.of_keyword(engine, int(next(iter(ids.wanted))), since, until)
    else:
        found = coverage.of_streams(engine, since, until)
    found = [one for one in found if networks is None or networks.has((one.network,))]
    return Seen(
        since=since // US, until=until // US, bands=bands(found), figure=figures.of_coverage(found)
    )
