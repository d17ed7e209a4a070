"""When a server wants to be asked again, by its words and by our clock."""

import asyncio
import time
from email.utils import formatdate

import pytest

from tests.simulators.jetstream import JetstreamSimulator
from tests.simulators.mastodon import MastodonSimulator, iso
from tests.simulators.x import XSimulator
from tests.sources.sink import Kept
from tests.sources.test_mastodon import refused as refused_by_mastodon
from tests.sources.test_x import refused as refused_by_x
from tweeter.errors import SourceError
from tweeter.records import now_us
from tweeter.sources.bluesky import BlueskySource
from tweeter.sources.clock import pause_until


@pytest.mark.parametrize("ahead_s", [-600, 0, 600])
@pytest.mark.parametrize("name", ["Retry-After", "their own"])
def test_a_moment_is_by_the_clock_of_who_names_it(name: str, ahead_s: int) -> None:
    """ahead_s: how much the server's clock is ahead of ours; 90 s are left by either."""
    theirs_s = time.time() + ahead_s
    headers, own = {"Date": formatdate(theirs_s, usegmt=True)}, 0
    if name == "Retry-After":
        headers[name] = formatdate(theirs_s + 90, usegmt=True)
    else:
        own = int((theirs_s + 90) * 1e6)
    found = pause_until(headers, own)
    assert found is not None
    assert 87e6 < found - now_us() < 93e6


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        *(("120", 120), (" 7 ", 7), ("0", 0), ("9" * 400, 86_400)),
        *(("-5", None), ("soon", None), ("", None), ("²", None), ("99 Foo 1", None)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_seconds_and_what_is_no_moment(asked: str, seconds: int | None) -> None:
    found = pause_until({"Retry-After": asked})
    assert (found is None) == (seconds is None)
    if found is not None and seconds is not None:
        assert abs(found - now_us() - seconds * 1e6) < 2e6


def test_no_network_is_asked_before_it_wants_to_be() -> None:
    after = {"Retry-After": "240"}

    async def work() -> dict[str, SourceError]:
        found = {}
        async with XSimulator() as x:
            for status in (429, 503):
                x.answers = [(status, after, {"title": "no"})]
                found[f"x {status}"] = await refused_by_x(x)
        async with MastodonSimulator() as mastodon:
            for status in (429, 503):
                mastodon.answers = [(status, after, {"error": "no"})]
                found[f"mastodon {status}"] = await refused_by_mastodon(mastodon)
        async with JetstreamSimulator() as jetstream:
            for status in (429, 503):
                jetstream.refuse, jetstream.refuse_headers = [(status, "no")], after
                with pytest.raises(SourceError) as caught:
                    await BlueskySource(jetstream.url).connect(Kept())
                found[f"bluesky {status}"] = caught.value
        return found

    for name, error in asyncio.run(work()).items():
        assert error.retry_at is not None, name
        assert 235e6 < error.retry_at - now_us() < 245e6, name
        assert error.kind == ("limited" if "429" in name else "http")


def test_a_limit_of_mastodon_ends_by_the_servers_clock() -> None:
    async def work() -> SourceError:
        theirs_s = time.time() - 3_600
        headers = {"Date": formatdate(theirs_s, usegmt=True)}
        headers["X-RateLimit-Reset"] = iso(theirs_s + 90)
        async with MastodonSimulator() as sim:
            sim.answers = [(429, headers, {"error": "no"})]
            return await refused_by_mastodon(sim)

    error = asyncio.run(work())
    assert error.retry_at is not None
    assert 85e6 < error.retry_at - now_us() < 95e6


def test_an_endpoint_of_bluesky_that_limits_us_is_left_for_the_next_at_once() -> None:
    async def work() -> SourceError:
        async with JetstreamSimulator() as one, JetstreamSimulator() as two:
            one.refuse, one.refuse_headers = [(429, "no")], {"Retry-After": "240"}
            two.refuse = [(503, "no")]
            source = BlueskySource([one.url, two.url])
            for _ in range(2):
                with pytest.raises(SourceError) as caught:
                    await source.connect(Kept())
                assert caught.value.retry_at is None
            assert [len(one.connects), len(two.connects)] == [1, 1]
        return caught.value

    assert asyncio.run(work()).kind == "http"
