"""X's source against a server that speaks X's wire, with its faults."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.simulators.served import Served
from tests.simulators.x import TOO_MANY, XSimulator, post
from tests.sources.sink import Kept, stand_still, until
from tweeter.errors import SourceError
from tweeter.records import Keyword, now_us
from tweeter.sources.x import XSource
from tweeter.sources.x_client import SILENCE_S


def kw(keyword_id: int, expression: str, **more: Any) -> Keyword:
    return Keyword(id=keyword_id, expression=expression, **more)


STORM = kw(1, "storm")


async def source_for(sim: XSimulator, *keywords: Keyword, **more: Any) -> XSource:
    source = XSource(more.pop("token", sim.token), sim.url, "abcd1234", **more)
    await source.keywords_changed(keywords or (STORM,))
    return source


@asynccontextmanager
async def streaming(
    sim: XSimulator, sink: Kept, *keywords: Keyword, **more: Any
) -> AsyncIterator[tuple[XSource, asyncio.Task[None]]]:
    """A source that is connected; cancelled at the end."""
    source = await source_for(sim, *keywords, **more)
    task = asyncio.create_task(source.connect(sink))
    await until(lambda: sim.connected == 1 or task.done())
    try:
        yield source, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refused(sim: XSimulator, *keywords: Keyword, **more: Any) -> SourceError:
    source = await source_for(sim, *keywords, **more)
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(10):
            await source.connect(Kept())
    return caught.value


def run(work: Any) -> None:
    asyncio.run(work)


def test_posts_that_match_a_rule_arrive_as_they_were_sent() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink):
            await sim.publish([post(1, "a storm"), post(2, "sunshine"), post(3, "STORM ☂")])
            await until(lambda: len(sink.events) == 2)
        ids = [json.loads(body)["data"]["id"] for body in sink.bodies]
        assert ids == ["1", "3"]
        assert sink.words == ["Live, with 1 rule at X."]

    run(work())


def test_lines_cut_anywhere_are_put_together_again() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink):
            sim.split = 1
            await sim.publish([post(n, f"storm 猫 🌩 {n}") for n in range(1, 4)])
            await until(lambda: len(sink.events) == 3)
        texts = [json.loads(body)["data"]["text"] for body in sink.bodies]
        assert texts == [f"storm 猫 🌩 {n}" for n in range(1, 4)]

    run(work())


def test_untagged_rules_malformed_lines_and_unknown_messages_do_not_end_the_stream() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink):
            sim.tagged = False
            await sim.publish([post(1, "storm")])
            await sim.send_line(b'{"data": {"id": "2", "te')
            await sim.send_line(b"\xff\xfe not even text")
            await sim.send_line(b'{"something": {"new": true}}')
            partial = post(3, "storm") | {"errors": [{"title": "Not Found Error"}]}
            await sim.publish([partial])
            await until(lambda: len(sink.events) == 5)
            assert sim.connected == 1

    run(work())


def test_heartbeats_keep_the_connection_and_silence_ends_it() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim.heartbeat_s = 0.05
            async with streaming(sim, sink, silence_s=0.5) as (_, task):
                await until(lambda: sink.alives >= 3)
                assert not task.done()
                sim.stalled = True
                with pytest.raises(SourceError) as caught:
                    await task
        assert caught.value.kind == "stalled"
        assert sink.events == []

    run(work())


def test_a_heartbeat_may_be_a_second_on_its_way() -> None:
    """X sends one every 20 s: who waits no longer hangs up whenever it is quiet."""
    assert XSimulator().heartbeat_s + 1 <= SILENCE_S


def test_what_came_while_the_process_stood_still_is_no_silence() -> None:
    with Served(XSimulator()) as served:
        served.it.heartbeat_s = 0.1

        async def work() -> None:
            sink = Kept()
            async with streaming(served.it, sink, silence_s=0.4) as (_, task):
                await stand_still(sink, task)

        run(work())


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (
            {
                "errors": [
                    {
                        "title": "operational-disconnect",
                        "disconnect_type": "UpstreamOperationalDisconnect",
                        "detail": "This stream has been disconnected upstream.",
                        "type": "https://api.x.com/2/problems/operational-disconnect",
                    }
                ]
            },
            "closed",
        ),
        (
            {
                "title": "operational-disconnect",
                "disconnect_type": "OperationalDisconnect",
                "detail": "Disconnected.",
            },
            "closed",
        ),
        (TOO_MANY, "closed"),
    ],
)
def test_errors_in_the_stream_are_understood_wrapped_and_bare(
    line: dict[str, Any], kind: str
) -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink) as (_, task):
            await sim.send_line(json.dumps(line).encode())
            with pytest.raises(SourceError) as caught:
                await task
        assert caught.value.kind == kind

    run(work())


def test_a_clean_close_returns_and_a_reset_is_a_network_error() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            async with streaming(sim, Kept()) as (_, task):
                await sim.close()
                await task
            async with streaming(sim, Kept()) as (_, task):
                await sim.reset()
                with pytest.raises(SourceError) as caught:
                    await task
        assert caught.value.kind == "network"

    run(work())


def test_without_a_keyword_x_is_not_asked_for_a_stream() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            source = XSource(sim.token, sim.url, "abcd1234")
            with pytest.raises(SourceError) as caught:
                await source.connect(Kept())
            assert caught.value.kind == "waiting"
            assert sim.connects() == []

    run(work())


def test_what_only_other_programs_ask_for_is_not_read() -> None:
    """Their posts would cost money, and theirs is the only connection."""

    async def work() -> None:
        async with XSimulator() as sim:
            sim._add_rules([{"value": "sunshine", "tag": "other:1"}], False)
            source = XSource(sim.token, sim.url, "abcd1234")
            with pytest.raises(SourceError) as caught:
                await source.connect(Kept())
            assert (caught.value.kind, sim.connects()) == ("waiting", [])
            sink = Kept()
            async with streaming(sim, sink) as (source, task):
                await source.keywords_changed([kw(1, "storm", held="Its budget is used up.")])
                with pytest.raises(SourceError) as caught:
                    await asyncio.wait_for(task, 5)
            assert (caught.value.kind, values(sim)) == ("waiting", ["sunshine"])
            assert "over its budget" in caught.value.state
            sim.refused_words = {"storm"}
            with pytest.raises(SourceError) as caught:
                await (await source_for(sim)).connect(Kept())
            assert (caught.value.kind, len(sim.connects())) == ("waiting", 1)
            assert "follows none of the keywords" in caught.value.state

    run(work())


def test_a_wrong_token_is_named_and_never_shown() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            error = await refused(sim, token="wrong-secret-token")
        assert error.kind == "refused"
        assert "TWEETER_X_BEARER_TOKEN" in error.state
        assert "clock" not in error.state
        assert "wrong-secret-token" not in error.state

    run(work())


def test_a_wrong_clock_is_measured_and_named() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sim.clock_s = 432
            error = await refused(sim, token="x")
        assert "7 min" in error.state
        assert "slow" in error.state

    run(work())


RATE = {"title": "Too Many Requests", "detail": "Too Many Requests", "status": 429}
CAPPED = {
    "title": "UsageCapExceeded",
    "detail": "Usage cap exceeded: Monthly product cap",
    "period": "Monthly",
    "type": "https://api.twitter.com/2/problems/usage-capped",
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, {"title": "Forbidden", "reason": "client-not-enrolled"}, "refused", "not-enrolled"),
        (402, {"title": "Payment Required"}, "limited", "out of credits"),
        (429, CAPPED, "limited", "monthly cap"),
        (429, TOO_MANY, "occupied", "only connection"),
        (420, RATE, "limited", "limits our rate"),
        (409, {"connection_issue": "RuleConfigurationIssue"}, "http", "does not know our rules"),
        (503, {"connection_issue": "ProvisioningSubscription"}, "http", "subscription"),
        (500, {"title": "Internal"}, "http", "500"),
        (400, {"title": "Invalid Request", "detail": "One field is bad."}, "refused", "field"),
    ],
)
def test_each_refusal_is_told_apart(
    status: int, body: dict[str, Any], kind: str, words: str
) -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sim.answers = [(status, {}, body)]
            error = await refused(sim)
        assert error.kind == kind
        assert words in error.state

    run(work())


def test_a_rate_limit_ends_by_the_servers_clock() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sim.clock_s = 500  # the server is ahead of us; 60 s are left by its clock
            reset = str(int(time.time()) + 500 + 60)
            sim.answers = [(429, {"x-rate-limit-reset": reset, "Date": sim._date()}, RATE)]
            error = await refused(sim)
        assert error.retry_at is not None
        assert 55 < error.retry_at / 1e6 - time.time() < 65

    run(work())


def test_names_and_ports_that_do_not_answer_are_a_network_error() -> None:
    async def work() -> None:
        source = XSource("t", "http://127.0.0.1:9", "abcd1234")
        await source.keywords_changed([STORM])
        with pytest.raises(SourceError) as caught:
            await source.connect(Kept())
        assert caught.value.kind == "network"
        assert "127.0.0.1" in caught.value.state

    run(work())


def test_rules_follow_the_keywords_without_a_reconnect() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim, streaming(sim, sink, STORM) as (source, _):
            assert values(sim) == ["storm"]
            await source.keywords_changed([STORM, kw(2, '"night train" -sale')])
            await until(lambda: values(sim) == ['storm OR "night train" -sale'])
            await source.keywords_changed([kw(2, '"night train"')])
            await until(lambda: values(sim) == ['"night train"'])
            await sim.publish([post(1, "the night train"), post(2, "storm")])
            await until(lambda: len(sink.events) == 1)
            assert len(sim.connects()) == 1

    run(work())


def values(sim: XSimulator) -> list[str]:
    return sorted(rule["value"] for rule in sim.rules.values())


def test_rules_of_other_programs_are_left_alone() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sim.page = 1  # the list comes in pages
            sim._add_rules([{"value": "theirs", "tag": "other:1"}, {"value": "storm"}], False)
            sim._add_rules([{"value": "stale", "tag": "tweeter:abcd1234"}], False)
            sim._add_rules([{"value": "neighbour", "tag": "tweeter:ffff0000"}], False)
            async with streaming(sim, Kept(), STORM, kw(2, "cat")):
                assert values(sim) == ["neighbour", "storm", "storm OR cat", "theirs"]

    run(work())


def test_a_keyword_that_x_does_not_take_is_named_and_the_others_go_on() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim.max_length = 10
            async with streaming(sim, sink, STORM, kw(2, "a_very_long_word_indeed"), kw(3, '":)"')):
                assert values(sim) == ["storm"]
        assert sink.states[1] == ("active", "")
        assert sink.states[2][0] == sink.states[3][0] == "refused"

    run(work())


def test_a_cancelled_connection_is_closed_at_once() -> None:
    async def work() -> None:
        sim = XSimulator()
        sim.heartbeat_s = 0.1  # the server notices when it writes
        async with sim, streaming(sim, Kept()) as (_, task):
            began_at = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: sim.connected == 0, 2)
            assert time.monotonic() - began_at < 2

    run(work())


def test_waits_are_those_that_x_asks_for() -> None:
    source = XSource("t", "http://127.0.0.1:9", "abcd1234")
    assert [source.wait_s("network", n) for n in (1, 2, 64, 99)] == [0.25, 0.5, 16, 16]
    assert [source.wait_s("http", n) for n in (1, 2, 3, 7, 9)] == [5, 10, 20, 320, 320]
    assert [source.wait_s("limited", n) for n in (1, 2, 3)] == [60, 120, 240]
    assert source.wait_s("closed", 1) >= 1


async def occupy(sim: XSimulator) -> asyncio.Task[None]:
    """Another program's connection."""
    other = await source_for(sim, kw(9, "other"))
    task = asyncio.create_task(other.connect(Kept()))
    await until(lambda: sim.connected == 1)
    return task


