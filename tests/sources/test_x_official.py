"""X's own client for Python agrees with the simulator.

Guards against a simulator that only our own client understands: it shares nothing with ours.
"""

import asyncio
from typing import Any

import pytest
from xdk import Client as OfficialClient
from xdk.stream.models import UpdateRulesRequest
from xdk.streaming import StreamConfig, StreamError

from tests.simulators.x import XSimulator, post
from tests.sources.sink import until


def run(work: Any) -> None:
    asyncio.run(work)


def official(sim: XSimulator, token: str = "") -> OfficialClient:
    """Its calls block."""
    return OfficialClient(base_url=sim.url, bearer_token=token or sim.token)


def test_the_official_client_tries_adds_lists_and_deletes_rules() -> None:
    def talk(sim: XSimulator) -> None:
        client = official(sim)
        tried = client.stream.update_rules(
            UpdateRulesRequest(add=[{"value": "storm"}]), dry_run=True
        )
        assert (tried.model_dump()["meta"]["summary"]["valid"], sim.rules) == (1, {})
        added = client.stream.update_rules(
            UpdateRulesRequest(add=[{"value": "storm", "tag": "a"}, {"value": "cat lang:en"}])
        )
        assert [rule.value for rule in added.data] == ["storm", "cat lang:en"]
        sim.page = 1  # a rule a page
        pages = list(client.stream.get_rules(max_results=1))
        assert [rule.value for page in pages for rule in page.data] == ["storm", "cat lang:en"]
        assert client.stream.get_rule_counts().model_dump()["data"]["project_rules_count"] == "2"
        client.stream.update_rules(
            UpdateRulesRequest(delete={"ids": [added.data[0].id], "values": ["cat lang:en"]})
        )
        assert sim.rules == {}

    async def work() -> None:
        async with XSimulator() as sim:
            await asyncio.to_thread(talk, sim)

    run(work())


def test_the_official_client_reads_posts_and_edits_cut_anywhere() -> None:
    heard: list[dict[str, Any]] = []

    def listen(sim: XSimulator) -> None:
        client = official(sim)
        for answer in client.stream.posts(stream_config=StreamConfig(max_retries=0)):
            heard.append(answer.model_dump(exclude_none=True))

    async def work() -> None:
        async with XSimulator() as sim:
            sim.heartbeat_s, sim.split = 0.2, 5
            sim._add_rules([{"value": "storm", "tag": "t"}], False)
            reading = asyncio.create_task(asyncio.to_thread(listen, sim))
            await until(lambda: sim.connected == 1)
            edited = post(8, "storm, mended 猫", edit_history_tweet_ids=["7", "8"])
            await sim.publish([post(7, "storm"), post(9, "calm"), edited])
            await until(lambda: len(heard) == 2)
            assert [one["data"]["id"] for one in heard] == ["7", "8"]
            assert heard[0]["matching_rules"][0]["tag"] == "t"
            assert heard[1]["data"]["text"] == "storm, mended 猫"
            assert heard[1]["data"]["edit_history_tweet_ids"] == ["7", "8"]
            sim.answers = [(403, {}, {"title": "Forbidden"})]  # it would connect again
            await sim.close()
            await asyncio.gather(reading, return_exceptions=True)

    run(work())


def test_the_official_client_is_refused_as_ours_is() -> None:
    def refusals(sim: XSimulator) -> list[int]:
        found = []
        for token in ("wrong", sim.token):
            client = official(sim, token)
            with pytest.raises(StreamError) as caught:
                next(client.stream.posts(stream_config=StreamConfig(max_retries=0)))
            found.append(caught.value.status_code or 0)
        return found

    async def work() -> None:
        async with XSimulator() as sim:
            assert await asyncio.to_thread(refusals, sim) == [401, 409]
            assert [status for _, status in sim.connects()] == [401, 409]

    run(work())
