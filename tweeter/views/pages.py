"""The pages: parse, one call to the store, render. They work without JavaScript."""

from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from sqlalchemy import Engine
from werkzeug.wrappers import Response

from tweeter.errors import KeywordSyntaxError
from tweeter.sources.demo import DEMO_KEYWORDS
from tweeter.store import demo, feed, jobs, keywords, posts
from tweeter.store.keywords import KeywordExists, KeywordRow, TooManyKeywords
from tweeter.store.overview import overview
from tweeter.views.forms import ButtonForm, KeywordForm, RemoveForm, first_error, mark

pages = Blueprint("pages", __name__)

LIVE_POSTS = 50  # cards that the live page begins with

Answer = str | Response | tuple[str, int]


def _engine() -> Engine:
    engine: Engine = current_app.extensions["engine"]
    return engine


@pages.context_processor
def _everywhere() -> dict[str, Any]:
    """What each page shows in its head: the warning, and whether demo data is there."""
    return {
        "overview": overview(_engine()),
        "demo_runs": demo.running(_engine()),
        "button": ButtonForm(),
    }


@pages.get("/")
def home() -> Answer:
    """What is followed and the newest posts; three doors while there is nothing."""
    rows = keywords.list_all(_engine())
    return render_template(
        "home.html",
        keywords=rows,
        posts=posts.latest(_engine(), limit=10),
        totals=posts.totals(_engine()),
        names=_names(rows),
    )


@pages.get("/add")
def old_add() -> Answer:
    """The address that the 2016 program really had."""
    return redirect(url_for("pages.add_keyword"), 301)


@pages.route("/add_keyword", methods=["GET", "POST"])
def add_keyword() -> Answer:
    """Add a keyword, and the list of all."""
    form = KeywordForm()
    wrong: dict[str, Any] = {}
    if request.method == "POST":
        row, wrong = _save(form, None)
        if row is not None:
            flash(f"“{row.expression}” is followed from now on.")
            return redirect(url_for("pages.add_keyword"), 303)
    rows = keywords.list_all(_engine(), removed=True)
    page = render_template("add_keyword.html", form=form, rows=rows, **wrong)
    return (page, 422) if wrong else page


def _save(form: KeywordForm, keyword_id: int | None) -> tuple[KeywordRow | None, dict[str, Any]]:
    """Add or edit; returns the row, or None and what is wrong for the page."""
    if not form.validate():
        return None, {"error": first_error(form)}
    expression = form.expression.data
    try:
        if keyword_id is None:
            limit = current_app.config["TWEETER"].max_keywords
            return keywords.add(_engine(), expression, max_keywords=limit), {}
        return keywords.edit(_engine(), keyword_id, expression), {}
    except KeywordSyntaxError as error:
        return None, {"error": str(error), "marked": mark(expression, error.position)}
    except KeywordExists as error:
        return None, {"error": str(error), "twin": error.keyword_id}
    except TooManyKeywords as error:
        return None, {"error": str(error)}


@pages.get("/keywords/<int:keyword_id>")
def keyword(keyword_id: int) -> Answer:
    """A keyword's posts, newest first, paged by key."""
    return _keyword_page(keyword_id, KeywordForm(), {})


def _keyword_page(keyword_id: int, form: KeywordForm, wrong: dict[str, Any]) -> str:
    row = keywords.get(_engine(), keyword_id)
    if not form.is_submitted():
        form.expression.data = row.expression
    try:
        found = posts.page(_engine(), keyword_id=keyword_id, older=request.args.get("older", ""))
    except ValueError:
        abort(400, "The address of this page is damaged: “older” is not a position.")
    return render_template(
        "keyword.html",
        row=row,
        page=found,
        form=form,
        remove=RemoveForm(),
        progress=jobs.progress(_engine(), keyword_id),
        names=_names(keywords.list_all(_engine())),
        **wrong,
    )


@pages.post("/keywords/<int:keyword_id>/edit")
def edit_keyword(keyword_id: int) -> Answer:
    """Give a keyword another expression."""
    form = KeywordForm()
    row, wrong = _save(form, keyword_id)
    if row is None:
        return _keyword_page(keyword_id, form, wrong), 422
    flash(f"Changed to “{row.expression}”. Stored posts are matched again.")
    return redirect(url_for("pages.keyword", keyword_id=keyword_id), 303)


@pages.post("/keywords/<int:keyword_id>/<any(pause, resume, restore):act>")
def change_keyword(keyword_id: int, act: str) -> Answer:
    """Pause, or follow again."""
    state = "paused" if act == "pause" else "active"
    try:
        row = keywords.set_state(_engine(), keyword_id, state)
        flash(f"“{row.expression}” is {'paused' if act == 'pause' else 'followed again'}.")
    except KeywordExists as error:
        flash(str(error))
    return _back(keyword_id)


@pages.post("/keywords/<int:keyword_id>/remove")
def remove_keyword(keyword_id: int) -> Answer:
    """Remove; the posts stay or go, as the person said. Both can be undone for a while."""
    form = RemoveForm()
    row = keywords.set_state(_engine(), keyword_id, "removed", purge=bool(form.purge.data))
    kept = "Its posts stay."
    if row.purge_at:
        kept = f"Its posts will be deleted in {keywords.UNDO_S // 60} minutes."
    flash(f"“{row.expression}” is removed. {kept} Restore it below to undo this.")
    return redirect(url_for("pages.add_keyword"), 303)


def _back(keyword_id: int) -> Response:
    """To the page that the button stood on: one of two, never an address from outside."""
    if request.args.get("to") == "keyword":
        return redirect(url_for("pages.keyword", keyword_id=keyword_id), 303)
    return redirect(url_for("pages.add_keyword"), 303)


@pages.get("/live")
def live() -> Answer:
    """New posts as they arrive, of one keyword or of all."""
    rows = keywords.list_all(_engine())
    chosen = request.args.get("keyword", type=int)
    after = feed.last(_engine())  # before the posts are read: what comes between comes twice
    if chosen is None:
        found = posts.latest(_engine(), limit=LIVE_POSTS)
    else:
        keywords.get(_engine(), chosen)
        found = posts.page(_engine(), keyword_id=chosen, limit=LIVE_POSTS).posts
    return render_template(
        "live.html", rows=rows, chosen=chosen, posts=found, after=after, names=_names(rows)
    )


@pages.post("/demo/start")
def start_demo() -> Answer:
    """Start the invented stream and its keywords."""
    demo.start(_engine(), DEMO_KEYWORDS)
    return redirect(url_for("pages.live"), 303)


@pages.post("/demo/remove")
def remove_demo() -> Answer:
    """Remove the invented posts, their keywords and their stream without trace."""
    count = demo.remove(_engine())
    flash(f"The demo is gone, with its {count} posts.")
    return redirect(url_for("pages.home"), 303)


@pages.get("/healthz")
def health() -> Any:
    """For programs: 200 while pages are served and the database answers."""
    found = overview(_engine())
    return {"status": "ok", "workers": found.workers, "warning": found.warning}


def _names(rows: list[KeywordRow]) -> dict[int, str]:
    """Expressions by id, for the words under a post."""
    return {row.id: row.expression for row in rows}
