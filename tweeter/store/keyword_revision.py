"""The revision of all keywords, a row of `positions`: each change of a keyword raises it.

What is matched is stored only if the revision is still that of the matching. So that row is also
the lock between those who store, who share it, and those who change keywords.
"""

from sqlalchemy import Connection, select, update

from tweeter.store.schema import positions

_ITS = positions.c.name == "keywords"
_revision = select(positions.c.value).where(_ITS)


def revision(connection: Connection, *, lock: bool = False) -> int:
    """The revision of all keywords; lock=True holds changes back until the transaction ends."""
    statement = _revision
    if lock:
        statement = statement.with_for_update(read=True)  # SQLite: the write lock does it
    return int(connection.execute(statement).scalar_one())


def hold(connection: Connection) -> None:
    """Wait for batches and other changes of keywords: what is read from here on is still so."""
    connection.execute(_revision.with_for_update())  # SQLite: the write lock does it


def bump(connection: Connection) -> None:
    """Raise the revision; on databases with row locks this waits for batches under way."""
    connection.execute(update(positions).where(_ITS).values(value=positions.c.value + 1))
