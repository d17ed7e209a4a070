"""The API's routes about notes on the axis of time."""

from typing import Annotated

import msgspec
from flask import Response, request, url_for

from tweeter import moments
from tweeter.records import now_us
from tweeter.store import annotations, keywords
from tweeter.store.annotations import CHARACTERS, EVERY
from tweeter.views.api import Nothing, answer, api, body_of, number, only, stretch
from tweeter.views.pages import engine

Text = Annotated[str, msgspec.Meta(max_length=20 * CHARACTERS)]
Moment = Annotated[str, msgspec.Meta(max_length=64)]
KeywordId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class NewAnnotation(msgspec.Struct, forbid_unknown_fields=True):
    """The body that keeps a note. since "": now; until "": of one moment; keyword_id 0: of all."""

    text: Text
    since: Moment = ""
    until: Moment = ""
    keyword_id: KeywordId = EVERY


class ChangedAnnotation(msgspec.Struct, forbid_unknown_fields=True):
    """The body that changes one: what is not named stays; until "" makes it one of a moment."""

    text: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    keyword_id: KeywordId | None = None


@api.get("/annotations")
def list_annotations() -> Response:
    """All of a time, in order; ?keyword=: its own and those of all keywords."""
    only("since", "until", "keyword")
    whose = number("keyword", 0, 0, 1 << 53) if request.args.get("keyword") else None
    if whose:
        keywords.get(engine(), whose)
    since, until = stretch()
    found = annotations.between(engine(), since, until or annotations.LAST, keyword_id=whose)
    return answer({"annotations": found})


@api.post("/annotations")
def add_annotation() -> Response:
    """Keep a note."""
    body, now = body_of(NewAnnotation), now_us()
    since = moments.read(body.since, now, "“since”") if body.since else now
    until = _end(body.until) or 0
    made = annotations.add(engine(), body.keyword_id, body.text, since, until)
    place = url_for("api.one_annotation", annotation_id=made.id)
    return answer({"annotation": made}, 201, Location=place)


def _end(given: str | None) -> int | None:
    """The end of a range in microseconds; 0 for "": there is none."""
    if not given:
        return None if given is None else 0
    return moments.read(given, now_us(), "“until”")


@api.get("/annotations/<int:annotation_id>")
def one_annotation(annotation_id: int) -> Response:
    """One of them."""
    return answer({"annotation": annotations.get(engine(), annotation_id)})


@api.patch("/annotations/<int:annotation_id>")
def change_annotation(annotation_id: int) -> Response:
    """Change its text, its time or whose it is."""
    body = body_of(ChangedAnnotation)
    since = None if body.since is None else moments.read(body.since, now_us(), "“since”")
    changed = annotations.change(
        engine(),
        annotation_id,
        keyword_id=body.keyword_id,
        text=body.text,
        since=since,
        until=_end(body.until),
    )
    return answer({"annotation": changed})


@api.delete("/annotations/<int:annotation_id>")
def remove_annotation(annotation_id: int) -> Response:
    """Forget it; the answer has what it was."""
    body_of(Nothing)
    return answer({"annotation": annotations.remove(engine(), annotation_id)})