def test_another_program_on_the_only_connection_is_recognised_and_left_alone() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            other = await occupy(sim)
            sink = Kept()
            source = await source_for(sim)
            for _ in range(2):
                with pytest.raises(SourceError) as caught:
                    await source.connect(sink)
                assert caught.value.kind == "occupied"
                assert "Another program holds the only connection" in caught.value.state
                assert "from 127.0.0.1" in caught.value.state
            assert sim.connected == 1
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

    run(work())


def test_our_own_connection_left_by_a_kill_is_closed() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            left = await occupy(sim)
            sample = sim.open_elsewhere("sample_stream")
            sink = Kept()
            sink.memory["connected_at"] = now_us()  # as the killed process remembered it
            source = await source_for(sim)
            with pytest.raises(SourceError) as caught:
                await source.connect(sink)
            assert caught.value.kind == "closed"
            await until(lambda: sim.connected == 0)
            await asyncio.gather(left, return_exceptions=True)
            assert "disconnected_at" not in sample, "another program's, on another stream"

    run(work())


def test_connections_are_counted_over_restarts() -> None:
    async def work() -> None:
        async with XSimulator() as sim:
            sink = Kept()
            sink.memory["connects"] = [now_us() - 60_000_000] * 40
            source = await source_for(sim)
            with pytest.raises(SourceError) as caught:
                await source.connect(sink)
            assert caught.value.retry_at is not None
            assert sim.connects() == []

    run(work())


def test_keywords_over_their_budget_or_for_other_networks_are_not_asked_for() -> None:
    async def work() -> None:
        sink = Kept()
        over = kw(2, "cat", held="Its budget of 10 posts a day is used up.")
        elsewhere = kw(3, "dog", networks=("bluesky",))
        async with XSimulator() as sim:
            async with streaming(sim, sink, STORM, over, elsewhere):
                assert values(sim) == ["storm"]
                assert sink.states[2] == ("over_budget", over.held)
                assert 3 not in sink.states
            source = await source_for(sim, over)
            with pytest.raises(SourceError) as caught:
                await source.connect(Kept())
            assert caught.value.kind == "waiting"
            assert "over its budget" in caught.value.state
            assert values(sim) == []

    run(work())


def test_what_x_refuses_is_found_by_trying_first_and_costs_only_its_keyword() -> None:
    async def work() -> None:
        sink = Kept()
        async with XSimulator() as sim:
            sim.refused_words = {"forbidden"}
            async with streaming(sim, sink, STORM, kw(2, "forbidden fruit"), kw(3, "cat")):
                assert values(sim) == ["storm OR cat"]
                assert sink.states[2][0] == "refused"
                assert sink.states[1] == sink.states[3] == ("active", "")

    run(work())
