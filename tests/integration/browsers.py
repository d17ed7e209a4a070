"""Pages in a real browser, watched for faults; and their pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import ROOT


@contextmanager
def watched(context: Any, url: str) -> Iterator[Any]:
    """A page that must not log an error, nor send anything to a host other than ours."""
    page = context.new_page()
    faults: list[str] = []
    # An answer of 422 to a form is an error to the console, not to us.
    page.on(
        "console",
        lambda m: faults.append(m.text) if m.type == "error" and "422" not in m.text else None,
    )
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((url, "data:")) else faults.append(r.url),
    )
    yield page
    assert not faults


def shot(page: Any, name: str) -> None:
    """A screenshot, kept for who wants to look (build/screenshots)."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
