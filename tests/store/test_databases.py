"""What differs between databases and must not: text, strictness, locks, steps up and down."""

import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from tests.conftest import ROOT
from tests.store.posts import post, store, take
from tweeter.errors import Held, MustEnd, StoreError
from tweeter.store import bulk, held, keywords, migrate, posts, revisions, workers
from tweeter.store.engine import count_up, insert_new, make_engine, reading, repeated, writing
from tweeter.store.leases import host
from tweeter.store.schema import keywords as keyword_table
from tweeter.store.schema import metadata, positions, slots, tombstones
from tweeter.store.schema import posts as post_table

SAME_TO_A_CARELESS_DATABASE = ["a", "A", "a ", "á", "a\u0301", "ａ", "ß", "ss", "🌊", "🌪"]


def test_names_and_keywords_are_compared_byte_by_byte(engine: Engine) -> None:
    keywords.add(engine, "storm")
    lease = take(engine)
    names = SAME_TO_A_CARELESS_DATABASE
    outcome = store(engine, lease, *(post(n, f"storm {k}", key=k) for n, k in enumerate(names)))
    assert outcome.stored == len(names)
    assert store(engine, lease, post(0, key="a")).duplicates == 1
    with reading(engine) as connection:
        for name in names:
            rows = connection.execute(select(post_table.c.text).where(post_table.c.key == name))
            assert rows.scalars().all() == [f"storm {name}"]
    for expression in ("cafe", "café", "🌊", "🌪"):
        keywords.add(engine, expression)


def test_twins_are_found_also_among_keywords_of_an_older_version(engine: Engine) -> None:
    storm, wide = keywords.add(engine, "storm"), keywords.add(engine, "flood")
    hail = keywords.add(engine, "hail")
    old = {wide.id: ("ｓｔｏｒｍ", "ｓｔｏｒｍ"), hail.id: ("ＨＡＩＬ", "ｈａｉｌ")}
    migrate.downgrade(engine, "0009")
    with writing(engine) as connection:
        for number, (expression, canonical) in old.items():
            values = {"expression": expression, "canonical": canonical}
            mine = keyword_table.c.id == number
            connection.execute(update(keyword_table).where(mine).values(values))
        broken = keyword_table.c.id == keywords.insert_row(
            connection, "(", "(", keywords.Options(), 0
        )
    migrate.upgrade(engine)
    for expression in ("hail", "storm"):
        with pytest.raises(keywords.KeywordExists):
            keywords.add(engine, expression)
    both = [storm.id, wide.id]
    for number, state in ((both[0], "paused"), (both[1], "paused"), (both[0], "active")):
        assert keywords.set_state(engine, number, state).state == state
    assert (
        keywords.edit(engine, wide.id, "ｓｔｏｒｍ", keywords.Options(keep_days=3)).keep_days == 3
    )
    (verdict,) = bulk.check(engine, [bulk.Line(1, "STORM")])
    assert verdict.verdict == "known"
    keywords.set_state(engine, wide.id, "removed")
    with pytest.raises(keywords.KeywordExists):
        keywords.set_state(engine, wide.id, "active", restore=True)
    with writing(engine) as connection:
        assert connection.execute(select(keyword_table.c.canonical).where(broken)).scalar() == "("


def test_an_error_does_not_say_what_was_to_be_stored(engine: Engine) -> None:
    asked = text("INSERT INTO none_of_ours VALUES (:words)")
    with pytest.raises(DBAPIError) as caught, writing(engine) as connection:
        connection.execute(asked, {"words": "a secret"})
    assert "none_of_ours" in str(caught.value)
    assert "a secret" not in str(caught.value)


def test_texts_of_all_lengths_and_scripts_come_back_as_they_were(engine: Engine) -> None:
    keywords.add(engine, "storm")
    words = "storm 🌪️ 𝒳 香港 \\ ' \" % %s :name \r\n\t\x01\x7f \u2028 {} " + "長い🌊" * 25_000
    store(engine, take(engine), post(1, words, author_handle="a\\'b%"))
    (found,) = posts.every(engine)
    assert (found.text, found.author_handle) == (words, "a\\'b%")


