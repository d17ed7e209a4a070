"""Notes on the axis of time, on a keyword's page: add, change, remove. Without JavaScript."""

from typing import Any

import flask
import msgspec
from flask import redirect, request

from tweeter import moments
from tweeter.errors import TweeterError
from tweeter.moments import BadMoment
from tweeter.records import now_us
from tweeter.store import annotations, keywords
from tweeter.store.annotations import EVERY, AnnotationNotFound, BadAnnotation
from tweeter.texts import say
from tweeter.views import asked, words
from tweeter.views.forms import KeywordForm
from tweeter.views.keyword_pages import keyword_page
from tweeter.views.pages import Answer, engine, pages


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A note as a person wrote it, with what is wrong with it. id 0: a new one."""

    id: int
    text: str
    since: str
    until: str
    everywhere: bool
    error: str = ""
    where: str = ""  # the field that is wrong, as TweeterError.field

    def values(self, keyword_id: int) -> dict[str, Any]:
        """As the store takes them. Raises BadMoment."""
        now, until = now_us(), self.until.strip()
        return {
            "keyword_id": EVERY if self.everywhere else keyword_id,
            "text": self.text,
            "since": moments.read(self.since, now, say("“From”"), "since"),
            "until": moments.read(until, now, say("“To”"), "until") if until else 0,
        }


def _draft(annotation_id: int = 0) -> Draft:
    given = request.form
    return Draft(
        id=annotation_id,
        text=given.get("text", ""),
        since=given.get("since", ""),
        until=given.get("until", ""),
        everywhere=bool(given.get("everywhere")),
    )


def _wrong(keyword_id: int, draft: Draft, error: TweeterError) -> Answer:
    """The page again, with what was written and what is wrong with it."""
    wrong = msgspec.structs.replace(draft, error=words.of_error(error), where=error.field)
    return _page(keyword_id, wrong), 422


def _page(keyword_id: int, draft: Draft) -> str:
    form = KeywordForm(formdata=None)
    form.show(keywords.get(engine(), keyword_id))
    return keyword_page(keyword_id, form, {"draft": draft})


def again(why: str) -> Answer | None:
    """See `keyword_pages.again`."""
    if request.endpoint not in ("pages.annotate", "pages.change_annotation"):
        return None
    of_note = {"annotation_id": 0} | (request.view_args or {})
    draft = _draft(of_note["annotation_id"])
    return _page(of_note["keyword_id"], msgspec.structs.replace(draft, error=why))


def _back(keyword_id: int) -> Answer:
    return redirect(asked.back(keyword_id, _anchor="annotations"), 303)


@pages.get("/keywords/<int:keyword_id>/annotations")
@pages.get("/keywords/<int:keyword_id>/annotations/<int:annotation_id>")
def annotated(keyword_id: int, annotation_id: int = 0) -> Answer:
    """Where a form that was wrong was shown again: the notes on the keyword's page."""
    return redirect(asked.back(keyword_id, _anchor="annotations"))


@pages.post("/keywords/<int:keyword_id>/annotations")
def annotate(keyword_id: int) -> Answer:
    """Keep a note."""
    keywords.get(engine(), keyword_id)
    draft = _draft()
    try:
        annotations.add(engine(), **draft.values(keyword_id))
    except (BadAnnotation, BadMoment) as error:
        return _wrong(keyword_id, draft, error)
    words.flash("The note is kept.")
    return _back(keyword_id)


@pages.post("/keywords/<int:keyword_id>/annotations/<int:annotation_id>")
def change_annotation(keyword_id: int, annotation_id: int) -> Answer:
    """Change a note, or remove it."""
    keywords.get(engine(), keyword_id)
    draft = _draft(annotation_id)
    try:
        if request.form.get("act") == "remove":
            annotations.remove(engine(), annotation_id)
            words.flash("The note is removed.")
        else:
            annotations.change(engine(), annotation_id, **draft.values(keyword_id))
            words.flash("The note is changed.")
    except AnnotationNotFound as error:
        flask.flash(words.of_error(error))
    except (BadAnnotation, BadMoment) as error:
        return _wrong(keyword_id, draft, error)
    return _back(keyword_id)
