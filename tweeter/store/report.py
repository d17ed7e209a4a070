"""All that is known of a keyword besides its posts: for the API and `tweeter keyword show`."""

import msgspec
from sqlalchemy import Engine

from tweeter.moments import DAY_US
from tweeter.records import now_us
from tweeter.store import coverage, figures, jobs, keyword_ledger, keywords, past, reads
from tweeter.store.keyword_ledger import Pause
from tweeter.store.keywords import KeywordRow
from tweeter.store.past import Progress
from tweeter.store.reads import Used

RANGES = {"day": DAY_US, "week": 7 * DAY_US}


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's part in a range that ends now. share is None where it was not followed."""

    stream: str
    network: str
    range: str  # day, week
    share: float | None
    covered_s: float
    missed_s: float
    not_followed_s: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword. figure is the number of its posts in words, covered the share it stands for.

    rematched: stored posts looked at so far, None when they all were. held: what keeps it from
    being followed now.
    """

    keyword: KeywordRow
    figure: str
    covered: float | None
    rematched: int | None
    used: dict[str, int]  # posts read at X: day, month
    held: list[Pause]
    coverage: list[Share]
    past: list[Progress]


def report(engine: Engine, keyword_id: int) -> Report:
    """Raises KeywordNotFound."""
    row = keywords.get(engine, keyword_id)
    figure = figures.of_keyword(engine, keyword_id)
    used = reads.used(engine, "x").get(keyword_id, Used())
    return Report(
        keyword=row,
        figure=figure.words(row.posts),
        covered=figure.covered,
        rematched=None if row.complete_at else jobs.progress(engine, keyword_id) or 0,
        used={"day": used.day, "month": used.month},
        held=keyword_ledger.open_ones(engine, keyword_id),
        coverage=_shares(engine, keyword_id),
        past=past.progress(engine, keyword_id),
    )


def _shares(engine: Engine, keyword_id: int) -> list[Share]:
    now = now_us()
    return [
        Share(
            stream=one.stream,
            network=one.network,
            range=name,
            share=one.share,
            covered_s=one.covered_s,
            missed_s=one.missed_s,
            not_followed_s=one.not_followed_s,
        )
        for name, length_us in RANGES.items()
        for one in coverage.of_keyword(engine, keyword_id, now - length_us, now)
    ]
