"""The credential check tells apart what people mistake for each other."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.jetstream import JetstreamSimulator, post_event
from tests.simulators.mastodon import MastodonSimulator
from tests.simulators.x import TOO_MANY, XSimulator
from tweeter import config
from tweeter.errors import UnknownSource
from tweeter.sources.check import Row, check

TOKEN = "A" * 90 + "9f2c"


def loaded(folder: Path, **settings: str) -> config.Config:
    environ = {f"TWEETER_{name}": value for name, value in settings.items()}
    found = config.load({"TWEETER_DATA_DIR": str(folder), **environ})
    config.make_data_dir(found)
    return found


def ask_x(
    folder: Path, prepare: Callable[[XSimulator], None], token: str = TOKEN, **more: Any
) -> list[Row]:
    async def work() -> list[Row]:
        async with XSimulator(TOKEN) as sim:
            sim.heartbeat_s = 0.05
            prepare(sim)
            found = loaded(folder, X_API_BASE=sim.url, X_BEARER_TOKEN=token)
            return await check(found, "x", first_byte_s=0.5, **more)

    return asyncio.run(work())


def with_rule(sim: XSimulator) -> None:
    sim._add_rules([{"value": "storm", "tag": "other"}], False)


def clock_off(sim: XSimulator) -> None:
    sim.clock_s = -432


def answers(status: int, body: Any, **headers: str) -> Callable[[XSimulator], None]:
    def prepare(sim: XSimulator) -> None:
        with_rule(sim)
        sim.answers = [(status, headers, body)]

    return prepare


def stalled(sim: XSimulator) -> None:
    with_rule(sim)
    sim.stalled = True


PROBLEM = "https://api.twitter.com/2/problems/"
CASES: dict[str, tuple[Callable[[XSimulator], None], str, str, str]] = {
    "fine": (with_rule, "Stream", "ok", "signs of life"),
    "clock": (clock_off, "Clock", "failed", "7 min 1"),
    "no rules": (lambda _: None, "Rules", "note", "waits for the first keyword"),
    "plan": (
        answers(403, {"title": "Forbidden", "reason": "client-not-enrolled"}),
        "Stream",
        "failed",
        "may not open the filtered stream",
    ),
    "credits": (answers(402, {"title": "Payment"}), "Stream", "failed", "out of credits"),
    "cap": (
        answers(429, {"title": "UsageCapExceeded", "type": f"{PROBLEM}usage-capped"}),
        "Stream",
        "failed",
        "monthly cap",
    ),
    "rate": (
        answers(429, {"title": "Too Many"}, **{"x-rate-limit-reset": str(int(time.time()) + 400)}),
        "Stream",
        "failed",
        "limits our rate until",
    ),
    "occupied": (answers(429, TOO_MANY), "Stream", "failed", "Another program holds"),
    "silent": (stalled, "Stream", "failed", "Connected, then silent"),
    "setting up": (
        answers(503, {"title": "x", "connection_issue": "ProvisioningSubscription"}),
        "Stream",
        "failed",
        "setting up",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_cause_at_x_is_named(case: str, tmp_path: Path) -> None:
    prepare, name, verdict, words = CASES[case]
    rows = ask_x(tmp_path, prepare)
    found = {row.name: row for row in rows}[name]
    assert found.verdict == verdict
    assert words in found.words
    assert [row.verdict for row in rows if row.verdict == "failed"] == ["failed"] * (
        verdict == "failed"
    )


def test_a_token_that_x_does_not_know_and_one_that_looks_wrong(tmp_path: Path) -> None:
    rows = ask_x(tmp_path, with_rule, token="short-api-key")
    assert rows[0].verdict == "note"
    assert "may be an API key" in rows[0].words
    assert rows[-1].name == "Access"
    assert "refused our credentials (401)" in rows[-1].words
    assert "short-api-key" not in " ".join(row.words for row in rows)


def test_our_own_connection_is_not_disturbed(tmp_path: Path) -> None:
    rows = ask_x(tmp_path, with_rule, ours="Live since 12:03.")
    assert rows[-1].words == "Our own stream holds the connection: Live since 12:03."


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    found = loaded(tmp_path, X_API_BASE="http://127.0.0.1:9", X_BEARER_TOKEN=TOKEN)
    rows = asyncio.run(check(found, "x"))
    assert rows[-1].verdict == "failed"
    assert "cannot reach" in rows[-1].words
    nowhere = loaded(tmp_path, MASTODON_URL="https://nowhere.invalid", MASTODON_TOKEN="t")
    rows = asyncio.run(check(nowhere, "mastodon"))
    assert "was not found" in rows[-1].words or "cannot reach" in rows[-1].words


def test_bluesky_and_mastodon(tmp_path: Path) -> None:
    async def work() -> None:
        async with JetstreamSimulator() as jetstream, MastodonSimulator() as mastodon:
            mastodon.heartbeat_s = 0.05
            found = loaded(
                tmp_path,
                BLUESKY_URL=jetstream.url,
                MASTODON_URL=mastodon.url,
                MASTODON_TOKEN=mastodon.token,
            )
            asking = asyncio.create_task(check(found, "bluesky", first_byte_s=2))
            while not asking.done():
                await jetstream.publish([post_event("one")])
                await asyncio.sleep(0.05)
            assert [row.verdict for row in await asking if row.name != "Clock"] == ["ok"] * 3
            rows = await check(found, "mastodon", first_byte_s=2)
            assert rows[-1].words == "Connected, and signs of life arrive."
            wrong = loaded(tmp_path, MASTODON_URL=mastodon.url, MASTODON_TOKEN="wrong")
            rows = await check(wrong, "mastodon", first_byte_s=2)
            assert "Invalid access token" in rows[-1].words
            with pytest.raises(UnknownSource, match=r"no source.* x, bluesky, mastodon, "):
                await check(found, "myspace")

    asyncio.run(work())
