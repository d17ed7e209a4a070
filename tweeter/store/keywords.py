"""Keywords: rows that pages and commands write and workers obey.

Each change raises the revision in `positions`. A batch of posts is stored only if it was
matched with the current revision (`batches.commit`), so every post committed after a keyword
is matched with it; posts stored before are matched again by a job.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select, update

from tweeter.harmless import typed
from tweeter.keywords import canonical
from tweeter.records import PENDING_AT_X, Keyword
from tweeter.store import followed, jobs, keyword_ledger, known
from tweeter.store.engine import chunks, read_clock, reading, repeated, writing
from tweeter.store.followed import NONE, Answers
from tweeter.store.keyword_errors import (
    KeywordExists,
    KeywordNotFound,
    KeywordRemoved,
    TooManyKeywords,
)
from tweeter.store.keyword_revision import bump, hold, revision
from tweeter.store.schema import (
    DELETED_OF,
    annotations,
    followed_names,
    keyword_intervals,
    keyword_versions,
    keywords,
    positions,
)
from tweeter.texts import say

UNDO_S = 600  # a removed keyword's posts are purged no sooner than this


class KeywordRow(msgspec.Struct, frozen=True, kw_only=True):
    """A keyword as kept; `posts` is exact, complete_at None while stored posts are rematched."""

    id: int
    expression: str
    canonical: str
    version: int
    state: str
    demo: bool
    created_at: int
    changed_at: int
    purge_at: int | None
    complete_at: int | None
    posts: int
    networks: str  # joined by a space; "": all
    day_budget: int  # posts read at X a UTC day; 0: no limit
    month_budget: int
    keep_days: int  # 0: for ever
    looked_back: int  # version whose past was asked for


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chooses beside the expression; None: it stays as it is, of a new keyword 0."""

    networks: tuple[str, ...] | None = None  # (): all
    day_budget: int | None = None  # posts read at X a UTC day; 0: no limit
    month_budget: int | None = None
    keep_days: int | None = None  # 0: for ever

    def values(self) -> dict[str, Any]:
        """As columns of the row: those that are chosen."""
        named = msgspec.structs.asdict(self)
        if self.networks is not None:
            named["networks"] = " ".join(sorted(set(self.networks)))
        return {name: value for name, value in named.items() if value is not None}


def _row(row: Mapping[Any, Any]) -> KeywordRow:
    return KeywordRow(**row)


def _get(connection: Connection, keyword_id: int) -> KeywordRow:
    row = known.keyword(connection, keyword_id)
    if row is None:
        raise KeywordNotFound(keyword_id)
    return _row(row)


def _refuse_twin(connection: Connection, text: str, networks: str, but: int = 0) -> None:
    twin = connection.execute(
        select(keywords).where(
            keywords.c.canonical == text,
            keywords.c.networks == networks,
            keywords.c.state != "removed",
            keywords.c.id != but,
        )
    ).first()
    if twin is not None:
        raise KeywordExists(twin.id, twin.expression, twin.state)


def record_version(
    connection: Connection, keyword_id: int, version: int, expression: str, at: int
) -> None:
    """Keep when a version began."""
    values = {"keyword_id": keyword_id, "version": version, "expression": expression, "at": at}
    connection.execute(insert(keyword_versions).values(values))


@repeated
def add(
    engine: Engine,
    expression: str,
    options: Options = Options(),  # noqa: B008 (frozen)
    *,
    demo: bool = False,
    max_keywords: int = 0,
    answers: Answers = NONE,
) -> KeywordRow:
    """Add a keyword and start matching stored posts again; answers: of its accounts, by name.

    Raises KeywordSyntaxError, KeywordExists, and TooManyKeywords (max_keywords 0: no limit).
    """
    expression = typed(expression)
    text = canonical(expression)
    with writing(engine) as connection:
        bump(connection)
        _refuse_twin(connection, text, options.values().get("networks", ""))
        if max_keywords:
            living = select(keywords.c.id).where(keywords.c.state != "removed")
            if len(connection.execute(living).all()) >= max_keywords:
                raise TooManyKeywords(
                    say(
                        "This installation follows at most %(most)s keywords"
                        " (TWEETER_MAX_KEYWORDS). Remove one first.",
                        most=max_keywords,
                    )
                )
        now = read_clock(connection)
        new_id = insert_row(connection, expression, text, options, int(now), demo=demo)
        return _begin(connection, _get(connection, new_id), int(now), answers)


