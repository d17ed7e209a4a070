"""How far each journal (see `sources.journal`) is stored: one row a journal file set."""

from sqlalchemy import Engine, select

from tweeter.store.engine import insert_new, repeated, writing
from tweeter.store.schema import journals


@repeated
def position(engine: Engine, journal_id: str, stream_id: int) -> int:
    """Bytes of the journal that are stored; 0 for a new one, which is entered here."""
    with writing(engine) as connection:
        row = {"journal_id": journal_id, "stream_id": stream_id, "position": 0}
        insert_new(connection, journals, [row], unique=("journal_id",))
        found = select(journals.c.position).where(journals.c.journal_id == journal_id)
        return int(connection.execute(found).scalar_one())
