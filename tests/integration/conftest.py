"""The browser and the network that several tests share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.simulators.jetstream import JetstreamSimulator
from tests.simulators.served import Served

CHROMIUM = Path("/usr/bin/chromium")
# What drops from a window's address field is two pages, which nobody sees here: 0.7 s of a
# processor for each window. Chromium hears the last list only, so Playwright's own is here, too.
ADDRESS_FIELD = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup"]
PLAYWRIGHTS = [
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join([*ADDRESS_FIELD, *PLAYWRIGHTS])}",
]


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    """A simulated Jetstream."""
    with Served(JetstreamSimulator()) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        lacking("no /usr/bin/chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield made
        made.close()