def insert_row(
    connection: Connection,
    expression: str,
    text: str,
    options: Options,
    now: int,
    *,
    demo: bool = False,
) -> int:
    """The row of a new keyword; text is its canonical form. Returns its id."""
    values: dict[str, Any] = {
        "expression": expression,
        "canonical": text,
        "version": 1,
        "state": "active",
        "demo": demo,
        "created_at": now,
        "changed_at": now,
        "purge_at": None,
        "complete_at": None,
        "posts": 0,
        **options.values(),
    }
    result = connection.execute(insert(keywords).values(values))
    return int(result.inserted_primary_key[0])  # type: ignore[index]


@repeated
def edit(
    engine: Engine,
    keyword_id: int,
    expression: str | None,
    options: Options = Options(),  # noqa: B008 (frozen)
    answers: Answers = NONE,
) -> KeywordRow:
    """Give a keyword another expression or other networks: a new version, matched again.

    None leaves what there is. Budgets and days are no new version; what stays the same changes
    nothing. Raises as `add` does, KeywordNotFound and KeywordRemoved.
    """
    with writing(engine) as connection:
        hold(connection)
        row = _get(connection, keyword_id)
        if row.state == "removed":
            raise KeywordRemoved(row.id, row.expression)
        chosen = options.values()
        if chosen:
            bump(connection)
            connection.execute(update(keywords).where(keywords.c.id == keyword_id).values(chosen))
        expression = row.expression if expression is None else typed(expression)
        networks = chosen.get("networks", row.networks)
        if row.expression == expression and row.networks == networks:
            return _get(connection, keyword_id)
        bump(connection)
        text = canonical(expression)
        _refuse_twin(connection, text, networks, but=keyword_id)
        now = read_clock(connection)
        connection.execute(
            update(keywords)
            .where(keywords.c.id == keyword_id)
            .values(
                expression=expression,
                canonical=text,
                version=row.version + 1,
                changed_at=now,
                complete_at=None,
            )
        )
        return _begin(connection, _get(connection, keyword_id), int(now), answers)


def _begin(connection: Connection, row: KeywordRow, now: int, answers: Answers) -> KeywordRow:
    """A new version begins: keep it, match stored posts, and wait for X to take its rule."""
    record_version(connection, row.id, row.version, row.expression, now)
    names = followed.names(row.expression, row.networks.split())
    followed.sync(connection, row.id, names, answers, now)
    jobs.start_rematch(connection, row.id, row.version, now)
    _await_x(connection, row, now)
    return _get(connection, row.id)


def _await_x(connection: Connection, row: KeywordRow, now: int) -> None:
    """Until X has answered for it, a keyword that begins anew is pending there."""
    if pending_at_x(row.networks.split()):
        keyword_ledger.turn(connection, row.id, *PENDING_AT_X, now, network="x")


def pending_at_x(networks: Sequence[str]) -> bool:
    """Whether X must be asked for a keyword of these networks (none: all)."""
    return not networks or "x" in networks


@repeated
def set_state(
    engine: Engine, keyword_id: int, state: str, *, purge: bool = False, restore: bool = False
) -> KeywordRow:
    """Make a keyword "active", "paused" or "removed"; purge=True also deletes its posts later.

    A purge waits UNDO_S, so that it can be undone: restore=True makes a removed keyword another.
    Raises KeywordNotFound, KeywordRemoved without restore, and KeywordExists if another one took
    its place meanwhile.
    """
    with writing(engine) as connection:
        hold(connection)
        row = _get(connection, keyword_id)
        if row.state == state and not purge:
            return row
        comes_back = row.state == "removed" and state != "removed"
        if comes_back and not restore:
            raise KeywordRemoved(row.id, row.expression)
        bump(connection)
        now = read_clock(connection)
        values: dict[str, Any] = {"state": state, "changed_at": now, "purge_at": None}
        if state == "removed" and purge:
            values["purge_at"] = now + UNDO_S * 1_000_000
        if comes_back:
            _refuse_twin(connection, row.canonical, row.networks, but=keyword_id)
            jobs.drop(connection, "purge", row.id)
        if state == "removed":  # it is matched with nothing any more
            jobs.drop(connection, "rematch", row.id)
        if state == "active":
            # What came for other keywords meanwhile belongs to this one too.
            values["complete_at"] = None
            jobs.start_rematch(connection, row.id, row.version, now)
        connection.execute(update(keywords).where(keywords.c.id == keyword_id).values(values))
        words = {"paused": "A person paused it.", "removed": "A person removed it."}
        keyword_ledger.turn(connection, keyword_id, state, words.get(state, ""), now)
        if state == "active":  # its rule was deleted at X
            _await_x(connection, row, now)
        return _get(connection, keyword_id)


