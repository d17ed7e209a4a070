"""Pages in a real browser, watched for faults; and their pictures."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from werkzeug.serving import make_server

from tests.conftest import ROOT
from tweeter import config
from tweeter.store import migrate
from tweeter.store.engine import make_engine
from tweeter.web import create_app

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
def pages_alone(folder: Path) -> Iterator[tuple[Engine, str]]:
    """A new database and the address of its pages, which nothing else runs beside."""
    found = config.load({"TWEETER_DATA_DIR": str(folder), "TWEETER_BLUESKY_URL": ""})
    engine = make_engine(f"sqlite:///{folder / 'tweeter.db'}")
    migrate.upgrade(engine)
    server = make_server("127.0.0.1", 0, create_app(found, engine), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield engine, f"http://127.0.0.1:{server.port}"
    server.shutdown()
    engine.dispose()


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


@contextmanager
def window(browser: Any, url: str) -> Iterator[Any]:
    """A page, `watched`, of the size of a small laptop's."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    with watched(context, url) as page:
        yield page
    context.close()


def shots() -> Path:
    """The folder of the pictures that are kept for who wants to look."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shot(page: Any, name: str, *, whole: bool = True) -> None:
    """A screenshot, kept for who wants to look (build/screenshots)."""
    page.screenshot(path=str(shots() / f"{name}.png"), full_page=whole)
