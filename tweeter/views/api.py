"""The API for programs, under /api/v1: its answers, its errors, and who may change things.

Moments are ISO 8601, UTC; posts.id, which is over 2^53, is a text. Each error is a problem
document (RFC 9457). The routes are in the other modules `api_…`; docs/api.md lists them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from tweeter import moments, problems
from tweeter.errors import TweeterError
from tweeter.problems import Problem
from tweeter.records import now_us
from tweeter.texts import plain
from tweeter.views.show import readable

PREFIX = "/api/v1"
api = Blueprint("api", __name__, url_prefix=PREFIX)

MOST = 500  # of a list at once
_SAFE = ("GET", "HEAD", "OPTIONS")
_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}

Body = TypeVar("Body")


class Refused(Exception):
    """A request that is answered with a problem of its own."""

    def __init__(self, code: str, detail: str, **more: Any) -> None:
        self.problem = problems.of_request(code, detail, **more)
        super().__init__(detail)


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A body with nothing in it."""


@contextmanager
def paging() -> Iterator[None]:
    """Around what reads a page from ?older= on: raises Refused if that is no position."""
    try:
        yield
    except ValueError as error:
        words = "“older” is not a position: take it from the page before."
        raise Refused("bad_position", words) from error


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A value as JSON."""
    body = msgspec.json.encode(readable(msgspec.to_builtins(value, enc_hook=plain)))
    return Response(body, status, headers, mimetype="application/json")


def problem_answer(problem: Problem) -> Response:
    """A problem as its document."""
    body = msgspec.json.encode(problem.document())
    return Response(body, problem.status, mimetype=problems.MEDIA_TYPE)


def body_of(kind: type[Body]) -> Body:
    """The body of the request, checked; an empty one counts as {}. Raises Refused."""
    try:
        return msgspec.json.decode(request.get_data() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Refused("body_invalid", f"{error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("bad_request", f"The body is not JSON: {error}.") from error


def number(name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query, brought into its bounds; raises Refused for anything else."""
    given = request.args.get(name, "")
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Refused("bad_position", f"“{name}” is {given[:50]!r}: expected a whole number.")
    return min(max(int(given), least), most)


def only(*names: str, given: Iterable[str] | None = None) -> None:
    """Raise Refused for a name in the query that is none of these: it would change nothing.

    given: names of another query than the request's.
    """
    for name in request.args if given is None else given:
        if name not in names:
            words = f"“{name[:50]}” means nothing here; there are {', '.join(names)}."
            raise Refused("unknown_parameter", words)


def flag(name: str, default: bool = False) -> bool:
    """Whether the query says ?name=1, or 0; raises Refused for anything else."""
    given = request.args.get(name, "")
    if given not in ("", "0", "1"):
        raise Refused("bad_request", f"“{name}” is {given[:50]!r}: expected 1 or 0.")
    return given == "1" if given else default


def byte_order_mark() -> str:
    """What CSV begins with: with ?bom=1 the mark by which Excel knows UTF-8. Raises Refused."""
    return "\ufeff" if flag("bom") else ""


def attachment(text: str, media: str, name: str) -> Response:
    """A file for the reader's own disk."""
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(text, mimetype=media, headers=headers)


def moment(name: str, default: int) -> int:
    """A moment of the query in microseconds; raises BadMoment."""
    given = request.args.get(name)
    return moments.read(given, now_us(), f"“{name}”") if given else default


def stretch(length: int = 0) -> tuple[int, int]:
    """?since= and ?until= in microseconds; raises BadMoment, also if they are turned.

    Without them: of this length until now; with a length of 0: from the beginning, without end (0).
    """
    until = moment("until", now_us() if length else 0)
    since = moment("since", until - length if length else 0)
    moments.refuse_turned(since, until)
    return since, until


@api.before_request
def _only_our_own_pages_and_programs() -> None:
    """No page of another site may change anything.

    A browser sends JSON to another site only after asking, and names the page's origin; a
    program names none.
    """
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin", "")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if origin not in ("", f"http://{request.host}") or site != "same-origin":
        raise Refused("foreign_origin", "Only pages of tweeter itself and programs may do this.")
    if request.mimetype != "application/json":
        raise Refused(
            "body_not_json", "Send the header Content-Type: application/json, also without a body."
        )


def fault(error: Exception) -> Response:
    """The answer to an exception; those that stand for nothing known are raised again."""
    if isinstance(error, Refused):
        return problem_answer(error.problem)
    if not isinstance(error, HTTPException):
        return problem_answer(problems.of(error))
    status = error.code or 500
    code = _OF_STATUS.get(status, "bad_request" if status < 500 else "internal")
    response = problem_answer(problems.of_request(code, str(error.description or error.name)))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


for _kind in (Refused, TweeterError, SQLAlchemyError, HTTPException):
    api.register_error_handler(_kind, fault)