def test_counters_of_many_are_raised_by_many_at_once(engine: Engine) -> None:
    lines = [bulk.Line(n, f"word{n}") for n in range(250)]
    ids = bulk.add(engine, lines, all_or_none=True).ids
    more = [(number, n % 7 + 1) for n, number in enumerate(ids)]
    nobody = (max(ids) + 1, 5)

    @repeated
    def raise_some(some: list[tuple[int, int]]) -> None:
        """As any transaction of ours: of so few rows MariaDB may hold others, too, in a circle."""
        with writing(engine) as connection:
            count_up(connection, keyword_table.c.posts, some)

    def raise_all(_: int) -> None:
        for some in (more[:200], more[100:], [*more[::3], nobody], []):
            raise_some(some)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(raise_all, range(6)))
    with reading(engine) as connection:
        rows = connection.execute(select(keyword_table.c.id, keyword_table.c.posts))
        found = {row.id: row.posts for row in rows}
    times = [(n < 200) + (n >= 100) + (n % 3 == 0) for n in range(250)]
    assert found == {i: 6 * by * t for (i, by), t in zip(more, times, strict=True)}


def test_what_does_not_fit_is_refused_never_cut(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no lengths")
    engine = make_engine(database_url)
    migrate.upgrade(engine)
    row = {"network": "n" * 17, "key": "k", "reason": "", "at": 1}
    for wrong in (row, row | {"network": "x", "at": 2**70}, row | {"network": None}):
        with pytest.raises(DBAPIError), writing(engine) as connection:
            insert_new(connection, tombstones, [wrong], unique=("network", "key"))
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(tombstones)).scalar() == 0
    engine.dispose()


def test_new_rows_are_told_from_old_ones_also_when_another_writer_is_faster(
    engine: Engine,
) -> None:
    """Each of 200 rows is reported new exactly once, whoever comes first."""

    @repeated
    def put(writer: int, start: int) -> int:
        rows = [
            {"network": "x", "key": f"k{(start + n) % 200}", "reason": str(writer), "at": 1}
            for n in range(50)
        ]
        with writing(engine) as connection:
            found = insert_new(connection, tombstones, [*rows, *rows], unique=("network", "key"))
            return len(found)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda n: put(n, n * 13 % 200), range(60)))
    with reading(engine) as connection:
        there = connection.execute(select(func.count()).select_from(tombstones)).scalar_one()
    assert sum(counts) == there == 200


def test_processes_that_take_slots_at_once_get_one_each(engine: Engine) -> None:
    gone = f"{host()}|1|0"  # of this machine and certainly dead
    for n in range(5):
        worker, together = f"worker{n}", threading.Barrier(4, timeout=10)
        assert workers.take_slot(engine, worker, 2, gone) == 0

        def claim(
            number: int, worker: str = worker, together: threading.Barrier = together
        ) -> int | None:
            together.wait()
            return workers.take_slot(engine, worker, 2, f"process {number}")

        with ThreadPoolExecutor(4) as pool:
            claimed = list(pool.map(claim, range(4)))
        assert sorted(number for number in claimed if number is not None) == [0, 1]
        with reading(engine) as connection:
            rows = connection.execute(
                select(slots.c.number, slots.c.owner).where(slots.c.worker_id == worker)
            ).all()
        assert {(claimed[int(owner.split()[1])], owner) for _, owner in rows} == {
            (row.number, row.owner) for row in rows
        }


def test_a_deadlock_costs_time_and_nothing_else(engine: Engine) -> None:
    ids = [keywords.add(engine, word).id for word in ("storm", "flood")]
    attempts: list[int] = []
    both = threading.Barrier(2, timeout=5)

    @repeated
    def crossing(order: list[int]) -> None:
        attempts.append(order[0])
        with writing(engine) as connection:
            _count(connection, order[0])
            if len(attempts) <= 2 and engine.dialect.name != "sqlite":
                both.wait()  # each holds one row now and wants the other's
            _count(connection, order[1])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(crossing, [ids, ids[::-1]]))
    assert [keywords.get(engine, n).posts for n in ids] == [2, 2]
    assert len(attempts) == (2 if engine.dialect.name == "sqlite" else 3)


