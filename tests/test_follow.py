"""What the ledger says of a stream whose process ends at an unlucky moment."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError

from tests.simulators.jetstream import JetstreamSimulator, post_event
from tests.simulators.mastodon import MastodonSimulator, status
from tests.simulators.x import XSimulator
from tweeter import follow as follow_module
from tweeter.follow import Follow
from tweeter.pipeline import KeywordBook, Pipeline
from tweeter.records import RawEvent, now_us
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.inbox import JournalInbox, MemoryInbox
from tweeter.sources.journal import Journal
from tweeter.sources.mastodon import MastodonSource
from tweeter.sources.x import XSource
from tweeter.store import keyword_ledger, keywords, ledger, losses, streams
from tweeter.store.engine import reading, writing
from tweeter.store.keywords import Options
from tweeter.store.leases import Lease
from tweeter.store.ledger import Turn
from tweeter.store.schema import intervals
from tweeter.store.schema import streams as stream_table
from tweeter.writing import Writing


@asynccontextmanager
async def following(
    engine: Engine, url: str, writer: type[ThreadPoolExecutor] = ThreadPoolExecutor
) -> AsyncIterator[Follow]:
    """A stream that is followed as a slot does it, but whose lease nobody renews."""
    ((stream, lease),) = streams.claim(engine, "nobody", networks=["bluesky"])
    inbox = MemoryInbox(max_events=100, max_bytes=100_000)
    pipeline = Pipeline(engine, lease, KeywordBook(engine))
    with writer(1) as executor:
        writing = Writing(executor, 100, 0.05)
        follow = Follow(stream, lease, BlueskySource([url]), inbox, pipeline, writing=writing)
        task = asyncio.create_task(follow.run())
        yield follow
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def follow_of_x(engine: Engine, folder: Path, sim: XSimulator) -> AsyncIterator[Follow]:
    """X as a slot follows it; whoever asks lets it run."""
    streams.ensure(engine, "x", "x", {})
    ((stream, lease),) = streams.claim(engine, "nobody", networks=["x"])
    inbox = JournalInbox(Journal(folder, shape="x", limit_bytes=1 << 20), 0)
    source = XSource(sim.token, sim.url, "abcd1234")
    pipeline = Pipeline(engine, lease, KeywordBook(engine))
    with ThreadPoolExecutor(1) as executor:
        writing = Writing(executor, 100, 0.05)
        yield Follow(stream, lease, source, inbox, pipeline, writing=writing)
    inbox.journal.close()


class _SlowDisk(Journal):
    """Takes its time over each write, as a disk does that others use."""

    def append(self, events: Sequence[RawEvent], stored: int) -> int:
        time.sleep(0.6)
        return super().append(events, stored)


def test_what_was_read_and_not_kept_lies_in_the_gap_of_a_stop(
    engine: Engine, tmp_path: Path
) -> None:
    """While one post goes to the disk the next ones wait in memory, where a stop leaves them."""

    async def story() -> None:
        async with MastodonSimulator() as server:
            options = {"url": server.url, "token": server.token}
            streams.ensure(engine, "mastodon:sim", "mastodon", options)
            ((stream, lease),) = streams.claim(engine, "nobody", networks=["mastodon"])
            inbox = JournalInbox(_SlowDisk(tmp_path, shape="mastodon", limit_bytes=1 << 20), 0)
            pipeline = Pipeline(engine, lease, KeywordBook(engine))
            source = MastodonSource(server.url, token=server.token)
            with ThreadPoolExecutor(1) as executor:
                writing = Writing(executor, 100, 0.05)
                follow = Follow(stream, lease, source, inbox, pipeline, writing=writing)
                task = asyncio.create_task(follow.run())
                await _until_live(engine)
                await server.publish([status(1, "one")])
                await asyncio.sleep(0.2)
                said_us = now_us()
                await server.publish([status(2, "two")])
                await asyncio.sleep(0.2)  # it was read, and waits for the disk
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            began = select(intervals.c.started_at).where(intervals.c.state == "down")
            with reading(engine) as connection:
                moments = connection.execute(began.order_by(intervals.c.started_at)).scalars()
                assert max(moments) <= said_us
            inbox.journal.close()

    asyncio.run(story())


def test_a_damaged_journal_does_not_make_an_absent_stream_live(
    engine: Engine, tmp_path: Path
) -> None:
    stream_id = streams.ensure(engine, "mastodon:sim", "mastodon", {"url": "http://127.0.0.1:9"})
    ((stream, lease),) = streams.claim(engine, "nobody", networks=["mastodon"])
    with closing(Journal(tmp_path, shape="mastodon", limit_bytes=1 << 20)) as journal:
        at = now_us()
        journal.append([RawEvent(shape="mastodon", body=b"{}", received_at=at)], 0)
        (file,) = tmp_path.glob("*.log")
        file.write_bytes(bytes(file.stat().st_size))

        async def story() -> None:
            pipeline = Pipeline(engine, lease, KeywordBook(engine))
            source = MastodonSource("http://127.0.0.1:9", token="t")
            with ThreadPoolExecutor(1) as executor:
                inbox, writing = JournalInbox(journal, 0), Writing(executor, 100, 0.05)
                follow = Follow(stream, lease, source, inbox, pipeline, writing=writing)
                task = asyncio.create_task(follow.run())
                async with asyncio.timeout(10):
                    while losses.DAMAGED not in [one.cause for one in said()]:
                        await asyncio.sleep(0.02)
                assert said()[-1].state == "down"
                assert "live" not in [one.state for one in said()]
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        def said() -> list[ledger.Interval]:
            return ledger.of_stream(engine, stream_id)

        asyncio.run(story())


async def _until_live(engine: Engine) -> None:
    async with asyncio.timeout(10):
        while streams.list_all(engine)[0].state != "live":
            await asyncio.sleep(0.02)


def test_coverage_is_promised_from_the_first_connection_on(engine: Engine) -> None:
    """A process that dies before it stored anything leaves a gap that begins there."""

    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            streams.ensure(engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            async with following(engine, jetstream.url):
                await _until_live(engine)
                (stream,) = streams.list_all(engine)
                began = select(intervals.c.started_at).where(intervals.c.state == "live")
                with reading(engine) as connection:
                    assert stream.covered_until == connection.execute(began).scalar_one()

    asyncio.run(story())


def test_a_stream_rests_while_nobody_waits_for_what_comes(engine: Engine) -> None:
    """It does as soon as posts come that no keyword matches, until one matches or none comes."""

    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            keywords.add(engine, "storm")
            streams.ensure(engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            async with following(engine, jetstream.url) as follow:
                await _until_live(engine)
                follow.pipeline.book.refresh()
                assert not follow.rest_s()
                assert any(await _rests(follow, jetstream, "calm", 40))
                assert not all(await _rests(follow, jetstream, "storm", 20))
                assert not follow.rest_s()
                assert any(await _rests(follow, jetstream, "calm again", 40))
                await asyncio.sleep(0.5)
                assert not follow.rest_s()
                async with asyncio.timeout(10):
                    while keywords.get(engine, 1).posts < 20:
                        await asyncio.sleep(0.02)

    asyncio.run(story())


async def _rests(
    follow: Follow, jetstream: JetstreamSimulator, text: str, count: int
) -> list[float]:
    """How long it rests while posts come one by one."""
    found = []
    for n in range(count):
        await jetstream.publish([post_event(f"{text} {n}")])
        await asyncio.sleep(0.01)
        found.append(follow.rest_s())
    return found


class _AwayWriter(ThreadPoolExecutor):
    """The database cannot be reached for a second."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._until_s = time.monotonic() + 1

    def submit(self, work: Any, /, *args: Any, **options: Any) -> Any:
        away = time.monotonic() < self._until_s
        return super().submit(_unreachable if away else work, *args, **options)


