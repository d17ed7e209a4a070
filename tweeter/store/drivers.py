"""SQLAlchemy's engine for a URL, and a sentence where its driver cannot use that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event

from tweeter.errors import StoreError
from tweeter.texts import joined, say

MORE = 20  # connections at once beside the five that stay open: a page may have two (`apart`)


def engine(url: str, args: Mapping[str, Any], **how: Any) -> Engine:
    """An engine; it, and later its connections, raise StoreError for what is wrong in the URL."""
    with _usable():
        made = create_engine(url, connect_args=dict(args), max_overflow=MORE, **how)
    event.listen(made, "do_connect", _connect)
    return made


def _connect(dialect: Any, _record: Any, args: Any, options: Any) -> Any:
    with _usable():
        return dialect.connect(*args, **options)


@contextmanager
def _usable() -> Iterator[None]:
    """Drivers answer an option behind the URL's ? that they do not know with any of these."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        words = say("The database's driver cannot use its URL: %(error)s.", error=error)
        where = say("Look at TWEETER_DATABASE_URL, behind its ? too.")
        raise StoreError(joined(words, where)) from error
