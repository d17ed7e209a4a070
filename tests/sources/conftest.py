"""What tests of sources share."""

import pytest

from tweeter.sources import bluesky, mastodon, websocket_aiohttp, websocket_picows


@pytest.fixture(params=[websocket_picows, websocket_aiohttp], ids=["picows", "aiohttp"])
def each_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources by picows, and by what takes its place where it has no wheel."""
    for source in (bluesky, mastodon):
        for name in ("Listener", "open_socket"):
            monkeypatch.setattr(source, name, getattr(request.param, name))
