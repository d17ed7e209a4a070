"""The Flask application, put together."""

from contextlib import suppress
from datetime import UTC, datetime

from flask import Flask, Response, make_response, render_template, request
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map

from tweeter import __version__, cards, moments
from tweeter.columns import BadColumn
from tweeter.config import Config, secret_key
from tweeter.errors import Held, MustEnd, StoreError, TweeterError
from tweeter.harmless import harmless
from tweeter.store import trouble
from tweeter.store.decks import DeckNotFound
from tweeter.store.keywords import KeywordNotFound
from tweeter.texts import Said, joined, mark, say
from tweeter.views import (
    annotation_pages,
    api,
    api_annotations,
    api_decks,
    api_keywords,
    api_search,
    api_sources,
    api_statistics,
    assets,
    deck_pages,
    health_pages,
    keyword_pages,
    look,
    media_pages,
    output,
    pages,
    pieces,
    search_pages,
    show,
    source_pages,
    words,
)
from tweeter.views.guard import HEADERS, WITH_CARDS, policy

# Those of a kind share one blueprint.
PAGES = (
    pages,
    annotation_pages,
    deck_pages,
    keyword_pages,
    source_pages,
    health_pages,
    search_pages,
    media_pages,
    look,
)
API = (
    api,
    api_annotations,
    api_decks,
    api_keywords,
    api_sources,
    api_search,
    api_statistics,
)
IMPORT_BYTES = 16 * 1024 * 1024  # 10,000 lines of up to 1,024 characters


class _RowId(IntegerConverter):
    """A number in a path, up to the largest that a database holds: others are no page."""

    def __init__(self, url_map: Map, *, min: int = 0, max: int = (1 << 63) - 1) -> None:
        super().__init__(url_map, min=min, max=max)


def create_app(config: Config, engine: Engine) -> Flask:
    """Make the application; opens nothing but the file of the secret key and the static files."""
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=secret_key(config),
        SESSION_COOKIE_NAME="tweeter",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=1024 * 1024,
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for days
        TWEETER=config,
    )
    app.extensions["engine"] = engine
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        clock=show.clock,
        duration=show.duration,
        gap_length=show.gap_length,
        pace=show.pace,
        card=cards.card,
        with_marks=cards.with_marks,
        harmless=harmless,
        host=cards.host,
        iso=moments.iso,
        iso_exact=show.exact,
        number=show.number,
    )
    app.jinja_env.globals.update(version=__version__, now=lambda: datetime.now(UTC))
    app.url_map.converters["int"] = _RowId
    app.before_request(_take_long_imports)  # before CSRFProtect reads the form
    csrf = CSRFProtect(app)
    for of_pages in PAGES:
        assert of_pages.pages  # noqa: S101
    for of_api in API:
        assert of_api.api  # noqa: S101
    app.register_blueprint(pages.pages)
    look.dress(app)
    assets.serve(app)
    words.speak(app)
    output.quicken(app)
    pieces.offer(app)
    app.register_blueprint(api.api)
    csrf.exempt(api.api)  # it has a guard of its own, against pages of other sites
    app.after_request(_harden)
    app.register_error_handler(KeywordNotFound, _not_found)
    app.register_error_handler(DeckNotFound, _no_deck)
    app.register_error_handler(BadColumn, _bad_column)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_away)
    app.register_error_handler(Held, _held)
    app.register_error_handler(MustEnd, _held)
    return app


def _take_long_imports() -> None:
    if request.path.endswith("/keywords/import"):
        request.max_content_length = request.max_form_memory_size = IMPORT_BYTES


def _harden(response: Response) -> Response:
    if request.endpoint in WITH_CARDS:
        response.headers["Content-Security-Policy"] = policy(frames=True)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _for_programs() -> bool:
    return f"{request.path}/".startswith(f"{api.PREFIX}/")


def _problem(status: int, title: str, detail: str, **more: bool) -> tuple[str, int]:
    return render_template("problem.html", title=title, detail=detail, **more), status


def _not_found(error: KeywordNotFound) -> tuple[str, int]:
    return _problem(404, say("There is no such keyword"), error.args[0], of_keyword=True)


def _no_deck(error: DeckNotFound) -> tuple[str, int]:
    return _problem(404, say("There is no such deck"), error.args[0])


def _bad_column(error: BadColumn) -> tuple[str, int]:
    return _problem(400, say("The address has a column that is none"), error.args[0])


def _stale_form(_: CSRFError) -> tuple[str, int] | Response:
    """Nothing was done. What was typed comes back, with a token of now, for a person to send.

    A page of another site that sent it cannot read the answer.
    """
    went_wrong = say("The form was too old, or another site sent it.")
    why = joined(went_wrong, say("Nothing was changed: look at it, and send it again."))
    with suppress(TweeterError, HTTPException, SQLAlchemyError):
        for of_forms in (keyword_pages, annotation_pages, search_pages, deck_pages):
            if page := of_forms.again(why):
                answer = make_response(page)
                answer.status_code = 400
                return answer
    return _problem(
        400, _UNCHANGED, joined(went_wrong, say("Go back, reload the page, send it again."))
    )


_UNCHANGED = say("Nothing was changed")
# What Werkzeug says, for translators: words of its own for a status and for what is wrong.
_OF_STATUS = (
    mark("Bad Request"),
    mark("Not Found"),
    mark("Method Not Allowed"),
    mark("Request Entity Too Large"),
    mark("Internal Server Error"),
    mark(
        "The requested URL was not found on the server. If you entered the URL manually please"
        " check your spelling and try again."
    ),
    mark("The method is not allowed for the requested URL."),
    mark("The data value transmitted exceeds the capacity limit."),
)


def _http_error(error: HTTPException) -> tuple[str, int] | Response:
    if _for_programs():  # a route that does not exist is none of the blueprint's
        return api.fault(error)
    said = error.description or ""
    detail = said if isinstance(said, Said) else words.looked_up(said)
    return _problem(error.code or 500, words.looked_up(error.name), detail)


def _held(error: StoreError) -> tuple[str, int]:
    return _problem(503, _UNCHANGED, error.args[0])


def _database_away(error: SQLAlchemyError) -> tuple[str, int]:
    detail = joined(trouble.words(error), say("Reload this page then."))
    return _problem(503, say("The database cannot be used now"), detail)
