"""X's limits and prices, as data with a date. Source: docs.x.com, "filtered stream
introduction", "rate limits", "pricing" and "post cap", read in August 2026.
"""

import msgspec

AS_OF = "2026-08-22"


class XPlan(msgspec.Struct, frozen=True):
    """What a plan allows; 0 = by contract."""

    rules: int
    characters: int  # of a rule
    connections: int
    month_posts: int  # that may be read
    post_usd: float  # price of a post read, once a UTC day


class XSearch(msgspec.Struct, frozen=True):
    """Recent search, `GET /2/tweets/search/recent`: the same for all plans."""

    days: int = 7  # how far back it goes
    characters: int = 512  # of a query
    page_least: int = 10  # max_results
    page_most: int = 100
    behind_s: int = 30  # how much later than the stream it has a post


SEARCH = XSearch()
LOOK_UP_POSTS = 100  # ids in one `GET /2/tweets`

PLANS = {
    "pay-per-use": XPlan(1_000, 1_024, 1, 3_000_000, 0.005),
    "enterprise": XPlan(25_000, 2_048, 2, 0, 0.0),
    "small": XPlan(25, 512, 1, 500_000, 0.005),  # of the old plans; a small one for trying out
}
