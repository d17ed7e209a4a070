"""The pages around the keywords: first page, demo. Without JavaScript they work."""

from collections.abc import Callable, Sequence
from typing import Any

import flask
from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from tweeter.config import Config
from tweeter.records import now_us
from tweeter.sources.demo_words import DEMO_KEYWORDS
from tweeter.statistics import summary
from tweeter.statistics.summary import Line
from tweeter.store import demo, expressions, keywords, posts, trouble
from tweeter.store.cells import US
from tweeter.store.engine import one_moment
from tweeter.store.keywords import KeywordRow
from tweeter.store.overview import Overview, overview
from tweeter.store.posts import StoredPost
from tweeter.texts import counted, say
from tweeter.views import charts, voice_charts, words
from tweeter.views.forms import ButtonForm

pages = Blueprint("pages", __name__)

LINES = 100  # keywords on the first page
ORDERS: dict[str, Callable[[Line], Any]] = {
    "day": lambda line: (-line.day, line.keyword_id),
    "usual": lambda line: (-(line.times or 0), line.keyword_id),
    "name": lambda line: line.expression.casefold(),
    "new": lambda line: -line.keyword_id,
}

Answer = str | Response | tuple[str, int]


def engine() -> Engine:
    """The web process's engine."""
    made: Engine = current_app.extensions["engine"]
    return made


def config() -> Config:
    """The settings."""
    loaded: Config = current_app.config["TWEETER"]
    return loaded


def row_id(name: str) -> int | None:
    """The number of a row that the address gives by this name; None if it gives none.

    Aborts with 404 for what can be no row's.
    """
    given = request.args.get(name, "")
    if given and not (given.isascii() and given.isdigit() and len(given) < 19):
        shown = repr(given[:30])
        abort(404, say("“%(name)s” is %(given)s: expected a number.", name=name, given=shown))
    return int(given) if given else None


@pages.context_processor
def _everywhere() -> dict[str, Any]:
    """What each page shows in its head: the warning, and whether demo data is there."""
    try:
        with one_moment(engine()):
            found, demo_runs = overview(engine()), demo.running(engine())
    except SQLAlchemyError as error:  # the page that says so is shown all the same
        found, demo_runs = Overview(workers=0, warning=trouble.words(error), streams=[]), False
    return {
        "overview": found,
        "demo_runs": demo_runs,
        "button": ButtonForm(formdata=None),  # the request may have a form that cannot be read
        "x_is_on": bool(config().x_bearer_token),
    }


@pages.get("/")
def home() -> Answer:
    """What is followed and the newest posts; three doors while there is nothing."""
    with one_moment(engine()):
        return _home()


def _home() -> Answer:
    rows, more = keywords.page(engine(), limit=LINES)
    newest = posts.latest(engine(), limit=10)
    shares = voice_charts.asked_for(engine(), request.args.to_dict(flat=False), rows)
    page = render_template(
        "home.html",
        keywords=rows,
        posts=newest,
        totals=posts.totals(engine()),
        names=names_under(newest),
        more=more,
        **_summary(rows),
        **shares,
    )
    return (page, 422) if shares["voice_choice"]["wrong"] else page


def _summary(rows: list[KeywordRow]) -> dict[str, Any]:
    """The table of keywords, in the order that the address asks for."""
    found = summary.of_keywords(engine(), rows, now_us() // US)
    order = request.args.get("sort", "day")
    lines = sorted(found.lines, key=ORDERS.get(order, ORDERS["day"]))
    sparks = {line.keyword_id: charts.spark(line.hours, line.missed) for line in lines}
    return {
        "summary": found,
        "lines": lines,
        "sparks": sparks,
        "order": order,
        "as_table": request.args.get("hours") == "table",
    }


@pages.post("/demo/start")
def start_demo() -> Answer:
    """Start the invented stream and its keywords."""
    demo.start(engine(), DEMO_KEYWORDS)
    return redirect(url_for("pages.live"), 303)


@pages.post("/demo/remove")
def remove_demo() -> Answer:
    """Remove the invented posts, their keywords and their stream without trace."""
    gone = demo.remove(engine())
    its_posts = counted(
        "The demo is gone, with its %(count)s post and its keywords.",
        "The demo is gone, with its %(count)s posts and its keywords.",
        gone.posts,
    )
    flask.flash(words.told(its_posts))
    if gone.kept:
        words.flash(
            "These of its keywords stay, for they were changed or found real posts: %(keywords)s.",
            keywords=", ".join(gone.kept.values()),
        )
    return redirect(url_for("pages.home"), 303)


def names_under(found: Sequence[StoredPost]) -> dict[int, str]:
    """Expressions by id of the keywords that these posts match."""
    return expressions.names(engine(), (number for post in found for number in post.keywords))


def names_of(rows: list[KeywordRow]) -> dict[int, str]:
    """Expressions by id, for the words under a post."""
    return {row.id: row.expression for row in rows}
