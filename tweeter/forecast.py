"""What each network will do with a keyword, in a line each, with the cost where there is one."""

from collections.abc import Sequence

import msgspec

from tweeter.choices import FOLLOWED
from tweeter.config import Config
from tweeter.harmless import typed
from tweeter.keywords import NotForX, compile_for_x, parse
from tweeter.keywords.x_limits import AS_OF, PLANS
from tweeter.store.preview import Preview
from tweeter.texts import counted, joined, say


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """verdict: "ok", "note" (something is filtered here), "off", "refused"."""

    network: str
    verdict: str
    words: str
    rule: str = ""  # what X is asked
    day_posts: float | None = None  # expected to be read a day, where it is known
    day_usd: float | None = None


def lines(
    config: Config, expression: str, networks: Sequence[str], found: Preview | None = None
) -> list[Line]:
    """What each network will do. Raises KeywordSyntaxError."""
    chosen = set(networks or FOLLOWED)
    off = {
        "x": "" if config.x_bearer_token else say("No token: set TWEETER_X_BEARER_TOKEN."),
        "bluesky": "" if config.bluesky_url else say("Switched off in the settings."),
        "mastodon": "" if config.mastodon_servers else say("No server: set TWEETER_MASTODON_URL."),
    }
    result = []
    for network in FOLLOWED:
        if network not in chosen:
            result.append(Line(network=network, verdict="off", words=say("Not chosen.")))
        elif network == "x":
            result.append(_x(config, expression, found, off["x"]))
        elif off[network]:
            result.append(Line(network=network, verdict="off", words=off[network]))
        else:
            words = say("All posts come, and are matched here: every clause counts.")
            if network == "mastodon":
                hosts = len(config.mastodon_servers)
                words = counted(
                    "Posts that reach the server you follow are matched here.",
                    "Posts that reach the %(count)s servers you follow are matched here.",
                    hosts,
                )
            result.append(Line(network=network, verdict="ok", words=words))
    return result


def _x(config: Config, expression: str, found: Preview | None, off: str) -> Line:
    plan = PLANS[config.x_plan]
    try:
        rules = compile_for_x(parse(typed(expression)), limit=plan.characters)
    except NotForX as error:
        return Line(network="x", verdict="refused", words=error.args[0])
    if not rules.pieces:
        words = say("No post of X can match: it asks for an account of another network.")
        return Line(network="x", verdict="refused", words=words)
    rule = " OR ".join(rules.pieces)
    words = say(
        "%(used)s of %(most)s characters of a rule.",
        used=format(len(rule), ","),
        most=format(plan.characters, ","),
    )
    if rules.dropped:
        words = joined(
            words,
            say(
                "X cannot check %(clauses)s: filtered here, and paid for.",
                clauses=", ".join(rules.dropped),
            ),
        )
    verdict = "note" if rules.dropped else "ok"
    day = _expected(found)
    usd = None if day is None else day * plan.post_usd
    if usd is not None:
        words = joined(
            words,
            say(
                "About %(posts)s posts a day, %(usd)s USD (prices of %(date)s).",
                posts=format(day, ",.0f"),
                usd=format(usd, ",.2f"),
                date=AS_OF,
            ),
        )
    if off:
        verdict, words = "off", joined(off, words)
    return Line(network="x", verdict=verdict, words=words, rule=rule, day_posts=day, day_usd=usd)


def _expected(found: Preview | None) -> float | None:
    """Posts a day at X by those stored; None if too few of X are stored to judge by."""
    if found is None or "x" not in found.an_hour_by_network:
        return None
    return 24 * found.an_hour_by_network["x"]
