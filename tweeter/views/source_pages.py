"""The pages of sources: how each is doing, its ledger, and the credential check."""

import asyncio
from typing import TYPE_CHECKING, Any

from flask import abort, render_template, request

from tweeter.errors import UnknownSource
from tweeter.keywords.x_limits import AS_OF, PLANS
from tweeter.moments import DAY_US
from tweeter.records import now_us
from tweeter.store import coverage, ledger, past, quarantine, reads, streams
from tweeter.store.installation import installation_id
from tweeter.store.overview import overview
from tweeter.store.streams import Stream
from tweeter.texts import say
from tweeter.views import removal_pages
from tweeter.views.forms import ButtonForm
from tweeter.views.pages import Answer, config, engine, pages

if TYPE_CHECKING:
    from tweeter.sources.check import Row

REJECTED = 20  # unreadable events on a page


@pages.get("/sources")
def sources() -> Answer:
    """Every stream in words, and what is asked of the past."""
    return render_template("sources.html", past=past.progress(engine()))


@pages.route("/sources/<path:name>", methods=["GET", "POST"])
def source(name: str) -> Answer:
    """One stream: its state, its last day, its gaps, and a check on request."""
    stream = next((s for s in streams.list_all(engine()) if s.name == name), None)
    if stream is None:
        abort(404, say("There is no source “%(name)s”.", name=name))
    rows: list[Row] = []
    if request.method == "POST" and ButtonForm().validate():
        try:
            rows = checked(name)
        except UnknownSource as error:
            abort(404, error.args[0])
    found = facts(stream)
    asked = [job for job in past.progress(engine()) if job.stream == stream.name]
    more = removal_pages.of_stream(stream, found["gaps"])
    return render_template("source.html", stream=stream, rows=rows, past=asked[:5], **found, **more)


def facts(stream: Stream) -> dict[str, Any]:
    """What is known of a stream, for its page and the API."""
    now = now_us()
    day = coverage.of_stream(engine(), stream.id, now - DAY_US, now)
    found: dict[str, Any] = {
        "state": next(s for s in overview(engine()).streams if s.id == stream.id),
        "covered": day.share if day else None,
        "missed_s": day.missed_s if day else 0.0,
        "gaps": [i for i in ledger.of_stream(engine(), stream.id) if i.state != ledger.LIVE][::-1],
        "rejected": quarantine.newest(engine(), stream.id, limit=REJECTED),
        "cost": None,
    }
    if stream.network == "x":
        used = reads.used(engine(), "x").get(reads.EVERYTHING, reads.Used())
        found["cost"] = {
            "day": used.day,
            "day_budget": config().x_day_posts,
            "month": used.month,
            "month_budget": config().x_month_posts,
            "month_usd": used.month * PLANS[config().x_plan].post_usd,
            "prices_of": AS_OF,
            "foreign_rules": stream.memory.get("foreign_rules", []),
        }
    return found


def checked(name: str) -> "list[Row]":
    """Check a source's credentials now; raises UnknownSource."""
    from tweeter.sources.check import check  # with the networks' clients

    ours = [s for s in overview(engine()).streams if s.name == name and s.state == "live"]
    words = ours[0].words if ours else ""
    installation = installation_id(engine())
    return asyncio.run(check(config(), name, ours=words, installation=installation))