def _count(connection: Connection, keyword_id: int) -> None:
    more = {"posts": keyword_table.c.posts + 1}
    connection.execute(update(keyword_table).where(keyword_table.c.id == keyword_id).values(more))


def test_a_reading_transaction_sees_one_moment(engine: Engine) -> None:
    with reading(engine) as connection:
        before = keywords.revision(connection)
        keywords.add(engine, "storm")
        assert keywords.revision(connection) == before
    with reading(engine) as connection:
        assert keywords.revision(connection) == before + 1


def test_a_server_that_restarted_is_connected_again(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    with engine.connect() as mine, engine.connect() as other:
        ask = "pg_backend_pid()" if engine.dialect.name == "postgresql" else "CONNECTION_ID()"
        number = mine.execute(text(f"SELECT {ask}")).scalar_one()
        mine.rollback()
        kill = "SELECT pg_terminate_backend({})" if "pg" in ask else "KILL {}"
        other.execute(text(kill.format(number)))
        other.rollback()
    for _ in range(3):
        keywords.list_all(engine)


# Steps up and down.


def filled(engine: Engine) -> int:
    """A database of revision 0001 with something in it; returns the number of posts."""
    migrate.upgrade(engine)
    keywords.add(engine, "storm")
    store(engine, take(engine), *(post(n, f"storm {n} 🌪", kind="repost") for n in range(50)))
    migrate.downgrade(engine, "0001")
    return 50


def columns(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


def test_steps_go_up_and_down_with_data_in_it(engine: Engine) -> None:
    count = filled(engine)
    assert revisions.version(engine) == "0001"
    assert "traits" not in columns(engine, "posts")
    assert migrate.upgrade(engine) == ("0001", revisions.newest())
    assert "traits" in columns(engine, "posts")
    assert len(list(posts.every(engine))) == count
    with reading(engine) as connection:
        assert set(connection.execute(select(post_table.c.traits)).scalars()) == {"repost"}
    indexes = {index["name"] for index in inspect(engine).get_indexes("posts")}
    assert "ix_posts_network_author_id" in indexes
    assert store(engine, take(engine, "again"), post(1)).duplicates == 1
    with pytest.raises(StoreError, match="can go down to one of 0001"):
        migrate.downgrade(engine, "9999")


def test_matches_lie_by_post_from_0009_on(engine: Engine) -> None:
    def there() -> tuple[list[str], bool, list[tuple[int, ...]]]:
        found = inspect(engine)
        key = found.get_pk_constraint("matches")["constrained_columns"]
        indexes = {index["name"] for index in found.get_indexes("matches")}
        assert "ix_matches_keyword_id_occurred_at_post_id" in indexes
        with reading(engine) as connection:
            rows = connection.execute(text("SELECT * FROM matches ORDER BY 1, 2")).all()
        return key, "ix_matches_post_id" in indexes, [tuple(row) for row in rows]

    migrate.upgrade(engine)
    for word in ("storm", "rain"):
        keywords.add(engine, word)
    store(engine, take(engine), *(post(n, "storm and rain") for n in range(30)))
    now = there()
    assert (now[0], now[1], len(now[2])) == (["post_id", "keyword_id"], False, 60)
    migrate.downgrade(engine, "0008")
    assert there() == (["keyword_id", "post_id"], True, now[2])
    assert store(engine, take(engine, "again"), post(1)).duplicates == 1
    migrate.upgrade(engine)
    assert there() == now


def test_an_upgrade_waits_its_turn_and_lets_others_through(engine: Engine) -> None:
    """A long query on the table: the step gives up after 2 s, lets others by, tries again."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite reads while it is written to")
    filled(engine)
    slowest_s = 0.0
    with engine.connect() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(text("SELECT count(*) FROM posts")).all()  # holds the table
        upgraded = pool.submit(migrate.upgrade, engine)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            began_at = time.monotonic()
            with engine.connect() as other:
                other.execute(text("SELECT count(*) FROM posts")).all()
            slowest_s = max(slowest_s, time.monotonic() - began_at)
            time.sleep(0.05)
        assert not upgraded.done()
        connection.rollback()
        assert upgraded.result(timeout=30) == ("0001", revisions.newest())
    assert slowest_s < 3.5


def test_sqlite_is_kept_as_it_was_before_its_tables_change(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    count = filled(engine)
    kept = migrate.kept_at(engine, "0001")
    assert not kept.exists()
    migrate.upgrade(engine)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    old = make_engine(f"sqlite:///{kept}")
    assert revisions.version(old) == "0001"
    with old.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM posts")).scalar() == count
    old.dispose()
    engine.dispose()


def test_two_processes_that_upgrade_at_once_do_it_once(database_url: str) -> None:
    code = (
        "import sys; from tweeter.store import engine, migrate;"
        " migrate.upgrade(engine.make_engine(sys.argv[1]))"
    )
    words = [sys.executable, "-c", code, database_url]
    running = [subprocess.Popen(words, cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    engine = make_engine(database_url)
    revisions.check(engine)
    keywords.add(engine, "storm")
    engine.dispose()


def test_a_running_process_is_told_when_the_schema_became_newer(engine: Engine) -> None:
    revisions.refuse_change(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MustEnd, match="brought to revision 9999"):
        revisions.refuse_change(engine)


def test_held_writers_write_nothing(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    migrate.upgrade(engine)
    keywords.add(engine, "storm")
    lease = take(engine)
    for state, error in ((held.HOLD, Held), (held.MOVED, MustEnd)):
        with engine.connect().execution_options(**{held.MOVER: True}) as mover, mover.begin():
            held.set_state(mover, state)
        with pytest.raises(error):
            store(engine, lease, post(1))
        assert list(posts.every(engine)) == []
    engine.dispose()


def test_the_schema_names_every_table_that_must_be_binary(engine: Engine) -> None:
    if engine.dialect.name in ("sqlite", "postgresql"):
        pytest.skip("they compare byte by byte")
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema"
                " = DATABASE() AND table_name <> 'alembic_version' AND collation_name IS NOT NULL"
            )
        )
        assert rows.scalars().all() == ["utf8mb4_nopad_bin"]
        assert metadata.tables
    with writing(engine) as connection:
        connection.execute(insert(positions).values(name="Feed", value=1))


def test_a_backup_needs_a_name(sqlite_engine: Engine) -> None:
    with pytest.raises(StoreError, match="needs the name of a file"):
        migrate.backup(sqlite_engine, Path(""))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql+pymysql://root@127.0.0.1:9/d?foo=bar", "unexpected keyword argument 'foo'"),
        ("mysql+pymysql://root@127.0.0.1:9/d?connect_timeout=soon", "'soon'"),
        ("mysql+pymysql://root@127.0.0.1:9/d?ssl=1", "'str' object has no attribute"),
        ("mysql+pymysql://root@127.0.0.1:9/d?ssl_ca=/nowhere", "No such file"),
        ("mysql+pymysql://root@127.0.0.1:9/d?plugin=x", "load plugin"),
        ("postgresql+psycopg://root@127.0.0.1:9/d?port=x", "non-integer port"),
    ],
)
def test_an_option_that_a_driver_does_not_take_is_a_sentence(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match="cannot use its URL") as caught:
        revisions.check(make_engine(url))
    assert reason in str(caught.value)
    assert "TWEETER_DATABASE_URL" in str(caught.value)
    name = url.partition("?")[2].partition("=")[0]
    assert str(caught.value).endswith(f" behind its ? too: {name}.")


def test_a_number_that_pymysql_cannot_send_is_a_sentence(mariadb_server: str) -> None:
    url = make_url(mariadb_server).update_query_dict({"client_flag": "9" * 20})
    with pytest.raises(StoreError, match=r"cannot use its URL.*: client_flag"):
        revisions.check(make_engine(url.render_as_string(hide_password=False)))


@pytest.mark.parametrize("option", ["prepare_threshold=soon", "row_factory=dict"])
def test_a_value_that_psycopg_cannot_use_is_a_sentence(pg_server: str, option: str) -> None:
    with pytest.raises(StoreError, match="cannot use its URL"):
        revisions.check(make_engine(f"{pg_server}?{option}"))
