"""Bluesky's public API, and Mastodon's look-up: what is answered, and what is said of refusals."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.simulators.bluesky_api import BlueskyApiSimulator
from tests.simulators.mastodon import MastodonSimulator
from tweeter.errors import SourceError
from tweeter.records import now_us
from tweeter.sources.bluesky_api import BlueskyApi, Profile, open_bluesky_api
from tweeter.sources.mastodon_rest import open_rest

ANN = "did:plc:ann"


def asking(
    work: Callable[[BlueskyApi, BlueskyApiSimulator], Awaitable[Any]], *, timeout_s: float = 5
) -> Any:
    """Run against a simulator that knows one account."""

    async def run() -> Any:
        async with BlueskyApiSimulator(handles={"ann.example": ANN}) as sim:
            sim.names[ANN] = "Ann\x00 \ud800"
            async with open_bluesky_api(sim.url, timeout_s=timeout_s) as api:
                return await work(api, sim)

    return asyncio.run(run())


def test_a_handle_has_an_account_or_none() -> None:
    async def work(api: BlueskyApi, _: BlueskyApiSimulator) -> list[str]:
        return [await api.account_of(name) for name in ("ann.example", "bob.example", "a_b.c")]

    assert asking(work) == [ANN, "", ""]


def test_profiles_come_for_those_that_exist_and_a_bad_id_spoils_no_others() -> None:
    async def work(api: BlueskyApi, sim: BlueskyApiSimulator) -> Any:
        bad = "did:plc:ends-in-colon:"  # ours lets it pass, the network does not
        found = await api.profiles([bad, ANN, "did:plc:gone", "no did at all"])
        sim.handles = {"handle.invalid": ANN}
        return found, await api.profiles([ANN])

    found, invalid = asking(work)
    assert found == {ANN: Profile("ann.example", "Ann\ufffd ?")}
    assert invalid[ANN].handle == ""


def test_a_limit_is_said_with_its_end() -> None:
    async def work(api: BlueskyApi, sim: BlueskyApiSimulator) -> None:
        sim.limit(90)
        await api.account_of("ann.example")

    with pytest.raises(SourceError, match="limits our rate until") as caught:
        asking(work)
    assert caught.value.kind == "limited"
    assert caught.value.retry_at is not None
    assert 80e6 < caught.value.retry_at - now_us() < 91e6


@pytest.mark.parametrize(
    "answer, kind, words",
    [
        ((502, {}, {"error": "UpstreamFailure"}), "http", "answered 502 (UpstreamFailure)"),
        ((403, {}, {}), "refused", "answered 403"),
        ((301, {"Location": "http://127.0.0.1:9/"}, {}), "http", "answered 301"),
        ((200, {}, ["no", "object"]), "http", "not understood"),
        ((200, {}, {"did": "javascript:1"}), "http", "not understood"),
        ((200, {}, {"did": ["did:plc:a"]}), "http", "not understood"),
    ],
)
def test_other_answers_are_said_in_words(answer: Any, kind: str, words: str) -> None:
    async def work(api: BlueskyApi, sim: BlueskyApiSimulator) -> None:
        sim.answers = [answer]
        await api.account_of("ann.example")

    with pytest.raises(SourceError) as caught:
        asking(work)
    assert caught.value.kind == kind
    assert words in caught.value.state


def test_silence_ends_after_the_time_that_was_given() -> None:
    async def work(api: BlueskyApi, sim: BlueskyApiSimulator) -> None:
        sim.silent = True
        await api.account_of("ann.example")

    began = time.monotonic()
    with pytest.raises(SourceError, match="does not answer"):
        asking(work, timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_nobody_listening_is_said_in_words() -> None:
    async def work() -> None:
        async with open_bluesky_api("http://127.0.0.1:9") as api:
            await api.account_of("ann.example")

    with pytest.raises(SourceError, match=r"No connection to 127\.0\.0\.1"):
        asyncio.run(work())


def test_mastodon_tells_an_accounts_address_without_a_token() -> None:
    async def work() -> list[str | None]:
        async with MastodonSimulator() as sim:
            sim.accounts = {"ann@sim.example": "https://sim.example/@ann"}
            async with open_rest(sim.url, "") as rest:
                found = [await rest.account_url(name) for name in ("ann@sim.example", "bob@b.c")]
            async with open_rest(sim.url, sim.token) as rest:
                found.append(await rest.account_url("ann@sim.example"))
                sim.answers = [(404, {}, "no JSON object")]
                with pytest.raises(SourceError, match="no Mastodon server"):
                    await rest.account_url("ann@sim.example")
            return found

    assert asyncio.run(work()) == ["https://sim.example/@ann", "", None]
