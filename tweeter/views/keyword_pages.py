"""The pages of keywords: add, preview, many at once, one keyword with its time and its posts."""

from collections.abc import Sequence
from typing import Any

import flask
from flask import (
    abort,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response

from tweeter import forecast, names
from tweeter.choices import FOLLOWED
from tweeter.errors import KeywordSyntaxError, TweeterError
from tweeter.statistics.spans import Span
from tweeter.store import (
    bulk,
    coverage,
    figures,
    followed,
    jobs,
    keyword_ledger,
    keywords,
    past,
    posts,
)
from tweeter.store.cells import US
from tweeter.store.coverage import Coverage
from tweeter.store.engine import one_moment
from tweeter.store.keywords import KeywordExists, KeywordRemoved, KeywordRow
from tweeter.store.preview import preview
from tweeter.texts import counted, say
from tweeter.views import (
    asked,
    grids,
    keyword_list,
    posts_behind,
    removal_pages,
    stat_pages,
    words,
)
from tweeter.views.forms import ImportForm, KeywordForm, RemoveForm, first_error, mark
from tweeter.views.pages import Answer, config, engine, names_under, pages, row_id
from tweeter.views.posts_behind import Listed

TABLE_ROWS = 200  # stretches of the ledger on a page


@pages.get("/add")
def old_add() -> Answer:
    """The address that the 2016 program really had."""
    return redirect(url_for("pages.add_keyword"), 301)


@pages.get("/keywords")
def keywords_shortened() -> Answer:
    """What remains of a keyword's address without its number: the list of all."""
    return redirect(f"{keyword_list.back()}#list")


@pages.route("/add_keyword", methods=["GET", "POST"])
def add_keyword() -> Answer:
    """Add a keyword, or only try it; and the list of all."""
    form = KeywordForm()
    found: dict[str, Any] = {}
    if request.method == "POST" and request.form.get("act") == "preview":
        found = _preview(form, None)
    elif request.method == "POST":
        row, found = _save(form, None)
        if row is not None:
            words.flash("“%(keyword)s” is followed from now on.", keyword=row.expression)
            _flash_names(row)
            return redirect(url_for("pages.keyword", keyword_id=row.id), 303)
    page = render_template("add_keyword.html", form=form, **_lists(), **found)
    return (page, 422) if "error" in found else page


def _lists() -> dict[str, Any]:
    """A page of the keywords, what their totals stand for, and the newest removed ones."""
    found = keyword_list.shown()
    ids = [row.id for row in found["rows"]]
    held = keyword_ledger.open_ones(engine(), *ids) if ids else []
    gone, more_gone = keywords.page(engine(), removed=True, limit=keyword_list.ROWS)
    return found | {
        "gone": gone,
        "more_gone": more_gone,
        "figures": figures.of_keywords(engine(), ids),
        "held": {pause.keyword_id: pause for pause in held},
    }


@pages.post("/keywords/preview")
def preview_keyword() -> Answer:
    """The preview by itself, for the page's script: of a form that is being filled in."""
    keyword_id = row_id("keyword")
    return render_template("preview.html", **_preview(KeywordForm(), keyword_id))


def _save(form: KeywordForm, keyword_id: int | None) -> tuple[KeywordRow | None, dict[str, Any]]:
    """Add or edit; returns the row, or None and what is wrong for the page."""
    if not form.validate():
        return None, {"error": first_error(form)}
    expression, options = form.expression.data, form.options()
    try:
        if keyword_id is None:
            return names.add(engine(), config(), expression, options), {}
        return names.edit(engine(), config(), keyword_id, expression, options), {}
    except TweeterError as error:
        return None, _wrong(error, expression)


def _flash_names(row: KeywordRow) -> None:
    """Say which accounts are not known yet, and what that means."""
    for account in followed.of_keyword(engine(), row.id):
        if not account.author_id:
            unknown = f"from:{account.name}: {account.words}"
            flask.flash(unknown)


def _wrong(error: TweeterError, expression: str) -> dict[str, Any]:
    if isinstance(error, KeywordSyntaxError):
        return {"error": words.of_error(error), "marked": mark(expression, error.position)}
    if isinstance(error, KeywordExists):
        return {"error": words.of_error(error), "twin": error.keyword_id}
    return {"error": words.of_error(error)}


def _preview(form: KeywordForm, keyword_id: int | None) -> dict[str, Any]:
    if not form.validate():
        return {"error": first_error(form)}
    expression, networks = form.expression.data, tuple(form.networks.data or ())
    try:
        answers = names.look_up(engine(), config(), expression, networks, keyword_id=keyword_id)
        found = preview(
            engine(), expression, networks=networks, keyword_id=keyword_id, answers=answers
        )
        lines = forecast.lines(config(), expression, networks, found)
    except TweeterError as error:
        return _wrong(error, expression)
    return {"preview": found, "lines": lines, "labels": FOLLOWED}


@pages.get("/keywords/<int:keyword_id>")
def keyword(keyword_id: int) -> Answer:
    """A keyword's posts, newest first, paged by key; and what was not seen."""
    page = keyword_page(keyword_id, KeywordForm(), {})
    return page if asked.is_whole() else (page, 422)


def keyword_page(keyword_id: int, form: KeywordForm, more: dict[str, Any]) -> str:
    """The page; form: of its expression, more: what else its template needs, as what is wrong."""
    wrong = asked.settle()
    question, older = asked.question(), _older()
    until = question.span.asked[1] * US if asked.one("to") else 0
    narrowed = posts_behind.narrowed(keyword_id, question, until, older)
    with one_moment(engine()):
        found = narrowed or posts_behind.every(keyword_id, until, older)
        return _whole_page(keyword_id, form, found, wrong=wrong, **more)


def _older() -> str:
    """Where the posts of the page begin, as its address says it; "": at the newest."""
    older = request.args.get("older", "")
    try:
        if older:
            posts.position(older)
    except ValueError:
        abort(400, say("The address of this page is damaged: “older” is not a position."))
    return older


def _whole_page(
    keyword_id: int, form: KeywordForm, found: Listed, *, wrong: TweeterError | None, **more: Any
) -> str:
    row = keywords.get(engine(), keyword_id)
    if not form.is_submitted():
        form.show(row)
    has_accounts = followed.may_name(row.expression)
    figure = figures.of_keyword(engine(), keyword_id)  # first: of the longest time
    statistics = stat_pages.of_keyword(row, wrong)
    return render_template(
        "keyword.html",
        row=row,
        listed=found,
        form=form,
        remove=RemoveForm(),
        progress=None if row.complete_at else jobs.progress(engine(), keyword_id),
        past=past.progress(engine(), keyword_id, limit=5),
        held=keyword_ledger.open_ones(engine(), keyword_id),
        accounts=followed.of_keyword(engine(), keyword_id) if has_accounts else [],
        names=names_under([*found.posts, *stat_pages.examples(statistics["report"])]),
        figure=figure,
        **_time(row, statistics["asked"].span, statistics["covered"]),
        **statistics,
        **removal_pages.of_keyword(row),
        **more,
    )


def _time(row: KeywordRow, span: Span, found: Sequence[Coverage]) -> dict[str, Any]:
    """The strips of the chosen range, and their table."""
    since, until = (moment * US for moment in span.asked)
    bars = coverage.strips(engine(), row.id, found, since, until)
    strips = list(zip(found, map(grids.strip, bars), strict=True))
    table = [(one.stream, stretch) for one in found for stretch in one.stretches]
    table.sort(key=lambda row: row[1].since, reverse=True)
    return {
        "strips": strips,
        "stretches": table[:TABLE_ROWS],
        "more_stretches": len(table) - TABLE_ROWS,
        "since": since,
        "until": until,
    }


@pages.get("/keywords/<int:keyword_id>/edit")
def edited_keyword(keyword_id: int) -> Answer:
    """Where a form that was wrong was shown again: the keyword's page."""
    return redirect(url_for("pages.keyword", keyword_id=keyword_id))


@pages.post("/keywords/<int:keyword_id>/edit")
def edit_keyword(keyword_id: int) -> Answer:
    """Give a keyword another expression, or only try it."""
    form = KeywordForm()
    if request.form.get("act") == "preview":
        found = _preview(form, keyword_id)
        page = keyword_page(keyword_id, form, found)
        return (page, 422) if "error" in found else page
    row, wrong = _save(form, keyword_id)
    if row is None:
        return keyword_page(keyword_id, form, wrong), 422
    words.flash("Changed to “%(keyword)s”. Stored posts are matched again.", keyword=row.expression)
    _flash_names(row)
    return redirect(url_for("pages.keyword", keyword_id=keyword_id), 303)


@pages.post("/keywords/<int:keyword_id>/<any(pause, resume, restore):act>")
def change_keyword(keyword_id: int, act: str) -> Answer:
    """Pause, follow again, or bring back."""
    state = "paused" if act == "pause" else "active"
    try:
        row = keywords.set_state(engine(), keyword_id, state, restore=act == "restore")
        if act == "pause":
            words.flash("“%(keyword)s” is paused.", keyword=row.expression)
        else:
            words.flash("“%(keyword)s” is followed again.", keyword=row.expression)
    except (KeywordExists, KeywordRemoved) as error:
        flask.flash(words.of_error(error))
    return _back(keyword_id)


@pages.post("/keywords/<int:keyword_id>/remove")
def remove_keyword(keyword_id: int) -> Answer:
    """Remove; the posts stay or go, as the person said. Both can be undone for a while."""
    form = RemoveForm()
    row = keywords.set_state(engine(), keyword_id, "removed", purge=bool(form.purge.data))
    if row.purge_at:
        words.flash(
            "“%(keyword)s” is removed. Its posts will be deleted in %(minutes)s minutes."
            " Restore it below to undo this.",
            keyword=row.expression,
            minutes=keywords.UNDO_S // 60,
        )
    else:
        words.flash(
            "“%(keyword)s” is removed. Its posts stay. Restore it below to undo this.",
            keyword=row.expression,
        )
    return redirect(url_for("pages.add_keyword"), 303)


def again(why: str) -> Answer | None:
    """The form of the request with what was typed and a fresh token; None: it has none of these."""
    if request.endpoint == "pages.add_keyword":
        return render_template("add_keyword.html", form=KeywordForm(), stale=why, **_lists())
    if request.endpoint == "pages.import_keywords":
        return render_template("import.html", form=ImportForm(), stale=why)
    if request.endpoint == "pages.edit_keyword" and request.view_args:
        return keyword_page(request.view_args["keyword_id"], KeywordForm(), {"stale": why})
    return None


def _back(keyword_id: int) -> Response:
    """To the page that the button stood on: one of two, never an address from outside."""
    if request.args.get("to") == "keyword":
        return redirect(url_for("pages.keyword", keyword_id=keyword_id), 303)
    return redirect(keyword_list.back(), 303)


@pages.route("/keywords/import", methods=["GET", "POST"])
def import_keywords() -> Answer:
    """Many at once: first a verdict a line, then the good ones are added."""
    form = ImportForm()
    if request.method == "GET":
        return render_template("import.html", form=form)
    if not form.validate():
        return render_template("import.html", form=form, error=first_error(form)), 422
    try:
        lines = bulk.read(form.given())
        if not lines:
            raise ValueError(say("There is no line with a keyword: write one a line."))
    except (TweeterError, ValueError) as error:
        of_file = bool(form.file.data)
        wrong = words.of_error(error)
        return render_template("import.html", form=form, error=wrong, of_file=of_file), 422
    answers = names.look_up_many(config(), lines)
    if request.form.get("act") != "add":
        verdicts = bulk.check(engine(), lines, answers)
        return render_template("import.html", form=form, verdicts=verdicts)
    done = bulk.add(engine(), lines, answers, all_or_none=bool(form.all_or_none.data))
    if not done.ids:
        nothing = say("Nothing was added: see the lines below.")
        return render_template("import.html", form=form, verdicts=done.verdicts, error=nothing), 422
    added = counted(
        "%(count)s keyword is followed from now on.",
        "%(count)s keywords are followed from now on.",
        len(done.ids),
    )
    flask.flash(words.told(added))
    return redirect(url_for("pages.add_keyword"), 303)
