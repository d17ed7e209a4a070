"""A slot finds what another process left behind, whenever that one lets go of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from tests.simulators.mastodon import MastodonSimulator, status
from tweeter import config, slot
from tweeter.balance import GRACE_S
from tweeter.records import RawEvent, now_us
from tweeter.slot import Slot
from tweeter.sources.journal import Journal
from tweeter.store import keywords, ledger, losses, streams
from tweeter.store.engine import reading, writing
from tweeter.store.leases import Lease
from tweeter.store.ledger import Turn
from tweeter.store.overview import overview
from tweeter.store.schema import posts
from tweeter.store.schema import streams as stream_table

NAME = "mastodon:server.example"


def frame(number: int) -> RawEvent:
    body = {"event": "update", "payload": json.dumps(status(number, f"a storm {number}"))}
    return RawEvent(shape="mastodon", body=json.dumps(body).encode(), received_at=now_us())


def keys(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(connection.execute(select(posts.c.text)).scalars())


def opened(base: Path, folder: int) -> Journal:
    """As another process holds it."""
    path = base / "journal" / NAME / str(folder)
    return Journal(path, shape="mastodon", origin="server.example", limit_bytes=1 << 20)


@asynccontextmanager
async def following(engine: Engine, base: Path, server: MastodonSimulator) -> AsyncIterator[None]:
    """A slot that follows the server, from its connection on."""
    streams.ensure(engine, NAME, "mastodon", {"url": server.url, "token": server.token})
    environ = {"TWEETER_DATA_DIR": str(base), "TWEETER_MASTODON_URL": server.url}
    environ["TWEETER_MASTODON_TOKEN"] = server.token
    stop = False
    found = Slot(engine, config.load(environ), owner="me", should_stop=lambda: stop)
    running = asyncio.create_task(found.run())
    async with asyncio.timeout(20):
        while not server.subscribed:
            await asyncio.sleep(0.05)
    yield
    stop = True
    await running
    async with asyncio.timeout(20):
        while server.connected:
            await asyncio.sleep(0.05)


async def until_there(engine: Engine, *numbers: int) -> None:
    """Wait for posts, and no others."""
    async with asyncio.timeout(20):
        while keys(engine) != {f"a storm {number}" for number in numbers}:
            await asyncio.sleep(0.05)


def test_a_folder_that_is_used_again_after_two_starts_loses_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    """It is used while a paused process holds the first one, and cleared at each start."""

    async def story() -> None:
        keywords.add(engine, "storm")
        async with MastodonSimulator() as server:
            for said, all_said in [([1, 2, 3], [1, 2, 3]), ([4, 5], [1, 2, 3, 4, 5])]:
                paused = opened(tmp_path, 0)
                async with following(engine, tmp_path, server):
                    await server.publish([status(n, f"a storm {n}") for n in said])
                    await until_there(engine, *all_said)
                paused.close()
                for _ in range(2):
                    async with following(engine, tmp_path, server):
                        await asyncio.sleep(0.3)

    asyncio.run(story())


@pytest.mark.parametrize("folder", [0, 1])
def test_a_damaged_post_of_a_journal_is_in_the_ledger(
    engine: Engine, tmp_path: Path, folder: int
) -> None:
    """Of the stream's own journal, and of one that another process left."""
    opened(tmp_path, 0).close()
    left = opened(tmp_path, folder)
    sent = [frame(n) for n in range(1, 4)]
    left.append(sent, 0)
    left.close()
    (file,) = left.folder.glob("*.log")
    data = file.read_bytes()
    file.write_bytes(data.replace(b"a storm 2", b"a storm 7"))
    since = sent[0].received_at - 60_000_000

    async def story() -> None:
        keywords.add(engine, "storm")
        async with MastodonSimulator() as server:
            options = {"url": server.url, "token": server.token}
            stream_id = streams.ensure(engine, NAME, "mastodon", options)
            ledger.enter(engine, Lease(stream_id, 0), Turn(state="live", cause="", at=since))
            with writing(engine) as connection:
                connection.execute(update(stream_table).values(covered_until=since))
            async with following(engine, tmp_path, server):
                await until_there(engine, 1, 3)
                async with asyncio.timeout(20):
                    while (said := ledger.of_stream(engine, stream_id))[-1].state != "live":
                        await asyncio.sleep(0.05)
                (lost,) = [one for one in said if one.state == "lost"]
                assert lost.cause == losses.DAMAGED
                assert lost.outcome == "repairing", "the server still has it"
                assert lost.started_at <= sent[1].received_at <= lost.ended_at

    asyncio.run(story())