def get(engine: Engine, keyword_id: int) -> KeywordRow:
    """One keyword; raises KeywordNotFound."""
    with reading(engine) as connection:
        return _get(connection, keyword_id)


def list_all(engine: Engine, *, removed: bool = False) -> list[KeywordRow]:
    """All keywords but removed ones (or all), newest first."""
    statement = select(keywords).order_by(keywords.c.id.desc())
    if not removed:
        statement = statement.where(keywords.c.state != "removed")
    with reading(engine) as connection:
        return [_row(row) for row in connection.execute(statement).mappings()]


def page(
    engine: Engine, *, removed: bool = False, older: int = 0, limit: int = 100
) -> tuple[list[KeywordRow], int]:
    """Keywords that are not removed (or those that are), newest first, before the id `older`.

    Returns them and the `older` of the next page, 0 at the end.
    """
    state = keywords.c.state
    statement = select(keywords).where(state == "removed" if removed else state != "removed")
    if older:
        statement = statement.where(keywords.c.id < older)
    statement = statement.order_by(keywords.c.id.desc()).limit(limit + 1)
    with reading(engine) as connection:
        rows = [_row(row) for row in connection.execute(statement).mappings()]
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else 0


def active(
    engine: Engine, *, known: int = -1, had: Sequence[Keyword] = ()
) -> tuple[int, list[Keyword]]:
    """The revision and the keywords to match with, as of the same moment.

    known: a revision whose keywords the caller has; if it is still that one, [] is returned.
    had: those; one that is still the same is given back as the same object.
    """
    with reading(engine) as connection:
        at = revision(connection)
        if at == known:
            return at, []
        columns = [keywords.c[name] for name in _MATCHED]
        rows = connection.execute(select(*columns).where(keywords.c.state == "active"))
        names = followed.ids(connection)
        found = [_record(row, names) for row in rows]
        before = {keyword.id: keyword for keyword in had}
        return at, [old if (old := before.get(new.id)) == new else new for new in found]


def states(engine: Engine, ids: Iterable[int], *, known: int = -1) -> tuple[int, dict[int, str]]:
    """The revision and these keywords' states, as of the same moment; one that is gone is removed.

    known: as in `active`; if it is still that one, {} is returned.
    """
    with reading(engine) as connection:
        at = revision(connection)
        if at == known:
            return at, {}
        found = dict.fromkeys(ids, "removed")
        for some in chunks(found):
            asked = select(keywords.c.id, keywords.c.state).where(keywords.c.id.in_(some))
            found.update((row.id, row.state) for row in connection.execute(asked))
        return at, found


def one(engine: Engine, keyword_id: int) -> Keyword:
    """A keyword, in whatever state, as it is matched with; raises KeywordNotFound."""
    with reading(engine) as connection:
        row = _get(connection, keyword_id)
        values = [getattr(row, name) for name in _MATCHED]
        return _record(values, followed.ids(connection, keyword_id))


_MATCHED = (
    "id",
    "expression",
    "version",
    "state",
    "networks",
    "day_budget",
    "month_budget",
    "changed_at",
)


def _record(row: Sequence[Any], names: Mapping[int, tuple[tuple[str, str], ...]]) -> Keyword:
    values = dict(zip(_MATCHED, row, strict=True))
    values["networks"] = tuple(values["networks"].split())
    return Keyword(**values, accounts=names.get(values["id"], ()))


def forget(connection: Connection, keyword_id: int) -> None:
    """Delete a keyword's own rows (its matches must be gone)."""
    for table in (keyword_versions, keyword_intervals, followed_names, annotations):
        connection.execute(delete(table).where(table.c.keyword_id == keyword_id))
    connection.execute(delete(keywords).where(keywords.c.id == keyword_id))
    connection.execute(delete(positions).where(positions.c.name == f"{DELETED_OF}{keyword_id}"))
    bump(connection)


__all__ = [  # of other modules, for who has `keywords`
    "KeywordExists",
    "KeywordNotFound",
    "KeywordRemoved",
    "TooManyKeywords",
    "bump",
    "hold",
    "revision",
]
