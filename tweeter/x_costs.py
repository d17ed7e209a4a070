"""What asking X for its past would cost: said before it is asked, from what came so far.

An estimate is what the same keywords brought in the last days; a job never reads more than is
left of the budget, whatever was estimated.
"""

import msgspec
from sqlalchemy import Engine

from tweeter.config import Config
from tweeter.keywords.x_limits import AS_OF, PLANS
from tweeter.store import past_rates, reads
from tweeter.store.past import LATE_US
from tweeter.store.reads import EVERYTHING, Budget
from tweeter.store.x_past import Window
from tweeter.texts import counted, joined, say


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """posts: expected reads, None if there is nothing to judge by; left: of the budget, None: no
    limit; words: both in sentences, with the price."""

    posts: int | None
    usd: float | None
    left: int | None
    words: str


def of_recheck(engine: Engine, config: Config) -> Cost:
    """Of looking up all stored posts of X."""
    return _cost(engine, config, past_rates.kept(engine, "x"))


def of_search(engine: Engine, config: Config, window: Window, keyword_id: int = 0) -> Cost:
    """Of searching a window for a keyword, or a gap for all that are followed (0)."""
    an_hour = past_rates.x_posts_an_hour(engine, keyword_id or None)
    hours = window.hours + (0.0 if keyword_id else LATE_US / 3.6e9)
    posts = None if an_hour is None else round(an_hour * hours)
    return _cost(engine, config, posts)


def _cost(engine: Engine, config: Config, posts: int | None) -> Cost:
    price = PLANS[config.x_plan].post_usd
    budgets = {EVERYTHING: Budget(config.x_day_posts, config.x_month_posts)}
    left = reads.left(engine, "x", budgets)
    usd = None if posts is None else posts * price
    words = say("How many posts that is cannot be told yet.")
    if posts is not None:
        words = counted(
            "About %(count)s post, %(usd)s USD (prices of %(date)s).",
            "About %(count)s posts, %(usd)s USD (prices of %(date)s).",
            posts,
            usd=format(usd, ",.2f"),
            date=AS_OF,
        )
    if left is None:
        words = joined(words, say("No budget is set: nothing stops it before its end."))
    else:
        words = joined(
            words,
            counted(
                "At most %(count)s post (%(usd)s USD) now: what the budget leaves.",
                "At most %(count)s posts (%(usd)s USD) now: what the budget leaves.",
                left,
                usd=format(left * price, ",.2f"),
            ),
        )
        if posts is not None and posts > left:
            words = joined(words, say("The rest goes on with the next budget."))
    return Cost(posts=posts, usd=usd, left=left, words=words)
