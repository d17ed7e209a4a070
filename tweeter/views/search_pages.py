"""Search over everything stored, and the searches that a person keeps. The address is all of it."""

from typing import Any

import flask
from flask import abort, redirect, render_template, request, url_for

from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.filters import Filter
from tweeter.records import now_us
from tweeter.statistics.searched import seen
from tweeter.store import decks, expressions, searches
from tweeter.store.engine import one_moment
from tweeter.store.search import Counts, Found, marked
from tweeter.store.search import search as find
from tweeter.texts import say
from tweeter.views import downloads, search_show
from tweeter.views.forms import mark
from tweeter.views.pages import Answer, engine, names_under, pages
from tweeter.views.show import total_of
from tweeter.views.words import flash, of_error

RANGES = (("1h", "hour"), ("1d", "day"), ("7d", "week"), ("30d", "month"))


@pages.get("/search")
def search() -> Answer:
    """A page of hits, newest first, with facets and histogram; without a question: the newest."""
    args = request.args.to_dict(flat=False)
    try:
        chosen = Filter.from_args(args)
    except TweeterError as error:
        given = request.args.get
        words = Filter(
            q=given("q", ""),
            without=given("without", ""),
            since=given("since", ""),
            until=given("until", ""),
        )
        return render_template("search.html", **_ground(words), **_wrong(error, words)), 422
    return _answer(chosen)


def _answer(chosen: Filter, status: int = 200, **more: Any) -> Answer:
    """What is found; more: what else the page shows."""
    try:
        chosen.read()
        found = find(engine(), chosen, older=request.args.get("older", ""))
    except TweeterError as error:
        return render_template("search.html", **_ground(chosen), **_wrong(error, chosen)), 422
    except ValueError:
        abort(400, say("The address of this page is damaged: “older” is not a position."))
    with one_moment(engine()):
        page = render_template("search.html", **_ground(chosen), **_results(chosen, found), **more)
    return page, status


def _ground(chosen: Filter) -> dict[str, Any]:
    """What the page shows whatever is found."""
    numbers = [int(value.removeprefix("-")) for value in chosen.keyword]
    saved = searches.list_all(engine())
    column, no_column = search_show.as_column(chosen, saved)
    return {
        "chosen": chosen,
        "pills": search_show.pills(chosen, expressions.names(engine(), numbers)),
        "ranges": [
            (words, search_show.address(chosen.having("since", value).lacking("until")))
            for value, words in RANGES
        ],
        "saved": saved,
        "column": column,
        "no_column": no_column,
        "decks": decks.list_all(engine()),
        "query": searches.query_of(chosen),
        "twins": search_show.twins(chosen),
        "files": search_show.files(chosen),
        "most_downloaded": downloads.MOST,
        "older": request.args.get("older", ""),
        "newest": search_show.address(chosen),
    }


def _wrong(error: TweeterError, chosen: Filter) -> dict[str, Any]:
    if isinstance(error, KeywordSyntaxError):
        expression = getattr(chosen, error.field or "q")
        shown = mark(expression, error.position)
        return {"error": of_error(error), "where": error.field, "marked": shown}
    return {"error": of_error(error), "where": error.field}


def _results(chosen: Filter, found: Found) -> dict[str, Any]:
    assert found.counts is not None  # noqa: S101
    counts = found.counts
    numbers = [int(value) for value, _ in counts.facets["keyword"]]
    names = names_under(found.posts) | expressions.names(engine(), numbers)
    follow, no_follow = search_show.as_keyword(chosen)
    return {
        "found": found,
        "counts": counts,
        "total": total_of(counts),
        "facets": search_show.facets(chosen, counts, names),
        "columns": search_show.columns(chosen, counts.histogram),
        "step": search_show.step_words(counts.histogram),
        **_seen(chosen, counts),
        "next": search_show.address(chosen, found.older) if found.older else "",
        "names": names,
        "marks": marked(chosen, found.posts),
        "follow": follow,
        "no_follow": no_follow,
    }


def _seen(chosen: Filter, counts: Counts) -> dict[str, Any]:
    """What was not covered of its time, and where that lies in the histogram."""
    found = seen(engine(), chosen, counts.histogram, now_us())
    return {"seen": found, "gaps": search_show.gaps(counts.histogram, found.bands)}


@pages.get("/searches")
def saved_searches() -> Answer:
    """The searches that are kept, to open, rename or delete."""
    return _searches()


def _searches(**more: Any) -> str:
    return render_template("searches.html", rows=searches.list_all(engine()), **more)


@pages.post("/searches")
def save_search() -> Answer:
    """Keep the search whose query was sent, and show it again."""
    query = request.form.get("query", "")
    try:
        chosen = Filter.from_args(searches.args_of(query))
        row = searches.save(engine(), request.form.get("name", ""), chosen)
    except (searches.SearchExists, searches.BadSearch) as error:
        return _answer(chosen, 422, name_error=of_error(error))
    except TweeterError:  # the search itself is wrong: its own page says how
        return redirect(f"{url_for('pages.search')}?{query}", 303)
    flash("“%(name)s” is kept among the saved searches.", name=row.name)
    return redirect(search_show.address(chosen), 303)


def again(why: str) -> Answer | None:
    """See `keyword_pages.again`."""
    of_search = request.view_args or {}
    if request.endpoint == "pages.save_search":
        chosen = Filter.from_args(searches.args_of(request.form.get("query", "")))
        chosen.read()
        return _answer(chosen, stale=why)
    if request.endpoint == "pages.change_search" and of_search["act"] == "rename":
        searches.get(engine(), of_search["search_id"])
        return _searches(wrong=of_search["search_id"], stale=why)
    return None


@pages.get("/searches/<int:search_id>/rename")
def renamed_search(search_id: int) -> Answer:
    """Where a name that was wrong was shown again: the page of saved searches."""
    return redirect(url_for("pages.saved_searches"))


@pages.post("/searches/<int:search_id>/<any(rename, remove):act>")
def change_search(search_id: int, act: str) -> Answer:
    """Rename a search, or forget it."""
    try:
        if act == "rename":
            row = searches.rename(engine(), search_id, request.form.get("name", ""))
            flash("It is called “%(name)s” now.", name=row.name)
        else:
            flash("“%(name)s” is deleted.", name=searches.remove(engine(), search_id).name)
    except searches.SearchNotFound as error:
        flask.flash(of_error(error))
    except TweeterError as error:
        return _searches(wrong=search_id, error=of_error(error)), 422
    return redirect(url_for("pages.saved_searches"), 303)