def test_the_journal_of_a_process_that_let_go_of_it_late_is_read(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "JOURNALS_S", 0.2)
    folder = tmp_path / "journal" / "mastodon:server.example"
    late = Journal(folder / "0", shape="mastodon", origin="server.example", limit_bytes=1 << 20)
    late.append([frame(1)], 0)
    stop = False

    async def story() -> None:
        nonlocal stop
        async with MastodonSimulator() as server:
            keywords.add(engine, "storm")
            options = {"url": server.url, "token": server.token}
            streams.ensure(engine, "mastodon:server.example", "mastodon", options)
            environ = {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_MASTODON_URL": server.url}
            environ["TWEETER_MASTODON_TOKEN"] = server.token
            found = Slot(engine, config.load(environ), owner="me", should_stop=lambda: stop)
            running = asyncio.create_task(found.run())
            async with asyncio.timeout(20):
                while not server.connected:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1.5)  # a paused process holds its folder: nobody reads it
                assert keys(engine) == set()
                late.append([frame(2)], 0)
                late.close()
                while keys(engine) != {"a storm 1", "a storm 2"}:
                    await asyncio.sleep(0.05)
            stop = True
            await running

    asyncio.run(story())
    (left,) = folder.glob("0/*.log")
    assert left.stat().st_size == 0, "it is read once"


def test_a_server_that_its_settings_do_not_name_is_left_to_others(
    engine: Engine, tmp_path: Path
) -> None:
    async def story() -> None:
        keywords.add(engine, "storm")
        async with MastodonSimulator() as server:
            other = streams.ensure(
                engine, "mastodon:other", "mastodon", {"url": "https://o.example"}
            )
            async with following(engine, tmp_path, server):
                await asyncio.sleep(GRACE_S + 2 * slot.TICK_S)
                found = streams.get(engine, other)
                assert found is not None
                assert (found.state, found.epoch) == ("waiting", 0)

    asyncio.run(story())


def test_a_stream_that_cannot_start_rests_whoever_would_take_it(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two slots: neither takes it again before its time."""
    monkeypatch.setattr(slot, "FAULT_WAIT_S", 4.0)
    (tmp_path / "journal").write_text("This is no folder.")
    stop = False

    async def story() -> None:
        nonlocal stop
        server = {"url": "https://server.example", "token": "a"}
        stream_id = streams.ensure(engine, NAME, "mastodon", server)
        environ = {"TWEETER_DATA_DIR": str(tmp_path), "TWEETER_MASTODON_URL": server["url"]}
        environ["TWEETER_MASTODON_TOKEN"] = server["token"]
        owners = ("one", "two")
        slots = [
            Slot(engine, config.load(environ), owner=owner, should_stop=lambda: stop)
            for owner in owners
        ]
        running = [asyncio.create_task(found.run()) for found in slots]
        moments: list[int] = []
        async with asyncio.timeout(30):
            while len(moments) < 3:
                found = streams.get(engine, stream_id)
                assert found is not None
                if found.epoch > len(moments):
                    moments.append(now_us())
                    assert found.epoch == len(moments)
                await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            while "This stream could not start" not in overview(engine).streams[0].words:
                await asyncio.sleep(0.02)
        stop = True
        await asyncio.gather(*running)
        waits = [(later - at) / 1e6 for at, later in pairwise(moments)]
        assert min(waits) > 3.5, waits

    asyncio.run(story())
