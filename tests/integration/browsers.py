"""Pages in a real browser, watched for faults; and their pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

HOSTILE = [
    "storm <script>document.title='gone'</script>",
    "storm <img src=x onerror=\"document.title='gone'\">",
    "storm \u202egnp.exe\u202c back",
    "storm " + "a" + "\u0301\u0323" * 5_000 + " end",
    "storm " + "x" * 100_000,
    "storm \u0000 \u0007 \ud800 bell",
    "storm </script><svg onload=document.title='gone'>{{7*7}}${7*7}",
    "storm عربى ١٢٣ \u2067rtl\u2069",
]


@contextmanager
def watched(context: Any, url: str, allowed: tuple[str, ...] = ()) -> Iterator[Any]:
    """A page that must not log an error, nor send anything to a host other than ours.

    allowed: words of errors that are meant to be.
    """
    page = context.new_page()
    faults: list[str] = []
    allowed = ("422", *allowed)  # an answer of 422 to a form is an error to the console, not to us
    page.on(
        "console",
        lambda m: (
            faults.append(m.text)
            if m.type == "error" and not any(word in m.text for word in allowed)
            else None
        ),
    )
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((url, "data:")) else faults.append(r.url),
    )
    yield page
    assert not faults, faults


def shots() -> Path:
    """The folder of the pictures that are kept for who wants to look."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shot(page: Any, name: str, *, whole: bool = True) -> None:
    """A screenshot, kept for who wants to look (build/screenshots)."""
    page.screenshot(path=str(shots() / f"{name}.png"), full_page=whole)