def _unreachable(*_: Any) -> None:
    raise OperationalError("SELECT 1", {}, ConnectionError("refused"))


@pytest.mark.parametrize("writer", [ThreadPoolExecutor, _AwayWriter])
def test_of_a_long_absence_the_beginning_is_lost_and_the_rest_replayed(
    engine: Engine, writer: type[ThreadPoolExecutor]
) -> None:
    """The server has the last five minutes; we were away for an hour."""
    now, minute_us = now_us(), 60_000_000

    async def story() -> None:
        async with JetstreamSimulator(lookback_us=5 * minute_us) as jetstream:
            stream_id = streams.ensure(engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            since = now - 60 * minute_us
            live = Turn(state="live", cause="", at=since - minute_us)
            ledger.enter(engine, Lease(stream_id, 0), live)
            with writing(engine) as connection:
                connection.execute(
                    update(stream_table).values(
                        cursor=str(since), covered_until=since, created_at=since
                    )
                )
            await jetstream.publish([post_event("calm", 1, time_us=now - 4 * minute_us)])
            async with following(engine, jetstream.url, writer) as follow, asyncio.timeout(20):
                while streams.list_all(engine)[0].state != "live":
                    await asyncio.sleep(0.05)
                    follow.covered()  # as whoever renews the lease
                async with asyncio.timeout(10):
                    while (outcomes := _outcomes(engine)) != ["lost", "replayed"]:
                        assert len(outcomes) < 3
                        await asyncio.sleep(0.05)
                        follow.covered()

    asyncio.run(story())


def _outcomes(engine: Engine) -> list[str]:
    """What became of the gaps, the first first."""
    statement = select(intervals.c.outcome).where(intervals.c.outcome != "")
    with reading(engine) as connection:
        return list(connection.execute(statement.order_by(intervals.c.started_at)).scalars())


def _states(engine: Engine) -> list[str]:
    """Of the ledger, the oldest first."""
    with reading(engine) as connection:
        states = select(intervals.c.state).order_by(intervals.c.id)
        return list(connection.execute(states).scalars())


def test_who_wakes_up_after_another_took_over_leaves_the_ledger_as_it_is(engine: Engine) -> None:
    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            streams.ensure(engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            async with AsyncExitStack() as paused, asyncio.timeout(20):
                await paused.enter_async_context(following(engine, jetstream.url))
                await _until_live(engine)
                with writing(engine) as connection:
                    connection.execute(update(stream_table).values(lease_until=0))
                async with following(engine, jetstream.url):
                    while (before := _states(engine)) != ["down", "live", "down", "live"]:
                        await asyncio.sleep(0.02)
                    await paused.aclose()
                    assert _states(engine) == before
        causes = [one.cause for one in ledger.of_stream(engine, 1) if one.state == "down"]
        assert causes == ["Not followed yet.", streams.NOT_RENEWED, "The worker was stopped."]

    asyncio.run(story())


class _BusyWriter(ThreadPoolExecutor):
    """Has something else to do before each task, such as a batch of another stream."""

    def submit(self, work: Any, /, *args: Any, **options: Any) -> Any:
        super().submit(time.sleep, 0.3)
        return super().submit(work, *args, **options)


def test_a_first_connection_that_ended_while_it_was_promised_is_never_live(
    sqlite_engine: Engine,
) -> None:
    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            jetstream.flaps = 100
            streams.ensure(sqlite_engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            async with following(sqlite_engine, jetstream.url, _BusyWriter), asyncio.timeout(20):
                while len(jetstream.connects) < 2:
                    await asyncio.sleep(0.02)
            assert "live" not in _states(sqlite_engine)

    asyncio.run(story())


def test_what_a_clock_wrote_that_was_ahead_holds_nobody_up_and_hides_no_gap(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process waited for a year, as it thought; then the clock was set right, and it died."""
    monkeypatch.setattr(follow_module, "LONGEST_WAIT_US", 500_000)
    wrong_us = now_us() + 365 * 86_400_000_000

    async def story() -> None:
        async with JetstreamSimulator() as jetstream:
            streams.ensure(sqlite_engine, "bluesky", "bluesky", {"urls": [jetstream.url]})
            live = Turn(state="live", cause="", at=wrong_us)
            ledger.enter(sqlite_engine, Lease(1, 0), live)
            values = {"covered_until": wrong_us, "state": "down", "retry_at": wrong_us}
            with writing(sqlite_engine) as connection:
                connection.execute(update(stream_table).values(values))
            began_us = now_us()
            async with following(sqlite_engine, jetstream.url) as follow:
                await _until_live(sqlite_engine)
                assert began_us < follow.covered() <= now_us()
            gap = select(intervals.c.started_at, intervals.c.ended_at).where(
                intervals.c.state == "down", intervals.c.outcome != ""
            )
            with reading(sqlite_engine) as connection:
                ((since, until),) = connection.execute(gap).all()
            assert began_us <= since <= until - 500_000

    asyncio.run(story())


def _at_x(engine: Engine, keyword_id: int) -> list[str]:
    return [p.state for p in keyword_ledger.open_ones(engine, keyword_id) if p.network == "x"]


def test_a_change_that_leaves_x_its_rule_is_answered(engine: Engine, tmp_path: Path) -> None:
    """The store says "pending" of each change; X has the rule already."""

    async def story() -> None:
        async with XSimulator() as sim:
            storm = keywords.add(engine, "storm").id
            async with follow_of_x(engine, tmp_path, sim) as follow:

                async def is_answered() -> None:
                    assert _at_x(engine, storm) == ["pending"]
                    await follow.keywords_changed(keywords.active(engine)[1])
                    async with asyncio.timeout(20):
                        while _at_x(engine, storm):
                            await asyncio.sleep(0.05)

                await follow.keywords_changed(keywords.active(engine)[1])
                task = asyncio.create_task(follow.run())
                await is_answered()
                keywords.edit(engine, storm, "storm", Options(networks=("bluesky", "x")))
                await is_answered()
                keywords.set_state(engine, storm, "paused")
                keywords.set_state(engine, storm, "active")  # before anybody looked
                await is_answered()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            assert [rule["value"] for rule in sim.rules.values()] == ["storm"]

    asyncio.run(story())


def test_a_stream_that_waits_for_a_keyword_is_no_warning(
    sqlite_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with XSimulator() as sim, follow_of_x(sqlite_engine, tmp_path, sim) as follow:
            task = asyncio.create_task(follow.run())
            async with asyncio.timeout(20):
                while "kind=waiting" not in caplog.text:
                    await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.INFO, "tweeter.follow"):
        asyncio.run(story())
    (said,) = [record for record in caplog.records if "kind=waiting" in record.getMessage()]
    assert said.levelno == logging.INFO
    assert said.getMessage().startswith("source_waits network=x")
