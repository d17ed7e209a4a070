"""A slot finds what another process left behind, whenever that one lets go of it."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from tests.simulators.mastodon import MastodonSimulator, status
from tweeter import config, slot
from tweeter.records import RawEvent, now_us
from tweeter.slot import Slot
from tweeter.sources.journal import Journal
from tweeter.store import keywords, streams
from tweeter.store.engine import reading
from tweeter.store.schema import posts


def frame(number: int) -> RawEvent:
    body = {"event": "update", "payload": json.dumps(status(number, f"a storm {number}"))}
    return RawEvent(shape="mastodon", body=json.dumps(body).encode(), received_at=now_us())


def keys(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(connection.execute(select(posts.c.text)).scalars())


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
