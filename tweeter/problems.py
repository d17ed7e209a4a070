"""Our exceptions as problems for programs (RFC 9457): the API's answers, the commands' errors.

docs/api.md lists each code; `type` is a name, not an address.
"""

from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from tweeter.choices import BadFilter
from tweeter.columns import BadColumn
from tweeter.errors import (
    AlreadyRunning,
    BadQuestion,
    ConfigError,
    KeywordSyntaxError,
    StoreError,
    TweeterError,
    UnknownSource,
)
from tweeter.harmless import mend
from tweeter.moments import BadMoment
from tweeter.store.annotations import AnnotationNotFound, BadAnnotation
from tweeter.store.bulk import BadLines, TooManyLines
from tweeter.store.decks import DeckChanged, DeckExists, DeckNotFound
from tweeter.store.gaps import NoSuchStream
from tweeter.store.keywords import KeywordExists, KeywordNotFound, KeywordRemoved, TooManyKeywords
from tweeter.store.searches import BadSearch, SearchExists, SearchNotFound

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. more: members of this code, such as position and hint."""

    code: str
    title: str
    status: int
    detail: str
    more: dict[str, Any] = msgspec.field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As it is sent."""
        return {
            "type": f"urn:tweeter:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": mend(self.detail),
            "code": self.code,
            **self.more,
        }


# Subclasses before their bases: the first that fits counts.
KINDS: tuple[tuple[type[Exception], str, int, str], ...] = (
    (KeywordSyntaxError, "keyword_syntax", 422, "The keyword cannot be read"),
    (KeywordNotFound, "keyword_not_found", 404, "There is no such keyword"),
    (KeywordExists, "keyword_exists", 409, "Another keyword says the same"),
    (KeywordRemoved, "keyword_removed", 409, "The keyword is removed"),
    (TooManyKeywords, "too_many_keywords", 409, "The limit of keywords is reached"),
    (BadLines, "bad_lines", 422, "The lines cannot be read"),
    (TooManyLines, "too_many_lines", 413, "Too many lines at once"),
    (UnknownSource, "source_not_found", 404, "There is no such source"),
    (NoSuchStream, "stream_not_found", 404, "There is no such stream"),
    (SearchNotFound, "search_not_found", 404, "There is no such search"),
    (SearchExists, "search_exists", 409, "Another search has this name"),
    (BadSearch, "search_invalid", 422, "The search cannot be kept"),
    (BadColumn, "column_invalid", 422, "The column is not one"),
    (BadFilter, "bad_filter", 422, "The filter cannot be read"),
    (DeckNotFound, "deck_not_found", 404, "There is no such deck"),
    (DeckExists, "deck_exists", 409, "Another deck has this name"),
    (DeckChanged, "deck_changed", 409, "The deck was changed meanwhile"),
    (AnnotationNotFound, "annotation_not_found", 404, "There is no such note"),
    (BadAnnotation, "annotation_invalid", 422, "The note cannot be kept"),
    (BadMoment, "bad_moment", 422, "The time cannot be read"),
    (BadQuestion, "bad_question", 422, "The statistics asked for do not exist"),
    (ConfigError, "settings", 500, "The settings are wrong"),
    (AlreadyRunning, "already_running", 409, "It runs already"),
    (StoreError, "database", 503, "The database is not as it must be"),
    (SQLAlchemyError, "database", 503, "The database does not answer"),
    (TweeterError, "failed", 422, "It could not be done"),
)
# Problems of a request itself, which no exception of ours stands for.
OF_REQUESTS = {
    "bad_request": (400, "The request is damaged"),
    "body_invalid": (422, "The body is not what is expected"),
    "body_not_json": (415, "The body must be JSON"),
    "unknown_parameter": (422, "A name in the query means nothing"),
    "bad_position": (422, "The position is not one"),
    "foreign_origin": (403, "Another site sent this"),
    "not_served": (403, "tweeter serves this machine only"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "That cannot be done here"),
    "too_large": (413, "The request is too large"),
    "internal": (500, "tweeter failed"),
}


def of(error: Exception) -> Problem:
    """The problem that an exception is; raises it again if it is none of KINDS."""
    for kind, code, status, title in KINDS:
        if isinstance(error, kind):
            return Problem(
                code=code, title=title, status=status, detail=_detail(error), more=_more(error)
            )
    raise error


def of_request(code: str, detail: str, **more: Any) -> Problem:
    """A problem of OF_REQUESTS."""
    status, title = OF_REQUESTS[code]
    return Problem(code=code, title=title, status=status, detail=detail, more=more)


def _detail(error: Exception) -> str:
    if isinstance(error, KeywordSyntaxError):
        return str(error.message)
    if isinstance(error, SQLAlchemyError):  # its text holds the statement, with its values
        return "Streams go on and store as soon as it is back."
    return str(error)


def _more(error: Exception) -> dict[str, Any]:
    if isinstance(error, KeywordSyntaxError):
        return {"position": error.position, "hint": str(error.hint)}
    if isinstance(error, KeywordExists):
        return {"keyword_id": error.keyword_id}
    if isinstance(error, BadFilter):
        return {"field": error.field}
    if isinstance(error, ConfigError):
        return {"faults": [mend(fault) for fault in error.faults]}
    return {}
