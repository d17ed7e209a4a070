"""Writers of an SQLite database are held back while, and after, it is moved to a server.

The header's `user_version` says so, and each writing transaction looks at it after it took the
write lock: once a process has set it, no other can commit anything to this file any more.
"""

from sqlalchemy import Connection, Engine

from tweeter.errors import Held, MustEnd
from tweeter.texts import say

FREE, HOLD, MOVED = 0, 1, 2
MOVER = "tweeter_mover"  # execution option of the connection that moves

HOLD_WORDS = say(
    "Writing is held back while the database is moved to a server; it goes on by itself."
    " If the move was interrupted, run it again, or: python -m tweeter db move --cancel"
)
MOVED_WORDS = say(
    "This SQLite database was moved to a server by `python -m tweeter db move`: set"
    " TWEETER_DATABASE_URL to that server's URL and start again. To go on with the file:"
    " python -m tweeter db move --cancel"
)


def refuse(connection: Connection) -> None:
    """Raise Held or MustEnd if nothing may be written; costs a look at the file's header."""
    state = state_of(connection)
    if state == FREE or connection.get_execution_options().get(MOVER):
        return
    raise MustEnd(MOVED_WORDS) if state == MOVED else Held(HOLD_WORDS)


def state(engine: Engine) -> int:
    """FREE, HOLD or MOVED; a server's database is always FREE."""
    if engine.dialect.name != "sqlite":
        return FREE
    with engine.connect() as connection:
        return state_of(connection)


def state_of(connection: Connection) -> int:
    """The same of an SQLite database, in this transaction."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar() or FREE)


def set_state(connection: Connection, state: int) -> None:
    """Part of a writing transaction of the mover."""
    connection.exec_driver_sql(f"PRAGMA user_version = {int(state)}")
