"""What all processes and machines of an installation share, beside the data: who it is, who leads.

An installation is its database: whoever uses it has the same id, by which its rules at X and its
queues in a broker are told from others'.
"""

import secrets

from sqlalchemy import Engine, or_, select, update

from tweeter.store.engine import db_now, insert_new, read_clock, reading, writing
from tweeter.store.leases import is_held
from tweeter.store.schema import installation, leaders

LEAD_S = 10.0


def installation_id(engine: Engine, *, before: str = "") -> str:
    """8 hex characters, made at first use. before: the one that it had elsewhere, "" if none."""
    wanted = select(installation.c.value).where(installation.c.name == "id")
    with reading(engine) as connection:
        found = connection.execute(wanted).scalar()
    if found is None:
        row = {"name": "id", "value": before or secrets.token_hex(4)}
        with writing(engine) as connection:
            insert_new(connection, installation, [row], unique=("name",))
        with reading(engine) as connection:
            found = connection.execute(wanted).scalar_one()
    return str(found)


def lead(engine: Engine, name: str, owner: str) -> bool:
    """True if this process is the one that does `name` now; ask again within LEAD_S.

    Another takes over at once when the leader is seen dead on its own host, else after LEAD_S.
    """
    with reading(engine) as connection:
        now = read_clock(connection)
        row = connection.execute(select(leaders).where(leaders.c.name == name)).first()
    if row is None:
        with writing(engine) as connection:
            fresh = {"name": name, "owner": "", "lease_until": 0}
            insert_new(connection, leaders, [fresh], unique=("name",))
    elif row.owner != owner and is_held(row.owner, row.lease_until, now):
        return False
    elif row.owner == owner and row.lease_until - now > LEAD_S / 2 * 1e6:
        return True
    seen = row.owner if row is not None else ""
    with writing(engine) as connection:
        clock = db_now(connection)
        changed = connection.execute(
            update(leaders)
            .where(
                leaders.c.name == name,
                or_(leaders.c.owner.in_((seen, owner)), leaders.c.lease_until < clock),
            )
            .values(owner=owner, lease_until=clock + int(LEAD_S * 1e6))
        ).rowcount
        return changed == 1
