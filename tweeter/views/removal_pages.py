"""What a person may ask for that costs, and what pages say of removals and of what is kept."""

from typing import Any

import flask
import msgspec
from flask import redirect, url_for
from werkzeug.wrappers import Response

from tweeter import x_costs
from tweeter.config import keep_days
from tweeter.errors import TweeterError
from tweeter.sources.wanted import with_look_up
from tweeter.store import deletions, rechecks, retention, streams, x_past
from tweeter.store.keywords import KeywordRow
from tweeter.store.ledger import Interval
from tweeter.store.streams import Stream
from tweeter.views import words
from tweeter.views.pages import config, engine, pages
from tweeter.x_costs import Cost

SEARCH_DAYS = (1, 3, 7)
GAPS = 20  # lost gaps of X whose cost is told


class Offer(msgspec.Struct, frozen=True):
    """A search of X's past that can be asked for: its days (of a keyword), and what it costs."""

    days: int
    cost: Cost


def of_keyword(row: KeywordRow) -> dict[str, Any]:
    """For a keyword's page: since when removals are unknown, what goes when, what X would cost."""
    networks = tuple(row.networks.split())
    return {
        "unknown": deletions.unknown(engine(), networks),
        "rules": retention.rules(engine(), row, keep_days(config())),
        "offers": _offers(row),
    }


def _offers(row: KeywordRow) -> list[Offer]:
    follows_x = not row.networks or "x" in row.networks.split()
    if row.state != "active" or not follows_x or not config().x_bearer_token:
        return []
    offers = []
    for days in SEARCH_DAYS:
        window = x_past.look_back_window(engine(), row.id, days)
        if window is not None:
            offers.append(Offer(days, x_costs.of_search(engine(), config(), window, row.id)))
    return offers


def of_stream(stream: Stream, gaps: list[Interval]) -> dict[str, Any]:
    """For a source's page: the same facts, and the costs of a look-up and of each lost gap."""
    found = [one for one in deletions.unknown(engine()) if one.stream_id == stream.id]
    can_check = stream.network in with_look_up(config())
    on_x = stream.network == "x" and can_check
    costs = {}
    for gap in [gap for gap in gaps if gap.outcome == "lost"][:GAPS] if on_x else []:
        window = x_past.gap_window(engine(), gap.id)
        if window is not None:
            costs[gap.id] = x_costs.of_search(engine(), config(), window)
    return {
        "unknown": found,
        "can_check": can_check,
        "check_cost": x_costs.of_recheck(engine(), config()) if on_x else None,
        "gap_costs": costs,
    }


@pages.post("/sources/<int:stream_id>/recheck")
def recheck_source(stream_id: int) -> Response:
    """Look up a source's stored posts now."""
    try:
        rechecks.ask(engine(), stream_id)
        words.flash("Stored posts are looked up again. How far that is stands below.")
    except TweeterError as error:
        flask.flash(words.of_error(error))
    return _to_source(stream_id)


@pages.post("/gaps/<int:interval_id>/search")
def search_gap(interval_id: int) -> Response:
    """Search X for what a gap missed."""
    window = x_past.gap_window(engine(), interval_id)
    try:
        x_past.ask_repair(engine(), interval_id)
        words.flash("X is searched for what the gap missed, within the budget.")
    except TweeterError as error:
        flask.flash(words.of_error(error))
    return _to_source(window.stream_id if window else 0)


@pages.post("/keywords/<int:keyword_id>/search/<int(min=1, max=7):days>")
def search_keyword(keyword_id: int, days: int) -> Response:
    """Search X's last days for a keyword."""
    try:
        x_past.ask_look_back(engine(), keyword_id, days)
        words.flash("X is searched for it, within the budget. How far that is stands below.")
    except TweeterError as error:
        flask.flash(words.of_error(error))
    return redirect(url_for("pages.keyword", keyword_id=keyword_id), 303)


def _to_source(stream_id: int) -> Response:
    stream = streams.get(engine(), stream_id)
    if stream is None:
        return redirect(url_for("pages.sources"), 303)
    return redirect(url_for("pages.source", name=stream.name), 303)
