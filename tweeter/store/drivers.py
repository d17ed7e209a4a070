"""SQLAlchemy's engine for a URL, and a sentence where its driver cannot use that."""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from tweeter.errors import StoreError
from tweeter.texts import joined, say

Begin = Callable[[Any], None]
MORE = 20  # connections at once beside the five that stay open: a page may have two (`apart`)


def engine(url: str, args: Mapping[str, Any], begin: Begin, **how: Any) -> Engine:
    """An engine; it, and later its connections, raise StoreError for what is wrong in the URL.

    begin is the first to use a new connection of the driver: some values it refuses only then.
    Errors do not hold what was to be stored: logs would keep the texts of posts that are removed.
    """
    more = {"connect_args": dict(args), "max_overflow": MORE, "hide_parameters": True}
    with _usable(url):
        made = create_engine(url, **more, **how)

    def connect(dialect: Any, _record: Any, args: Any, options: Any) -> Any:
        with _usable(url):
            connection = dialect.connect(*args, **options)
            begin(connection)
            return connection

    event.listen(made, "do_connect", connect)
    return made


@contextmanager
def _usable(url: str) -> Iterator[None]:
    """Drivers answer an option behind the URL's ? that they cannot use with any of these."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, OSError, struct.error, ArgumentError) as error:
        words = say("The database's driver cannot use its URL: %(error)s.", error=error)
        raise StoreError(joined(words, _where(url))) from error


def _where(url: str) -> str:
    try:
        names = ", ".join(make_url(url).query)
    except ArgumentError:
        names = ""
    if not names:
        return say("Look at TWEETER_DATABASE_URL, behind its ? too.")
    return say(
        "Look at TWEETER_DATABASE_URL, at what stands behind its ? too: %(names)s.", names=names
    )
